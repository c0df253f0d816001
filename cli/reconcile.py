"""`reconcile`: our calls of a day against the partner's own list of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from adapters.foreign_affairs.statement import read_statement
from cli import output
from cli.admin_api import operator_token
from cli.http import Http
from cli.outcome import CommandError, ExitCode, WrongUsage
from cli.target import Target
from gateway.errors import Refused
from gateway.ports import Statement, StatementReader

#: Who reads which partner's lists, by destination.
READERS: Final[Mapping[str, StatementReader]] = MappingProxyType({"foreign-affairs": read_statement})
_LARGEST: Final = 128_000_000
_DESTINATION: Final = re.compile(r"[a-z0-9-]{1,64}")
_WHY_NOT: Final = {
    "made_too_early": "the list was made before all that was lost could have taken effect: fetch it again",
    "persons_missing": "the list names no passports, so nobody can be kept from a second visa by it",
}


def reconcile(
    target: Target, operator: str, destination: str, day: date, statement: Path | None, *, as_json: bool
) -> ExitCode:
    """Compare and tell. DONE when there is no difference, FAILED when there is one."""
    found = _compare(target, operator, destination, _statement(destination, day, statement))
    if as_json:
        output.emit_json(found)
    else:
        _tell(found)
    counts = found["counts"]
    return (
        ExitCode.FAILED
        if any(counts[n] for n in ("only_ours", "only_theirs", "differing"))
        else ExitCode.DONE
    )


def _statement(destination: str, day: date, path: Path | None) -> Statement:
    reader = READERS.get(destination)
    if reader is None or not _DESTINATION.fullmatch(destination):
        raise WrongUsage(f"there are lists of {', '.join(READERS)} only")
    if path is None:
        raise WrongUsage(
            f"the contract of {destination} has no operation for its list: give --statement FILE"
        )
    if path.stat().st_size > _LARGEST:
        raise WrongUsage(f"{path} is larger than {_LARGEST} bytes")
    try:
        read = reader(path.read_bytes())
    except Refused as error:
        raise CommandError(f"{path} is not a list as {destination} makes them", code=error.code) from error
    if read.day != day:
        raise WrongUsage(f"{path} is of {read.day}, not of {day}")
    return read


def _compare(target: Target, operator: str, destination: str, statement: Statement) -> dict[str, Any]:
    token = operator_token(target.data_dir, operator)
    hints = {
        401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
        403: "reconciling is an operator's (--operator NAME)",
    }
    body = {
        "date": statement.day.isoformat(),
        "until": statement.until.isoformat(),
        "rows": [asdict(row) for row in statement.rows],
    }
    path = f"/v1/admin/reconcile/{destination}"
    return dict(Http(target.admin_url, lambda: token, hints).post(path, body).document)


def _tell(found: Mapping[str, Any]) -> None:
    counts = found["counts"]
    output.facts(
        [
            ("destination", found["destination"]),
            ("date", found["date"]),
            ("list made", found["until"]),
            *((name.replace("_", " "), counts[name]) for name in counts),
        ]
    )
    rows = [
        (
            row["request_reference"],
            sort.replace("_", " "),
            row.get("what"),
            row.get("ours"),
            row.get("theirs"),
        )
        for sort in ("only_theirs", "differing", "only_ours")
        for row in found[sort]
    ]
    if rows:
        output.table(("reference", "found", "what", "ours", "theirs"), rows)
    _tell_lost_days(found["lost_days"])


def _tell_lost_days(days: Mapping[str, Any]) -> None:
    if not days:
        return
    if days.get("not_counted"):
        output.note(_WHY_NOT.get(days["not_counted"], days["not_counted"]))
    waiting = ", ".join(days["open"])
    output.note(
        f"after the restore, new calls wait for the lists of: {waiting}"
        if waiting
        else "after the restore, every list that was needed has been read: new calls go on"
    )
