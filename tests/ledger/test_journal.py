"""The journal: every entry of a commit group in its chain, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.journal import GENESIS, Entry, Head, line
from gateway.ledger.port import JournalRow, Ledger
from gateway.message import Disclosure, Micros
from gateway.states import State
from tests.doubles import ManualClock
from tests.ledger.records import now

GIVEN = Disclosure("nic", "interior.security_clearance", ("passport.number",), "Clearance", "2")


async def everything(ledger: Ledger) -> Sequence[JournalRow]:
    return await ledger.journal(after=0, limit=10_000)


async def test_each_entry_holds_the_hash_of_the_one_before_it(ledger: Ledger, clock: ManualClock) -> None:
    for number in range(3):
        await ledger.note(
            Entry(now(clock), f"look-{number}", "operator-1", detail={"n": number, "text": "é"})
        )
    rows = await everything(ledger)
    before = GENESIS
    for number, row in enumerate(rows, start=1):
        assert row.number == number
        text = json.dumps(json.loads(line(row.chain, row.number, row.entry)), ensure_ascii=False,
                          separators=(",", ":")).encode()  # fmt: skip
        assert row.hash == hashlib.sha256(before + text).digest()
        before = row.hash
    assert await ledger.heads() == {rows[0].chain: Head(3, before)}


async def test_a_unit_that_fails_leaves_no_gap_in_the_chain(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.note(Entry(now(clock), "first", "operator-1"))

    def fails(books: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ledger.work(fails)
    await ledger.note(Entry(now(clock), "second", "operator-1"))
    assert [row.number for row in await everything(ledger)] == [1, 2]


async def test_what_was_disclosed_is_named_by_a_scope_that_is_an_entry_itself(
    ledger: Ledger, clock: ManualClock
) -> None:
    for _ in range(2):
        await ledger.note(Entry(now(clock), "call", "worker", message_id="m1"), disclosed=[GIVEN])
    scope, *calls = (row.entry for row in await everything(ledger))
    assert scope.action == "scope"
    assert scope.detail == {
        "scope": 1,
        "receiver": "nic",
        "operation": "interior.security_clearance",
        "purpose": "Clearance",
        "rule": "2",
        "fields": ["passport.number"],
    }
    assert [call.detail for call in calls] == [{"disclosed": [1]}, {"disclosed": [1]}]


async def test_a_note_stands_in_the_chain_by_its_commitment_only() -> None:
    entry = Entry(Micros(1), "retry", "operator-1", commitment="ab", note=b"sealed")
    assert json.loads(line("main", 1, entry)) == {
        "chain": "main", "number": 1, "at": 1, "action": "retry", "actor": "operator-1", "records": 0,
        "commitment": "ab",
    }  # fmt: skip


_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_MAYBE = st.none() | _ANY
_DETAIL = st.none() | st.dictionaries(_ANY, st.none() | st.booleans() | st.integers() | _ANY | st.lists(_ANY))


@given(
    chain=_ANY, number=st.integers(1), at=st.integers(0), action=_ANY, actor=_ANY, message=_MAYBE,
    batch=_MAYBE, before=_MAYBE | st.sampled_from(State), after=_MAYBE | st.sampled_from(State), code=_MAYBE,
    records=st.integers(0), detail=_DETAIL, commitment=_MAYBE,
)  # fmt: skip
def test_an_entrys_line_is_its_json_without_what_has_no_value(
    chain: str, number: int, at: Micros, action: str, actor: str, message: str | None, batch: str | None,
    before: str | None, after: str | None, code: str | None, records: int, detail: dict[str, object] | None,
    commitment: str | None,
) -> None:  # fmt: skip
    entry = Entry(
        at, action, actor, message, batch, before, after, code, records, detail, commitment, b"not part of it"
    )
    fields = {
        "chain": chain, "number": number, "at": at, "action": action, "actor": actor, "message": message,
        "batch": batch, "from": before, "to": after, "code": code, "records": records, "detail": detail,
        "commitment": commitment,
    }  # fmt: skip
    told = {name: value for name, value in fields.items() if value is not None}
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    assert line(chain, number, entry) == text.encode()
