"""Leadership: of all processes of an installation one does what is to be done once.

It publishes to the ministry's network and takes commands from it, delivers to webhooks, turns the business
day, goes on with rotations and shreddings, and its group exports the ledger's gauges. Each of these stays
right when two processes do it for a moment: receivers drop what they have seen, a position never goes back, a
day's work is safe to repeat. So a leader that was frozen past its lease does no harm when it wakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.errors import GatewayError
from gateway.ledger.duties import Duties
from gateway.message import Micros
from gateway.observe.log import log
from gateway.ports import Clock

DUTY: Final = "leader"
#: How long after its last sign of life a leader is replaced.
LEASE_S: Final = 10.0
#: How often it gives one, and how often others look.
_STANDS_EVERY_S: Final = 2.0

Turn = Callable[[], Awaitable[None]]


class Leadership:
    """One process's part in the election. Nothing is read or written before `start`."""

    def __init__(self, ledger: Duties, clock: Clock, name: str, *, gained: Turn, lost: Turn) -> None:
        """`name` is this process's own; `gained` and `lost` begin and end what a leader does."""
        self._ledger = ledger
        self._clock = clock
        self._name = name
        self._gained = gained
        self._lost = lost
        self._leads = False
        #: Who leads, as far as is known.
        self._leader = ""
        self._until_boottime_s = 0.0
        self._running: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Whether this process was the leader when it looked last."""
        return self._leads

    @property
    def leads_here(self) -> bool:
        """Whether the leader is this process or one of its group: names are `group/number`."""
        return self._leader.rpartition("/")[0] == self._name.rpartition("/")[0]

    def details(self) -> dict[str, str]:
        """For `/readyz`: what this process is at the moment."""
        return {"leadership": "leads" if self._leads else "follows"}

    async def start(self) -> None:
        """Stand at once, and again and again."""
        await self.stand()
        self._running = asyncio.create_task(self._stand_for_ever())

    async def stop(self) -> None:
        """Give the leadership to whoever stands next. Safe to call again, and before `start`."""
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.wait({self._running})
        self._running = None
        if self._leads:
            await self._step_down()
            try:
                await self._ledger.step_down(DUTY, self._name)
            except GatewayError as error:  # its lease will end by itself
                log.warning("not_stepped_down", action="leader", code=error.code)

    async def stand(self) -> None:
        """Stand once. A leader that can't reach the ledger goes on until its lease ends, and no longer."""
        asked_boottime_s = self._clock.boottime_s()
        now = self._clock.now_us()
        try:
            holder = await self._ledger.stand(
                DUTY, self._name, now=now, until=Micros(now + round(LEASE_S * 1_000_000))
            )
        except GatewayError:
            if self._leads and self._clock.boottime_s() >= self._until_boottime_s:
                await self._step_down()
            return
        self._leader = holder
        if holder == self._name:
            self._until_boottime_s = asked_boottime_s + LEASE_S
        if holder == self._name and not self._leads:
            await self._begin()
        elif holder != self._name and self._leads:
            await self._step_down()

    async def _stand_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_STANDS_EVERY_S)
            try:
                await self.stand()
            except Exception:  # it is tried again in a moment
                log.exception("election_failed", action="leader")

    async def _begin(self) -> None:
        self._leads = True
        log.info("leads", action="leader", state="leads")
        try:
            await self._gained()
        except BaseException:  # a leader that does not do its work must not seem to
            await self._step_down()
            raise

    async def _step_down(self) -> None:
        self._leads = False
        log.info("follows", action="leader", state="follows")
        await self._lost()
