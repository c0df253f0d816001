"""Runs commands in this process, and a whole gateway with its simulated partners beside them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.foreign_affairs.simulator import ForeignAffairsSimulator
from adapters.interior.simulator import NicSimulator, PassportsSimulator
from adapters.service_centers.sample import sample_batch, write_batch
from cli.bootstrap import build
from cli.main import main
from gateway.clock import SystemClock
from gateway.settings import Settings, demo_profile, load

CONFIG = Path(__file__).parents[2] / "config"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Calls `main` with the arguments given."""

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """A web application on a free port, in a thread of its own; its URL."""

    async def start(runner: web.AppRunner) -> str:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    with loop_in_thread() as loop:
        yield asyncio.run_coroutine_threadsafe(start(runner), loop).result(10)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)


@contextmanager
def loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    ready: Future[asyncio.AbstractEventLoop] = Future()

    async def run() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.stop_soon = stopping.set  # type: ignore[attr-defined]
        ready.set_result(loop)
        await stopping.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    loop = ready.result(10)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop_soon)  # type: ignore[attr-defined]
        thread.join(10)


@contextmanager
def gateway(folder: Path) -> Iterator[Mapping[str, str]]:
    """A gateway that can't ask Foreign Affairs, and its partners; the environment that leads to it."""
    clock = SystemClock()
    visas = ForeignAffairsSimulator(clock, seed=1, latency_s=0.0, mode="neither", journal=None)
    with loop_in_thread() as loop:

        def do(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

        partners = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0.1)
        visas.open()
        url = do(_partners(partners, [NicSimulator(clock, seed=1), PassportsSimulator(clock), visas]))
        running = do(_build_and_start(_settings(folder, url)))
        try:
            yield _environment(folder, running.host.public_url, running.host.admin_url)
        finally:
            do(running.stop())
            do(partners.cleanup())
            visas.close()


async def _build_and_start(settings: Settings) -> Any:
    running = build(settings)
    await running.start()
    return running


async def _partners(runner: web.AppRunner, simulators: list[Any]) -> str:
    await asyncio.sleep(0)
    for simulator in simulators:
        runner.app.add_routes(simulator.routes("http://127.0.0.1"))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _settings(folder: Path, partners: str) -> Settings:
    settings = demo_profile(load(None, {"GATEWAY_DATA_DIR": str(folder / "data")}))
    listeners = settings.gateway.listeners
    free = {name: getattr(listeners, name).model_copy(update={"port": 0}) for name in ("public", "admin")}
    gateway = settings.gateway.model_copy(update={"listeners": listeners.model_copy(update=free)})
    destinations = {
        name: destination.model_copy(update={"url": f"{partners}/{name}"} | _mute(name, destination))
        for name, destination in settings.destinations.items()
    }
    return settings.model_copy(update={"gateway": gateway, "destinations": destinations})


def _mute(name: str, destination: Any) -> dict[str, Any]:
    """A lost answer of Foreign Affairs leads to a person at once."""
    if name != "foreign-affairs":
        return {}
    return {"inquiry": destination.inquiry.model_copy(update={"enabled": False})}


def _environment(folder: Path, public_url: str, admin_url: str) -> dict[str, str]:
    """A configuration that says where the gateway listens."""
    config = folder / "config"
    config.mkdir()
    for path in CONFIG.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if path.name == "gateway.yaml":
            text = text.replace("port: 8080", f"port: {public_url.rpartition(':')[2]}")
            text = text.replace("port: 8081", f"port: {admin_url.rpartition(':')[2]}")
        (config / path.name).write_text(text, encoding="utf-8")
    return {"GATEWAY_CONFIG": str(config / "gateway.yaml"), "GATEWAY_DATA_DIR": str(folder / "data")}


_seeds = iter(range(1_000, 1_000_000))


def batch_file(
    path: Path, count: int = 3, *, endings: Mapping[int, str] | None = None, broken: int = 0
) -> Path:
    """A good batch of new people. `endings` of passports by line; the last `broken` lack a birth date."""
    header, lines = sample_batch(count, next(_seeds), SystemClock().today(), clean=True)
    applications = list(lines)
    for line, ending in (endings or {}).items():
        passport = applications[line - 1]["passport"]
        passport["number"] = passport["number"][:-2] + ending
        passport.pop("mrz", None)
    for application in applications[count - broken :]:
        del application["birth_date"]
        application.pop("birth_date_hijri", None)
    with path.open("wb") as out:
        write_batch(path.suffix[1:], header, applications, out)
    return path


def private_key() -> bytes:
    """A fresh Ed25519 key, as a center would have one (PEM)."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
