"""What a service center asks of the gateway, each call with a fresh token."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cli.http import Http, Reply, Sink
from cli.outcome import WrongUsage
from cli.party_token import checked_lifetime, fresh_token, signing_key
from cli.target import Target

_ID: Final = re.compile("[0-9A-Za-z-]{1,64}")


class CenterApi:
    """The public API in the name of one center."""

    def __init__(self, target: Target, center: str, key_file: Path | None = None) -> None:
        key = signing_key(target, center, key_file)
        lifetime_s = checked_lifetime(target, None)
        hints = {
            401: f"is {key} the key of {center}, and the clock right?",
            404: f"ids are seen by their own center only; this was asked as {center} (--center)",
        }
        self._http = Http(target.public_url, lambda: fresh_token(target, center, key, lifetime_s), hints)

    def submit(self, pieces: Iterable[bytes], headers: Mapping[str, str], params: Mapping[str, str]) -> Reply:
        """Send a batch; the receipt. Raises `CommandError`, as all others do."""
        return self._http.upload("/v1/batches", pieces, headers, params)

    def status(self, batch: str) -> dict[str, Any]:
        """State, counts by state, times, revision."""
        return dict(self._http.get(f"/v1/batches/{checked_id(batch)}").document)

    def results(self, batch: str, media_type: str, sink: Sink) -> None:
        """Every line's result."""
        self._http.download(f"/v1/batches/{checked_id(batch)}/results", media_type, sink)

    def rejected(self, batch: str, sink: Sink) -> None:
        """The rejected lines as submitted, with what is wrong: JSON."""
        self._http.download(f"/v1/batches/{checked_id(batch)}/rejected", "application/json", sink)


def checked_id(value: str) -> str:
    """An id that can be put in a path. Raises `WrongUsage`."""
    if not _ID.fullmatch(value):
        raise WrongUsage("that is not an id: ids have letters, digits and hyphens")
    return value
