"""What an operator asks of the gateway, with the token of their own file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cli.http import Http
from cli.outcome import WrongUsage
from cli.public_api import checked_id
from cli.target import Target
from gateway.web.operators import operators_directory

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LARGEST_PAGE: Final = 1_000

Filter = Mapping[str, str | int]


class AdminApi:
    """The admin API in the name of one operator. Every call raises `CommandError`."""

    def __init__(self, target: Target, operator: str) -> None:
        token = operator_token(target.data_dir, operator)
        hints = {
            401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
            404: "no message has this id",
        }
        self._http = Http(target.admin_url, lambda: token, hints)

    def messages(self, wanted: Filter, limit: int) -> dict[str, Any]:
        """At most `limit` messages that fit, and `next`: where more of them begin."""
        found: list[dict[str, Any]] = []
        params = {name: str(value) for name, value in wanted.items()}
        while True:
            params["limit"] = str(min(limit - len(found), _LARGEST_PAGE))
            page = self._http.get("/v1/admin/messages", params).document
            found += page["messages"]
            if page["next"] is None or len(found) >= limit:
                return {"messages": found, "next": page["next"]}
            params["after"] = page["next"]

    def show(self, message: str) -> dict[str, Any]:
        """One message's whole life."""
        return self._get(message)

    def why(self, message: str) -> dict[str, Any]:
        """One line: what it waits for."""
        return self._get(message, "/why")

    def act(self, action: str, message: str, reason: str) -> dict[str, Any]:
        """`retry` or `cancel` one message."""
        return self._post(message, f"/{action}", {"reason": reason})

    def act_on_all(self, action: str, wanted: Filter, reason: str, *, dry_run: bool) -> dict[str, Any]:
        """`retry` or `cancel` every message that fits; how many, and which could not be."""
        body = {"filter": dict(wanted), "reason": reason, "dry_run": dry_run}
        return dict(self._http.post(f"/v1/admin/{action}", body).document)

    def propose(self, message: str, decision: str, visa_number: str | None, reason: str) -> dict[str, Any]:
        """How a review ends, for another operator to confirm."""
        number = {} if visa_number is None else {"visa_number": visa_number}
        return self._post(message, "/resolve", {"decision": decision, "reason": reason, **number})

    def confirm(self, message: str) -> dict[str, Any]:
        """End the review as it was proposed."""
        return self._post(message, "/resolve/confirm", None)

    def _get(self, message: str, what: str = "") -> dict[str, Any]:
        return dict(self._http.get(f"/v1/admin/messages/{checked_id(message)}{what}").document)

    def _post(self, message: str, what: str, body: Mapping[str, str] | None) -> dict[str, Any]:
        return dict(self._http.post(f"/v1/admin/messages/{checked_id(message)}{what}", body).document)


def operator_token(data_dir: Path, operator: str) -> str:
    """The token in the operator's file. Raises `WrongUsage` when there is none."""
    directory = operators_directory(data_dir)
    if not _NAME.fullmatch(operator):
        raise WrongUsage("that is not an operator's name")
    path = directory / f"{operator}.token"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in directory.glob("*.token")))
        made = f"there are: {known}" if known else "they are made when `serve` first starts"
        raise WrongUsage(f"there is no token {path}; {made}")
    return path.read_text(encoding="ascii", errors="replace").strip()
