"""Ledgers that were grown: everything in them grew, the gateway takes them for its own, faults are found."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import multiply, plans
from benchmarks.growth import EMPTY, KEPT, PAGE, broken, table
from benchmarks.multiply import DERIVED, GROWN, old_bucket
from benchmarks.season_plan import filled
from gateway.clock import micros
from gateway.ledger.key_files import KeyFiles
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import BatchId, PartyId, new_id
from gateway.pipeline import report
from tests.doubles import ManualClock
from tests.pipeline.world import open_world

TODAY = date(2026, 11, 22)
COPIES = 30
#: As if everything were long, and little under way.
LONG = 1_000_000


@pytest.fixture
async def small(tmp_path: Path) -> Path:
    """A ledger in which four of four applications were issued a visa."""
    world = await open_world(tmp_path)
    await world.submit(4, key=new_id())
    await world.carry_due()
    await world.engine.ledger.close()
    return tmp_path / "ledger.db"


@pytest.fixture
def grown(small: Path) -> Path:
    assert multiply.multiply(small, 4 * COPIES, TODAY) == 4 * COPIES
    return small


def query(ledger: Path, text: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(ledger)) as database:
        return database.execute(text).fetchall()


# --- growing -----------------------------------------------------------------------------------------------


def test_an_earlier_id_is_as_much_earlier_and_stays_another_ones() -> None:
    id = "01a203bd-fca6-765c-adf7-ddba061a9893"
    assert multiply._aged(id, 1_000) == "01a203bd-f8be-765c-adf7-ddba061a9893"
    assert multiply._aged(f"{id}/visa_issuance", 0) == f"{id}/visa_issuance"
    assert [multiply._aged(text, 5) for text in (None, "", "sc-01")] == [None, "", "sc-01"]


def test_every_table_and_index_of_applications_grows(grown: Path) -> None:
    rows = multiply.rows_of(grown)
    assert {name: rows[name] for name in ("message", "visa", "effect")} == dict.fromkeys(
        ("message", "visa", "effect"), 4 * COPIES
    )
    assert {name for name in (*GROWN, *DERIVED) if rows[name] < COPIES - 1} == set()
    empty = {name for name, count in rows.items() if not count}
    assert empty <= plans.UNDER_WAY | multiply.OF_STARTS
    assert query(grown, "PRAGMA integrity_check") == [("ok",)]


def test_rows_of_one_copy_belong_together(grown: Path) -> None:
    for table_, column, other in (
        ("message", "batch_id", "batch (id)"),
        ("attempt", "message_id", "message (id)"),
        ("effect", "message_id", "message (id)"),
        ("visa", "message_id", "message (id)"),
        ("batch_count", "batch_id", "batch (id)"),
        ("movement", "visa_index", "visa (number_index)"),
    ):
        name, _, key = other.rstrip(")").partition(" (")
        lost = f"SELECT count(*) FROM {table_} WHERE {column} NOT IN (SELECT {key} FROM {name})"
        assert query(grown, lost) == [(0,)], table_


async def test_the_gateway_takes_it_for_its_own_and_finds_the_past(grown: Path) -> None:
    world = await open_world(grown.parent)
    try:
        ((batch, party),) = query(grown, "SELECT id, party FROM batch ORDER BY id LIMIT 1")
        status = await report.batch_status(PartyId(party), BatchId(batch), world.engine)
        assert status["counts"] == {"total": 4, "issued": 4}
        receipt = await world.submit(world.applications(2, seed=8), key="key-2")
        await world.carry_due()
        status = await report.batch_status(PartyId(party), receipt.batch_id or BatchId(""), world.engine)
        assert status["counts"] == {"total": 2, "issued": 2}
    finally:
        await world.engine.ledger.close()


def test_the_oldest_stand_in_a_bucket_that_is_due_and_has_its_key(grown: Path) -> None:
    key = f"{old_bucket(TODAY)}.1"
    assert key in [version.id for version in KeyFiles(grown.parent / "keys").versions()]
    old = query(
        grown, f"SELECT count(*) FROM message WHERE substr(data_key, 2, {len(key)}) = x'{key.encode().hex()}'"
    )
    assert old == [(4 * 3,)]


def test_a_table_that_nobody_thought_of_is_told(small: Path) -> None:
    with closing(sqlite3.connect(small)) as database:
        database.execute("CREATE TABLE thought (of INTEGER)")
    with pytest.raises(RuntimeError, match="thought"):
        multiply.multiply(small, 100, TODAY)


def test_an_index_that_did_not_grow_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"not grown: effect_message$"):
        multiply._check_indices(
            {"effect_message": 10, "message": 10}, {"effect_message": 10, "message": 50}, 4
        )


# --- plans -------------------------------------------------------------------------------------------------


async def sweeps(ledger: Path) -> dict[str, str]:
    """What the sweep and a claim run, on an empty ledger."""
    found: dict[str, str] = {}
    clock = ManualClock()
    with plans._traced(found):
        opened = SqliteLedger(ledger, clock)
        await opened.open()
        await opened.sweep(now=micros(clock.now()), release=500)
        now = micros(clock.now())
        await opened.claim("worker", 64, now=now, lease_until=micros(clock.now() + timedelta(minutes=1)))
        await opened.close()
    return found


def by_shape(*statements: str) -> dict[str, str]:
    return {plans.shape(statement): statement for statement in statements}


def long(ledger: Path) -> Mapping[str, int]:
    return {name: 0 if name in plans.UNDER_WAY else LONG for name in multiply.rows_of(ledger)}


async def test_no_sweep_and_no_claim_walks_through_what_is_over(tmp_path: Path) -> None:
    found = await sweeps(tmp_path / "ledger.db")
    steps = plans.plans(tmp_path / "ledger.db", found)
    assert {step.table for step in steps} >= {"message", "batch"}
    assert plans.faults(steps, long(tmp_path / "ledger.db")) == []


@pytest.mark.parametrize("index", ["effect_message", "message_line"])
def test_a_dropped_index_is_found(grown: Path, index: str) -> None:
    statements = by_shape(
        "UPDATE effect SET state = 'done' WHERE message_id = 'a' AND operation = 'b'",
        "SELECT * FROM message WHERE batch_id = 'a' AND line > 0 ORDER BY line LIMIT 5",
    )
    assert plans.faults(plans.plans(grown, statements), long(grown)) == []
    with closing(sqlite3.connect(grown)) as database:
        database.execute(f"DROP INDEX {index}")
    (fault,) = plans.faults(plans.plans(grown, statements), long(grown))
    assert fault.startswith(f"walks through {index.partition('_')[0]}")


def test_a_hot_index_without_entries_is_found(grown: Path) -> None:
    steps = plans.plans(grown, by_shape("SELECT * FROM message WHERE batch_id = 'a' AND line > 0"))
    rows = {**long(grown), "message_line": 0}
    assert plans.faults(steps, rows) == ["looked into, and not grown: message_line"]


# --- the verdict -------------------------------------------------------------------------------------------


def document(throughput: float = 1.0, cpu: float = 1.0, foreign: float = 0.0) -> dict[str, Any]:
    figures = dict.fromkeys(
        ("p50_ms", "p99_ms", "status_p50_ms", "status_p99_ms", "claim_p50_ms", "claim_p99_ms", "peak_mb",
         "idle_cpu_ms_per_s", "started_in_s", "file_mb", "applications_per_second", "cpu_ms_per_application"),
        1.5,
    )  # fmt: skip
    ratio = {"least": 0.5, "most": 1.5}
    return {
        "date": "2026-11-22",
        "machine": "a machine",
        "calibration_ms": 30.0,
        "applications_a_round": 600,
        "rounds": [{}],
        "foreign_cpu": foreign,
        "faults": {},
        "ledgers": {name: {"messages": 5, **figures} for name in (EMPTY, "1,000,000")},
        "ratios": {
            "1,000,000": {
                "applications_per_second": {"median": throughput, **ratio},
                "cpu_ms_per_application": {"median": cpu, **ratio},
            }
        },
        "plans": {"faults": [], "statements": 80},
        "retention": {
            "faults": [],
            "rows": {"message": 100_000},
            "seconds_until": {"started_at": 5.0, "keys_destroyed_at": 5.0, "finished_at": 90.0},
            "before": {"applications_per_second": 400.0},
            "meanwhile": {"applications_per_second": 300.0, "p50_ms": 12.0},
        },
        "maintenance": {
            "optimize_s": 1.0, "analyze_s": 9.0, "vacuum_s": 40.0, "plans_that_change": [],
            "file_mb_before_vacuum": 5000.0, "file_mb_after_vacuum": 4800.0,
        },
    }  # fmt: skip


def test_a_throughput_that_was_kept_is_no_fault() -> None:
    assert broken(document(KEPT, 1 / KEPT)) == []


def test_a_slower_ledger_is_a_fault_by_the_clock_on_a_quiet_machine_and_by_cpu_on_any() -> None:
    assert len(broken(document(0.89))) == 1
    assert broken(document(0.89, foreign=0.5)) == []
    assert len(broken(document(cpu=1.12, foreign=0.5))) == 1


def test_what_was_lost_and_bad_plans_are_faults() -> None:
    lost = {**document(), "faults": {EMPTY: ["never issued: 1"]}}
    assert broken(lost) == ["empty: never issued: 1"]
    walks = {**document(), "plans": {"faults": ["walks through effect"], "statements": 80}}
    assert broken(walks) == ["walks through effect"]


def test_the_section_stands_between_its_marks() -> None:
    page = filled(PAGE.read_text("utf-8"), {"growth": table(document(0.95))})
    assert "| 1,000,000 |" in page
    assert "0.95 (0.5 to 1.5)" in page
