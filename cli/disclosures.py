"""What concerns persons, in a terminal: reveal, disclosures, and the journal by person, party and period."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cli import output
from cli.admin_api import operator_token
from cli.http import Http
from cli.outcome import WrongUsage
from cli.public_api import checked_id
from cli.results import tell_saved, whole_file
from cli.target import Target

_NUMBER: Final = re.compile(r"[A-Za-z0-9<]{1,20}")
_STATE: Final = re.compile(r"[A-Za-z]{3}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LINES: Final = "application/x-ndjson"

Record = Mapping[str, Any]


class PersonsApi:
    """In the name of one operator or auditor. Every call raises `CommandError`."""

    def __init__(self, target: Target, operator: str) -> None:
        token = operator_token(target.data_dir, operator)
        hints = {
            401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
            403: "disclosures and the journal are an auditor's, such as auditor-1 (--operator NAME)",
            404: "no message has this id",
        }
        self._http = Http(target.admin_url, lambda: token, hints)

    def reveal(self, message: str, reason: str, fields: Sequence[str]) -> dict[str, Any]:
        """What one message says of a person, as far as it is granted."""
        body = {"reason": reason, **({"fields": list(fields)} if fields else {})}
        return dict(self._http.post(f"/v1/admin/messages/{checked_id(message)}/reveal", body).document)

    def disclosures(self, passport: Record, reason: str) -> dict[str, Any]:
        """Who was given what of a person."""
        body = {"passport": passport, "reason": reason}
        return dict(self._http.post("/v1/admin/disclosures", body).document)

    def entries(
        self, wanted: Mapping[str, str], passport: Record | None, reason: str | None, file: Path | None
    ) -> int:
        """The journal's entries as lines of JSON, to a file or to standard output. Returns how many lines."""
        lines = 0
        path = "/v1/admin/audit/entries"
        with whole_file(file) as out:

            def keep(piece: bytes) -> None:
                nonlocal lines
                out.write(piece)
                lines += piece.count(b"\n")

            if passport is None:
                self._http.download(path, _LINES, keep, params=wanted)
            else:
                self._http.download(
                    path, _LINES, keep, document={**wanted, "passport": passport, "reason": reason}
                )
        return lines


def passport_of(number: str | None, issuing_state: str | None) -> dict[str, str] | None:
    """As the admin API has it; None when neither is given. Raises `WrongUsage`, never with the number."""
    if number is None and issuing_state is None:
        return None
    if number is None or not _NUMBER.fullmatch(number):
        raise WrongUsage("--passport is a passport's number: letters and digits")
    if issuing_state is None or not _STATE.fullmatch(issuing_state):
        raise WrongUsage("--issuing-state is a country's three letters, such as EGY")
    return {"number": number, "issuing_state": issuing_state}


def needed_reason(reason: str | None) -> str:
    """Raises `WrongUsage` when there is none."""
    if not reason:
        raise WrongUsage("--reason is missing: it is kept in the audit log")
    return reason


def save_entries(
    api: PersonsApi,
    wanted: Mapping[str, str | None],
    passport: Record | None,
    reason: str | None,
    file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Fetch the entries that are meant. Raises `WrongUsage` for days that are none."""
    if as_json and file is None:
        raise WrongUsage("--json needs a FILE: the entries are lines of JSON already")
    given = {name: value for name, value in wanted.items() if value is not None}
    for name in ("from", "until"):
        if not _DAY.fullmatch(given.get(name, "2000-01-01")):
            raise WrongUsage(f"--{name} is a day such as 2026-11-22")
    why = needed_reason(reason) if passport is not None else None
    lines = api.entries(given, passport, why, file)
    tell_saved({"lines": lines}, file, as_json=as_json)


def show_revealed(found: Record) -> None:
    """What a message says, field by field."""
    output.facts([("id", found["id"]), ("kind", found["kind"]), ("for", found["purpose"])])
    output.table(("field", "value"), _leaves(found["revealed"]))
    output.note("this look is noted in the audit log, with your name and the reason")


def _leaves(document: Record, above: str = "") -> Iterable[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def show_disclosures(found: Record) -> None:
    """Everything that was given, in order, then what is known of the messages."""
    columns = ("at", "receiver", "operation", "fields", "purpose", "rule", "batch", "lines", "")
    output.table(columns, (_row(one) for one in found["disclosures"]))
    names = ("id", "kind", "party", "batch_id", "line", "state")
    messages = ([one[name] for name in names] for one in found["messages"])
    output.table(("message", "kind", "party", "batch", "line", "state"), messages)
    for id in found["under_way"]:
        output.note(f"{id} is being carried at this moment: a partner may be given something right now")


def _row(one: Record) -> list[object]:
    return [
        one["at"],
        one["receiver"] or "(not known)",
        one["operation"],
        ", ".join(one["fields"] or ()),
        one["purpose"],
        one["rule"],
        one["batch_id"],
        ", ".join(str(line) for line in one["lines"]),
        "" if one["certain"] else "perhaps",
    ]
