"""Every row of the table: a fault, an engine, a size. `Ground` is what they run on.

Sizes: `SUITE` is for `pytest`, `SHORT` for `make survive`, `LONG` for `make survive-long`.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests import postgresql
from tests.bus.broker import PrivateBroker
from tests.faults.clocks import JumpingClock, library
from tests.faults.disks import FailingWrites, SmallDisk, fiu, may_mount, small_server
from tests.faults.proxy import FaultProxy
from tests.required import required
from tests.survival import disks, freezes, partners
from tests.survival.broker import BrokerFaults
from tests.survival.center import ENDINGS, WELL, Center
from tests.survival.database import Restarts
from tests.survival.forks import ForkedInstallation
from tests.survival.freezes import Freezes
from tests.survival.home import SERVERS, SQLITE, Changes, Home, Servers, prepared, servers
from tests.survival.home import SHORT as BASICS
from tests.survival.jumps import ENDINGS as PUT_OFF
from tests.survival.jumps import Jumps
from tests.survival.kills import AROUND_THE_CALL, EVERYWHERE, Kills
from tests.survival.members import damage
from tests.survival.partners import PartnerFaults
from tests.survival.restores import restored
from tests.survival.rolling import Program, RollingRestarts
from tests.survival.row import Row
from tests.survival.spawner import Spawner


class Size(IntEnum):
    SUITE = 0
    SHORT = 1
    LONG = 2


SUITE, SHORT, LONG = Size

#: The small disk: a database of a few thousand lines, and its log.
_DISK_MB: Final = 48
#: The same of a server, without its log of writes: without that it could not go on.
_DISK_OF_SERVER_MB: Final = 96
#: What must stay free of it before intake stops, in the proportion of the shipped configuration.
_ROOM: Final[Changes] = {
    "gateway.yaml": {
        "pressure.disk_free.stop_below": 6_000_000,
        "pressure.disk_free.go_on_above": 10_000_000,
        # Writes that still find room in the log are taken until the next look.
        "pressure.look_every_s": 0.5,
    }
}


@dataclass
class Ground:
    """The servers and the process that gateways are forked off, started when first needed."""

    _stack: ExitStack = field(default_factory=ExitStack)
    _servers: Servers | None = None
    _spawners: dict[str, Spawner] = field(default_factory=dict)
    #: Shared by every gateway that is forked off the spawner under it.
    clock: JumpingClock | None = None

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(_temporary()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def servers(self) -> Servers:
        if self._servers is None:
            self._servers = self._stack.enter_context(servers())
        return self._servers

    def spawner(self, *, jumping: bool = False) -> Spawner:
        name = "jumping" if jumping else "plain"
        if name not in self._spawners:
            if jumping:
                self.clock = JumpingClock(self._folder / "offset")
            spawner = Spawner(env=self.clock.env if jumping and self.clock else {})
            self._stack.callback(spawner.stop)
            spawner.start()
            self._spawners[name] = spawner
        return self._spawners[name]

    @contextmanager
    def home(
        self,
        engine: str,
        *,
        broken_broker: bool = False,
        jumping: bool = False,
        servers: Servers | None = None,
        **given: Any,
    ) -> Iterator[Home]:
        """A home of its own folder, prepared; everything ended and removed afterwards.

        `servers`: others than this ground's own.
        """
        with _temporary() as folder:
            needs_servers = engine == SERVERS or broken_broker
            given.setdefault("gateways", 2 if engine == SERVERS else 1)
            home = Home(
                folder=Path(folder) / "home",
                spawner=self.spawner(jumping=jumping),
                engine=engine,
                servers=servers or (self.servers if needs_servers else None),
                **given,
            )
            if jumping and self.clock is not None:
                self.clock.jump_to(0)
                home.env |= self.clock.env
            with prepared(home):
                yield home


@contextmanager
def _temporary() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="survival-")
    try:
        yield folder
    finally:
        if not os.environ.get("GATEWAY_SURVIVE_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


# --- the rows -----------------------------------------------------------------------------------------------


def kills(
    ground: Ground, engine: str, size: Size, seconds: float | None, *,
    partner: str = "deduplicates", mutant: str | None = None, points: tuple[str, ...] | None = None,
    count: int | None = None,
) -> Row:  # fmt: skip
    counts = {"deduplicates": (14, 60, 1_000), "can_be_asked": (5, 30, 300), "neither": (3, 20, 150)}
    endings = WELL if mutant else ENDINGS
    with ground.home(engine, foreign_affairs=partner, mutant=mutant) as home:
        center = Center(home, endings=endings)
        run = Kills(
            home,
            center,
            points or (EVERYWHERE if partner == "deduplicates" or size > SUITE else AROUND_THE_CALL),
        )
        return run.run(count or counts[partner][size], seconds=seconds, rest_s=8 if mutant else 120)


def kills_shared(
    ground: Ground, engine: str, size: Size, seconds: float | None, *, partner: str, mutant: str | None = None
) -> Row:
    """As `kills`, of the processes of one group at one SQLite file."""
    given = {"gateways": 2, "group": True, "foreign_affairs": partner, "mutant": mutant}
    with ground.home(engine, **given) as home:
        run = Kills(home, Center(home), AROUND_THE_CALL if size == SUITE else EVERYWHERE, turn=2)
        row = run.run((4, 30, 300)[size], seconds=seconds, rest_s=8 if mutant else 120)
        row.fault = f"SIGKILL of processes of one group, partner {partner}"
        row.other["broken"] += damage(home.data / "gateway.db")
        return row


def frozen(
    ground: Ground, engine: str, size: Size, seconds: float | None, *,
    mutant: str | None = None, points: tuple[str, ...] | None = None, frozen_s: float | None = None,
    latency_ms: float = 50,
) -> Row:  # fmt: skip
    given = {**freezes.options(), "latency_ms": latency_ms, "mutant": mutant}
    with ground.home(engine, **given) as home:
        run = Freezes(home, Center(home, endings=WELL), points or freezes.POINTS, frozen_s)
        return run.run((2, 14, 56)[size], seconds=seconds)


def broker(
    ground: Ground, engine: str, size: Size, seconds: float | None, *,
    mutant: str | None = None, brief: bool = False,
) -> Row:  # fmt: skip
    kills_, resets, commands = ((1, 6, 200), (4, 30, 1_000), (40, 500, 10_000))[size]
    if mutant:
        kills_, resets, commands = (0, 0, 20) if brief else (2, 24, 300)
    with (
        FaultProxy(ground.servers.rabbitmq.port) as proxy,
        ground.home(engine, broken_broker=True, broker_port=proxy.port, mutant=mutant) as home,
    ):
        center = Center(home, lines=5, endings=WELL)
        run = BrokerFaults(home, center, ground.servers, proxy, commands)
        run.publishes = 1 if mutant else (1, 3, 10)[size]
        if brief:
            run.still_s = 5
        return run.run(kills_, resets, seconds=seconds)


def database(
    ground: Ground, engine: str, size: Size, seconds: float | None, *,
    mutant: str | None = None, cuts_each: int = 4, lines: int = 5,
) -> Row:  # fmt: skip
    with (
        FaultProxy(ground.servers.postgresql.port) as proxy,
        ground.home(engine, database_port=proxy.port, mutant=mutant) as home,
    ):
        center = Center(home, lines=lines)
        run = Restarts(home, center, ground.servers, proxy, cuts_each=cuts_each, rest_s=8 if mutant else 90)
        return run.run(1 if mutant else (2, 10, 100)[size], seconds=seconds)


def disk_full(
    ground: Ground, engine: str, size: Size, seconds: float | None, *, mutant: str | None = None
) -> Row:
    times, rest_s = (1, 3, 10)[size], 1 if mutant else 90
    if engine == SERVERS:
        with small_server(_DISK_OF_SERVER_MB) as (server, disk):
            given = _disk_options(mutant) | {"gateways": 1}
            of_its_own = Servers(server, ground.servers.rabbitmq)
            with ground.home(engine, servers=of_its_own, **given) as home:
                run = disks.filled(home, Center(home, lines=40, endings=WELL), disk)
                return run.run(times, seconds=seconds, rest_s=rest_s)
    given = _disk_options(mutant, _ROOM)
    with ground.home(engine, **given) as home, SmallDisk(home.data, _DISK_MB) as disk:
        row = disks.filled(home, Center(home, lines=2, endings=WELL), disk).run(
            times, seconds=seconds, rest_s=rest_s
        )
        home.kill()
        return row


def disk_failing(ground: Ground, engine: str, size: Size, seconds: float | None, *, number: int) -> Row:
    with _temporary() as folder:
        writes = FailingWrites(Path(folder))
        with ground.home(engine, launcher=writes.launcher, **_disk_options(None)) as home:
            center = Center(home, lines=2, endings=WELL)
            return disks.failing(home, center, writes, number).run((1, 3, 10)[size], seconds=seconds)


def _disk_options(mutant: str | None, *changes: Changes) -> dict[str, Any]:
    given = (BASICS, disks.LEASE, *changes)
    return {"changes": given, "latency_ms": disks.LATENCY_MS, "mutant": mutant}


def partner_fault(
    ground: Ground, engine: str, size: Size, seconds: float | None, *,
    victim: str, weather: str, mutant: str | None = None,
) -> Row:  # fmt: skip
    longest_s = 600.0 if weather == "down" else 60.0
    baseline_s, outage_s = ((3.0, 6.0), (6.0, 15.0), (15.0, longest_s))[size]
    if seconds is not None:
        baseline_s, outage_s = min(baseline_s, 0.2 * seconds), min(outage_s, 0.5 * seconds)
    with FaultProxy(0) as proxy:
        changes = partners.proxied(victim, proxy)
        with ground.home(engine, changes=changes, mutant=mutant) as home:
            center = Center(home, lines=3, endings=WELL)
            return PartnerFaults(home, center, proxy, victim, weather).run(baseline_s, outage_s)


def jumps(
    ground: Ground, engine: str, size: Size, seconds: float | None, *, mutant: str | None = None
) -> Row:
    with ground.home(engine, jumping=True, mutant=mutant) as home:
        clock = ground.clock
        if clock is None:
            raise AssertionError("no clock to turn")
        center = Center(home, lines=5, endings=PUT_OFF)
        run = Jumps(home, center, clock)
        return run.run((6, 24, 150)[size], seconds=seconds, rest_s=3 if mutant else 90)


def rolling(
    ground: Ground, engine: str, size: Size, seconds: float | None, *, mutant: str | None = None
) -> Row:
    with ground.home(engine, gateways=1, changes=()) as home, _temporary() as folder:
        program = Program(Path(folder), mutant)
        run = RollingRestarts(home, Center(home, lines=3, endings=WELL), program)
        return run.run((0, 2, 20)[size], seconds=seconds, rest_s=3 if mutant else 90)


def restore(
    ground: Ground, engine: str, size: Size, seconds: float | None, *,
    partner: str, mutant: str | None = None,
) -> Row:  # fmt: skip
    forked = partial(ForkedInstallation, spawner=ground.spawner(), mutant=mutant)
    with _temporary() as folder:
        needed = ground.servers if engine == SERVERS else None
        return restored(
            Path(folder), engine, needed, partner, (1, 1, 5)[size], installed=forked, seconds=seconds
        )


# --- the table ----------------------------------------------------------------------------------------------

Run = Callable[[Ground, str, Size, "float | None"], Row]
_BOTH: Final = (SQLITE, SERVERS)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, the engines that it is run on, and its share of a limited time."""

    run: Run
    engines: tuple[str, ...] = _BOTH
    share: float = 1.0


