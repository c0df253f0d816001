"""`simulate`: stand-ins of the partner systems, servers of the same contracts, all on one port."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from adapters.foreign_affairs.simulator import ForeignAffairsSimulator, Mode
from adapters.interior.simulator import NicSimulator, PassportsSimulator
from adapters.registries.simulator import (
    BanksSimulator,
    DuesSimulator,
    GosiSimulator,
    IataSimulator,
    RegistrySimulator,
)
from cli.serve import run
from gateway.clock import SteppedClock, SystemClock
from gateway.errors import Misconfigured
from gateway.soap.security.loading import demo_partner_security
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity

_HOST = "127.0.0.1"
_Simulator = NicSimulator | PassportsSimulator | ForeignAffairsSimulator | RegistrySimulator


def simulate(
    port: int,
    seed: int,
    latency_ms: float,
    foreign_affairs: Mode,
    state: Path | None,
    business_date: date | None,
    soap_keys: Path | None = None,
) -> int:
    """Serve until SIGTERM. Prints `{"url": …}` on stdout once it listens.

    `state` is a folder in which Foreign Affairs keeps what it issued, across restarts and kills; without
    it everything is forgotten at the end. With `business_date` their date stands still, until
    `PUT /_business-date` moves it on. `soap_keys` is the folder of a demonstration's keys: a partner that
    has one there signs, and takes signed messages only. Raises `Misconfigured` when the port is taken.
    """
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
    clock = SystemClock() if business_date is None else SteppedClock(business_date)
    security = {name: _security(name, soap_keys, clock) for name in ("nic", "passports", "foreign-affairs")}
    run(_simulate(port, seed, latency_ms / 1000, foreign_affairs, state, clock, security))
    return 0


def _security(party: str, keys: Path | None, clock: SystemClock) -> MessageSecurity:
    try:
        return UNPROTECTED if keys is None else demo_partner_security(keys, party, clock)
    except ValueError as error:
        raise Misconfigured([f"--soap-keys: {error}"]) from error


async def _simulate(
    port: int,
    seed: int,
    latency_s: float,
    mode: Mode,
    state: Path | None,
    clock: SystemClock,
    security: Mapping[str, MessageSecurity],
) -> None:
    visas = ForeignAffairsSimulator(
        clock,
        seed=seed,
        latency_s=latency_s,
        mode=mode,
        journal=None if state is None else state / "foreign-affairs.jsonl",
        security=security["foreign-affairs"],
    )
    simulators: tuple[_Simulator, ...] = (
        NicSimulator(clock, seed=seed, latency_s=latency_s, security=security["nic"]),
        PassportsSimulator(clock, latency_s=latency_s, security=security["passports"]),
        visas,
        GosiSimulator(clock, latency_s=latency_s),
        DuesSimulator(clock, latency_s=latency_s),
        IataSimulator(clock, latency_s=latency_s),
        BanksSimulator(clock, latency_s=latency_s),
    )
    async with AsyncExitStack() as stack:
        visas.open()
        stack.callback(visas.close)
        url = await _listen(simulators, port, stack, clock)
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        await _until_told_to_stop()


async def _listen(
    simulators: tuple[_Simulator, ...], port: int, stack: AsyncExitStack, clock: SystemClock
) -> str:
    """Bind first: the WSDLs name the address that they are served under."""
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    listener = _bind(port)
    url = f"http://{_HOST}:{listener.getsockname()[1]}"
    for simulator in simulators:
        app.add_routes(simulator.routes(url))
    app.add_routes([web.get("/_evidence", lambda _request: _evidence(simulators))])
    app.add_routes([web.put("/_business-date", partial(_step, clock))])
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listener).start()
    return url


async def _step(clock: SystemClock, request: web.Request) -> web.Response:
    """`{"date": …}`: the partners' date goes on to that day."""
    if not isinstance(clock, SteppedClock):
        raise web.HTTPNotFound
    clock.step_to(date.fromisoformat((await request.json())["date"]))
    return web.Response(status=204)


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError as error:
        listener.close()
        raise Misconfigured([f"--port: {_HOST}:{port} is taken; give another"]) from error
    return listener


async def _evidence(simulators: tuple[_Simulator, ...]) -> web.Response:
    """What the partners really did: the judge of every promise about issuing once."""
    merged: dict[str, Any] = {}
    calls: Counter[str] = Counter()
    for simulator in simulators:
        evidence: Mapping[str, Any] = simulator.evidence()
        calls.update(evidence["calls"])
        merged.update(evidence)
    return web.json_response({**merged, "calls": dict(calls)})


async def _until_told_to_stop() -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
