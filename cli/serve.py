"""`serve`: the gateway until SIGTERM; SIGHUP makes it read its configuration anew."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from cli.bootstrap import build, prepared_directory
from cli.databases import database_file
from cli.group import Membership, membership
from cli.reload import reload_when
from cli.supervisor import Supervisor, command_line
from gateway.clock import SteppedClock, SystemClock
from gateway.errors import Misconfigured
from gateway.ledger.sqlite.connection import SQLITE_VERSION, has_wal_fault
from gateway.observe import tracing
from gateway.observe.crash import arm
from gateway.observe.log import configure_logging, log
from gateway.ports import Clock
from gateway.settings import Settings, demo_profile, load
from gateway.web.seat import Role, Seat

#: Set by tests only: where to die (`gateway.observe.crash`).
CRASH_POINT = "GATEWAY_CRASH_POINT"
#: Short waits, for simulated partners: used by the demo and the survival test.
PROFILE = "GATEWAY_PROFILE"
#: Threads that read the ledger get the interpreter sooner than by default, so a status is read sooner.
SWITCH_INTERVAL_S = 0.0005
#: The business date to begin with (YYYY-MM-DD), in the demonstration profile only. Operators set it on.
BUSINESS_DATE = "GATEWAY_BUSINESS_DATE"


def serve(
    config: Path | None, data_dir: Path | None, *, workers: int, role: Role, after_restore: bool
) -> int:
    """Run until SIGTERM or SIGINT, drain, return 0. Raises `Misconfigured`."""
    member = membership(os.environ)

    def read() -> Settings:
        return settings_for(config, data_dir, dict(os.environ))

    settings, clock = read(), clock_for(os.environ)
    _check_embedded(settings, workers, role)
    configure_logging(settings.gateway.log_level)
    if workers > 1 and member is None:
        prepared_directory(settings)
        supervisor = Supervisor(settings, command_line(), workers=workers, role=role)
        return asyncio.run(supervisor.run())
    if point := os.environ.get(CRASH_POINT):
        arm(point)
    log.info("sqlite", action="version", version=SQLITE_VERSION)
    tracing.start(os.environ)
    try:
        run(_serve(settings, read, clock, role, member, after_restore=after_restore))
    finally:
        tracing.stop()
    return 0


def _check_embedded(settings: Settings, workers: int, role: Role) -> None:
    """What a file admits: one process, or several of one group. Raises `Misconfigured`."""
    if database_file(settings) is None:
        return
    if workers != 1 and has_wal_fault():
        raise Misconfigured(
            [
                f"--workers: SQLite {SQLITE_VERSION} is too old for several processes: give --workers 1,"
                " install pysqlite3 0.6 or newer, or use PostgreSQL"
            ]
        )
    if role is not Role.ALL:
        raise Misconfigured([f"--role {role}: the processes at a SQLite ledger all do everything"])


def settings_for(config: Path | None, data_dir: Path | None, env: dict[str, str]) -> Settings:
    """The settings, with the command line's data directory before the environment's before the file's."""
    profile = env.pop(PROFILE, None)
    env.pop(CRASH_POINT, None)
    env.pop(BUSINESS_DATE, None)
    if data_dir is not None:
        env["GATEWAY_DATA_DIR"] = str(data_dir)
    settings = load(config, env)
    return demo_profile(settings) if profile == "demo" else settings


def clock_for(env: Mapping[str, str]) -> Clock:
    """The machine's clock; in a demonstration one whose business date is set. Raises `Misconfigured`."""
    text = env.get(BUSINESS_DATE)
    if text is None:
        return SystemClock()
    if env.get(PROFILE) != "demo":
        raise Misconfigured([f"{BUSINESS_DATE}: for demonstrations only, with {PROFILE}=demo"])
    try:
        return SteppedClock(date.fromisoformat(text))
    except ValueError as error:
        raise Misconfigured([f"{BUSINESS_DATE}: give a date such as 2026-07-01"]) from error


async def _serve(
    settings: Settings,
    read: Callable[[], Settings],
    clock: Clock,
    role: Role,
    member: Membership | None,
    *,
    after_restore: bool,
) -> None:
    gateway = build(settings, clock, Seat(role) if member is None else member.seat())
    stopping, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    if member is not None:
        loop.add_reader(member.lifeline, _orphaned, member.lifeline, stopping)
    await gateway.start(after_restore=after_restore)
    if member is not None:
        member.tell_ready()
    reloading = asyncio.create_task(reload_when(hangup, gateway, read))
    try:
        await gateway.until(stopping)
    finally:
        reloading.cancel()
        await asyncio.wait({reloading})
        await gateway.stop()


def _orphaned(lifeline: int, stopping: asyncio.Event) -> None:
    """Our supervisor is gone, and with it whoever would end or replace us."""
    asyncio.get_running_loop().remove_reader(lifeline)
    log.error("orphaned", action="supervise")
    stopping.set()


def run(main: object) -> None:
    """Run a coroutine on the fastest event loop there is."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        import uvloop
    except ImportError:  # no wheel on this platform: slower, otherwise the same
        asyncio.run(main)  # type: ignore[arg-type]
    else:
        uvloop.run(main)  # type: ignore[arg-type]
