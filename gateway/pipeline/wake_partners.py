"""Beside the worker: read how all partners stand, and wake what waited for those that take calls again.

By level and not by edge: whatever waits for a partner that takes calls is woken, whoever let it go on and
whenever, so that no moment between a look and a commit can leave a message asleep. A few at first, then twice
as many each time for as long as all of them find a place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.message import Micros
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.partner_guard import PartnerGuard
from gateway.pipeline.protection import Protection
from gateway.settings import Destination

_QUIET_S: Final = 1.0
#: While something is woken, or a probe is about to be due.
_BUSY_S: Final = 0.25
#: How often it is told when partners last answered, in microseconds.
_TELL_EVERY: Final = 5_000_000
_MOST: Final = 1_000
#: How soon a message that was woken to probe has done so, in microseconds; else another is woken.
_PROBE_COMES: Final = 1_000_000


async def keep_waking(in_force: Callable[[], Engine]) -> None:
    """For ever."""
    while True:
        busy = False
        try:
            busy = await wake(in_force())
        except Exception:  # what waits looks by itself after a while, and the next look is near
            log.exception("partners_not_looked_at", action="wake_partners")
        await asyncio.sleep(_BUSY_S if busy else _QUIET_S)


async def wake(engine: Engine) -> bool:
    """Look once. Whether the next look should come soon."""
    protection = engine.protection
    now = engine.now()
    await protection.look(engine.ledger, engine.settings.destinations, now)
    protection.slow = sum(guard.slow(now) for guard in protection.guards.values())
    if protection.slow:
        protection.room_made()
    await _tell_successes(protection, now, engine)
    busy = False
    for name, policy in engine.settings.destinations.items():
        guard = protection.guard(name)
        most = how_many(guard, policy, now)
        if most and await engine.ledger.wake_put_off(name, most, now=now):
            engine.hints.notify()
        busy |= bool(most) or not guard.state.circuit.closed
    return busy


def how_many(guard: PartnerGuard, policy: Destination, now: Micros) -> int:
    """How many of those that wait for this partner may go on."""
    held, guard.held = guard.held, False
    denied = guard.closed(policy, now)
    if denied is not None or not guard.state.awaited:
        guard.chunk = 0
        return int(denied is not None and denied.probe and _one_to_probe(guard, now))
    if guard.waiting * 2 > policy.waiting.places:
        return 0
    first = policy.concurrency
    grown = guard.chunk // 2 if held else guard.chunk * 2
    guard.chunk = min(_MOST, max(first, grown))
    return guard.chunk


def _one_to_probe(guard: PartnerGuard, now: Micros) -> bool:
    """One message is enough to find out whether a partner is back, if it comes to it."""
    if not guard.state.awaited or now - guard.probe_wanted_at < _PROBE_COMES:
        return False
    guard.probe_wanted_at = now
    return True


async def _tell_successes(protection: Protection, now: Micros, engine: Engine) -> None:
    if now - protection.told_at < _TELL_EVERY:
        return
    protection.told_at = now
    well = [guard for guard in protection.guards.values() if guard.last_success_at > guard.told_success_at]
    if not well:
        return
    await engine.ledger.note_successes({guard.name: guard.last_success_at for guard in well})
    for guard in well:
        guard.told_success_at = guard.last_success_at
