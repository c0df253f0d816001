"""The secrets of the webhooks, read at the start; those of demonstrations are made then."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import Misconfigured
from gateway.message import PartyId, new_id
from gateway.settings import Settings
from gateway.settings.parties import Party
from gateway.settings.webhook_secrets import PREFIX, demo_secret_path, read_secrets

_BYTES = 32


def ensure_webhook_secrets(settings: Settings, data_dir: Path) -> None:
    """Make the secret of each demonstration's webhook that has none yet. Safe to call again."""
    for party in settings.parties:
        path = _path(party, settings, data_dir)
        if path is not None and _is_demo(party) and not path.exists():
            _write(path, f"{PREFIX}{b64encode(secrets.token_bytes(_BYTES)).decode()}\n")


def load_webhook_secrets(settings: Settings, data_dir: Path) -> Mapping[PartyId, tuple[bytes, ...]]:
    """By party. Raises `Misconfigured`."""
    paths = {PartyId(party.id): _path(party, settings, data_dir) for party in settings.parties}
    try:
        return {party: read_secrets(path) for party, path in paths.items() if path is not None}
    except ValueError as error:
        raise Misconfigured([str(error)]) from None


def _path(party: Party, settings: Settings, data_dir: Path) -> Path | None:
    if party.webhook is None:
        return None
    given = party.webhook.secret_file
    return demo_secret_path(data_dir, party.id) if given is None else settings.directory / given


def _is_demo(party: Party) -> bool:
    return party.webhook is not None and party.webhook.secret_file is None


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{new_id()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
