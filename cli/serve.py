"""`serve`: the gateway until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from cli.bootstrap import build
from gateway.errors import Misconfigured
from gateway.ledger.sqlite.connection import SQLITE_VERSION
from gateway.observe.crash import arm
from gateway.observe.log import configure_logging, log
from gateway.settings import Settings, demo_profile, load

#: Set by tests only: where to die (`gateway.observe.crash`).
CRASH_POINT = "GATEWAY_CRASH_POINT"
#: Short waits, for simulated partners: used by the demo and the survival test.
PROFILE = "GATEWAY_PROFILE"


def serve(config: Path | None, data_dir: Path | None, *, workers: int, after_restore: bool) -> int:
    """Run until SIGTERM or SIGINT, drain, return 0. Raises `Misconfigured`."""
    if workers != 1:
        raise Misconfigured(["--workers: the SQLite ledger admits one process; give --workers 1"])
    if after_restore:
        raise Misconfigured(["--after-restore: this version has no restore yet"])
    settings = settings_for(config, data_dir, dict(os.environ))
    configure_logging(settings.gateway.log_level)
    if point := os.environ.get(CRASH_POINT):
        arm(point)
    log.info("sqlite", action="version", version=SQLITE_VERSION)
    run(_serve(settings))
    return 0


def settings_for(config: Path | None, data_dir: Path | None, env: dict[str, str]) -> Settings:
    """The settings, with the command line's data directory before the environment's before the file's."""
    profile = env.pop(PROFILE, None)
    env.pop(CRASH_POINT, None)
    if data_dir is not None:
        env["GATEWAY_DATA_DIR"] = str(data_dir)
    settings = load(config, env)
    return demo_profile(settings) if profile == "demo" else settings


async def _serve(settings: Settings) -> None:
    gateway = build(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await gateway.start()
    try:
        await gateway.until(stopping)
    finally:
        await gateway.stop()


def run(main: object) -> None:
    """Run a coroutine on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:  # no wheel on this platform: slower, otherwise the same
        asyncio.run(main)  # type: ignore[arg-type]
    else:
        uvloop.run(main)  # type: ignore[arg-type]
