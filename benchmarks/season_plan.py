"""How large a gateway must be for a season, from what was measured.

    python -m benchmarks.season_plan --measure    # storage of this version, then the page
    python -m benchmarks.season_plan              # the page anew, from latest.json and season_plan.json
    python -m benchmarks.season_plan --check      # exit 1 when the page is not what these say

The tables of docs/season-plan.md stand between marks and are written here; the words around them are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from adapters.service_centers.sample import sample_batch
from benchmarks.measure import _running
from benchmarks.pages import filled
from cli.bootstrap import build
from cli.demo import settings_in
from cli.gateway import Gateway
from cli.season.run import Wanted, play_season
from cli.serve import run
from gateway.observe.log import configure_logging
from gateway.pipeline.admit import admit
from gateway.settings import Settings
from tests import postgresql
from tests.pipeline.world import submission

_HERE: Final = Path(__file__).parent
_MEASURED: Final = _HERE / "season_plan.json"
_PAGE: Final = _HERE.parent / "docs" / "season-plan.md"

# --- what is assumed ---------------------------------------------------------------------------------------

#: Pilgrims of a season, each with one application.
PILGRIMS: Final = 6_700_000
#: Days on which visas are asked for: Safar to Sha'ban, seven lunar months.
DAYS: Final = 206
#: The busiest moment against the mean.
PEAK: Final = 20
#: What a partner may take to answer; the simulators take 0.001 s.
LATENCIES_S: Final = (0.1, 0.3, 1.0, 3.0)
#: Of a core: what may be used for long, so that a lost machine or a slow day is no trouble.
FULL: Final = 0.5
#: Seasons whose data stays readable (config/gateway.yaml: 24 months).
KEPT_SEASONS: Final = 2


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in."""

    mean_per_s: float
    peak_per_s: float
    peak_per_day: float


def load() -> Load:
    mean = PILGRIMS / (DAYS * 86_400)
    return Load(mean, mean * PEAK, mean * PEAK * 86_400)


# --- the page ----------------------------------------------------------------------------------------------


def tables(speed: Mapping[str, Any], storage: Mapping[str, Any]) -> dict[str, str]:
    """Each table by its mark."""
    found = load()
    return {
        "load": _table(("", "", "how"), _load_rows(found)),
        "machines": _table(("", "", "how"), _machine_rows(found, speed)),
        "partners": _table(
            ("a call takes", "at the mean", "at the peak", "a day's peak in 4 hours"), _calls(found)
        ),
        "storage": _table(("", "SQLite", "PostgreSQL", "how"), _storage_rows(found, storage)),
        "broker": _table(("", "", "how"), _broker_rows(found, storage)),
        "measured": _table(("", "", ""), _measured_rows(speed, storage)),
    }


Rows = Iterable[Sequence[str]]


def _load_rows(found: Load) -> Rows:
    yield "applications a season", f"{PILGRIMS:,}", "one a pilgrim"
    yield "mean", f"{found.mean_per_s:.2f} a second", f"{PILGRIMS:,} / ({DAYS} days × 86,400 s)"
    yield "peak", f"{found.peak_per_s:.1f} a second", f"{PEAK} × the mean"
    yield "a whole day of it", f"{found.peak_per_day:,.0f}", f"{found.peak_per_s:.1f} × 86,400"


def _machine_rows(found: Load, speed: Mapping[str, Any]) -> Rows:
    carried, cpu_ms = (
        speed["throughput"]["applications_per_second"],
        speed["throughput"]["cpu_ms_per_application"],
    )
    lines = speed["large_batch"]["lines_per_second"]
    hours = found.peak_per_day / carried / 3600
    cores = found.peak_per_s * cpu_ms / 1000
    yield "cores busy at the peak", f"{cores:.3f}", f"{found.peak_per_s:.1f}/s × {cpu_ms} ms"
    share = 100 * found.peak_per_s / carried
    yield "share of one process", f"{share:.1f} %", f"{found.peak_per_s:.1f} of {carried:.0f} a second"
    yield (
        "a partner away for a peak day: caught up in",
        f"{60 * hours:.0f} min",
        (f"{found.peak_per_day:,.0f} / {carried:.0f} a second, if the partners keep up"),
    )
    yield (
        "the whole season through one process",
        f"{PILGRIMS / carried / 3600:.1f} h",
        f"{PILGRIMS:,} / {carried:.0f}",
    )
    yield (
        "intake of a peak day, all at once",
        f"{found.peak_per_day / lines / 60:.1f} min",
        (f"{found.peak_per_day:,.0f} / {lines:,} lines a second"),
    )
    ten = 10 * cores / FULL
    yield (
        "cores for ten times this peak",
        f"{max(1, round(ten + 0.5))}",
        f"10 × {cores:.3f} / {FULL}, rounded up",
    )


