"""Intake stops before anything is in danger and goes on by itself; what was taken in is carried meanwhile."""

from __future__ import annotations

import asyncio
import resource as limits_of
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from adapters.service_centers.sample import sample_batch
from gateway.errors import Unavailable
from gateway.ledger.records import Gauge
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import Micros
from gateway.observe.memory import resident_bytes
from gateway.observe.metrics import Metrics
from gateway.pipeline.admit import admit
from gateway.pipeline.pressure import IntakePaused, Pressure, Resource
from gateway.pipeline.take import Arrival, take
from gateway.settings.pressure import Ceiling, Floor
from gateway.settings.pressure import Pressure as Limits
from gateway.states import State
from gateway.values import replace
from tests.faults.disks import SmallDisk
from tests.pipeline.world import World, open_world, submission

_LIMITS = Limits(
    look_every_s=0.01,
    disk_free=Floor(stop_below=100, go_on_above=200),
    database=Ceiling(stop_above=1000, go_on_below=800),
    memory=Ceiling(stop_above=1000, go_on_below=800),
    writer=Ceiling(stop_above=5, go_on_below=1),
    messages=Ceiling(stop_above=1000, go_on_below=800),
)


@dataclass
class Machine:
    """What is looked at, as a test sets it (`pressure.Watched`)."""

    free: int | None = 10_000
    size: int = 0
    memory: int | None = 0
    waiting: int = 0
    #: Seconds that a write takes; the clock goes on by them.
    write_s: float = 0
    now_s: float = 1000.0
    #: What a write raises.
    error: Exception | None = None
    unreadable: bool = False
    #: A write waits for it.
    gate: asyncio.Event | None = None
    writes: list[str] = field(default_factory=list)
    tell: Callable[[], None] = lambda: None

    def when_refused(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    async def probe(self) -> None:
        await self._written("probe")

    async def ready(self) -> bool:
        await self._written("ready")
        return True

    async def _written(self, how: str) -> None:
        self.writes.append(how)
        if self.gate is not None:
            await self.gate.wait()
        self.now_s += self.write_s
        if self.error is not None:
            self.tell()
            raise self.error

    async def free_bytes(self) -> int | None:
        if self.unreadable:
            raise Unavailable("ledger_unavailable")
        return self.free

    async def size_bytes(self) -> int:
        return self.size

    async def gauges(self) -> Sequence[Gauge]:
        return [Gauge("visa.application", State.READY, self.waiting, Micros(0))]


def watching(machine: Machine, limits: Limits = _LIMITS) -> Pressure:
    metrics = Metrics(CollectorRegistry())
    return Pressure(machine, limits, metrics, memory=lambda: machine.memory, now_s=lambda: machine.now_s)


# --- one value to stop at, another to go on at ------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "name", "good", "between", "bad"),
    [
        (Resource.DISK, "free", 500, 150, 99),
        (Resource.DATABASE, "size", 700, 900, 1001),
        (Resource.MEMORY, "memory", 700, 900, 1001),
        (Resource.MESSAGES, "waiting", 700, 900, 1001),
        (Resource.WRITER, "write_s", 0.5, 3, 6),
    ],
)
async def test_intake_stops_at_one_value_and_goes_on_at_another(
    resource: Resource, name: str, good: float, between: float, bad: float
) -> None:
    machine = Machine()
    pressure = watching(machine)
    seen = []
    for value in (good, between, bad, between, bad, between, good, between):
        setattr(machine, name, value)
        await pressure.look()
        seen.append(resource in pressure.pressed)
    assert seen == [False, False, True, True, True, True, False, False]


async def test_a_refusal_says_why_and_when_to_come_back() -> None:
    machine = Machine(free=1)
    pressure = watching(machine)
    await pressure.look()
    with pytest.raises(IntakePaused, match="intake_storage") as refused:
        pressure.refuse()
    assert 5 <= refused.value.retry_after_s <= 10
    machine.free, machine.memory = 10_000, 10_000
    await pressure.look()
    with pytest.raises(IntakePaused, match="intake_busy"):
        pressure.refuse()
    machine.memory = 0
    await pressure.look()
    pressure.refuse()


async def test_what_is_not_watched_or_not_known_stops_nothing() -> None:
    machine = Machine(free=None, memory=None)
    pressure = watching(machine)
    await pressure.look()
    assert not pressure.pressed
    nothing = watching(
        Machine(free=0, memory=10**9, waiting=10**9, write_s=100),
        Limits(look_every_s=0.01, disk_free=None, memory=None, writer=None),
    )
    await nothing.look()
    assert not nothing.pressed


