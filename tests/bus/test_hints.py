"""Work hints between processes: told to whoever has room, and never needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from kombu import Connection

from gateway.bus.hints import BATCH, MOST_IDS, SINGLE, BrokerHints, Hint, hints_of
from gateway.bus.link import Broker
from gateway.pipeline.hints import Hints
from tests.bus.broker import PrivateBroker

SHARE = 10


# --- what is told ------------------------------------------------------------------------------------------


def test_who_carries_by_himself_tells_nobody_of_what_he_can_take_at_once() -> None:
    assert hints_of(SHARE, (), SHARE, carries=True) == []
    assert hints_of(1, ("one",), SHARE, carries=True) == []


def test_a_large_batch_is_told_to_as_many_as_it_takes() -> None:
    assert hints_of(35, (), SHARE, carries=True) == [Hint(BATCH)] * 3
    assert hints_of(35, (), SHARE, carries=False) == [Hint(BATCH)] * 4
    assert len(hints_of(1_000_000, (), SHARE, carries=False)) == 16


def test_single_messages_are_told_by_their_ids_apart_from_batches() -> None:
    ids = tuple(str(number) for number in range(MOST_IDS + 1))
    told = hints_of(len(ids), ids, SHARE, carries=False)
    assert [hint.queue for hint in told] == [SINGLE, SINGLE]
    assert [len(hint.ids) for hint in told] == [MOST_IDS, 1]
    assert told[0].body() == b"[" + b", ".join(f'"{each}"'.encode() for each in ids[:MOST_IDS]) + b"]"


# --- over a broker --------------------------------------------------------------------------------------


class Process:
    """One process's hints. `room` is whether it goes on to wait for the next."""

    def __init__(self, url: str, *, carries: bool) -> None:
        broker = Broker(url, first_retry_s=0.05, longest_retry_s=0.5)
        self.linked = asyncio.Event()
        self._sides = {"hints_out", "hints_in"} if carries else {"hints_out"}
        self._loop = asyncio.get_running_loop()
        self.hints = BrokerHints(Hints(), broker, share=SHARE, carries=carries, on_connected=self._connected)

    def _connected(self, side: str, connected: bool) -> None:
        (self._sides.discard if connected else self._sides.add)(side)
        self._loop.call_soon_threadsafe(self.linked.clear if self._sides else self.linked.set)

    async def start(self) -> None:
        await self.hints.start()
        await self.is_linked()

    async def is_linked(self) -> None:
        async with asyncio.timeout(60):
            await self.linked.wait()

    async def hears(self, within_s: float = 20) -> bool:
        """Whether a hint comes; this process has room for it."""
        began = self._loop.time()
        await self.hints.wait(within_s)
        return self._loop.time() - began < within_s


@pytest.fixture
async def processes(broker_url: str) -> AsyncIterator[tuple[Process, Process, Process]]:
    """One that only tells, and two that carry."""
    if broker_url.startswith("amqp"):
        _empty(broker_url)
    made = (Process(broker_url, carries=False), *(Process(broker_url, carries=True) for _ in range(2)))
    for each in made:
        await each.start()
    yield made  # type: ignore[misc]
    for each in made:
        await each.hints.stop()


def _empty(url: str) -> None:
    with Connection(url) as connection:
        for name in (SINGLE, BATCH):
            with connection.channel() as channel:
                channel.queue_delete(name)


async def test_whoever_has_room_hears_of_a_message(processes: tuple[Process, Process, Process]) -> None:
    api, one, two = processes
    hearing = [asyncio.create_task(each.hears()) for each in (one, two)]
    api.hints.notify(1, ("a message",))
    done, others = await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result() for task in done] == [True]
    for task in others:
        task.cancel()


async def test_one_that_is_full_leaves_the_next_hint_to_another(
    processes: tuple[Process, Process, Process],
) -> None:
    api, one, two = processes
    # Both are told once; neither has used what it holds. The third hint waits for whoever does.
    api.hints.notify(2 * SHARE)
    assert await asyncio.gather(one.hears(), two.hears()) == [True, True]
    api.hints.notify(SHARE)
    assert not await _heard_meanwhile(one, two)
    assert await two.hears()


async def _heard_meanwhile(*processes: Process) -> bool:
    """Whether the local side of any was woken, while none of them asks for more."""
    local = [process.hints._local for process in processes]
    waits = [asyncio.create_task(_woken(each)) for each in local]
    found = await asyncio.gather(*waits)
    return any(found)


async def _woken(local: object) -> bool:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await local.wait(0.5)  # type: ignore[attr-defined]
    return loop.time() - began < 0.5


async def test_without_the_broker_telling_costs_nothing_and_goes_on_afterwards(
    rabbitmq_url: str, rabbitmq: PrivateBroker
) -> None:
    _empty(rabbitmq_url)
    api, worker = Process(rabbitmq_url, carries=False), Process(rabbitmq_url, carries=True)
    for each in (api, worker):
        await each.start()
    await asyncio.to_thread(rabbitmq.kill)
    for _ in range(5_000):
        api.hints.notify()
    assert len(api.hints.waiting) <= 1_000
    await asyncio.to_thread(rabbitmq.start)
    for each in (api, worker):
        await each.is_linked()
    assert await worker.hears()
    for each in (api, worker):
        await each.hints.stop()
