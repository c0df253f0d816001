"""What every backend promises about partners: one prober, a rate kept together, pauses, and who is woken."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from gateway.errors import Conflict
from gateway.ledger.journal import Entry
from gateway.ledger.partners import Change, PartnerState, Pause
from gateway.ledger.port import Ledger
from gateway.message import MessageId, Micros
from gateway.policies.breaker import (
    Circuit,
    CircuitState,
    not_probed,
    probed_badly,
    probed_well,
    probing,
    tripped,
)
from gateway.settings.protection import Breaker, CallRate
from gateway.states import State
from gateway.values import replace
from tests.doubles import ManualClock
from tests.ledger.records import ISSUANCE, accepted_batch, claim, intend, move, now

NIC = "nic"
POLICY = Breaker(open_s=1.0, probe_s=10.0)
RATE = CallRate(calls_per_s=100.0, burst=20)


def trip(circuit: Circuit, at: Micros) -> Circuit | None:
    return tripped(circuit, at, POLICY, Random(1))


def probe_by(prober: str) -> Change:
    return lambda circuit, at: probing(circuit, at, POLICY, prober)


async def state(ledger: Ledger, clock: ManualClock, name: str = NIC) -> PartnerState:
    return next(one for one in await ledger.partners(now=now(clock)) if one.name == name)


def entry(clock: ManualClock, action: str) -> Entry:
    return Entry(now(clock), action, "operator-1", detail={"destination": NIC})


# --- circuits ----------------------------------------------------------------------------------------------


async def test_a_partner_that_nobody_wrote_of_has_a_closed_circuit(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.register_partners([NIC, "passports"])
    await ledger.register_partners([NIC])
    known = await ledger.partners(now=now(clock))
    assert [one.name for one in known] == [NIC, "passports"]
    assert all(one == PartnerState(one.name) for one in known)


async def test_of_many_that_see_failures_one_opens_the_circuit(ledger: Ledger, clock: ManualClock) -> None:
    told = await asyncio.gather(*(ledger.change_circuit(NIC, trip) for _ in range(20)))
    assert sum(changed for _, changed in told) == 1
    assert {one.circuit.state for one, _ in told} == {CircuitState.OPEN}
    assert (await state(ledger, clock)).revision == 1


async def test_of_many_one_probes_and_nobody_before_its_time(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.change_circuit(NIC, trip)
    assert not (await ledger.change_circuit(NIC, probe_by("early")))[1]
    clock.pass_by(seconds=1)
    told = await asyncio.gather(*(ledger.change_circuit(NIC, probe_by(f"p{n}")) for n in range(50)))
    (winner,) = {one.circuit.prober for one, _ in told}
    assert sum(changed for _, changed in told) == 1
    assert told[int(str(winner)[1:])][1]


async def test_a_dead_prober_is_replaced_and_can_tell_nothing(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.change_circuit(NIC, trip)
    clock.pass_by(seconds=1)
    assert (await ledger.change_circuit(NIC, probe_by("dead")))[1]
    clock.pass_by(seconds=9)
    assert not (await ledger.change_circuit(NIC, probe_by("other")))[1]
    clock.pass_by(seconds=1)
    assert (await ledger.change_circuit(NIC, probe_by("other")))[1]
    assert not (await ledger.change_circuit(NIC, lambda c, at: probed_well(c, at, "dead")))[1]
    assert (await ledger.change_circuit(NIC, lambda c, at: probed_well(c, at, "other")))[1]
    assert (await state(ledger, clock)).circuit.closed


async def test_an_outage_keeps_its_beginning_and_counts_its_probes(
    ledger: Ledger, clock: ManualClock
) -> None:
    began = now(clock)
    await ledger.change_circuit(NIC, trip)
    for n in range(3):
        clock.pass_by(seconds=15)
        await ledger.change_circuit(NIC, probe_by(f"p{n}"))
        await ledger.change_circuit(
            NIC,
            lambda c, at, n=n: probed_badly(c, at, POLICY, f"p{n}", Random(1)),  # type: ignore[misc]
        )
    found = (await state(ledger, clock)).circuit
    assert (found.since, found.failures, found.prober) == (began, 3, None)


async def test_a_probe_that_was_not_sent_is_anothers_at_once(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.change_circuit(NIC, trip)
    clock.pass_by(seconds=1)
    await ledger.change_circuit(NIC, probe_by("a"))
    await ledger.change_circuit(NIC, lambda c, at: not_probed(c, at, "a"))
    assert (await ledger.change_circuit(NIC, probe_by("b")))[1]


# --- rates -------------------------------------------------------------------------------------------------


async def test_eight_workers_together_never_take_more_than_the_rate(
    ledger: Ledger, clock: ManualClock
) -> None:
    taken = 0

    async def worker() -> None:
        nonlocal taken
        block = await ledger.take_tokens(NIC, RATE, 7)
        taken += block.tokens

    for tenths in range(20):
        await asyncio.gather(*(worker() for _ in range(8)))
        assert taken <= RATE.burst + RATE.calls_per_s * tenths / 10
        clock.pass_by(seconds=0.1)
    assert taken >= RATE.calls_per_s * 1.9, "and what there is is given"


# --- pauses ------------------------------------------------------------------------------------------------


async def test_a_pause_stands_until_it_is_ended_and_both_are_in_the_journal(
    ledger: Ledger, clock: ManualClock
) -> None:
    pause = Pause("operator-1", now(clock), now(clock, hours=2 * 3600), b"sealed")
    await ledger.pause_partner(NIC, pause, entry(clock, "pause"))
    assert (await state(ledger, clock)).pause == pause
    await ledger.resume_partner(NIC, entry(clock, "resume"))
    assert (await state(ledger, clock)).pause is None
    actions = [row.entry.action for row in await ledger.journal(after=0, limit=100)]
    assert actions[-2:] == ["pause", "resume"]


async def test_only_what_is_paused_is_resumed_and_nothing_is_noted_else(
    ledger: Ledger, clock: ManualClock
) -> None:
    with pytest.raises(Conflict, match="not_paused"):
        await ledger.resume_partner(NIC, entry(clock, "resume"))
    await ledger.pause_partner(NIC, Pause("o", now(clock), now(clock, s=1)), entry(clock, "pause"))
    clock.pass_by(seconds=1)
    with pytest.raises(Conflict, match="not_paused"):
        await ledger.resume_partner(NIC, entry(clock, "resume"))
    assert [row.entry.action for row in await ledger.journal(after=0, limit=100)][-1] == "pause"


async def test_a_pause_does_not_touch_the_circuit_nor_the_circuit_a_pause(
    ledger: Ledger, clock: ManualClock
) -> None:
    await ledger.pause_partner(NIC, Pause("o", now(clock)), entry(clock, "pause"))
    after, _ = await ledger.change_circuit(NIC, trip)
    assert after.pause == Pause("o", now(clock))
    assert (await ledger.resume_partner(NIC, entry(clock, "resume"))).circuit == after.circuit


async def test_the_latest_success_stands(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.register_partners([NIC, "passports"])
    await ledger.note_successes({NIC: Micros(200), "passports": Micros(5)})
    await ledger.note_successes({NIC: Micros(100)})
    assert (await state(ledger, clock)).last_success_at == 200


# --- what is put off ---------------------------------------------------------------------------------------


async def held(ledger: Ledger, clock: ManualClock, count: int, waits_for: str = "destination.nic") -> None:
    await accepted_batch(ledger, clock, count)
    for n, message in enumerate(await claim(ledger, clock, count)):
        rest = move(message, State.HELD, clock, next_at=now(clock, s=300 + n), waits_for=waits_for)
        await ledger.apply(rest)


async def due(ledger: Ledger, clock: ManualClock) -> int:
    await ledger.sweep(now=now(clock), release=1000)
    return len(await claim(ledger, clock, 1000))


async def test_what_waits_is_woken_a_few_at_a_time_and_each_once(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.register_partners([NIC, "passports"])
    await held(ledger, clock, 10)
    assert (await state(ledger, clock)).awaited
    assert not (await state(ledger, clock, "passports")).awaited
    assert await ledger.put_off() == {"nic": 10}
    assert await ledger.wake_put_off("passports", 100, now=now(clock)) == 0
    # Before any sweep: those that are woken already are not woken in place of others.
    assert [await ledger.wake_put_off(NIC, 4, now=now(clock)) for _ in range(4)] == [4, 4, 2, 0]
    assert not (await state(ledger, clock)).awaited
    assert await due(ledger, clock) == 10


async def test_a_question_that_was_put_off_is_woken_first(ledger: Ledger, clock: ManualClock) -> None:
    await ledger.register_partners([NIC])
    await accepted_batch(ledger, clock, 2)
    asked, other = await claim(ledger, clock, 2)
    await intend(ledger, asked, clock)
    sent = replace(asked, open_step=ISSUANCE)
    await ledger.apply(move(sent, State.UNCERTAIN, clock, next_at=now(clock)))
    (asking,) = await claim(ledger, clock, 1)
    assert asking.state is State.INQUIRING
    waits = {"next_at": now(clock, s=300), "waits_for": "destination.nic"}
    await ledger.apply(move(asking, State.UNCERTAIN, clock, action="put_off", **waits))
    await ledger.apply(move(other, State.HELD, clock, **waits))
    assert await due(ledger, clock) == 0
    assert await ledger.put_off() == {"nic": 2}
    assert await ledger.wake_put_off(NIC, 1, now=now(clock)) == 1
    (again,) = await claim(ledger, clock, 10)
    assert (again.id, again.state) == (MessageId(asking.id), State.INQUIRING)
