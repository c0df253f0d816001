"""Another configuration for a running gateway: validated whole, then swapped, or the old one is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import reduce
from typing import Any, Final

from pydantic import BaseModel

from cli.bootstrap import data_directory, rebuild
from cli.gateway import Gateway, Replacement
from cli.ministry_bus import receivers_differ
from gateway.errors import Misconfigured, Unavailable
from gateway.observe.log import configure_logging, log
from gateway.settings import Settings

#: Keys of gateway.yaml that are in force until the process ends: what is bound, opened or handed out once.
FIXED: Final = (
    "listeners",
    "base_url",
    "data_directory",
    "database_url",
    "broker_url",
    "broker",
    "intake.header_timeout_s",
)


async def reload_when(hangup: asyncio.Event, gateway: Gateway, read: Callable[[], Settings]) -> None:
    """Take the configuration anew each time `hangup` is set, for ever."""
    while True:
        await hangup.wait()
        hangup.clear()
        await reload(gateway, read)


async def reload(gateway: Gateway, read: Callable[[], Settings]) -> None:
    """Swap the whole configuration, or keep it and say every fault in the log. The metric tells which."""
    try:
        await gateway.use(await asyncio.to_thread(_replacement, gateway, read))
    # The border: whatever is wrong with the new configuration, the gateway goes on with the old one.
    except Exception as error:
        _tell_refused(error)
        gateway.engine.metrics.config_reloaded.set(0)
    else:
        settings = gateway.engine.settings
        configure_logging(settings.gateway.log_level)
        gateway.engine.metrics.config_reloaded.set(1)
        log.info("config_reloaded", action="reload", version=gateway.engine.versions())


def _replacement(gateway: Gateway, read: Callable[[], Settings]) -> Replacement:
    """Reading files and contracts takes a while: in a thread, so that nobody waits for it."""
    running = gateway.engine.settings
    wanted = read()
    kept = with_fixed(wanted, running)
    for key in FIXED:
        if _at(wanted.gateway, key) != _at(running.gateway, key):
            _tell_needs_restart(f"gateway.yaml: {key}")
    bus = gateway.leaders_work.bus
    if bus is not None and receivers_differ(bus, kept, data_directory(kept)):
        _tell_needs_restart("parties.yaml: encryption_key")
    return rebuild(kept, gateway.engine)


def _tell_needs_restart(where: str) -> None:
    log.warning("needs_restart", action="reload", where=where, code="needs_restart")


def with_fixed(wanted: Settings, running: Settings) -> Settings:
    """The wanted settings, except for what can't change while the gateway runs."""
    gateway: Any = wanted.gateway
    for key in FIXED:
        gateway = _with(gateway, key.split("."), _at(running.gateway, key))
    return wanted.model_copy(update={"gateway": gateway})


def _at(part: BaseModel, key: str) -> Any:
    return reduce(getattr, key.split("."), part)


def _with(part: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    return part.model_copy(update={name: _with(getattr(part, name), rest, value) if rest else value})


def _tell_refused(error: Exception) -> None:
    if isinstance(error, Misconfigured):
        for fault in error.faults:
            where, _, text = fault.partition(": ")
            log.error("config_fault", action="reload", where=where, error=text)
    elif isinstance(error, Unavailable):
        log.error("config_fault", action="reload", code=error.code)
    else:
        log.exception("config_fault", action="reload")
    log.error("config_kept", action="reload", code="misconfigured")
