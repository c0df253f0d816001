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


class PartyApi:
    """The public API in the name of any party."""

    def __init__(self, target: Target, party: str, key_file: Path | None = None) -> None:
        key = signing_key(target, party, key_file)
        lifetime_s = checked_lifetime(target, None)
        hints = {
            401: f"is {key} the key of {party}, and the clock right?",
            403: "`kinds` tells who sends which kind",
        }
        self._http = Http(target.public_url, lambda: fresh_token(target, party, key, lifetime_s), hints)

    def message(self, kind: str, body: bytes, media_type: str, key: str | None) -> dict[str, Any]:
        """Send one message. Raises `CommandError`, as all others do."""
        headers = {"Content-Type": media_type} | ({"Idempotency-Key": key} if key else {})
        return dict(self._http.upload(f"/v1/messages/{kind}", [body], headers, {}).document)

    def notifications(self, cursor: str | None, limit: int, wait_s: int | None = None) -> dict[str, Any]:
        """A page of what is meant for the party; after what was confirmed last unless a cursor is given."""
        wanted = {"cursor": cursor, "limit": str(limit), "wait": wait_s and str(wait_s)}
        params = {name: value for name, value in wanted.items() if value}
        return dict(self._http.get("/v1/notifications", params).document)

    def confirm(self, cursor: str) -> None:
        """Everything up to the cursor has arrived."""
        self._http.post(f"/v1/notifications/confirm?cursor={cursor}")