async def test_what_cannot_be_read_stays_as_it_was() -> None:
    machine = Machine(free=1)
    pressure = watching(machine)
    await pressure.look()
    machine.unreadable = True
    await pressure.look()
    assert pressure.pressed == {Resource.DISK}


async def test_a_write_that_never_ends_stops_intake_while_the_other_readings_go_on() -> None:
    machine = Machine(gate=asyncio.Event())
    pressure = watching(machine)
    await pressure.look()
    assert not pressure.pressed
    machine.now_s += 6
    machine.free = 1
    await pressure.look()
    assert pressure.pressed == {Resource.WRITER, Resource.DISK}
    assert machine.gate is not None
    machine.gate.set()
    machine.gate = None
    machine.free = 500
    await pressure.look()  # the one that hung ends, after six seconds
    await pressure.look()
    assert not pressure.pressed
    assert not pressure.details()


async def test_metrics_and_readiness_tell_the_resource() -> None:
    machine = Machine(free=1)
    pressure = watching(machine)
    await pressure.look()
    metrics = pressure._metrics.registry
    assert metrics.get_sample_value("gateway_intake_pressure", {"resource": "disk"}) == 1
    assert metrics.get_sample_value("gateway_intake_pressure", {"resource": "memory"}) == 0
    assert metrics.get_sample_value("gateway_pressure_reading", {"resource": "disk"}) == 1
    assert pressure.details() == {"pressure": "disk"}


def test_a_value_to_go_on_at_that_is_no_better_is_a_fault() -> None:
    for wrong in (lambda: Floor(stop_below=2, go_on_above=2), lambda: Ceiling(stop_above=2, go_on_below=2)):
        with pytest.raises(ValueError, match="go_on"):
            wrong()


def test_the_memory_of_this_process_is_known() -> None:
    assert (resident_bytes() or 0) > 10_000_000


# --- a ledger that takes nothing --------------------------------------------------------------------------


async def test_a_ledger_that_refused_one_write_stops_intake_at_once_until_a_real_one_is_taken() -> None:
    machine = Machine()
    pressure = watching(machine)
    await pressure.look()
    machine.tell()
    assert pressure.pressed == {Resource.LEDGER}  # without a look
    assert not pressure.writable
    machine.error = Unavailable("ledger_unavailable")
    await pressure.look()
    assert pressure.pressed == {Resource.LEDGER}
    machine.error = None
    await pressure.look()
    assert not pressure.pressed
    assert machine.writes[-1] == "probe"


async def test_a_write_refused_while_another_was_taken_still_counts() -> None:
    machine = Machine()
    pressure = watching(machine)
    machine.tell()
    machine.gate = asyncio.Event()
    looking = asyncio.create_task(pressure.look())
    while not machine.writes:
        await asyncio.sleep(0)
    machine.tell()
    machine.gate.set()
    await looking
    assert pressure.pressed == {Resource.LEDGER}


async def test_a_healthy_ledger_is_written_now_and_then_only() -> None:
    machine = Machine()
    pressure = watching(machine)
    for _ in range(20):
        await pressure.look()
    assert machine.writes.count("probe") == 2


async def test_it_looks_again_and_again_until_it_is_stopped() -> None:
    machine = Machine()
    pressure = watching(machine)
    await pressure.start()
    machine.free = 1
    async with asyncio.timeout(5):
        while not pressure.pressed:
            await asyncio.sleep(0.005)
    await pressure.stop()
    await pressure.stop()
    count = len(machine.writes)
    await asyncio.sleep(0.05)
    assert len(machine.writes) == count


# --- what is half received --------------------------------------------------------------------------------


async def _half(world: World, then: Callable[[], None]) -> Any:
    """A batch of which the second half arrives after something has happened."""
    given = submission([*_document(world)], key="half")
    body = b"".join([piece async for piece in given.body])
    middle = len(body) // 2

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:middle]
        then()
        yield body[middle:]

    return replace(given, body=slowly())


def _document(world: World) -> list[dict[str, Any]]:
    header, lines = sample_batch(600, 7, world.clock.today(), clean=True)
    return [header, *lines]


def under(world: World, machine: Machine) -> Pressure:
    pressure = watching(machine)
    world.engine = replace(world.engine, pressure=pressure)
    return pressure


async def test_a_batch_half_received_when_pressure_begins_is_taken_in_whole(world: World) -> None:
    pressure = under(world, Machine())

    def pressed() -> None:
        pressure._set(frozenset({Resource.MEMORY}))

    receipt = await admit(await _half(world, pressed), world.engine)
    assert receipt.counts == {"total": 600, "accepted": 600}
    with pytest.raises(IntakePaused):
        await world.submit(key="new")


