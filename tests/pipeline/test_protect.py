"""A partner that is down, slow, closed or paused costs nobody else anything, and all is well soon after."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from gateway.clock import RIYADH
from gateway.errors import Unavailable, Uncertain
from gateway.message import Absent, Answered, Declined
from gateway.pipeline import partners
from gateway.pipeline.partner_guard import Permit
from gateway.pipeline.protect import admit_question, give_back
from gateway.policies.breaker import CircuitState, tripped
from gateway.settings.protection import Breaker, Calendar, CallRate, RetryBudget, Waiting
from gateway.states import Outcome, State
from gateway.values import replace
from tests.doubles import ISSUED, issuing
from tests.pipeline.outage import round_of_work, seconds_until, send_check, states, work_for
from tests.pipeline.world import World

DOWN = Unavailable("not_connected")
FOREIGN = "foreign-affairs"


def calls(world: World, name: str) -> int:
    return len(world.engine.partners[name].sent)  # type: ignore[attr-defined]


def circuit(world: World, name: str = FOREIGN) -> CircuitState:
    return world.engine.protection.guard(name).state.circuit.state


async def all_issued(world: World, batch: Any) -> bool:
    rows = await world.rows(batch)
    return all(row.outcome is Outcome.ISSUED for row in rows)


# --- an outage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [DOWN, Uncertain("reply_timeout")], ids=["refuses", "never answers"])
async def test_ten_minutes_without_a_partner_cost_few_calls_and_nothing_afterwards(
    world: World, fault: Exception
) -> None:
    passports, nic = world.passports, world.nic
    passports.scripts["VerifyPassport"] = [fault]
    first = await world.submit(40)
    await work_for(world, 300)
    second = await world.submit(world.applications(20, seed=8), key="second")
    await work_for(world, 300)

    # What opens the circuit: those that had a permit by then. After that one probe an interval, and an
    # interval at its ceiling of 15 s is 11.25 s at least.
    first_calls, probes = 40, 5 + round(600 / 11.25)
    assert len(passports.sent) <= 1.2 * (first_calls + probes)
    assert len(passports.sent) >= 600 / 16, "and it is asked, again and again, whether it is back"
    assert len(nic.sent) == 60, "its neighbour in the stage was asked once for each, and at once"
    assert world.foreign_affairs.sent == []
    shown = await states(world, second.batch_id)
    assert shown.keys() == {State.HELD}

    during = len(passports.sent)
    passports.scripts["VerifyPassport"] = [Answered({})]

    async def done() -> bool:
        return await all_issued(world, first.batch_id) and await all_issued(world, second.batch_id)

    assert await seconds_until(world, done, most=30) <= 30
    assert len(passports.sent) - during == 60
    assert circuit(world, "passports") is CircuitState.CLOSED


async def test_others_go_on_while_a_partner_is_down(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [DOWN]
    batch = await world.submit(30)
    await work_for(world, 5)
    before = calls(world, "gosi")
    await send_check(world)
    await round_of_work(world)
    assert calls(world, "gosi") == before + 1
    assert calls(world, "dues") == 1
    assert (await states(world, batch.batch_id)).keys() == {State.HELD}


async def test_no_attempt_is_used_up_and_an_impatient_policy_gives_nothing_up(world: World) -> None:
    retry = world.engine.settings.destinations[FOREIGN].retry.model_copy(update={"give_up_after_s": 3600.0})
    world.with_destination(FOREIGN, retry=retry)
    world.foreign_affairs.scripts["IssueVisa"] = [DOWN]
    batch = await world.submit(30)
    await work_for(world, 900)
    attempts = [len(await world.engine.ledger.attempts(row.id)) for row in await world.rows(batch.batch_id)]
    # Both checks and one call, and the probes are everybody's in turn.
    assert max(attempts) <= 2 + 1 + 900 / 11.25 / 30 + 4
    world.foreign_affairs.scripts["IssueVisa"] = [issuing()]
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=30) <= 30


async def test_waits_that_grew_in_an_outage_keep_nothing_away_afterwards(world: World) -> None:
    retry = world.engine.settings.destinations[FOREIGN].retry
    world.with_destination(FOREIGN, retry=retry.model_copy(update={"first_s": 120.0, "ceiling_s": 600.0}))
    world.foreign_affairs.scripts["IssueVisa"] = [DOWN]
    batch = await world.submit(30)
    await work_for(world, 600)
    world.foreign_affairs.scripts["IssueVisa"] = [issuing()]
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=30) <= 30


async def test_one_message_that_always_fails_does_not_keep_a_partner_closed(world: World) -> None:
    """Probes are sent by one message after the other."""
    batch = await world.submit(30)
    poison = (await world.rows(batch.batch_id))[0].id
    world.passports.scripts["VerifyPassport"] = [DOWN]
    await work_for(world, 60)

    def verify(request: Any) -> Answered:
        if request.body.decode().startswith(poison):
            raise DOWN
        return Answered({})

    world.passports.scripts["VerifyPassport"] = [verify]

    async def the_others_are_done() -> bool:
        rows = await world.rows(batch.batch_id)
        return sum(row.outcome is Outcome.ISSUED for row in rows) == 29

    assert await seconds_until(world, the_others_are_done, most=45) <= 45


async def test_an_open_circuit_is_open_for_a_process_that_saw_nothing(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [DOWN]
    await world.submit(30)
    await work_for(world, 3)
    sent = calls(world, FOREIGN)
    other = replace(world.engine, protection=type(world.engine.protection)())
    world.engine = other
    await world.submit(world.applications(5, seed=9), key="other")
    await world.carry_due()
    assert circuit(world) is not CircuitState.CLOSED
    assert calls(world, FOREIGN) - sent <= 1


async def test_calls_that_were_sent_before_the_partner_came_back_say_nothing_of_it_now(world: World) -> None:
    guard = world.engine.protection.guard(FOREIGN)
    policy = world.engine.settings.destinations[FOREIGN]
    old = [guard.ask(policy, world.engine.now(), repeated=False) for _ in range(20)]
    now = world.engine.now()
    guard.open_at_once(policy.breaker, now, world.engine.random)
    guard.know(replace(guard.state, circuit=type(guard.state.circuit)(), revision=1))
    trips = [guard.count(one, now, policy.breaker, well=False) for one in old]  # type: ignore[arg-type]
    assert not any(trips)


async def test_a_busy_partner_that_goes_down_is_left_alone_as_soon_as_any(world: World) -> None:
    guard = world.engine.protection.guard("nic")
    world.passports.scripts["VerifyPassport"] = [Answered({})]
    well = await world.submit(300)
    await seconds_until(world, lambda: all_issued(world, well.batch_id), most=30)
    assert guard.state.circuit.closed
    before = len(world.nic.sent)
    world.nic.scripts["CheckClearance"] = [DOWN]
    await world.submit(world.applications(60, seed=9), key="more")
    await round_of_work(world)
    await round_of_work(world)
    policy = world.engine.settings.destinations["nic"]
    assert len(world.nic.sent) - before <= policy.breaker.minimum_calls + policy.concurrency


async def test_refusals_and_deferrals_are_answers_and_open_nothing(world: World) -> None:
    world.nic.scripts["CheckClearance"] = [Declined("HIT", "refused")]
    await world.submit(40)
    await work_for(world, 5)
    assert circuit(world, "nic") is CircuitState.CLOSED


async def test_what_we_did_not_send_says_nothing_of_a_partner(world: World) -> None:
    world.nic.scripts["CheckClearance"] = [Unavailable("send_by_passed")]
    await world.submit(40)
    await work_for(world, 2)
    assert circuit(world, "nic") is CircuitState.CLOSED


async def test_a_probe_that_the_gate_stops_is_given_back(world: World) -> None:
    """A message that gets the probe and then may not send must not leave the partner closed."""
    world.foreign_affairs.scripts["IssueVisa"] = [DOWN]
    batch = await world.submit(30)
    await work_for(world, 5)
    for row in await world.rows(batch.batch_id):
        await world.engine.ledger.cancel(row.id, actor="sc-01", now=world.engine.now())
    world.foreign_affairs.scripts["IssueVisa"] = [issuing()]
    later = await world.submit(world.applications(5, seed=9), key="later")
    assert await seconds_until(world, lambda: all_issued(world, later.batch_id), most=30) <= 30


async def test_a_probe_that_is_not_sent_after_all_is_the_next_ones_at_once(world: World) -> None:
    engine, policy = world.engine, world.engine.settings.destinations[FOREIGN].breaker
    await engine.ledger.change_circuit(FOREIGN, lambda c, at: tripped(c, at, policy, Random(1)))
    world.clock.pass_by(seconds=2)
    issuance = engine.operations["foreign_affairs.visa_issuance"]
    first = await admit_question(issuance, engine)
    assert isinstance(first, Permit)
    assert first.probe is not None
    assert not isinstance(await admit_question(issuance, engine), Permit)
    await give_back((first,), engine)
    second = await admit_question(issuance, engine)
    assert isinstance(second, Permit)
    assert second.probe not in (None, first.probe)


# --- questions ------------------------------------------------------------------------------------------


async def test_a_question_to_a_closed_partner_is_put_off_and_counts_as_no_absence(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("reply_timeout")]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Uncertain("reply_timeout")]
    batch = await world.submit(30)
    await work_for(world, 120)
    assert circuit(world) is not CircuitState.CLOSED
    inquiries = world.foreign_affairs.calls()["GetVisaStatus"]
    assert inquiries <= 30 + 1.2 * (5 + 120 / 11.25)
    rows = await world.rows(batch.batch_id)
    assert {row.state for row in rows} <= {State.UNCERTAIN, State.HELD}
    for row in rows:
        assert "absent" not in {tried.outcome for tried in await world.engine.ledger.attempts(row.id)}
    world.foreign_affairs.scripts["GetVisaStatus"] = [ISSUED]
    world.foreign_affairs.scripts["IssueVisa"] = [issuing()]

    async def nothing_is_open() -> bool:
        return all(row.state is State.COMPLETED for row in await world.rows(batch.batch_id))

    assert await seconds_until(world, nothing_is_open, most=30) <= 30


async def test_absent_answers_during_an_outage_of_calls_still_need_two(world: World) -> None:
    world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("fault", answered=True), issuing()]
    world.foreign_affairs.scripts["GetVisaStatus"] = [Absent()]
    batch = await world.submit(1)
    await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=20)
    assert world.foreign_affairs.calls()["IssueVisa"] == 2
    assert world.foreign_affairs.calls()["GetVisaStatus"] >= 2


# --- a slow partner -------------------------------------------------------------------------------------


async def test_a_slow_partner_delays_nobody_else_and_no_more_than_its_places_are_called(
    world: World,
) -> None:
    world.with_destination("passports", concurrency=4, waiting=Waiting(places=3, longest_s=0.02))
    world.passports.gate = asyncio.Event()
    slow = await world.submit(20)
    carrying = asyncio.create_task(round_of_work(world))
    async with asyncio.timeout(15):
        while (await states(world, slow.batch_id)).get(State.HELD, 0) < 16:
            await asyncio.sleep(0)
    assert len(world.passports.sent) == 4
    assert world.engine.protection.aside == 0, "who stood in line has left it"
    shown = {row.code for row in await world.rows(slow.batch_id) if row.state is State.HELD}
    assert shown == {"partner_busy"}
    assert len(world.nic.sent) == 20, "who waits for one partner keeps no other's place"
    await send_check(world)
    checking = asyncio.create_task(round_of_work(world))
    async with asyncio.timeout(15):
        while calls(world, "gosi") == 0:
            await asyncio.sleep(0)
    world.passports.gate.set()
    await asyncio.gather(carrying, checking)
    assert await seconds_until(world, lambda: all_issued(world, slow.batch_id), most=30) <= 30


async def test_calls_that_hang_do_not_keep_the_probe_out(world: World) -> None:
    world.with_destination("passports", concurrency=2)
    world.passports.gate = asyncio.Event()
    await world.submit(2)
    hanging = asyncio.create_task(round_of_work(world))
    async with asyncio.timeout(15):
        while len(world.passports.sent) < 2:
            await asyncio.sleep(0)
    policy = world.engine.settings.destinations["passports"].breaker
    await world.engine.ledger.change_circuit("passports", lambda c, at: tripped(c, at, policy, Random(1)))
    world.clock.pass_by(seconds=2)
    await world.submit(world.applications(1, seed=9), key="other")
    probing = asyncio.create_task(round_of_work(world))
    async with asyncio.timeout(15):
        while len(world.passports.sent) < 3:
            await asyncio.sleep(0)
    world.passports.gate.set()
    await asyncio.gather(hanging, probing)
    assert circuit(world, "passports") is CircuitState.CLOSED


async def test_who_stands_in_line_is_let_in_when_a_place_is_free(world: World) -> None:
    world.with_destination("passports", concurrency=2, waiting=Waiting(places=10, longest_s=30))
    batch = await world.submit(8)
    await round_of_work(world)
    assert await all_issued(world, batch.batch_id)


async def test_the_line_is_empty_when_the_circuit_opens(world: World) -> None:
    world.with_destination(
        "passports", concurrency=5, waiting=Waiting(places=50, longest_s=30), breaker=Breaker(minimum_calls=5)
    )
    world.passports.scripts["VerifyPassport"] = [DOWN]
    batch = await world.submit(40)
    await asyncio.wait_for(round_of_work(world), 5)
    assert len(world.passports.sent) <= 2 * 5
    assert (await states(world, batch.batch_id)).get(State.HELD, 0) >= 30


# --- rates and repetitions ------------------------------------------------------------------------------


async def test_a_rate_is_kept_and_nothing_is_lost_to_it(world: World) -> None:
    world.with_destination("passports", rate=CallRate(calls_per_s=5.0, burst=5), waiting=Waiting(places=0))
    batch = await world.submit(20)
    for n in range(20):
        await work_for(world, 1, step_s=0.25)
        assert len(world.passports.sent) <= 5 + 5 * (n + 2)
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=30) <= 30


async def test_repeated_calls_over_the_budget_are_put_off_and_not_dropped(world: World) -> None:
    world.with_destination(
        "passports",
        retry_budget=RetryBudget(share=0.0, floor_per_s=0.5, window_s=10.0),
        breaker=Breaker(minimum_calls=1000),
    )
    world.passports.scripts["VerifyPassport"] = [*[DOWN] * 20, Answered({})]
    batch = await world.submit(20)
    await work_for(world, 10)
    assert len(world.passports.sent) <= 20 + 5 + 1
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=120) <= 60


# --- closed hours and pauses ----------------------------------------------------------------------------


def closed_for(world: World, hours: float) -> Calendar:
    begins = world.clock.now().astimezone(RIYADH).replace(tzinfo=None)
    window = {
        "from": f"{begins:%Y-%m-%dT%H:%M}",
        "to": f"{begins.replace(hour=begins.hour + int(hours)):%Y-%m-%dT%H:%M}",
    }
    return Calendar.model_validate({"once": (window,)})


async def test_a_closed_partner_is_not_called_until_it_opens_and_then_by_itself(world: World) -> None:
    world.with_destination(FOREIGN, calendar=closed_for(world, 2))
    batch = await world.submit(5)
    await work_for(world, 60)
    assert world.foreign_affairs.sent == []
    (row, *_) = await world.rows(batch.batch_id)
    assert (row.state, row.code, row.waits_for) == (State.HELD, "partner_closed", f"destination.{FOREIGN}")
    assert row.expected_at == world.engine.now() - 60_000_000 + 2 * 3_600_000_000
    world.clock.pass_by(hours=2, seconds=-60)
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=30) <= 30


async def test_a_stage_with_one_closed_partner_sends_what_it_can(world: World) -> None:
    world.with_destination("passports", calendar=closed_for(world, 1))
    batch = await world.submit(3)
    await work_for(world, 5)
    assert len(world.nic.sent) == 3
    assert world.passports.sent == []
    world.clock.pass_by(hours=1)
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=30) <= 30
    assert len(world.nic.sent) == 3 + 3, "the clearance was an hour old, and is asked for anew"


async def test_a_refusal_wins_although_the_other_partner_is_closed(world: World) -> None:
    world.with_destination("passports", calendar=closed_for(world, 1))
    world.nic.scripts["CheckClearance"] = [Declined("HIT", "refused")]
    row = await world.only(await world.submit(1))
    await round_of_work(world)
    after = await world.engine.ledger.message(row.id)
    assert after is not None
    assert after.outcome is Outcome.REFUSED


async def test_an_operator_pauses_and_resumes_and_the_journal_says_so(world: World) -> None:
    await partners.pause(FOREIGN, "operator-1", "their maintenance", None, world.engine)
    batch = await world.submit(5)
    await work_for(world, 700)
    assert world.foreign_affairs.sent == []
    (row, *_) = await world.rows(batch.batch_id)
    assert (row.state, row.code) == (State.HELD, "destination_paused")
    await partners.resume(FOREIGN, "operator-2", "they are back", world.engine)
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=30) <= 5
    entries = [row.entry for row in await world.engine.ledger.journal(after=0, limit=1000)]
    told = [(one.action, one.actor, one.detail) for one in entries if one.action in ("pause", "resume")]
    assert told == [
        ("pause", "operator-1", {"destination": FOREIGN}),
        ("resume", "operator-2", {"destination": FOREIGN}),
    ]
    assert not any(b"maintenance" in (one.note or b"") for one in entries)


async def test_a_pause_ends_by_itself(world: World) -> None:
    await partners.pause(FOREIGN, "operator-1", "their maintenance", 120, world.engine)
    batch = await world.submit(5)
    await work_for(world, 119)
    assert world.foreign_affairs.sent == []
    assert await seconds_until(world, lambda: all_issued(world, batch.batch_id), most=30) <= 5


async def test_a_pause_holds_a_process_from_its_first_call_on(world: World) -> None:
    await partners.pause("nic", "operator-1", "their maintenance", None, world.engine)
    world.engine = replace(world.engine, protection=type(world.engine.protection)())
    await world.submit(5)
    await world.carry_due()
    assert world.nic.sent == []


async def test_many_are_woken_a_few_at_first(world: World) -> None:
    world.with_destination(FOREIGN, concurrency=4)
    await partners.pause(FOREIGN, "operator-1", "their maintenance", None, world.engine)
    batch = await world.submit(100)
    await work_for(world, 2)
    await partners.resume(FOREIGN, "operator-1", "back", world.engine)
    done = []
    for _ in range(6):
        await round_of_work(world)
        world.clock.pass_by(seconds=0.25)
        done.append(100 - (await states(world, batch.batch_id)).get(State.HELD, 0))
    assert done[0] <= 4
    assert done == sorted(done)
    assert done[-1] == 100
