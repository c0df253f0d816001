"""One destination as a process guards it: what it knows of the partner, its places, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random
from typing import Final

from msgspec import Struct

from gateway.clock import micros, moment
from gateway.ledger.partners import PartnerState
from gateway.message import Micros
from gateway.policies.breaker import CircuitState, Window, may_probe, too_many, tripped
from gateway.policies.calendar import closed_until
from gateway.policies.rate import BLOCK_S, Block
from gateway.policies.retry_budget import RetryAccount
from gateway.settings import Destination
from gateway.settings.protection import Breaker
from gateway.values import replace

#: Why a call is put off: codes of `schemas/error_codes.yaml`.
PAUSED: Final = "destination_paused"
CLOSED: Final = "partner_closed"
UNAVAILABLE: Final = "partner_unavailable"
BUSY: Final = "partner_busy"
#: Not shown to anybody: the message stays in progress.
OVER_BUDGET: Final = "retry_put_off"
#: Of a permit that somebody in line was given a moment ago.
_JUST_NOW: Final = Micros(0)
#: A call that takes longer than this, in microseconds, no longer keeps others from being carried.
_SLOW: Final = 1_000_000


class Denied(Struct, frozen=True):
    """No call now."""

    destination: str
    code: str
    #: When that may end by itself, if anybody knows.
    expected_at: Micros | None = None
    #: The one call by which it is found out whether the partner is back is due.
    probe: bool = False


class Permit:
    """May make one call, and holds a place meanwhile. Ended once; ending it again does nothing."""

    __slots__ = ("began", "epoch", "guard", "open", "probe")

    def __init__(self, guard: PartnerGuard, now: Micros, probe: str | None = None) -> None:
        self.guard = guard
        self.began = now
        self.epoch = guard.epoch
        #: What the circuit knows this call by, if it is a probe.
        self.probe = probe
        self.open = True

    def give_back(self) -> None:
        """Nothing was sent, or its end says nothing of the partner."""
        if self.open:
            self.open = False
            self.guard.leave(self)


class PartnerGuard:
    """Used in one event loop. Every method but those of waiting returns at once."""

    __slots__ = (
        "_account", "_budget_us", "_has_hours", "_in_a_row", "_line", "_policy", "_window", "_window_us",
        "_written", "chunk", "epoch", "held", "last_success_at", "limit", "name", "permits",
        "probe_wanted_at", "state", "tokens", "tokens_until", "told_success_at",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = PartnerState(name)
        #: Changes with the circuit: what was sent before says nothing of it any more.
        self.epoch = 0
        self.permits: set[Permit] = set()
        self.limit = 1
        #: None: its rate is not bounded.
        self.tokens: int | None = None
        self.tokens_until = Micros(0)
        self.last_success_at = Micros(0)
        #: As the ledger was last told.
        self.told_success_at = Micros(0)
        #: Messages that found no place since anybody looked; how many were woken the last time.
        self.held = False
        self.chunk = 0
        #: When a message was last woken to find out whether the partner is back.
        self.probe_wanted_at = Micros(0)
        #: The configuration in force when it was last asked.
        self._policy: Destination | None = None
        self._has_hours = False
        self._window_us = self._budget_us = 1
        self._window = Window()
        #: Failures since the last call that went well.
        self._in_a_row = 0
        self._account = RetryAccount()
        self._line: deque[asyncio.Future[Permit | None]] = deque()
        #: Changes of ours on their way to the ledger.
        self._written = 0

    @property
    def waiting(self) -> int:
        """How many messages wait for a place."""
        return len(self._line)

    def slow(self, now: Micros) -> int:
        """How many of its calls take long."""
        return sum(_JUST_NOW < permit.began < now - _SLOW for permit in self.permits)

    # asking

    def ask(self, policy: Destination, now: Micros, *, repeated: bool) -> Permit | Denied:
        """A permit if one is free."""
        denied = self.closed(policy, now)
        if denied is not None:
            return denied
        if repeated and not self.may_repeat(policy, now):
            return Denied(self.name, OVER_BUDGET)
        if self.tokens is not None and self.tokens_until <= now:
            self.tokens = 0
        if self._line or not self._has_room():
            return Denied(self.name, BUSY)
        return self._let_in(now)

    def may_repeat(self, policy: Destination, now: Micros) -> bool:
        """Whether its budget of repeated calls has room for one more."""
        return self._account.allows(now, policy.retry_budget)

    def closed(self, policy: Destination, now: Micros) -> Denied | None:
        """Whether nobody calls it now: paused, closed by its calendar, or its circuit open."""
        if policy is not self._policy:
            self._use(policy)
        state = self.state
        if state.pause is not None and state.pause.in_force(now):
            return Denied(self.name, PAUSED, state.pause.until)
        if self._has_hours and (opens := closed_until(policy.calendar, moment(now))) is not None:
            return Denied(self.name, CLOSED, micros(opens))
        if state.circuit.state is CircuitState.CLOSED:
            return None
        return Denied(self.name, UNAVAILABLE, probe=may_probe(state.circuit, now))

    def _use(self, policy: Destination) -> None:
        """What is looked at with every call, taken out of the configuration once."""
        self._policy = policy
        self.limit = policy.concurrency
        self.tokens = None if policy.rate is None else self.tokens or 0
        self._has_hours = bool(policy.calendar.weekly or policy.calendar.once)
        self._window_us = round(policy.breaker.window_s * 1_000_000)
        self._budget_us = round(policy.retry_budget.window_s * 1_000_000)

    def probe(self, now: Micros, prober: str) -> Permit:
        """The one call of a circuit that is half open: it needs no free place."""
        return self._let_in(now, prober)

    def sent(self, now: Micros, *, repeated: bool) -> None:
        """A permit was given out for this call."""
        self._account.note(now, self._budget_us, repeated=repeated)

    def _has_room(self) -> bool:
        return len(self.permits) < self.limit and self.tokens != 0

    def _let_in(self, now: Micros, prober: str | None = None) -> Permit:
        permit = Permit(self, now, prober)
        self.permits.add(permit)
        if self.tokens:
            self.tokens -= 1
        return permit

    # waiting

    async def wait_for_place(self, longest_s: float) -> Permit | None:
        """Stand in line. None: it took too long, or nobody calls this partner any more."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Permit | None] = loop.create_future()
        self._line.append(turn)
        too_long = loop.call_later(longest_s, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn in self._line:
                self._line.remove(turn)
            elif not turn.cancelled() and (permit := turn.result()) is not None:
                permit.give_back()  # it was let in a moment before it was ended
            raise
        finally:
            too_long.cancel()

    def _give_up(self, turn: asyncio.Future[Permit | None]) -> None:
        if not turn.done():
            self._line.remove(turn)
            turn.set_result(None)

    def serve(self) -> None:
        """Let in as many of those in line as there is room for."""
        while self._line and self._has_room():
            turn = self._line.popleft()
            if not turn.done():  # else whoever stood there was ended
                turn.set_result(self._let_in(_JUST_NOW))

    def turn_away(self) -> None:
        """Nobody is let in for now."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(None)

    def filled(self, block: Block, now: Micros) -> None:
        """Tokens were taken out of the bucket that all processes share."""
        left = self.tokens if self.tokens is not None and self.tokens_until > now else 0
        self.tokens = left + block.tokens
        self.tokens_until = Micros(now + round(BLOCK_S * 1_000_000))
        self.serve()

    # ends of calls

    def leave(self, permit: Permit) -> None:
        """A place is free."""
        self.permits.discard(permit)
        if self._line:
            self.serve()

    def count(self, permit: Permit, now: Micros, policy: Breaker, *, well: bool) -> bool:
        """Note how a call ended. True when so many failed that the circuit has to open."""
        if well:
            self.last_success_at = now
        if permit.epoch != self.epoch or not self.state.circuit.closed:
            return False
        self._window.count(now, self._window_us, 1, not well)
        if well:
            self._in_a_row = 0
            return False
        self._in_a_row += 1
        return too_many(*self._window.sums(now, self._window_us), self._in_a_row, policy)

    # what all processes know

    def know(self, state: PartnerState) -> None:
        """What was read, unless we know better."""
        if not self._written and state.revision >= self.state.revision:
            self._take(state)

    def open_at_once(self, policy: Breaker, now: Micros, random: Random) -> None:
        """Before the ledger is told: nothing more leaves this process."""
        circuit = tripped(self.state.circuit, now, policy, random)
        if circuit is not None:
            self._take(replace(self.state, circuit=circuit))

    def writing(self) -> None:
        """A change of ours is on its way: what is read meanwhile may be older."""
        self._written += 1

    def written(self, state: PartnerState | None) -> None:
        """It came to this. None: it could not be written, and the next look tells how things are."""
        self._written -= 1
        if state is not None and state.revision >= self.state.revision:
            self._take(replace(state, awaited=self.state.awaited))

    def _take(self, state: PartnerState) -> None:
        before, self.state = self.state.circuit, state
        if before.state is not state.circuit.state:
            self.epoch += 1
            self._window.clear()
            self._in_a_row = 0
        if not state.circuit.closed or state.pause is not None:
            self.turn_away()
