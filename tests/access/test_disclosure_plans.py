"""A person is found by indices alone: with a million messages, no query may go through all of anything."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger.records import EntriesWanted
from gateway.ledger.sql import disclosing
from gateway.ledger.sqlite.connection import Connection, migrate
from gateway.message import Micros

#: Read whole on purpose: what the configuration and the season make, not what messages make.
SMALL = ("scope",)


class Explaining:
    """A connection that notes the plan of every query that it runs."""

    def __init__(self, inner: sqlite3.Connection) -> None:
        self._inner = inner
        self.scans: list[tuple[str, str]] = []
        self.queries = 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        self.queries += 1
        for row in self._inner.execute(f"EXPLAIN QUERY PLAN {sql}", values):
            if row["detail"].startswith("SCAN") and not row["detail"].split()[1].startswith(SMALL):
                self.scans.append((row["detail"], sql))
        return self._inner.execute(sql, values)


@pytest.fixture
def explaining(tmp_path: Path) -> Explaining:
    inner = sqlite3.connect(tmp_path / "plans.db", isolation_level=None)
    inner.row_factory = sqlite3.Row
    migrate(inner)  # type: ignore[arg-type]
    _one_of_everything(inner)
    return Explaining(inner)


def _one_of_everything(inner: sqlite3.Connection) -> None:
    """So that each query finds something, and the one after it is asked too."""

    def put(table: str, **values: Any) -> None:
        marks = ", ".join("?" * len(values))
        inner.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))

    facts = {"party": "sc-01", "licensee": "LIC-1", "agent": "AGT-1", "mission": "MIS-1", "season": 1448}
    message = {
        **facts, "batch_reference": "", "reference": "", "lane": "", "state": "completed", "data_key": b"",
        "public_state": "issued", "received_at": 1, "updated_at": 1, "sealed_payload": b"", "versions": "",
    }  # fmt: skip
    put(
        "message",
        **message,
        id="m1",
        kind="visa.application",
        batch_id="b1",
        line=1,
        passport_index=b"person",
    )
    put("message", **message, id="m2", kind="visa.cancellation", parent_id="m1")
    put("message", **message, id="m3", kind="complaint.submission")
    put("message", **message, id="m4", kind="committee.decision")
    put("batch", id="b1", party="sc-01", idempotency_key="k", state="completed", intake_token="",
        mode="lines", intake_until=1, season=1448, created_at=1, data_key=b"")  # fmt: skip
    put("visa", **facts, number_index=b"visa", message_id="m1", country="EGY", due_on="2026-12-20",
        presence="abroad")  # fmt: skip
    put("named_visa", number_index=b"visa", message_id="m3")
    for id in ("m3", "m4"):
        put("record", kind="committee_case", id="CASE-1", owner="LIC-1", version="0", facts="{}", at=1,
            message_id=id, in_force=0)  # fmt: skip
    put("scope", id=1, receiver="nic", operation="x", purpose="y", rule="3", fields="[]")
    about: list[tuple[str | None, str | None]] = [
        ("m1", "b1"), ("m2", None), ("m3", None), ("m4", None), (None, "b1"),
    ]  # fmt: skip
    for number, (message_id, batch_id) in enumerate(about, start=1):
        put("audit", chain="main", number=number, hash=b"", at=5, message_id=message_id, batch_id=batch_id,
            action="x", actor="y", detail=json.dumps({"disclosed": [1]}))  # fmt: skip


def test_who_was_given_what_is_found_by_indices(explaining: Explaining) -> None:
    found = disclosing.disclosures(_reader(explaining), [b"person"])
    assert [one.seq for one in found] == [1, 2, 3, 4, 5]
    assert explaining.queries >= 9
    assert explaining.scans == []


def test_a_person_s_entries_are_found_by_indices(explaining: Explaining) -> None:
    wanted = EntriesWanted(Micros(0), Micros(10))
    found = disclosing.entries_about(_reader(explaining), [b"person"], wanted)
    assert [one.seq for one in found] == [1, 2, 3, 4, 5]
    assert explaining.scans == []


def test_a_page_of_entries_reads_its_own_span_only(explaining: Explaining) -> None:
    wanted = EntriesWanted(Micros(0), Micros(10), None)
    assert [one.seq for one in disclosing.entries(_reader(explaining), wanted, 1, 2)] == [2, 3]
    assert len(disclosing.configurations(_reader(explaining))) == 0
    assert [scan for scan in explaining.scans if "audit_configuration" not in scan[0]] == []


def test_a_scan_would_be_noticed(explaining: Explaining) -> None:
    explaining.execute("SELECT id FROM message WHERE reference = 'x'")
    assert len(explaining.scans) == 1


def _reader(explaining: Explaining) -> Connection:
    return explaining  # type: ignore[return-value]