async def test_a_batch_half_received_when_the_reserve_is_reached_is_given_up_whole(world: World) -> None:
    pressure = under(world, Machine())

    def reached() -> None:
        pressure._free_bytes = 49.0

    with pytest.raises(IntakePaused, match="intake_storage"):
        await admit(await _half(world, reached), world.engine)
    assert await world.engine.ledger.gauges() == []
    pressure._free_bytes = None
    receipt = await admit(await _half(world, lambda: None), world.engine)
    assert receipt.counts == {"total": 600, "accepted": 600}
    assert not receipt.replayed


async def test_single_messages_wait_outside_and_what_was_taken_in_is_carried(world: World) -> None:
    receipt = await world.submit(5)
    pressure = under(world, Machine(free=1))
    await pressure.look()
    arrival = Arrival(world.engine.settings.parties[0].id, "licensee.status", {}, "amqp")  # type: ignore[arg-type]
    with pytest.raises(IntakePaused):
        await take(arrival, world.engine)
    await world.carry_until_rest()
    assert (await world.batch(receipt)).counts == {"issued": 5}


# --- real databases in real trouble -----------------------------------------------------------------------


@contextmanager
def full(ledger: SqliteLedger) -> Any:
    """SQLITE_FULL, as a disk quota gives it."""
    writer = ledger._writer._connection
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    yield
    writer.execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def failing(ledger: SqliteLedger) -> Any:
    """SQLITE_IOERR: this process may write no file beyond what it has."""
    before = limits_of.getrlimit(limits_of.RLIMIT_FSIZE)
    limits_of.setrlimit(limits_of.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        limits_of.setrlimit(limits_of.RLIMIT_FSIZE, before)


@contextmanager
def read_only(ledger: SqliteLedger) -> Any:
    """SQLITE_READONLY, as after the kernel has made the file system so."""
    ledger._writer._connection.execute("PRAGMA query_only = ON")
    yield
    ledger._writer._connection.execute("PRAGMA query_only = OFF")


@pytest.mark.parametrize("trouble", [full, failing, read_only])
async def test_what_the_database_does_not_take_is_refused_and_nothing_acknowledged_is_lost(
    world: World, trouble: Callable[[SqliteLedger], Any]
) -> None:
    ledger = world.engine.ledger
    assert isinstance(ledger, SqliteLedger)
    pressure = Pressure(ledger, Limits(look_every_s=0.5), world.engine.metrics)
    world.engine = replace(world.engine, pressure=pressure)
    before = await world.submit(50, key="before")
    with trouble(ledger):
        with pytest.raises(Unavailable):
            await world.submit(world.applications(400, seed=8), key="during")
        assert Resource.LEDGER in pressure.pressed
        with pytest.raises(IntakePaused, match="intake_storage"):
            await world.submit(1, key="meanwhile")
        if trouble is not full:  # a write that needs no room is taken
            await pressure.look()
            assert Resource.LEDGER in pressure.pressed
            (first, *_) = await world.rows(before.batch_id)
            with pytest.raises(Unavailable):
                await ledger.cancel(first.id, actor="sc-01", now=world.engine.now())
    await pressure.look()
    assert not pressure.pressed
    after = await world.submit(world.applications(20, seed=9), key="after")
    world.clock.pass_by(seconds=61)  # the half-received one's lease is over
    await world.carry_until_rest()
    assert (await world.batch(before)).counts == {"issued": 50}
    assert (await world.batch(after)).counts == {"issued": 20}
    again = await world.submit(world.applications(400, seed=8), key="during")
    assert again.counts == {"total": 400, "accepted": 400}
    entries = await ledger.journal(after=0, limit=100_000)
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))


async def test_a_full_disk_stops_intake_and_room_opens_it(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 16) as disk:
        world = await open_world(disk.folder)
        ledger = world.engine.ledger
        limits = Limits(look_every_s=0.5, disk_free=Floor(stop_below=1e6, go_on_above=2e6))
        pressure = Pressure(ledger, limits, world.engine.metrics)
        world.engine = replace(world.engine, pressure=pressure)
        acknowledged = [await world.submit(20, key="first")]
        disk.fill()
        with pytest.raises(Unavailable):
            for n in range(100):
                lines = world.applications(200, seed=100 + n)
                acknowledged.append(await world.submit(lines, key=f"more-{n}"))
        assert Resource.LEDGER in pressure.pressed
        await pressure.look()
        assert pressure.pressed >= {Resource.DISK}
        disk.free()
        await pressure.look()
        assert not pressure.pressed
        world.clock.pass_by(seconds=61)
        await world.submit(world.applications(20, seed=9), key="after")
        await world.carry_until_rest()
        for receipt in acknowledged:
            assert (await world.batch(receipt)).counts == {"issued": receipt.counts["accepted"]}
        await ledger.close()
