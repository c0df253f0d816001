"""A ledger that refuses what a worker wants to commit: nothing is forgotten, and nothing is sent again."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Unavailable, Uncertain
from gateway.ledger.key_files import KeyFiles
from gateway.ledger.port import AttemptRecord, Claimed, Ledger
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import Answered, Deferred, MessageId, Micros, Verdict, new_id
from gateway.pipeline import persist
from gateway.pipeline.carry import carry
from gateway.pipeline.intake import Receipt
from gateway.pipeline.worker import Worker
from gateway.ports import PreparedRequest
from gateway.states import Outcome, State
from tests.doubles import ISSUED
from tests.pipeline.world import World, open_world
from tests.postgresql import postgresql_server

__all__ = ["postgresql_server"]

_READ_ONLY = {"sqlite": "PRAGMA query_only = {}", "postgresql": "SET default_transaction_read_only = {}"}


@dataclass
class Trouble:
    """The ledger's database takes nothing between `begin` and `end`; time passes while somebody waits."""

    world: World
    #: How long it lasts once somebody waits; None: for ever.
    lasts_s: float | None = None
    pauses: list[float] = field(default_factory=list)
    #: Awaited when it has ended.
    afterwards: Callable[[], Awaitable[Any]] | None = None

    def begin(self) -> None:
        self._set("on")

    def end(self) -> None:
        self._set("off")

    def _set(self, on: str) -> None:
        ledger: Any = self.world.engine.ledger
        engine = "sqlite" if isinstance(ledger, SqliteLedger) else "postgresql"
        writer = ledger._writer if engine == "sqlite" else ledger._postgres
        writer._connection.execute(_READ_ONLY[engine].format(on))

    def then(self, verdict: Verdict | Exception) -> Callable[[PreparedRequest], Verdict]:
        """A partner's reply: from the moment on that it is read, nothing can be written."""

        def reply(_request: PreparedRequest) -> Verdict:
            self.begin()
            if isinstance(verdict, Exception):
                raise verdict
            return verdict

        return reply

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.world.clock.pass_by(seconds=seconds)
        if self.lasts_s is not None and sum(self.pauses) >= self.lasts_s:
            self.lasts_s = None
            self.end()
            if self.afterwards is not None:
                await self.afterwards()


