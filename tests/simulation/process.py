"""One gateway process of a run: killed, frozen, started anew, on a machine whose clock may be wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeVar

from gateway.errors import Unavailable
from gateway.pipeline.engine import Engine
from gateway.pipeline.worker import Worker
from gateway.settings import Settings
from gateway.values import replace
from gateway.webhooks.courier import Courier
from tests.simulation.broker import WEBHOOKS, Receivers
from tests.simulation.clock import VirtualClock
from tests.simulation.ledger import SimulatedLedger
from tests.simulation.loop import Handle, VirtualLoop
from tests.simulation.settings import SWEEP_S

T = TypeVar("T")
_SECRETS: Final = (b"a secret of the simulation",)


class ConnectionLost(Exception):
    """The process that was asked died, or was not heard of for too long."""


class GatewayProcess:
    """See `loop.Owner`. `slot` names the machine; a process started anew there is another object."""

    def __init__(
        self,
        slot: int,
        engine: Engine,
        ledger: SimulatedLedger,
        clock: VirtualClock,
        loop: VirtualLoop,
        random: Random,
        noted: Callable[..., None],
    ) -> None:
        self.slot = slot
        self.alive, self.frozen = True, False
        self.parked: list[Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.died_at: float | None = None
        self.engine = engine
        self.clock = clock
        self._ledger = ledger
        self._loop = loop
        self._random = random
        self._noted = noted
        self._asked: dict[asyncio.Future[Any], asyncio.Task[None]] = {}
        self.worker = Worker(engine)

    # --- life

    def start(self, leads: Callable[[GatewayProcess], bool], receivers: Receivers) -> None:
        """Open the ledger, then carry; deliver to webhooks for as long as it leads."""
        self._loop.spawn(self._run(leads, receivers), self)

    async def _run(self, leads: Callable[[GatewayProcess], bool], receivers: Receivers) -> None:
        await self._opened()
        self._loop.spawn(self.worker.run(), self)
        while True:
            if leads(self):
                await self._deliver(receivers)
            await asyncio.sleep(SWEEP_S * (1 + self._random.random()))

    async def _opened(self) -> None:
        """Where the ledger can't be opened the process ends, and whoever supervises it starts it again."""
        while True:
            try:
                return await self._ledger.open()
            except Unavailable:
                await asyncio.sleep(2.0)

    async def _deliver(self, receivers: Receivers) -> None:
        for party, webhook in WEBHOOKS.items():
            client: Any = receivers.client(party)
            courier = Courier(self.engine, party, webhook, _SECRETS, client, lambda: False)
            try:
                await courier.round()
            except Exception:  # as `Webhooks` does: the next round may well succeed
                continue

    def use(self, changed: Callable[[Settings], Settings]) -> None:
        """Take another configuration: what is carried ends under the one it began with (`Gateway.use`)."""
        self.worker.drain()
        self.engine = replace(self.engine, settings=changed(self.engine.settings))
        self.worker = Worker(self.engine)
        self._loop.spawn(self.worker.run(), self)

    def kill(self) -> None:
        """As by SIGKILL: nothing of it runs again, and what it had in memory is gone."""
        self.alive, self._ledger.gone = False, True
        self.died_at = self._loop.time()
        self.parked = []
        for asked in self._asked:
            if not asked.done():
                asked.set_exception(ConnectionLost())
        for task in self.tasks:
            if not task.done():
                _discard(task)
        self.tasks = []

    def freeze(self) -> None:
        """As by SIGSTOP."""
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False
        self._loop.thaw(self)

    # --- what is asked of it

    async def ask(self, work: Callable[[Engine], Any], patience_s: float = 20.0) -> Any:
        """A request to this process. Raises what it answers, or `ConnectionLost`."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if not self.alive:
            raise ConnectionLost
        self._asked[answer] = self._loop.spawn(self._serve(work, answer), self)
        try:
            async with asyncio.timeout(patience_s):
                return await answer
        except TimeoutError:
            if self._random.random() < 0.5:  # the server notices that the client has gone
                self._asked[answer].cancel()
            raise ConnectionLost from None
        finally:
            del self._asked[answer]

    async def _serve(self, work: Callable[[Engine], Any], answer: asyncio.Future[Any]) -> None:
        try:
            result = await work(self.engine)
        except Exception as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            self._noted("served", self.slot)
            if not answer.done():
                answer.set_result(result)


def _discard(task: asyncio.Task[Any]) -> None:
    """Without letting it clean up: its ledger refuses all that it may still try."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    try:
        task.get_coro().close()  # type: ignore[union-attr]
    except BaseException:
        return
