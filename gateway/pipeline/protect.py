"""Protect: before a stage is committed, may its partners be called now?

A partner that is down, slow, closed or paused costs nobody else anything. What can be sent is sent; what
can't waits for a place for a moment, or rests (`held`, or `uncertain` for a question) until the partner takes
calls again, and is woken then. Nothing of this uses up an attempt.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.ledger.partners import WAITS_FOR, Change, PartnerState
from gateway.message import AttemptEnd, Micros, NotDone, Operation, Unknown, new_id
from gateway.observe.log import log
from gateway.pipeline.decide import Wait
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import Journey, StepStatus
from gateway.pipeline.partner_guard import BUSY, CLOSED, OVER_BUDGET, Denied, PartnerGuard, Permit
from gateway.policies.breaker import Circuit, not_probed, probed_badly, probed_well, probing, tripped
from gateway.policies.rate import block_size
from gateway.settings import Destination
from gateway.settings.protection import Breaker, CallRate
from gateway.states import State
from gateway.values import replace

#: What is put off is woken when its partner takes calls again. Should nobody do that, it looks by itself
#: after so many seconds at the least, and at most twice as many.
_LOOK_AGAIN_S: Final = 300.0
#: The same where it found no place, which may be over in a moment.
_ROOM_AGAIN_S: Final = 30.0
#: After a partner's opening hour; not all at one moment.
_OPENED_S: Final = 30.0
#: A repeated call over the budget is put off by so much, up to twice as much.
_REPEAT_AGAIN_S: Final = 0.5
#: Tokens are not fetched more often than this.
_TOKENS_EVERY_S: Final = 0.05
#: We never sent it: that says nothing of the partner.
_OUR_OWN: Final = frozenset({"send_by_passed", "not_sent"})


class Admitted(Struct, frozen=True):
    """These operations may be called, each with its permit. What is not used is given back."""

    operations: tuple[Operation, ...]
    permits: tuple[Permit, ...]


# --- stages -----------------------------------------------------------------------------------------------


def admit_now(journey: Journey, operations: tuple[Operation, ...], engine: Engine) -> Admitted | None:
    """Those whose permits are free. None: not one is, or nobody has looked yet."""
    if not engine.protection.looked:
        return None
    now = engine.now()
    admitted: list[Operation] = []
    permits: list[Permit] = []
    for operation in operations:
        permit = _ask(operation, now, engine, repeated=_repeated(journey, operation))
        if isinstance(permit, Permit):
            admitted.append(operation)
            permits.append(permit)
    return Admitted(tuple(admitted), tuple(permits)) if permits else None


async def admit_later(journey: Journey, operations: tuple[Operation, ...], engine: Engine) -> Admitted | Wait:
    """After `admit_now`: send the probe that is due, or wait for a place; else how the message rests."""
    await _looked(engine)
    denials: list[Denied] = []
    for operation in operations:
        permit = await _permit(operation, engine, repeated=_repeated(journey, operation))
        if isinstance(permit, Permit):
            # The others' turn comes next: who stands in a line keeps no other partner's place taken.
            return Admitted((operation,), (permit,))
        denials.append(permit)
    return _rest(journey, denials, engine)


def instead(wait: Wait, journey: Journey, engine: Engine) -> Wait:
    """A failed step is not tried by its own time while nobody calls its partner: it waits for that."""
    failed = [one for stage in journey.stages for one in stage if _failed(journey, one)]
    if wait.to is not State.READY or not failed:
        return wait
    now, guards = engine.now(), engine.protection
    found = [guards.guard(one.destination).closed(engine.destination(one), now) for one in failed]
    closed = [denied for denied in found if denied is not None]
    return _wait_for(closed, engine) if len(closed) == len(failed) else wait


async def give_back(permits: tuple[Permit, ...], engine: Engine) -> None:
    """Of what was not sent."""
    for permit in permits:
        if not permit.open:
            continue
        permit.give_back()
        if permit.probe is not None:
            await _probed(permit, engine, well=False, ours=True)


# --- questions --------------------------------------------------------------------------------------------


async def admit_question(operation: Operation, engine: Engine) -> Permit | Wait:
    """A permit to ask what became of a call; or until when the question is put off."""
    await _looked(engine)
    permit = await _permit(operation, engine, repeated=False)
    if isinstance(permit, Permit):
        return permit
    _note_full([permit], engine)
    return _wait_for([permit], engine)


# --- ends of calls ----------------------------------------------------------------------------------------


async def ended(permit: Permit, end: AttemptEnd, now: Micros, engine: Engine) -> None:
    """The call is over. Tells the other processes where it changes whether the partner is called."""
    guard, policy = permit.guard, _breaker(permit.guard, engine)
    ours = isinstance(end, NotDone) and end.code in _OUR_OWN
    well = not isinstance(end, NotDone | Unknown)
    trips = not ours and guard.count(permit, now, policy, well=well)
    if trips:
        guard.open_at_once(policy, now, engine.random)
    permit.give_back()
    if permit.probe is not None:
        await _probed(permit, engine, well=well, ours=ours)
    elif trips:
        await _trip(guard, policy, engine)


async def _trip(guard: PartnerGuard, policy: Breaker, engine: Engine) -> None:
    def change(circuit: Circuit, at: Micros) -> Circuit | None:
        return tripped(circuit, at, policy, engine.random)

    if await _change(guard, change, engine):
        log.warning("circuit_open", action="circuit_open", destination=guard.name)


async def _probed(permit: Permit, engine: Engine, *, well: bool, ours: bool) -> None:
    guard, prober, policy = permit.guard, permit.probe or "", _breaker(permit.guard, engine)

    def change(circuit: Circuit, at: Micros) -> Circuit | None:
        if ours:
            return not_probed(circuit, at, prober)
        if well:
            return probed_well(circuit, at, prober)
        return probed_badly(circuit, at, policy, prober, engine.random)

    if await _change(guard, change, engine) and well:
        log.warning("circuit_closed", action="circuit_closed", destination=guard.name)


async def _change(guard: PartnerGuard, change: Change, engine: Engine) -> bool:
    """Whether it changed anything. What can't be written is no message's fault, and is found out anew."""
    state: PartnerState | None = None
    changed = False
    guard.writing()
    try:
        state, changed = await engine.ledger.change_circuit(guard.name, change)
    except GatewayError as error:
        log.error("circuit_not_told", action="circuit", destination=guard.name, code=error.code)
    finally:
        guard.written(state)
    return changed


def _breaker(guard: PartnerGuard, engine: Engine) -> Breaker:
    return engine.settings.destinations[guard.name].breaker


# --- asking -----------------------------------------------------------------------------------------------


async def _looked(engine: Engine) -> None:
    if not engine.protection.looked:
        await engine.protection.look(engine.ledger, engine.settings.destinations, engine.now())


def _ask(operation: Operation, now: Micros, engine: Engine, *, repeated: bool) -> Permit | Denied:
    guard, policy = engine.protection.guard(operation.destination), engine.destination(operation)
    permit = guard.ask(policy, now, repeated=repeated)
    if isinstance(permit, Permit):
        guard.sent(now, repeated=repeated)
    return permit


async def _permit(operation: Operation, engine: Engine, *, repeated: bool) -> Permit | Denied:
    """One that is free, or may be had by waiting a little."""
    permit = _ask(operation, engine.now(), engine, repeated=repeated)
    if isinstance(permit, Permit) or not (permit.probe or permit.code == BUSY):
        return permit
    guard, policy = engine.protection.guard(operation.destination), engine.destination(operation)
    later = await (_probe if permit.probe else _stand_in_line)(guard, policy, engine)
    if later is None:
        return guard.closed(policy, engine.now()) or permit
    # Others who stood in line may have used up the budget.
    if repeated and not permit.probe and not guard.may_repeat(policy, engine.now()):
        later.give_back()
        return Denied(guard.name, OVER_BUDGET)
    guard.sent(engine.now(), repeated=repeated)
    return later


async def _probe(guard: PartnerGuard, policy: Destination, engine: Engine) -> Permit | None:
    """Of all processes one gets it."""
    prober = new_id()

    def change(circuit: Circuit, at: Micros) -> Circuit | None:
        return probing(circuit, at, policy.breaker, prober)

    mine = await _change(guard, change, engine)
    return guard.probe(engine.now(), prober) if mine else None


async def _stand_in_line(guard: PartnerGuard, policy: Destination, engine: Engine) -> Permit | None:
    protection = engine.protection
    if policy.rate is not None and guard.name not in protection.filling:
        protection.filling[guard.name] = asyncio.create_task(_fill(guard, policy.rate, engine))
    if guard.waiting >= policy.waiting.places:
        return None
    protection.in_line += 1
    protection.room_made()
    try:
        permit = await guard.wait_for_place(policy.waiting.longest_s)
    finally:
        protection.in_line -= 1
    if permit is not None:
        permit.began = engine.now()
    return permit


async def _fill(guard: PartnerGuard, rate: CallRate, engine: Engine) -> None:
    """Fetch tokens for as long as somebody waits for one."""
    try:
        while True:
            wait_s = 0.0
            if not guard.tokens:
                block = await engine.ledger.take_tokens(guard.name, rate, block_size(rate, guard.waiting))
                guard.filled(block, engine.now())
                wait_s = block.wait_s
            if not guard.waiting:
                return
            await asyncio.sleep(max(_TOKENS_EVERY_S, wait_s))
    except GatewayError as error:  # those in line give up, and come again
        log.error("tokens_not_taken", action="rate", destination=guard.name, code=error.code)
    finally:
        del engine.protection.filling[guard.name]


def _repeated(journey: Journey, operation: Operation) -> bool:
    return journey.step(operation).attempts > 0


def _failed(journey: Journey, operation: Operation) -> bool:
    return journey.step(operation).status is StepStatus.RETRY


# --- resting ----------------------------------------------------------------------------------------------


def _rest(journey: Journey, denials: list[Denied], engine: Engine) -> Wait:
    """Sooner where another step of the message is due."""
    _note_full(denials, engine)
    wait, now = _wait_for(denials, engine), engine.now()
    due = [at for state in journey.steps.values() if (at := state.not_before) is not None and at > now]
    return replace(wait, until=min(wait.until, *due)) if due else wait


def _note_full(denials: list[Denied], engine: Engine) -> None:
    for denied in denials:
        engine.protection.guard(denied.destination).held |= denied.code == BUSY


def _wait_for(denials: list[Denied], engine: Engine) -> Wait:
    """Of several partners it waits for the first; when that takes calls, it asks all of them again."""
    waits = [_wait(denied, engine) for denied in denials]
    wait = next((one for one in waits if one.waits_for is not None), waits[0])
    return replace(wait, until=min(one.until for one in waits))


def _wait(denied: Denied, engine: Engine) -> Wait:
    now, spread = engine.now(), 1 + engine.random.random()
    if denied.code == OVER_BUDGET:
        return Wait(State.READY, _after(now, _REPEAT_AGAIN_S * spread), None)
    until = _after(now, (_ROOM_AGAIN_S if denied.code == BUSY else _LOOK_AGAIN_S) * spread)
    ends = denied.expected_at
    if ends is not None:
        opened = _after(ends, _OPENED_S * (spread - 1))
        until = opened if denied.code == CLOSED else min(until, opened)
    return Wait(State.HELD, until, denied.code, f"{WAITS_FOR}{denied.destination}", expected_at=ends)


def _after(at: Micros, seconds: float) -> Micros:
    return Micros(at + round(seconds * 1_000_000))
