"""The worker: claims what is due, carries it, and sweeps up what crashes and clocks leave behind."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final

from gateway.clock import micros
from gateway.errors import GatewayError, LeaseLost, Unavailable
from gateway.ledger.port import Claimed, Move
from gateway.message import Micros
from gateway.observe import tracing
from gateway.observe.crash import crash_point
from gateway.observe.log import log
from gateway.pipeline.carry import carry
from gateway.pipeline.engine import Engine
from gateway.pipeline.inquire import inquire
from gateway.pipeline.pace import Pace
from gateway.pipeline.persist import until_committed
from gateway.pipeline.wake_partners import keep_waking
from gateway.settings.gateway import Carrying
from gateway.states import State
from gateway.values import replace

#: Messages in line for a place at a partner keep others from being claimed for so long. Where the line moves,
#: that leaves the next ones their turn by urgency and lane, and a place; where it does not, the others go on.
_LINE_S: Final = 0.05


class Worker:
    """Many messages in flight in one event loop. `run` ends after `drain`, when all of them rest."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._carried: set[asyncio.Task[None]] = set()
        self._rested = asyncio.Event()
        self._draining = asyncio.Event()
        self._pace = Pace(engine.settings.gateway.carrying.in_flight, engine.protection)
        #: When it last claimed, by the loop's clock.
        self._claimed_at = 0.0

    def drain(self) -> None:
        """Claim nothing more."""
        self._draining.set()
        self._engine.hints.notify()

    async def run(self) -> None:
        """Claim, carry and sweep until drained."""
        beside = (self._sweep_for_ever(), self._pace.keep(), keep_waking(lambda: self._engine))
        self._engine.protection.room_made = self._rested.set
        helpers = tuple(asyncio.create_task(helper) for helper in beside)
        try:
            while not self._draining.is_set():
                await self._claim_once()
        finally:
            if self._carried:
                await asyncio.wait(self._carried)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _claim_once(self) -> None:
        carrying = self._engine.settings.gateway.carrying
        room = self._room(carrying)
        if self._carried and room < self._pace.limit // 4 + 1:
            self._pace.reached = True
            await self._until_room()
            return
        self._claimed_at = asyncio.get_running_loop().time()
        claimed = await self._claim(min(room, carrying.claim_size))
        if not claimed:
            await self._engine.hints.wait(carrying.sweep_interval_s)

    def _room(self, carrying: Carrying) -> int:
        """For how many more: by what the processor can serve, and by how many may be under way at all."""
        carried, protection = len(self._carried), self._engine.protection
        at_once = self._pace.limit - carried + protection.at_partners
        if protection.in_line and asyncio.get_running_loop().time() - self._claimed_at >= _LINE_S:
            at_once = max(at_once, self._pace.limit // 4 + 1, carrying.claim_size // 4)
        return min(at_once, carrying.in_flight - carried + protection.aside)

    async def _until_room(self) -> None:
        """Until a message rests or begins to wait for its partner, or those in line had their time."""
        self._rested.clear()
        try:
            async with asyncio.timeout(_LINE_S if self._engine.protection.in_line else None):
                await self._rested.wait()
        except TimeoutError:
            return

    async def _claim(self, limit: int) -> int:
        engine = self._engine
        now = engine.now()
        lease_until = Micros(now + round(engine.settings.gateway.carrying.lease_s * 1_000_000))
        try:
            claimed = await engine.ledger.claim(self._name, limit, now=now, lease_until=lease_until)
        except Exception:  # the next claim may well succeed; nothing is lost meanwhile
            log.exception("claim_failed", action="claim_failed")
            await asyncio.sleep(engine.settings.gateway.carrying.sweep_interval_s)
            return 0
        if claimed:
            crash_point("after_claim")
        for message in claimed:
            self._begin(message)
        return len(claimed)

    def _begin(self, message: Claimed) -> None:
        if message.attempts == 1:
            wait_s = max(0.0, (self._engine.now() - message.received_at) / 1_000_000)
            self._engine.metrics.queue_wait.labels(message.kind).observe(wait_s)
        task = asyncio.create_task(self._carry_one(message, self._engine))
        self._carried.add(task)
        task.add_done_callback(self._came_to_rest)

    def _came_to_rest(self, task: asyncio.Task[None]) -> None:
        self._carried.discard(task)
        self._rested.set()

    async def _carry_one(self, message: Claimed, engine: Engine) -> None:
        step = carry if message.state is State.CARRIED else inquire
        try:
            with tracing.of_message(message.id, step.__name__, kind=message.kind):
                await step(message, engine)
        except LeaseLost:  # somebody else has it now
            log.warning("lease_lost", action="lease_lost", message_id=message.id)
        except (Unavailable, OSError) as error:
            # For as long as a lease the ledger took nothing, or a key could not be written: no fault of its.
            code = error.code if isinstance(error, Unavailable) else type(error).__name__
            log.error("carry_stopped", action="carry_stopped", message_id=message.id, code=code)
        except Exception as error:  # one message's fault must not become another's
            log.exception("carry_failed", action="carry_failed", message_id=message.id)
            await self._set_aside(message, error, engine)

    async def _set_aside(self, message: Claimed, error: Exception, engine: Engine) -> None:
        """A message that can't be carried goes to a person; an open call of it to the inquiry first."""
        try:
            await until_committed(lambda: _put_aside(message, error, engine), message.id, engine)
        except (LeaseLost, Unavailable):
            log.warning("set_aside_failed", action="set_aside_failed", message_id=message.id)

    async def _sweep_for_ever(self) -> None:
        while True:
            engine = self._engine
            carrying = engine.settings.gateway.carrying
            try:
                swept = await engine.ledger.sweep(
                    now=engine.now(),
                    release=carrying.release_chunk,
                    business_now=micros(engine.clock.business_now()),
                )
            except Exception:  # without the sweeper nothing is woken or released: it goes on
                log.exception("sweep_failed", action="sweep_failed")
            else:
                engine.hints.notify(swept.due)
                _tell(swept.leases_ended, swept.expired, swept.abandoned_batches)
            await asyncio.sleep(carrying.sweep_interval_s)


async def _put_aside(message: Claimed, error: Exception, engine: Engine) -> None:
    await engine.ledger.apply(await _aside(message, error, engine))


async def _aside(message: Claimed, error: Exception, engine: Engine) -> Move:
    row = await engine.ledger.message(message.id)
    if row is not None:
        message = replace(
            message,
            open_step=row.open_step,
            send_by=row.send_by,
            progress_revision=row.progress_revision,
        )
    now = engine.now()
    if message.open_step is not None and message.state is State.CARRIED:
        return Move(message, State.UNCERTAIN, now, action="set_aside", actor="worker", next_at=now)
    code = error.code if isinstance(error, GatewayError) else "internal_error"
    return Move(message, State.UNDER_REVIEW, now, action="set_aside", actor="worker", code=code)


def _tell(leases_ended: int, expired: int, abandoned: int) -> None:
    for action, count in (
        ("leases_ended", leases_ended),
        ("expired", expired),
        ("abandoned_batches_discarded", abandoned),
    ):
        if count:
            log.info("swept", action=action, count=count)