TABLE: Final[Mapping[str, Entry]] = {
    "kills": Entry(kills, share=8),
    "kills-can-be-asked": Entry(partial(kills, partner="can_be_asked"), share=2),
    "kills-neither": Entry(partial(kills, partner="neither"), share=1),
    "kills-shared": Entry(partial(kills_shared, partner="deduplicates"), (SQLITE,), share=4),
    "kills-shared-can-be-asked": Entry(partial(kills_shared, partner="can_be_asked"), (SQLITE,), share=2),
    "kills-shared-neither": Entry(partial(kills_shared, partner="neither"), (SQLITE,), share=1),
    "frozen": Entry(frozen, share=4),
    "broker": Entry(broker, share=6),
    "database": Entry(database, (SERVERS,), share=6),
    "disk-full": Entry(disk_full),
    "disk-io-error": Entry(partial(disk_failing, number=errno.EIO), (SQLITE,)),
    "disk-read-only": Entry(partial(disk_failing, number=errno.EROFS), (SQLITE,)),
    **{
        f"partner-{weather}-{victim}": Entry(
            partial(partner_fault, victim=victim, weather=weather), (SQLITE,)
        )
        for victim in partners.VICTIMS
        for weather in partners.WEATHERS
    },
    "partner-down-everywhere": Entry(
        partial(partner_fault, victim="foreign-affairs", weather="down"), (SERVERS,)
    ),
    "clock": Entry(jumps, share=2),
    "rolling": Entry(rolling, share=2),
    **{
        f"restore-{partner}": Entry(partial(restore, partner=partner))
        for partner in ("deduplicates", "can_be_asked", "neither")
    },
}


def missing(name: str, engine: str) -> str | None:
    """What a row needs and is not here."""
    needs_broker = engine == SERVERS or name == "broker"
    if needs_broker and PrivateBroker.script() is None:
        return "RabbitMQ (rabbitmq-server)"
    if engine == SERVERS and not postgresql.available():
        return "PostgreSQL"
    if name == "disk-full" and not may_mount():
        return "the right to mount a file system"
    if name in ("disk-io-error", "disk-read-only") and not fiu():
        return "libfiu (fiu-utils)"
    if name == "clock" and library() is None:
        return "libfaketime"
    return None


def shown_to_hold(ground: Ground, name: str, engine: str) -> Row:
    """Run a row as a test does; one that can't run here is skipped, or fails where services are required."""
    if lacking := missing(name, engine):
        required(lacking, None)
    row = TABLE[name].run(ground, engine, SUITE, None)
    assert not row.faults(), row.faults()
    assert row.runs > 0
    assert row.accepted > 0
    return row