def _calls(found: Load) -> Rows:
    """Connections that are busy: rate × time of a call (Little's law). Each partner is called once."""
    for latency in LATENCIES_S:
        rates = (found.mean_per_s, found.peak_per_s, found.peak_per_day / (4 * 3600))
        yield (f"{latency} s", *(f"{rate * latency:.1f}" for rate in rates))


def _storage_rows(found: Load, storage: Mapping[str, Any]) -> Rows:
    sqlite, server = storage["sqlite"], storage["postgresql"]
    row = ("bytes an application", sqlite["bytes_per_application"], server["bytes_per_application"])
    yield (
        row[0],
        f"{row[1]:,}",
        f"{row[2]:,}",
        f"{storage['applications']:,} applications carried to their visas",
    )
    factor = storage["season"]["bytes_per_application"] / sqlite["bytes_per_application"]
    lives = [factor * one["bytes_per_application"] for one in (sqlite, server)]
    yield (
        "with movements, plans and all other flows",
        f"{lives[0]:,.0f}",
        f"{lives[1]:,.0f}",
        (f"the season in miniature: × {factor:.2f}"),
    )
    yield "a season", *(_bytes(life * PILGRIMS) for life in lives), f"× {PILGRIMS:,}"
    yield (
        f"kept: {KEPT_SEASONS} seasons",
        *(_bytes(life * PILGRIMS * KEPT_SEASONS) for life in lives),
        "retention",
    )
    yield "a peak day", *(_bytes(life * found.peak_per_day) for life in lives), f"× {found.peak_per_day:,.0f}"
    wal = server["wal_bytes_per_application"]
    yield (
        "written ahead (WAL) at the peak",
        "",
        f"{_bytes(wal * found.peak_per_s)}/s",
        (f"{wal:,} bytes an application: for replicas and archives"),
    )
    yield "connections a process", "3", f"{server['connections']}", "seen while carrying"


def _broker_rows(found: Load, storage: Mapping[str, Any]) -> Rows:
    season = storage["season"]
    rate = season["ministry_events_per_application"]
    size = season["ministry_event_bytes"]
    yield "events to the ministry an application", f"{rate:.2f}", "the season in miniature, all receivers"
    yield "at the peak", f"{rate * found.peak_per_s:.1f} a second", f"× {found.peak_per_s:.1f}"
    yield (
        "a department away for a peak day",
        _bytes(rate * found.peak_per_day * size),
        (f"{rate * found.peak_per_day:,.0f} events of {size:,} bytes, sealed; on the wire about twice that"),
    )


def _measured_rows(speed: Mapping[str, Any], storage: Mapping[str, Any]) -> Rows:
    yield "speed", speed["date"], f"{speed['machine']} (`make bench`, benchmarks/latest.json)"
    yield "storage", storage["date"], f"{storage['machine']} (benchmarks/season_plan.json)"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.0f} GB" if number >= 10 else f"{number:.1f} GB"


