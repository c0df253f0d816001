"""A whole gateway in one process: begun, given another configuration, drained.

Nothing is opened before `Gateway.start`; everything is given back by `Gateway.stop`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from asyncio import FIRST_COMPLETED
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.leading import LeadersWork
from cli.reference import initial_differs, load_initial
from gateway.bus.hints import BrokerHints
from gateway.errors import Misconfigured
from gateway.message import PartyId
from gateway.observe.exposition import counts_together
from gateway.observe.log import log
from gateway.pipeline.after_restore import stand_after_restore
from gateway.pipeline.day import keep_date
from gateway.pipeline.engine import Engine
from gateway.pipeline.leadership import Leadership
from gateway.pipeline.notary import Notary, note_configuration
from gateway.pipeline.worker import Worker
from gateway.ports import Partner
from gateway.rest import RestPartner
from gateway.settings.certificates import expiries
from gateway.soap import SoapPartner
from gateway.web.authentication import PartyKeys
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens
from gateway.web.seat import ALONE, Role, Seat
from gateway.web.soap_services import SoapDoor, SoapServices, taking


@dataclass(frozen=True, slots=True)
class Replacement:
    """What another configuration comes to, made beside the one in force."""

    engine: Engine
    keys: PartyKeys
    operators: OperatorTokens
    soap_door: SoapDoor
    webhook_secrets: Mapping[PartyId, tuple[bytes, ...]]
    #: Partners that are new, and those that they replace.
    opens: tuple[Partner, ...]
    closes: tuple[Partner, ...]


@dataclass(slots=True)
class Gateway:
    """A whole gateway in one process: web host, worker and ledger."""

    engine: Engine
    host: WebHost
    soap: SoapServices
    #: Signs the audit log.
    notary: Notary
    leaders_work: LeadersWork
    seat: Seat = ALONE
    worker: Worker = field(init=False)
    leadership: Leadership = field(init=False)
    _carrying: asyncio.Task[None] | None = field(default=None, init=False)
    #: Workers of earlier configurations, carrying what they claimed to its rest.
    _retiring: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.worker = Worker(self.engine)
        work = self.leaders_work
        self.leadership = Leadership(
            self.engine.ledger, self.engine.clock, _name(self.seat), gained=work.begin, lost=work.end
        )

    async def start(self, *, after_restore: bool = False) -> None:
        """Open the ledger, load the reference records, listen, carry.

        Raises `Misconfigured` for a ledger that was restored, unless `after_restore` says that this is known.
        """
        began = self.engine.now()
        await self.engine.ledger.open()
        try:
            await stand_after_restore(self.engine, told=after_restore, began=began)
            await self._begin()
        except BaseException:
            await self.stop()
            raise
        log.info("started", action="start", address=self._address())

    async def _begin(self) -> None:
        engine = self.engine
        await keep_date(engine)
        await load_initial(engine.settings, engine.ledger, engine.clock.today())
        await note_configuration(engine.settings, engine.ledger, engine.now())
        await _start(engine.partners.values())
        await self.notary.start()
        await self._watch_pressure()
        await self.host.start()
        tell_expiries(engine)
        if isinstance(engine.hints, BrokerHints):
            await engine.hints.start()
        if self.seat.role.carries:
            await self.leadership.start()
            self._carrying = asyncio.create_task(self.worker.run())

    async def _watch_pressure(self) -> None:
        if self.engine.pressure is not None:
            await self.engine.pressure.start()

    async def _stop_watching(self) -> None:
        if self.engine.pressure is not None:
            await self.engine.pressure.stop()

    def _address(self) -> str:
        return self.host.admin_url if self.seat.role is Role.WORKER else self.host.public_url

    async def until(self, stopping: asyncio.Event) -> None:
        """Return when told to stop. Raises what ended the worker, should it end by itself."""
        told = asyncio.ensure_future(stopping.wait())
        while not told.done():
            carrying = self._carrying
            await asyncio.wait({told} if carrying is None else {told, carrying}, return_when=FIRST_COMPLETED)
            if carrying is not None and carrying.done() and carrying is self._carrying:
                told.cancel()
                return carrying.result()
        return None

    async def use(self, replacement: Replacement) -> None:
        """Go on with another configuration.

        What is under way, requests and messages, ends under the one it began with; only then are its
        partners closed. Raises `Unavailable` when the ledger can't write; nothing is changed then.
        """
        engine = replacement.engine
        if initial_differs(engine.settings, self.engine.settings):
            await load_initial(engine.settings, engine.ledger, engine.clock.today())
        await _start(replacement.opens)
        await note_configuration(engine.settings, engine.ledger, engine.now())
        self.notary.interval_s = engine.settings.gateway.checkpoints.interval_s
        # From here to the end nothing waits, so nobody sees half of each.
        try:
            self.host.use(engine, replacement.keys, replacement.operators)
        except Misconfigured:
            await note_configuration(self.engine.settings, engine.ledger, engine.now())
            raise
        self.soap.use(taking(engine), replacement.soap_door)
        if self.leaders_work.bus is not None:
            self.leaders_work.bus.use(replacement.keys)
        self._retire(replacement.closes)
        self._end_later(self.leaders_work.use(engine, replacement.webhook_secrets))
        tell_expiries(engine)
        if engine.pressure is not None:
            engine.pressure.limits = engine.settings.gateway.pressure
        self.engine, self.worker = engine, Worker(engine)
        if self.seat.role.carries:
            self._carrying = asyncio.create_task(self.worker.run())

    def _retire(self, partners: Iterable[Partner]) -> None:
        """An earlier configuration's worker claims nothing more; its partners close when it has ended."""
        self.worker.drain()
        self._end_later(_retire(self._carrying, partners))

    def _end_later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def stop(self) -> None:
        """Drain: take nothing more in, let what is carried come to rest, close everything."""
        log.info("draining", action="drain")
        await self.host.stop()
        self.worker.drain()
        under_way = {*self._retiring, *(() if self._carrying is None else (self._carrying,))}
        if under_way:
            await asyncio.wait(under_way)
        await self.leadership.stop()
        if isinstance(self.engine.hints, BrokerHints):
            await self.engine.hints.stop()
        for partner in self.engine.partners.values():
            await partner.close()
        await self._stop_watching()
        await self.notary.stop()
        await self.engine.ledger.close()
        log.info("stopped", action="stop")


def _name(seat: Seat) -> str:
    """This process's own name: its group's, which tells who shares its listeners, and a number."""
    return f"{seat.group or socket.gethostname()}/{os.getpid()}"


def tell_expiries(engine: Engine) -> None:
    """Until when certificates hold, for the metric. Reads a few small files."""
    gauge = engine.metrics.certificate_expiry
    if not counts_together():  # where processes count together, what was told stays
        gauge.clear()
    for party, ends in expiries(engine.settings).items():
        gauge.labels(party).set(ends.timestamp())


async def _start(partners: Iterable[Partner]) -> None:
    for partner in partners:
        if isinstance(partner, SoapPartner | RestPartner):
            await partner.start()


async def _retire(carrying: asyncio.Task[None] | None, partners: Iterable[Partner]) -> None:
    """Close an earlier configuration's partners once nothing is carried under it any more."""
    if carrying is not None:
        await asyncio.wait({carrying})
    for partner in partners:
        await partner.close()
    if carrying is not None and (error := carrying.exception()):
        log.error("worker_failed", action="retire", error=type(error).__name__)
