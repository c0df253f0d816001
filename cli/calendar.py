"""`calendar`: the months of a season in both calendars, with the parts of the operational plan."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from cli import output
from cli.outcome import WrongUsage
from gateway.clock import SystemClock
from schemas.calendar import Month, season_months
from schemas.hijri import OutsideCalendarError, season


def show_calendar(year: int | None, *, as_json: bool) -> None:
    """Print it. Raises `WrongUsage` for a year that the calendar does not cover."""
    year = year or season(SystemClock().today())
    try:
        months = season_months(year)
    except OutsideCalendarError as error:
        raise WrongUsage(f"--season: the calendar covers 1343 to 1500, not {year}") from error
    if as_json:
        output.emit_json({"season": year, "months": [_document(month) for month in months]})
    else:
        Console().print(_table(year, months))


def _document(month: Month) -> dict[str, object]:
    return {
        "month": month.number,
        "name_en": month.name_en,
        "name_ar": month.name_ar,
        "from": month.first.isoformat(),
        "until": month.last.isoformat(),
        "plan_part": month.plan_part,
    }


def _table(year: int, months: tuple[Month, ...]) -> Table:
    table = Table("month", "name", "الشهر", "from", "until", "plan", title=f"Season {year}")
    for month in months:
        part = "-" if month.plan_part is None else f"part {month.plan_part}"
        table.add_row(
            str(month.number), month.name_en, month.name_ar, str(month.first), str(month.last), part
        )
    return table
