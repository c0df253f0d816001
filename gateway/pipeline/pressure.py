"""Intake stops before disk, database or memory is in danger, and at once when the ledger can't be written.

What is carried goes on: it ends work, and what is kept free is kept for it. Readings are taken once a second,
beside the requests; a request only looks at what they came to. Each resource stops intake at one value and
lets it go on at another, so that it does not flutter.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from gateway.errors import Unavailable
from gateway.ledger.capacity import Capacity
from gateway.ledger.records import Gauge
from gateway.observe.log import log
from gateway.observe.memory import resident_bytes
from gateway.observe.metrics import Metrics
from gateway.settings.pressure import Ceiling, Floor
from gateway.settings.pressure import Pressure as Limits

#: So often a healthy ledger is written for nothing but to see that it can be. One in trouble: at each look.
_PROBE_EVERY: Final = 10
#: What is kept for a batch that is half received: this part of what stops new ones.
_RESERVE: Final = 0.5


class Resource(StrEnum):
    """What intake may have to stop for."""

    #: Bytes free beside the database file.
    DISK = "disk"
    #: Bytes that the database takes.
    DATABASE = "database"
    #: Bytes of memory.
    MEMORY = "memory"
    #: Seconds that a write waits for its commit.
    WRITER = "writer"
    #: Messages that are not final.
    MESSAGES = "messages"
    #: Whether the database takes what is written to it.
    LEDGER = "ledger"


_STORAGE: Final = frozenset({Resource.DISK, Resource.DATABASE, Resource.LEDGER})


class IntakePaused(Unavailable):
    """Nothing new is taken in at present, to keep what was taken in safe."""

    def __init__(self, code: str, retry_after_s: int) -> None:
        super().__init__(code)
        self.retry_after_s = retry_after_s


class Watched(Capacity, Protocol):
    """What is looked at of the ledger."""

    async def ready(self) -> bool: ...

    async def gauges(self) -> Sequence[Gauge]: ...


@dataclass(slots=True)
class _Write:
    """A write under way, to see how long it takes. `failures`: of the ledger's, when it began."""

    task: asyncio.Task[None]
    began_s: float
    failures: int
    real: bool


