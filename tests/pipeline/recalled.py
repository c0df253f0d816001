"""A world that is copied, goes on, and comes back as it stood then; its partner forgets nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import micros
from gateway.errors import Uncertain
from gateway.ledger.sql import restoring
from gateway.ledger.sqlite.connection import connect_plainly
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import Absent, Answered, CallContext, Verdict
from gateway.pipeline.after_restore import day_of, issuing, stand_after_restore
from gateway.pipeline.engine import Engine
from gateway.ports import PreparedRequest, Statement, StatementRow
from gateway.values import replace
from tests.doubles import ISSUED
from tests.pipeline.world import World, open_world


@dataclass
class Registry:
    """A visa system that remembers: what was issued under which reference, and for whom."""

    deduplicates: bool = True
    #: By reference, every visa in order.
    visas: dict[str, list[str]] = field(default_factory=dict)
    person_of: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    #: Issues, and then the connection drops.
    loses_answers: bool = False
    _number: int = 6_000_000_000

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> PreparedRequest:
        body = f"{context.request_reference} {values.get('passport.number', '')}"
        return PreparedRequest(action, body.encode(), context.message_id)

    async def send(self, request: PreparedRequest, *, send_by_boottime_s: float) -> Mapping[str, Any]:
        reference, passport = request.body.decode().split(" ")
        self.asked.append((request.action, reference))
        if request.action == "CancelVisa":
            return {"verdict": Answered({})}
        issue = request.action == "IssueVisa"
        verdict = self._issue(reference, passport) if issue else self._status(reference)
        if issue and self.loses_answers:
            raise Uncertain("answer_lost")
        return {"verdict": verdict}

    def _issue(self, reference: str, passport: str) -> Verdict:
        if not (self.deduplicates and reference in self.visas):
            self._number += 1
            self.visas.setdefault(reference, []).append(str(self._number))
            self.person_of[str(self._number)] = passport
        return self._status(reference)

    def _status(self, reference: str) -> Verdict:
        numbers = self.visas.get(reference)
        return Answered({**ISSUED.result, "visa_number": numbers[0]}) if numbers else Absent()

    async def close(self) -> None:
        return None

    def issued_twice(self) -> list[str]:
        """Persons with two visas."""
        return [person for person, times in Counter(self.person_of.values()).items() if times > 1]

    def calls(self, action: str) -> list[str]:
        return [reference for name, reference in self.asked if name == action]

    def statement(self, world: World, *, named: bool = True, **changes: Any) -> Statement:
        """Its list of today."""
        rows = [
            StatementRow(
                reference, "issued", number, self.person_of[number] if named else "", self.state(number)
            )
            for reference, numbers in self.visas.items()
            for number in numbers
        ]
        now = world.clock.now()
        return replace(Statement(day_of(micros(now)), now, rows), **changes)

    def state(self, number: str) -> str:
        return self.states.get(self.person_of[number], "")

    #: Issuing state by passport number.
    states: dict[str, str] = field(default_factory=dict)

    def know(self, applications: list[dict[str, Any]]) -> None:
        """What its own clerks know of applicants: where their passports are from."""
        for application in applications:
            passport = application["passport"]
            self.states[passport["number"]] = passport["issuing_state"]


async def open_recalled(folder: Path, registry: Registry) -> World:
    world = await open_world(folder)
    return with_registry(world, registry)


def with_registry(world: World, registry: Registry) -> World:
    partners = {**world.engine.partners, "foreign-affairs": registry}
    world.engine = replace(world.engine, partners=partners)
    return world


async def keep_copy(world: World, folder: Path) -> Path:
    """A backup of the ledger as it stands."""
    assert isinstance(world.engine.ledger, SqliteLedger)
    copy = folder / "copy.db"
    await world.engine.ledger.copy_to(copy, lambda _done, _of: None)
    return copy


async def come_back(world: World, copy: Path, *, marked: bool = True) -> None:
    """The process dies; its ledger is put back as it was copied. Nothing is started yet."""
    ledger = world.engine.ledger
    assert isinstance(ledger, SqliteLedger)
    await ledger.close()
    for old in ledger.folder.glob("ledger.db*"):
        old.unlink()
    shutil.copy(copy, ledger.folder / "ledger.db")
    if marked:
        connection = connect_plainly(ledger.folder / "ledger.db")
        restoring.mark_by_journal(connection, micros(world.clock.now()))
        connection.close()
    again = SqliteLedger(ledger.folder / "ledger.db", world.clock)
    await again.open()
    world.engine = replace(world.engine, ledger=again)


async def take_on(world: World, *, told: bool = True) -> None:
    await stand_after_restore(world.engine, told=told, began=world.engine.now())


def settle_time(engine: Engine) -> float:
    """Seconds after which nothing forgotten can take effect any more, and a little."""
    operation = issuing(engine)
    assert operation is not None
    return engine.destination(operation).longest_processing_s + 1


# --- fixtures ---------------------------------------------------------------------------------------------


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
async def world(tmp_path: Path, registry: Registry) -> AsyncIterator[World]:
    opened = await open_recalled(tmp_path, registry)
    yield opened
    await opened.engine.ledger.close()
