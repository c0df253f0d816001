"""A gateway without its edges: real ledger, vault, policies and pipeline; scripted partners, manual clock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from prometheus_client import CollectorRegistry

from adapters.service_centers import READERS
from adapters.service_centers.sample import sample_batch
from cli.reference import load_initial
from gateway.ledger.port import BatchRow, Ledger, MessageRow
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.ledger.vault import open_vault
from gateway.message import Answered, BatchId, PartyId
from gateway.observe.metrics import Metrics
from gateway.pipeline.admit import admit
from gateway.pipeline.carry import carry
from gateway.pipeline.engine import Engine
from gateway.pipeline.hints import Hints
from gateway.pipeline.inquire import inquire
from gateway.pipeline.intake import Receipt, Submission
from gateway.policies.confidentiality import NeedToKnow
from gateway.settings import Settings, demo_profile, load
from gateway.states import State
from gateway.values import replace
from tests.doubles import ISSUED, OPERATIONS, ManualClock, Reply, ScriptedPartner, issuing

CENTER = PartyId("sc-01")


@dataclass
class World:
    """One gateway, driven a step at a time."""

    engine: Engine
    clock: ManualClock
    nic: ScriptedPartner
    passports: ScriptedPartner
    foreign_affairs: ScriptedPartner

    async def submit(
        self, applications: list[dict[str, Any]] | int = 1, *, key: str = "key-1", **options: Any
    ) -> Receipt:
        """Hand in a batch of valid applications (or these) as NDJSON."""
        header, lines = sample_batch(
            applications if isinstance(applications, int) else 1, 7, self.clock.today(), clean=True
        )
        body = [header, *(lines if isinstance(applications, int) else applications)]
        return await admit(submission(body, key=key, **options), self.engine)

    def applications(self, count: int, seed: int = 7) -> list[dict[str, Any]]:
        return list(sample_batch(count, seed, self.clock.today(), clean=True)[1])

    async def carry_due(self) -> int:
        """One round of the worker: sweep, claim, carry or inquire each. Returns how many were claimed."""
        engine = self.engine
        await engine.ledger.sweep(now=engine.now(), release=10_000)
        lease = engine.now() + 60_000_000
        claimed = await engine.ledger.claim("w", 1000, now=engine.now(), lease_until=lease)  # type: ignore[arg-type]
        for message in claimed:
            await (carry if message.state is State.CARRIED else inquire)(message, engine)
        return len(claimed)

    async def carry_until_rest(self, *, step_s: float = 0.25, rounds: int = 200) -> None:
        """Rounds with time passing in between, until nothing more is due by itself."""
        idle = 0
        for _ in range(rounds):
            idle = 0 if await self.carry_due() else idle + 1
            if idle > 8:
                return
            self.clock.pass_by(seconds=step_s)

    async def rows(self, batch_id: BatchId | None) -> list[MessageRow]:
        assert batch_id is not None
        return list(await self.engine.ledger.lines(batch_id, after_line=0, limit=100_000))

    async def only(self, receipt: Receipt) -> MessageRow:
        (row,) = await self.rows(receipt.batch_id)
        return row

    async def batch(self, receipt: Receipt) -> BatchRow:
        assert receipt.batch_id is not None
        row = await self.engine.ledger.batch(receipt.batch_id)
        assert row is not None
        return row

    def with_destination(self, name: str, **changes: Any) -> None:
        """Change what the partner can be relied on for."""
        settings = self.engine.settings
        destination = settings.destinations[name].model_copy(update=changes)
        destinations: Mapping[str, Any] = {**settings.destinations, name: destination}
        self.engine = replace(
            self.engine, settings=settings.model_copy(update={"destinations": destinations})
        )


def submission(body: list[dict[str, Any]], *, key: str = "key-1", **options: Any) -> Submission:
    text = b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in body)
    fields: dict[str, Any] = {
        "party": CENTER,
        "idempotency_key": key,
        "media_type": "application/x-ndjson",
        "mode": "lines",
        "dry_run": False,
        "reader": READERS["application/x-ndjson"],
        **options,
    }
    return Submission(**fields, body=stream(text))


async def stream(data: bytes, size: int = 4096) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@cache
def shipped_settings() -> Settings:
    return demo_profile(load(Path(__file__).parents[2] / "config" / "gateway.yaml", {}))


def willing(destination: str) -> dict[str, list[Reply]]:
    """Answers with nothing in them to everything that this partner may be asked."""
    asked = [operation for operation in OPERATIONS.values() if operation.destination == destination]
    exchanges = [one for it in asked for one in (it.call, it.follow_up, it.inquiry) if one is not None]
    return {one.action: [Answered({})] for one in exchanges}


async def open_world(folder: Path, open_ledger: Callable[[ManualClock], Ledger] | None = None) -> World:
    """On SQLite, unless another ledger is given."""
    clock = ManualClock()
    settings = shipped_settings()
    ledger = SqliteLedger(folder / "ledger.db", clock) if open_ledger is None else open_ledger(clock)
    await ledger.open()
    await load_initial(settings, ledger, clock.today())
    partners = {name: ScriptedPartner(willing(name)) for name in settings.destinations}
    nic, passports, foreign = (partners[name] for name in ("nic", "passports", "foreign-affairs"))
    foreign.scripts |= {"IssueVisa": [issuing()], "GetVisaStatus": [ISSUED]}
    engine = Engine(
        settings=settings,
        ledger=ledger,
        vault=open_vault(folder / "keys", settings.gateway.retention, clock),
        clock=clock,
        hints=Hints(),
        metrics=Metrics(CollectorRegistry()),
        need_to_know=NeedToKnow(settings.confidentiality),
        operations=OPERATIONS,
        partners=partners,
        random=Random(1),
    )
    return World(engine, clock, nic, passports, foreign)
