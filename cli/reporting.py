"""Reports in a terminal: tables with bars, and the calls that fetch them from the admin API."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from cli import output
from cli.admin_api import operator_token
from cli.http import Http
from cli.outcome import WrongUsage
from cli.target import Target
from cli.views import relative

if TYPE_CHECKING:
    from rich.text import Text

_PARTY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CURSOR: Final = re.compile(r"[0-9]{1,18}")
#: Of a bar, in characters.
_WIDTH: Final = 30
#: From which part of a ceiling on it is shown in which style.
_FULLNESS: Final = ((1.0, "bold red"), (0.9, "red"), (0.7, "yellow"), (0.0, "green"))

Record = Mapping[str, Any]


class ReportApi:
    """Reports, ceilings and webhooks, in the name of one operator. Every call raises `CommandError`."""

    def __init__(self, target: Target, operator: str) -> None:
        token = operator_token(target.data_dir, operator)
        hints = {
            401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
            404: "parties with a webhook are listed by `webhooks`",
        }
        self._http = Http(target.admin_url, lambda: token, hints)

    def visa_flow(self, since: str | None, until: str | None) -> dict[str, Any]:
        """Of these business days, both included; of today unless given."""
        return self._get(
            "reports/visa-flow", {"from": _day(since, "--from"), "until": _day(until, "--until")}
        )

    def season(self, year: int | None) -> dict[str, Any]:
        """A season (Hijri year), that of today unless given."""
        return self._get("reports/season", {"season": None if year is None else str(year)})

    def quotas(self) -> dict[str, Any]:
        """Every ceiling, with what is taken."""
        return self._get("quotas")

    def census(self) -> dict[str, Any]:
        """Everything that passed through, by sort."""
        return self._get("census")

    def webhooks(self) -> dict[str, Any]:
        """Every webhook, with how far it has come."""
        return self._get("webhooks")

    def replay(self, party: str, from_cursor: str, reason: str) -> dict[str, Any]:
        """Tell a party again, from that cursor on."""
        if not _PARTY.fullmatch(party):
            raise WrongUsage("that is not a party's id")
        if not _CURSOR.fullmatch(from_cursor):
            raise WrongUsage("--from is a cursor: the number that a notification came with")
        body = {"from_cursor": from_cursor, "reason": reason}
        return dict(self._http.post(f"/v1/admin/webhooks/{party}/replay", body).document)

    def _get(self, what: str, params: Mapping[str, str | None] | None = None) -> dict[str, Any]:
        given = {name: value for name, value in (params or {}).items() if value is not None}
        return dict(self._http.get(f"/v1/admin/{what}", given).document)


def _day(text: str | None, option: str) -> str | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise WrongUsage(f"{option} is a day such as 2026-11-22") from None


# --- tables --------------------------------------------------------------------------------------------


def show_visa_flow(report: Record) -> None:
    """Licensee by licensee: what came in, and what became of it."""
    rows = report["rows"]
    period = report["period"]
    title = f"Visa flow, {period['from']} to {period['until']}"
    most = max((row["received"] for row in rows), default=0)
    columns = ("day", "licensee", "mission", *_COUNTS, "")
    output.table(columns, [*(_flow_row(row, most) for row in rows), _total(rows)], title=title)
    _legend(_FLOW)


#: What becomes of an application, as it is coloured.
_FLOW: Final = (
    ("issued", "green"),
    ("refused", "red"),
    ("rejected", "bright_black"),
    ("cancelled", "magenta"),
    ("expired", "blue"),
    ("waiting", "yellow"),
)
_COUNTS: Final = ("received", *(name for name, _ in _FLOW))


def _flow_row(row: Record, most: int) -> list[object]:
    parts = [(row[name], style) for name, style in _FLOW]
    who = (row["day"], row["licensee_id"], row["mission_id"])
    return [*who, *(row[name] for name in _COUNTS), bar(parts, most)]


def _total(rows: Sequence[Record]) -> list[object]:
    sums = (output.cell(sum(row[name] for row in rows), "bold") for name in _COUNTS)
    return [output.cell("all", "bold"), "", "", *sums, ""]


def show_season(report: Record) -> None:
    """A season in numbers, and country by country."""
    whole = report["applications"]
    ends = (
        ("issued", "green"),
        ("refused", "red"),
        ("rejected", "bright_black"),
        ("cancelled", "bright_black"),
        ("expired", "bright_black"),
    )
    output.line(f"Season {report['season']}: {report['batches']} batches, {whole} applications")
    _show_shares("applications", ends, whole, report)
    stays = (("inside", "cyan"), ("overstayed", "red"), ("departed", "green"))
    _show_shares("pilgrims", stays, report["issued"], report)
    _show_countries(report["countries"])


def _show_shares(title: str, parts: Iterable[tuple[str, str]], whole: int, report: Record) -> None:
    rows = (
        [name, report[name], _share(report[name], whole), bar([(report[name], style)], whole)]
        for name, style in parts
    )
    output.table((title, "", "", ""), rows)


def _show_countries(countries: Sequence[Record]) -> None:
    most = max((country["issued"] for country in countries), default=0)
    ordered = sorted(countries, key=lambda one: (-one["issued"], one["country"]))
    columns = ("country", "visas", "inside", "overstayed", "")
    output.table(columns, (_country_row(country, most) for country in ordered))


def _country_row(country: Record, most: int) -> list[object]:
    counts = [country[name] for name in ("issued", "inside", "overstayed")]
    return [country["country"], *counts, bar([(country["issued"], "green")], most)]


def show_quotas(document: Record, *, untouched: bool = False) -> None:
    """Ceilings, those nearly full first; those with all their places free only when they are wanted."""
    quotas = sorted(document["quotas"], key=lambda one: (-_fullness(one), one["control"], one["scope"]))
    shown = [quota for quota in quotas if untouched or _fullness(quota) > 0]
    if shown:
        columns = ("control", "scope", "taken", "ceiling", "free", "", "")
        output.table(columns, (_quota_row(one) for one in shown))
    if len(shown) < len(quotas):
        output.note(f"{len(quotas) - len(shown)} ceilings have nothing taken: --all shows them too")


def _quota_row(quota: Record) -> list[object]:
    full = _fullness(quota)
    style = next(style for least, style in _FULLNESS if full >= least)
    taken, ceiling = quota["taken"], quota["ceiling"]
    names = (quota["control"], quota["scope"], taken, ceiling, max(0, ceiling - taken))
    return [*names, output.cell(f"{full:.0%}", style), bar([(min(taken, ceiling), style)], ceiling)]


def _fullness(quota: Record) -> float:
    """1 for a ceiling of 0: nothing fits under it. More than 1 where a ceiling was lowered."""
    return float(quota["taken"] / quota["ceiling"]) if quota["ceiling"] else 1.0


def show_census(document: Record) -> None:
    """Everything that passed through, by sort."""
    rows = document["census"]
    output.table(
        ("what", "name", "detail", "count", "an example"),
        ([row[name] for name in ("what", "name", "detail", "count", "example")] for row in rows),
    )


def show_webhooks(document: Record, now: datetime) -> None:
    """Webhooks: whom they tell, and how they are."""
    hooks = document["webhooks"]
    if not hooks:
        output.note("no party has a webhook (parties.yaml)")
        return
    columns = ("party", "state", "cursor", "waiting", "failures", "since", "next try", "url")
    output.table(columns, (_webhook_row(one, now) for one in hooks))


def _webhook_row(hook: Record, now: datetime) -> list[object]:
    styles = {"delivering": "green", "failing": "yellow", "stopped": "bold red"}
    return [
        hook["party"],
        output.cell(hook["state"], styles.get(hook["state"], "")),
        hook["cursor"],
        hook["waiting"],
        hook["failures"],
        relative(hook["failing_since"], now),
        relative(hook["next_at"], now),
        hook["url"],
    ]


# --- bars ----------------------------------------------------------------------------------------------


def bar(parts: Iterable[tuple[int, str]], whole: int) -> Text:
    """Counts beside each other in their styles; all of `whole` is as wide as a bar gets.

    Whatever is more than nothing is seen.
    """
    from rich.text import Text

    drawn = Text()
    for count, style in parts:
        if count and whole:
            drawn.append(_block() * max(1, round(_WIDTH * count / whole)), style=style)
    return drawn


def _block() -> str:
    """Where blocks can't be written, a plain sign."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    return "█" if encoding.startswith("utf") else "#"


def _legend(parts: Iterable[tuple[str, str]]) -> None:
    from rich.text import Text

    pieces = [Text.assemble((_block(), style), f" {name}") for name, style in parts]
    output.console().print(Text("  ").join(pieces))


def _share(count: int, whole: int) -> str:
    return f"{count / whole:.1%}" if whole else ""
