"""The ledger's share of an application's life: CPU and statements of each phase, without any partner.

`python -m benchmarks.ledger_moves [APPLICATIONS] [--group N] [--postgresql]` takes in clean applications and
carries them in groups, so many at once; partners answer from memory and outside the measured time. It prints,
by phase, the CPU microseconds an application that this process used (threads, and what the system did for it,
included; a database server's own not) and the driver's calls for it: one call with many rows counts once.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cli.reference import load_initial
from gateway.ledger.port import Claimed, Move
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.ledger.vault import Vault
from gateway.message import Micros
from gateway.observe.log import configure_logging
from gateway.pipeline.carry import carry
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import begin
from gateway.values import replace
from tests import postgresql
from tests.pipeline.world import World, open_world

_PHASES: Final = ("take in", "claim", "open", "seal", "intent", "settle")
_LEASE_US: Final = 60_000_000


@dataclass
class Meter:
    """CPU seconds and statements by phase."""

    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    statements: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _phase: str = ""

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        self._phase, began = phase, time.process_time()
        yield
        self.cpu[phase] += time.process_time() - began
        self._phase = ""

    def count(self) -> None:
        self.statements[self._phase] += 1

    def print(self, applications: int) -> None:
        print(f"{'an application':16}{'CPU us':>8}{'statements':>12}")
        for name, phases in (*((phase, (phase,)) for phase in _PHASES), ("all", _PHASES)):
            cpu = sum(self.cpu[phase] for phase in phases) * 1_000_000 / applications
            statements = sum(self.statements[phase] for phase in phases) / applications
            print(f"{name:16}{cpu:8.1f}{statements:12.2f}")


class Counting:
    """The writer's connection, telling of each statement."""

    def __init__(self, inner: Any, told: Callable[[], None]) -> None:
        self._inner = inner
        self._told = told

    def execute(self, *given: Any) -> Any:
        self._told()
        return self._inner.execute(*given)

    def executemany(self, *given: Any) -> Any:
        self._told()
        return self._inner.executemany(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class MeasuredLedger:
    """A ledger whose moves wait for each other: those of a whole group are applied, and measured, at once."""

    def __init__(self, inner: Any, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter
        self._group = 0
        self._waiting: list[tuple[Move, asyncio.Future[Any]]] = []

    async def add_lines(self, *given: Any, **named: Any) -> Any:
        with self._meter.during("take in"):
            return await self._inner.add_lines(*given, **named)

    async def claim(self, *given: Any, **named: Any) -> Sequence[Claimed]:
        with self._meter.during("claim"):
            claimed: Sequence[Claimed] = await self._inner.claim(*given, **named)
        self._group = len(claimed)
        return claimed

    async def apply(self, move: Move) -> Any:
        applied = asyncio.get_running_loop().create_future()
        self._waiting.append((move, applied))
        if len(self._waiting) == self._group:
            waiting, self._waiting = self._waiting, []
            with self._meter.during("settle" if move.intent is None else "intent"):
                ends = await asyncio.gather(*(self._inner.apply(move) for move, _ in waiting))
            for (_, future), end in zip(waiting, ends, strict=True):
                future.set_result(end)
        return await applied

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class MeasuredVault(Vault):
    """Measures what is sealed while messages are carried."""

    meter: Meter | None = None

    def seal(self, *given: Any, **named: Any) -> bytes:
        if self.meter is None:
            return super().seal(*given, **named)
        with self.meter.during("seal"):
            return super().seal(*given, **named)


async def carry_all(engine: Engine, group: int, vault: MeasuredVault, meter: Meter) -> None:
    """Group by group, until nothing is left to claim."""
    while True:
        now = engine.now()
        lease_until = Micros(now + _LEASE_US)
        claimed = await engine.ledger.claim("w", group, now=now, lease_until=lease_until)
        if not claimed:
            return
        with meter.during("open"):
            for message in claimed:
                begin(message, engine)
        vault.meter = meter
        await asyncio.gather(*(carry(message, engine) for message in claimed))
        vault.meter = None


async def measure(world: World, inner: Any, connection: str, count: int, group: int) -> Meter:
    """`connection` is how the writer calls its own."""
    meter = Meter()
    writer = getattr(inner, connection)
    writer._connection = Counting(writer._connection, meter.count)
    vault = MeasuredVault(world.engine.vault.keys, world.engine.vault._bucket_of)
    ledger: Any = MeasuredLedger(inner, meter)
    for name in world.engine.settings.destinations:
        world.with_destination(name, concurrency=group)
    world.engine = replace(world.engine, ledger=ledger, vault=vault)
    await world.submit(count)
    await inner.sweep(now=world.engine.now(), release=count)
    await carry_all(world.engine, group, vault, meter)
    gauges = {gauge.state: gauge.count for gauge in await inner.gauges()}
    assert not gauges, gauges
    return meter


async def on_sqlite(count: int, group: int) -> Meter:
    with tempfile.TemporaryDirectory(prefix="umrah-moves-") as folder:
        world = await open_world(Path(folder))
        try:
            return await measure(world, world.engine.ledger, "_writer", count, group)
        finally:
            await world.engine.ledger.close()


async def on_postgresql(count: int, group: int) -> Meter:
    with postgresql.server() as server, tempfile.TemporaryDirectory(prefix="umrah-moves-") as folder:
        world = await open_world(Path(folder))
        await world.engine.ledger.close()
        ledger = PostgresLedger(server.url, world.clock, by_database_time=False)
        await ledger.open()
        try:
            await load_initial(world.engine.settings, ledger, world.clock.today())
            return await measure(world, ledger, "_postgres", count, group)
        finally:
            await ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("applications", type=int, nargs="?", default=1500)
    parser.add_argument("--group", type=int, default=16, help="messages carried at once (default 16)")
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own, not on SQLite")
    given = parser.parse_args()
    configure_logging("error")
    run = on_postgresql if given.postgresql else on_sqlite
    asyncio.run(run(given.applications, given.group)).print(given.applications)


if __name__ == "__main__":
    main()
