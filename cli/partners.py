"""Partners in a terminal, and the calls that ask for them and pause them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from cli import output
from cli.admin_api import operator_token
from cli.http import Http
from cli.outcome import WrongUsage
from cli.target import Target
from cli.views import relative

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TIME: Final = re.compile("([0-9]{1,7})([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_S: Final = 90 * 86_400
#: How a circuit is shown.
_STYLES: Final = {"closed": "green", "half_open": "yellow", "open": "bold red"}

Partner = Mapping[str, Any]


class PartnersApi:
    """Partners, in the name of one operator. Every call raises `CommandError`."""

    def __init__(self, target: Target, operator: str) -> None:
        token = operator_token(target.data_dir, operator)
        hints = {
            401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
            404: "partners are listed by `partners`",
        }
        self._http = Http(target.admin_url, lambda: token, hints)

    def partners(self) -> dict[str, Any]:
        """Every one that is configured."""
        return dict(self._http.get("/v1/admin/partners", {}).document)

    def pause(self, name: str, reason: str, for_s: int | None) -> dict[str, Any]:
        """Call it no more."""
        wanted = {} if for_s is None else {"for_s": for_s}
        return self._act(name, "pause", {"reason": reason, **wanted})

    def resume(self, name: str, reason: str) -> dict[str, Any]:
        """Call it again."""
        return self._act(name, "resume", {"reason": reason})

    def _act(self, name: str, action: str, body: Mapping[str, str | int]) -> dict[str, Any]:
        if not _NAME.fullmatch(name):
            raise WrongUsage("that is not a partner's name: `partners` lists them")
        return dict(self._http.post(f"/v1/admin/partners/{name}/{action}", body).document)


def seconds(text: str | None) -> int | None:
    """Of a time such as `90s`, `15m`, `2h` or `3d`. Raises `WrongUsage`."""
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    length = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < length <= _LONGEST_S:
        raise WrongUsage("--for is a time such as 90s, 15m, 2h or 3d, and 90 days at most")
    return length


def show_partners(partners: Sequence[Partner], now: datetime) -> None:
    """A line each: what keeps it from being called, and what waits because of that."""
    columns = ("partner", "circuit", "called", "waiting", "last success", "at once", "calls a second")
    output.table(columns, [_row(partner, now) for partner in partners], title="Partners")


def _row(partner: Partner, now: datetime) -> list[object]:
    circuit, rate = partner["circuit"], partner["rate"]
    return [
        partner["name"],
        output.cell(circuit.replace("_", " "), _STYLES.get(circuit, "")),
        _called(partner, now),
        partner["waiting"],
        relative(partner["last_success_at"], now),
        partner["concurrency"],
        "any" if rate is None else f"{rate['calls_per_s']:g}, {rate['burst']} at once",
    ]


def _called(partner: Partner, now: datetime) -> str:
    paused = partner["paused"]
    if paused is not None:
        until = relative(paused["until"], now) if paused["until"] else "resumed"
        why = f": {output.plain(paused['reason'])}" if paused["reason"] else ""
        return f"paused by {paused['by']} until {until}{why}"
    if partner["closed_until"] is not None:
        return f"closed until {partner['closed_until']}"
    if partner["circuit"] == "closed":
        return "yes"
    since = relative(partner["circuit_since"], now)
    return f"not well since {since}, {partner['failed_probes']} probes failed"
