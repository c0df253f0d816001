"""A play from its beginning to the verdict: everything gathered while it runs, and judged afterwards."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import aiohttp
from kombu import Connection, Exchange, Message, Queue

from cli.season.offices import BusOffice
from gateway.observe.log import configure_logging
from gateway.settings import Settings
from tests.canary.agreement import disagreements, sent
from tests.canary.capture import Capture
from tests.canary.judge import Judge, Leak, Verdict, expected
from tests.canary.players import MarkingOffice, Sown
from tests.canary.policy import Lists
from tests.canary.stage import Stage, open_stage

CONFIG: Final = Path(__file__).parents[2] / "config"
#: Names of a recorded queue, and of the exchange that it listens to.
_EVENTS: Final = "umrah.events"
_EVERYTHING: Final = "canary.everything"
#: Of SQLite's files (https://sqlite.org/fileformat2.html, 1.3.2 and 4.1).
_PAGE, _WAL_HEADER, _FRAME_HEADER = 4096, 32, 24

Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Performed:
    """What came of a play."""

    verdict: Verdict
    lists: Lists
    sown: Sown
    capture: Capture
    #: Calls to partners that the journal was compared with, and where the two differ.
    compared: int
    disagreements: list[str]
    #: Cells of the policy that should have been seen, and were not.
    unseen: list[tuple[str, str, str, str]]

    @property
    def leaks(self) -> list[Leak]:
        return self.verdict.leaks


async def perform(
    folder: Path,
    play: Play,
    today: date,
    *,
    broker: str | None = None,
    change: Callable[[Settings], Settings] = lambda settings: settings,
    commands: bool = True,
) -> Performed:
    """Play it in a fresh folder and judge by the shipped lists, whatever the gateway was configured with."""
    lists = Lists.read(CONFIG)
    try:
        async with open_stage(folder, today, broker=broker, change=change) as stage:
            async with _recorded_bus(broker, stage.capture):
                await play(stage)
            await _gather(stage, commands=commands)
            if broker is not None:
                _from_queues(stage)
            export = await _exported(stage)
            sorts = {party.id: party.kind for party in stage.gateway.engine.settings.parties}
            while_running = _files(stage.data, "while it runs")
    finally:
        configure_logging("error")
    judge = Judge(lists, stage.sown, sorts)
    verdict = judge.judge(stage.capture)
    _judge_files(
        judge, {**while_running, **_files(stage.data, "after it has stopped"), **_backup(stage.data)}
    )
    judge.nothing("log", "every line", stage.log.getvalue().encode())
    judge.nothing_but_public("audit", "export", export)
    database = stage.data / "gateway.db"
    return Performed(
        verdict,
        lists,
        stage.sown,
        stage.capture,
        len(sent(stage.capture, lists, stage.sown)),
        disagreements(stage.capture, database, lists, stage.sown),
        [cell for cell in expected(lists, stage.sown, sorts) if cell not in verdict.seen],
    )


# --- what is read besides -------------------------------------------------------------------------------


async def _gather(stage: Stage, *, commands: bool) -> None:
    async with aiohttp.ClientSession(trust_env=False) as session:
        for path in ("/metrics", "/readyz", "/livez"):
            async with session.get(stage.admin_url + path) as reply:
                stage.capture.add("metrics", "", path, await reply.read())
    if commands:
        await _commands(stage)


async def _commands(stage: Stage) -> None:
    """What an operator and a center see on their screens."""
    ids = stage.sown.ids
    message = next(id for label, id in ids.items() if "agent_contract.submission" in label)
    operator = ("--data-dir", str(stage.data), "--admin-url", stage.admin_url)
    center = ("--data-dir", str(stage.data), "--url", stage.public_url, "--center", "sc-01")
    batch = next((id for label, id in ids.items() if label in stage.sown.batches), None)
    lines = [
        ("operator", ("messages", "--limit", "1000", "--json", *operator)),
        ("operator", ("show", message, *operator)),
        ("operator", ("why", message, *operator)),
    ]
    if batch is not None:
        lines += [("sc-01", ("results", batch, *center)), ("sc-01", ("status", batch, *center))]
    await asyncio.gather(*(_command(stage, who, *arguments) for who, arguments in lines))


async def _command(stage: Stage, who: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from cli.main import main; raise SystemExit(main())",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    if process.returncode != 0:
        raise AssertionError(f"{arguments[0]}: {errors.decode()[-600:]}")
    channel = "command" if who == "operator" else "answer"
    stage.capture.add(channel, who, f"command {arguments[0]} of a batch", out + errors)


async def _exported(stage: Stage) -> bytes:
    """The audit log as an auditor gets it: over the admin API, by whoever may."""
    for token in sorted((stage.data / "operators").glob("*.token")):
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.get(f"{stage.admin_url}/v1/admin/audit/export", headers=headers) as reply,
        ):
            if reply.status == 200:
                return await reply.read()
    raise AssertionError("nobody may export the audit log")


# --- files --------------------------------------------------------------------------------------------------


def _files(data: Path, when: str) -> dict[str, bytes]:
    """Every file of the data directory: the ledger, its log, keys, tokens."""
    return {
        f"{path.relative_to(data)}, {when}": path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def _backup(data: Path) -> dict[str, bytes]:
    copy = data.parent / "backup.db"
    source, target = sqlite3.connect(data / "gateway.db"), sqlite3.connect(copy)
    with target:
        source.backup(target)
    source.close()
    target.close()
    return {"a backup": copy.read_bytes()}


def _judge_files(judge: Judge, files: dict[str, bytes]) -> None:
    known: set[bytes] = set()
    for name, content in files.items():
        if ".db" in name or name == "a backup":
            judge.nothing_but_public("database", name, _new_pages(name, content, known))
        else:
            judge.nothing("keys and tokens", name, content)


def _new_pages(name: str, content: bytes, known: set[bytes]) -> bytes:
    """The pages that no file before held: a backup is mostly the same ones."""
    first, head = (_WAL_HEADER, _FRAME_HEADER) if "-wal" in name else (0, 0)
    pages = {
        content[at + head : at + head + _PAGE] for at in range(first, len(content), _PAGE + head)
    } - known
    known |= pages
    return b"".join(pages)


# --- the bus ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _recorded_bus(broker: str | None, capture: Capture) -> AsyncIterator[None]:
    """A queue of our own gets a copy of every event, as it passes."""
    if broker is None:
        yield
        return
    with Connection(broker) as connection:
        queue = Queue(_EVERYTHING, Exchange(_EVENTS, type="topic"), routing_key="#", durable=False)
        bound = queue(connection.default_channel)
        bound.declare()
        yield
        await asyncio.to_thread(_drain, bound, capture)
        bound.delete()


def _drain(queue: Queue, capture: Capture) -> None:
    while (message := queue.get(no_ack=True)) is not None:
        raw = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        capture.add(
            "queue", "", f"raw {message.delivery_info.get('routing_key')}", raw + _properties(message)
        )


def _properties(message: Message) -> bytes:
    return json.dumps([message.properties, message.headers], default=str).encode()


def _from_queues(stage: Stage) -> None:
    """What the departments read with their own keys."""
    for office in stage.players.offices:
        inner = office.inner if isinstance(office, MarkingOffice) else office
        if isinstance(inner, BusOffice):
            for event in inner.came:
                body = json.dumps(dict(event.data), ensure_ascii=False).encode()
                stage.capture.add("queue", inner.id, event.kind, body)