def _table(head: Sequence[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# --- what is measured --------------------------------------------------------------------------------------


def measure(applications: int, pilgrims: int) -> dict[str, Any]:
    """Storage of this version: applications alone on both databases, and a season in miniature."""
    configure_logging("error")
    machine = json.loads((_HERE / "latest.json").read_text())["machine"]
    with _running() as home:
        partners = home.url("partners")
        on_sqlite = _carried(applications, partners, None)
        with postgresql.server() as server:
            on_server = _carried(applications, partners, server.emptied())
    return {
        "machine": machine,
        "date": datetime.now(UTC).date().isoformat(),
        "applications": applications,
        "sqlite": on_sqlite,
        "postgresql": on_server,
        "season": _season(pilgrims),
    }


def _carried(count: int, partners: str, url: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="umrah-plan-") as folder:
        settings = settings_in(Path(folder), partners)
        if url is not None:
            gateway = settings.gateway.model_copy(update={"database_url": url})
            settings = settings.model_copy(update={"gateway": gateway})
        found: dict[str, Any] = {}
        run(_carry(count, settings, Path(folder), url, found))
        return found


async def _carry(
    count: int, settings: Settings, folder: Path, url: str | None, found: dict[str, Any]
) -> None:
    gateway = build(settings)
    await gateway.start()
    try:
        before = _size(folder, url)
        await _whole(count, gateway)
        if url is not None:
            found["connections"] = _connections(url)
    finally:
        await gateway.stop()
    after = _size(folder, url)
    found["bytes_per_application"] = round((after[0] - before[0]) / count)
    if url is not None:
        found["wal_bytes_per_application"] = round((after[1] - before[1]) / count)


async def _whole(count: int, gateway: Gateway) -> None:
    """One batch, until every line has its visa."""
    engine = gateway.engine
    header, lines = sample_batch(count, 7, engine.clock.today(), clean=True)
    receipt = await admit(submission([header, *lines]), engine)
    if receipt.batch_id is None:
        raise RuntimeError("the batch was not accepted")
    while True:
        batch = await engine.ledger.batch(receipt.batch_id)
        if batch is not None and batch.state == "completed":
            return
        await asyncio.sleep(0.1)


def _size(folder: Path, url: str | None) -> tuple[int, int]:
    """Bytes of the database, and bytes written ahead of it since its beginning."""
    if url is None:
        with _opened(folder / "data" / "gateway.db") as database:
            (pages,), (size,) = database.execute("PRAGMA page_count"), database.execute("PRAGMA page_size")
            return pages[0] * size[0], 0
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        row = server.execute(
            "SELECT pg_database_size(current_database()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
        ).fetchone()
        return (0, 0) if row is None else (int(row[0]), int(row[1]))


def _connections(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        row = server.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        return 0 if row is None else int(row[0])


def _season(pilgrims: int) -> dict[str, Any]:
    """What a pilgrim's whole season leaves, from the season in miniature."""
    with tempfile.TemporaryDirectory(prefix="umrah-plan-") as folder:
        kept = Path(folder) / "season"
        if play_season(Wanted(pilgrims, 1, None, kept), as_json=True) != 0:
            raise RuntimeError("the season in miniature failed")
        (file,) = kept.rglob("gateway.db")
        with _opened(file) as database:
            return _of_season(database)


def _of_season(database: sqlite3.Connection) -> dict[str, Any]:
    def one(query: str) -> int:
        return int(database.execute(query).fetchone()[0])

    applications = one("SELECT count(*) FROM message WHERE kind = 'visa.application'")
    size = one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    centers = "receiver NOT LIKE 'sc-%'"
    events = one(f"SELECT count(*) FROM outbox WHERE {centers}")
    return {
        "applications": applications,
        "bytes_per_application": round(size / applications),
        "messages_per_application": round(one("SELECT count(*) FROM message") / applications, 2),
        "audit_entries_per_application": round(one("SELECT count(*) FROM audit") / applications, 2),
        "ministry_events_per_application": round(events / applications, 2),
        "ministry_event_bytes": one(
            f"SELECT coalesce(avg(length(sealed)), 0) FROM outbox WHERE {centers} AND sealed IS NOT NULL"
        ),
    }


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        yield database
    finally:
        database.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="measure storage first; some minutes")
    parser.add_argument("--applications", type=int, default=2000)
    parser.add_argument("--pilgrims", type=int, default=2000)
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    given = parser.parse_args()
    if given.measure:
        storage = measure(given.applications, given.pilgrims)
        _MEASURED.write_text(json.dumps(storage, indent=2) + "\n")
    page = _PAGE.read_text()
    speed, storage = (json.loads(path.read_text()) for path in (_HERE / "latest.json", _MEASURED))
    new = filled(page, tables(speed, storage))
    if given.check:
        return int(new != page)
    _PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
