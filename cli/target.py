"""Which gateway a command speaks to: its configuration, its data directory, its addresses."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cli.outcome import WrongUsage
from gateway.settings import Settings, load
from gateway.settings.gateway import Listener

#: Meant for `serve` alone; the configuration would take them for misspelt.
_FOR_SERVE: Final = frozenset({"GATEWAY_PROFILE", "GATEWAY_CRASH_POINT"})
_URL: Final = re.compile(r"https?://[^\s/@?#]+(/[^\s?#]*)?")
#: What a listener on all addresses is called on by its own machine.
_ANY: Final[Mapping[str, str]] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway, as the command line reaches it. URLs have no slash at their end."""

    settings: Settings
    data_dir: Path
    public_url: str
    admin_url: str


def find(
    config: Path | None, data_dir: Path | None, *, url: str | None = None, admin_url: str | None = None
) -> Target:
    """The gateway that the options name. Raises `Misconfigured`, and `WrongUsage` for a bad URL."""
    settings = load(config, environment(data_dir))
    listeners = settings.gateway.listeners
    return Target(
        settings=settings,
        data_dir=Path(settings.gateway.data_directory),
        public_url=_checked(url) if url else address(listeners.public),
        admin_url=_checked(admin_url) if admin_url else address(listeners.admin),
    )


def environment(data_dir: Path | None) -> dict[str, str]:
    """The environment for the configuration, with the data directory of the command line."""
    env = {name: value for name, value in os.environ.items() if name not in _FOR_SERVE}
    return env if data_dir is None else env | {"GATEWAY_DATA_DIR": str(data_dir)}


def address(listener: Listener) -> str:
    """Where this machine reaches the listener."""
    host = _ANY.get(listener.host, listener.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if listener.tls else 'http'}://{shown}:{listener.port}"


def _checked(url: str) -> str:
    try:
        fits = _URL.fullmatch(url) and urlsplit(url).port != 0
    except ValueError:  # a port that is none
        fits = False
    if not fits:
        raise WrongUsage("a URL looks like http://127.0.0.1:8080")
    return url.rstrip("/")