class Pressure:
    """What intake has to stop for now. One a process; requests read it, `keep` renews it."""

    def __init__(
        self,
        ledger: Watched,
        limits: Limits,
        metrics: Metrics,
        *,
        memory: Callable[[], int | None] = resident_bytes,
        now_s: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        """`now_s` never goes back."""
        self._ledger = ledger
        self.limits = limits
        self._metrics = metrics
        self._memory = memory
        self._now_s = now_s
        self._chance = chance or random.Random()
        self._pressed: frozenset[Resource] = frozenset()
        self._free_bytes: float | None = None
        #: Units of work that the database has not taken.
        self._failures = 0
        self._looks = 0
        self._write: _Write | None = None
        self._keeping: asyncio.Task[None] | None = None
        ledger.when_refused(self._refused)

    # what it came to

    @property
    def pressed(self) -> frozenset[Resource]:
        """Empty: intake is open."""
        return self._pressed

    @property
    def writable(self) -> bool:
        """Whether the ledger takes what is written, and within the time that intake allows it."""
        return not self._pressed & {Resource.LEDGER, Resource.WRITER}

    def refuse(self) -> None:
        """For what is new. Raises `IntakePaused`."""
        if self._pressed:
            code = "intake_storage" if self._pressed & _STORAGE else "intake_busy"
            raise IntakePaused(code, self._retry_after_s())

    def refuse_the_rest(self) -> None:
        """For a batch that is half received: it goes on into the reserve, and is given up as a whole there.

        Raises `IntakePaused`.
        """
        floor = self.limits.disk_free
        short = floor and self._free_bytes is not None and self._free_bytes < floor.stop_below * _RESERVE
        if short or Resource.LEDGER in self._pressed:
            raise IntakePaused("intake_storage", self._retry_after_s())

    def details(self) -> Mapping[str, str]:
        """For `/readyz`."""
        return {"pressure": ", ".join(sorted(self._pressed))} if self._pressed else {}

    def _retry_after_s(self) -> int:
        return round(self.limits.retry_after_s * (1 + self._chance.random()))

    # how it is kept

    async def start(self) -> None:
        """Look, and from now on again and again."""
        await self.look()
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Safe to call again."""
        tasks = [self._keeping, self._write.task if self._write else None]
        self._keeping = self._write = None
        for task in tasks:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Unavailable):
                    await task

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.limits.look_every_s)
            try:
                await self.look()
            except Exception:  # the next look may succeed; until then it stays as it is
                log.exception("pressure_look_failed", action="pressure")

    async def look(self) -> None:
        """One look at everything."""
        self._looks += 1
        writer_s = await self._writer_s()
        readings = {Resource.MEMORY: _number(self._memory()), Resource.WRITER: writer_s}
        readings |= await self._of_ledger()
        self._free_bytes = readings.get(Resource.DISK)
        pressed = {resource for resource in Resource if self._stops(resource, readings.get(resource))}
        self._set(frozenset(pressed | (self._pressed & {Resource.LEDGER})))
        for resource, value in readings.items():
            if value is not None:
                self._metrics.pressure_reading.labels(resource).set(value)

    def _stops(self, resource: Resource, value: float | None) -> bool:
        """What can't be read stays as it was."""
        limit, before = self._limit(resource), resource in self._pressed
        if limit is None:
            return False
        return before if value is None else limit.pressed(value, before)

    def _limit(self, resource: Resource) -> Floor | Ceiling | None:
        limits = self.limits
        by_resource: Mapping[Resource, Floor | Ceiling | None] = {
            Resource.DISK: limits.disk_free,
            Resource.DATABASE: limits.database,
            Resource.MEMORY: limits.memory,
            Resource.WRITER: limits.writer,
            Resource.MESSAGES: limits.messages,
        }
        return by_resource.get(resource)

    async def _of_ledger(self) -> dict[Resource, float | None]:
        """Only where there is a limit: asking has its price."""
        asked: Mapping[Resource, Callable[[], Awaitable[int | None]]] = {
            Resource.DISK: self._ledger.free_bytes,
            Resource.DATABASE: self._ledger.size_bytes,
            Resource.MESSAGES: self._not_final,
        }
        found: dict[Resource, float | None] = {}
        for resource, ask in asked.items():
            if self._limit(resource) is not None:
                with suppress(Unavailable):
                    found[resource] = _number(await ask())
        return found

    async def _not_final(self) -> int:
        return sum(each.count for each in await self._ledger.gauges())

    async def _writer_s(self) -> float:
        """How long a write waits for its commit: the last one's time, or so far that of the one under way."""
        if self._write is None:
            self._write = self._begin_write()
        write = self._write
        await asyncio.wait({write.task}, timeout=self.limits.look_every_s)
        taken_s = self._now_s() - write.began_s
        if write.task.done():
            self._write = None
            self._ended(write)
        return taken_s

    def _begin_write(self) -> _Write:
        real = Resource.LEDGER in self._pressed or self._looks % _PROBE_EVERY == 0
        task = asyncio.create_task(self._ledger.probe() if real else self._wait_in_line())
        return _Write(task, self._now_s(), self._failures, real)

    async def _wait_in_line(self) -> None:
        """A unit of work that writes nothing comes after those before it."""
        await self._ledger.ready()

    def _ended(self, write: _Write) -> None:
        """A real write that was taken, with none refused since it began: the ledger can be written again."""
        failed = not write.task.cancelled() and write.task.exception() is not None
        if not failed and write.real and write.failures == self._failures:
            self._set(self._pressed - {Resource.LEDGER})

    def _refused(self) -> None:
        """The database has not taken a unit of work: nobody waits for the next look."""
        self._failures += 1
        self._set(self._pressed | {Resource.LEDGER})

    def _set(self, pressed: frozenset[Resource]) -> None:
        for resource in pressed - self._pressed:
            log.warning("intake_paused", action="pressure", code=resource)
        for resource in self._pressed - pressed:
            log.info("intake_goes_on", action="pressure", code=resource)
        self._pressed = pressed
        for resource in Resource:
            self._metrics.intake_pressure.labels(resource).set(int(resource in pressed))


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)