@pytest.fixture(params=["sqlite", "postgresql"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    def postgresql_ledger(clock: Any) -> Ledger:
        url = request.getfixturevalue("postgresql_server").emptied()
        return PostgresLedger(url, clock, by_database_time=False)

    opened = await open_world(tmp_path, postgresql_ledger if request.param == "postgresql" else None)
    yield opened
    await opened.engine.ledger.close()


@pytest.fixture
def trouble(world: World, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    found = Trouble(world)
    monkeypatch.setattr(persist, "sleep", found.sleep)
    return found


async def test_a_visa_that_was_issued_is_kept_until_it_can_be_written(world: World, trouble: Trouble) -> None:
    trouble.lasts_s = 20.0
    world.foreign_affairs.scripts["IssueVisa"] = [trouble.then(ISSUED)]
    receipt = await world.submit()
    await world.carry_due()
    row = await world.only(receipt)
    assert (row.state, row.outcome) == (State.COMPLETED, Outcome.ISSUED)
    assert world.foreign_affairs.calls() == {"IssueVisa": 1}  # and nobody had to ask
    assert sum(trouble.pauses) < 20.0 + persist._LONGEST_S


async def test_the_pauses_grow_to_a_second_and_differ(world: World, trouble: Trouble) -> None:
    trouble.lasts_s = 20.0
    world.foreign_affairs.scripts["IssueVisa"] = [trouble.then(ISSUED)]
    await world.submit()
    await world.carry_due()
    longest = [min(0.05 * 2**number, 1.0) for number in range(len(trouble.pauses))]
    assert all(0.5 * most <= pause <= most for most, pause in zip(longest, trouble.pauses, strict=True))
    assert len(set(trouble.pauses)) == len(trouble.pauses)


async def test_a_refused_intent_sends_nothing_and_its_message_goes_on_afterwards(
    world: World, trouble: Trouble
) -> None:
    trouble.lasts_s = 20.0
    world.passports.scripts["VerifyPassport"] = [trouble.then(Answered({}))]
    receipt = await world.submit()
    await world.carry_due()
    assert world.foreign_affairs.calls() == {}
    assert (await world.only(receipt)).state is State.READY
    assert [one.outcome for one in await attempts(world, receipt)] == ["ok", "ok"]
    world.clock.pass_by(seconds=1)
    await world.carry_due()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    assert world.nic.calls() == {"CheckClearance": 1}
    assert world.passports.calls() == {"VerifyPassport": 1}
    assert world.foreign_affairs.calls() == {"IssueVisa": 1}


async def test_an_intent_that_is_refused_again_and_again_is_not_tried_without_a_pause(
    world: World, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply, tried = world.engine.ledger.apply, []

    async def no_intents(move: Any) -> Any:
        if move.intent is None:
            return await apply(move)
        tried.append(world.clock.boottime_s())
        raise Unavailable("ledger_unavailable")

    monkeypatch.setattr(world.engine.ledger, "apply", no_intents)
    await world.submit()
    for _ in range(100):
        await world.carry_due()
        world.clock.pass_by(seconds=0.1)
    assert 5 <= len(tried) <= 20
    assert world.foreign_affairs.calls() == {}
    assert trouble.pauses == []


async def test_what_an_inquiry_found_is_kept_until_it_can_be_written(world: World, trouble: Trouble) -> None:
    trouble.lasts_s = 20.0
    world.foreign_affairs.scripts |= {
        "IssueVisa": [Uncertain("reply_lost")],
        "GetVisaStatus": [trouble.then(ISSUED)],
    }
    receipt = await world.submit()
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 1}


async def test_after_a_lease_it_gives_up_and_the_partner_is_asked(world: World, trouble: Trouble) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [trouble.then(ISSUED)]
    receipt = await world.submit()
    (message,) = await claimed(world)
    with pytest.raises(Unavailable):
        await carry(message, world.engine)
    lease_s = world.engine.settings.gateway.carrying.lease_s
    assert lease_s <= sum(trouble.pauses) < lease_s + persist._LONGEST_S
    trouble.end()
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    assert world.foreign_affairs.calls() == {"IssueVisa": 1, "GetVisaStatus": 1}


async def test_an_answer_for_which_the_lease_was_too_short_is_kept_as_evidence(
    world: World, trouble: Trouble
) -> None:
    """Another process ends the lease at the moment when the ledger can be written again."""

    async def end_leases() -> None:
        world.clock.pass_by(seconds=60)
        swept = await world.engine.ledger.sweep(now=world.engine.now(), release=0)
        assert swept.leases_ended == 1

    trouble.lasts_s, trouble.afterwards = 20.0, end_leases
    world.foreign_affairs.scripts["IssueVisa"] = [trouble.then(ISSUED)]
    receipt = await world.submit()
    await world.carry_due()
    assert (await world.only(receipt)).state is State.UNCERTAIN
    assert "late_ok" in [one.outcome for one in await attempts(world, receipt)]
    await world.carry_until_rest()
    assert (await world.only(receipt)).outcome is Outcome.ISSUED
    assert world.foreign_affairs.calls()["IssueVisa"] == 1


async def test_a_message_with_a_fault_is_set_aside_as_soon_as_that_can_be_written(
    world: World, trouble: Trouble
) -> None:
    trouble.lasts_s = 20.0
    receipt = await world.submit()
    (message,) = await claimed(world)
    trouble.begin()
    await Worker(world.engine)._set_aside(message, RuntimeError("a fault of ours"), world.engine)
    row = await world.only(receipt)
    assert (row.state, row.code) == (State.UNDER_REVIEW, "internal_error")


async def test_a_wish_to_cancel_is_heeded_as_soon_as_that_can_be_written(
    world: World, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came while the message was carried, which then waits for a partner's answer."""
    cancel, refused = world.engine.ledger.cancel, []

    async def refusing_once(message_id: Any, **named: Any) -> Any:
        if not refused:
            refused.append(message_id)
            raise Unavailable("ledger_unavailable")
        return await cancel(message_id, **named)

    world.nic.scripts["CheckClearance"] = [Deferred("answer_pending", "REF-1")]
    world.nic.gate = asyncio.Event()
    receipt = await world.submit()
    carrying = asyncio.create_task(world.carry_due())
    while not world.nic.sent:
        await asyncio.sleep(0)
    row = await world.only(receipt)
    await cancel(row.id, actor="sc-01", now=world.engine.now())
    monkeypatch.setattr(world.engine.ledger, "cancel", refusing_once)
    world.nic.gate.set()
    await carrying
    assert refused
    assert (await world.only(receipt)).state is State.CANCELLED


async def test_nobody_waits_for_a_ledger_that_is_closed(world: World, trouble: Trouble) -> None:
    refusals = []

    async def commit() -> None:
        refusals.append(1)
        raise Unavailable("ledger_closed")

    with pytest.raises(Unavailable):
        await persist.until_committed(commit, MessageId(new_id()), world.engine)
    assert (len(refusals), trouble.pauses) == (1, [])


# --- asked again although it was committed ------------------------------------------------------------------


@pytest.mark.parametrize("action", ["intent", "issue"])
async def test_what_is_committed_and_called_refused_is_not_done_twice(
    world: World, trouble: Trouble, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """A ledger never says so; if one did, state and token would tell that the move is there."""
    apply, doubted = world.engine.ledger.apply, []

    async def in_doubt(move: Any) -> Any:
        found = await apply(move)
        if not doubted and move.action == action:
            doubted.append(move)
            raise Unavailable("ledger_unavailable")
        return found

    monkeypatch.setattr(world.engine.ledger, "apply", in_doubt)
    receipt = await world.submit()
    await world.carry_due()
    row = await world.only(receipt)
    audit = [entry.action for entry in await world.engine.ledger.audit(row.id)]
    assert doubted
    assert audit.count("intent") == 1
    assert audit.count("issue") == world.foreign_affairs.calls().get("IssueVisa", 0) == (action == "issue")


async def attempts(world: World, receipt: Receipt) -> Sequence[AttemptRecord]:
    return await world.engine.ledger.attempts((await world.only(receipt)).id)


async def claimed(world: World) -> Sequence[Claimed]:
    """What is due, leased to nobody in particular."""
    engine = world.engine
    await engine.ledger.sweep(now=engine.now(), release=100)
    lease_until = Micros(engine.now() + 60_000_000)
    return await engine.ledger.claim("w", 10, now=engine.now(), lease_until=lease_until)


async def test_a_key_that_a_full_disk_does_not_take_is_no_fault_of_the_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first key of its kind is made when it is first needed, such as for the gate."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    receipt = await world.submit()
    with monkeypatch.context() as broken:
        broken.setattr(KeyFiles, "_write", full)
        await carried_once(world)
    row = await world.only(receipt)
    assert row.state is State.CARRIED  # its lease will end
    world.clock.pass_by(seconds=61)
    await world.carry_until_rest()
    row = await world.only(receipt)
    assert (row.state, row.outcome) == (State.COMPLETED, Outcome.ISSUED)


async def carried_once(world: World) -> None:
    """By the worker itself, which sees to what a message's carrying raises."""
    engine = world.engine
    lease = Micros(engine.now() + 60_000_000)
    for message in await engine.ledger.claim("w", 10, now=engine.now(), lease_until=lease):
        await Worker(engine)._carry_one(message, engine)
