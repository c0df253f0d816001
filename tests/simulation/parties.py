"""Those who work with the gateway: centers that submit and cancel, operators who decide, the ministry.

A center sends again under the same key until it has its receipt. Operators ask the register before they
decide, and never decide while a request may still be on its way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Final

from adapters.service_centers import READERS
from adapters.service_centers.sample import sample_batch
from gateway.errors import Conflict, GatewayError
from gateway.ledger.books import Books, Quota
from gateway.message import BatchId, MessageId, PartyId
from gateway.pipeline import operate, wishes
from gateway.pipeline.admit import admit
from gateway.pipeline.engine import Engine
from gateway.pipeline.intake import Receipt, Submission
from gateway.pipeline.take import Arrival, take
from gateway.states import State
from tests.simulation.broker import CENTERS
from tests.simulation.clock import START
from tests.simulation.ledger import Change
from tests.simulation.process import ConnectionLost

if TYPE_CHECKING:
    from tests.simulation.world import World

#: So many persons a center knows: few, so that some are applied for twice.
_PERSONS: Final = 14
_LICENSEES: Final = ("LIC-1001", "LIC-1002")
_FORMAT: Final = "application/x-ndjson"
_OPERATORS: Final = ("operator-1", "operator-2")
_ROUNDS: Final = 400


class Parties:
    """Everybody outside who asks the gateway for something."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"parties/{world.plan.seed}")
        self._tasks: list[asyncio.Task[Any]] = []
        self._submitting = 0
        self._suspended: set[str] = set()
        self._version = 10
        self._lowered = False
        self._lowering = False
        self.receipts: list[Receipt] = []

    def begin(self) -> None:
        """Centers hand in their batches, one after the other; operators look at what is under review."""
        for number, size in enumerate(self._world.plan.batches):
            self._submitting += 1
            self._go(self._submit(number, size))
        self._go(self._decide_reviews())

    def done(self) -> bool:
        return not self._submitting and not self._suspended and not self._lowered

    def discard(self) -> None:
        for task in self._tasks:
            task.cancel()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.get_coro().close()  # type: ignore[union-attr]

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._world.loop.spawn(work, None))

    async def _ask(self, work: Callable[[Engine], Awaitable[Any]]) -> Any:
        """Of whichever process answers at the door. Raises what it answers, or `ConnectionLost`."""
        alive = self._world.alive()
        if not alive:
            raise ConnectionLost
        return await self._random.choice(alive).ask(work)

    # --- centers

    async def _submit(self, number: int, size: int) -> None:
        random, center = self._random, self._random.choice(CENTERS)
        header, persons = _known(center)
        body = _body(header, random.sample(persons, size))
        await asyncio.sleep(random.random() * 20)
        for _ in range(_ROUNDS):
            pause = random.random() * 5
            try:
                receipt = await self._ask(
                    lambda engine: admit(_submission(center, f"key-{number}", body), engine)
                )
            except Conflict as conflict:
                pause = float(conflict.retry_after_s or 1)
            except (ConnectionLost, GatewayError):
                pass
            else:
                self._world.note("receipt", receipt.batch_id, *sorted(receipt.counts.items()))
                self.receipts.append(receipt)
                break
            await asyncio.sleep(pause)
        self._submitting -= 1

    def cancel(self, target: int, id: str | None = None) -> None:
        """That application, or the one of that number."""
        rows = self._world.database.rows(
            "SELECT id, party FROM message WHERE kind = 'visa.application' AND id = coalesce(?, id)"
            " ORDER BY id",
            id,
        )
        if rows:
            row = rows[target % len(rows)]
            party, found = PartyId(row["party"]), MessageId(row["id"])
            self._world.note("cancel", found)
            self._go(self._try(lambda engine: wishes.cancel_application(party, found, engine)))

    def cancel_batch(self, target: int) -> None:
        if self.receipts:
            receipt = self.receipts[target % len(self.receipts)]
            assert receipt.batch_id is not None
            (row,) = self._world.database.rows("SELECT party FROM batch WHERE id = ?", receipt.batch_id)
            party, id = PartyId(row["party"]), BatchId(receipt.batch_id)
            self._world.note("cancel_batch", id)
            self._go(self._try(lambda engine: wishes.cancel_batch(party, id, engine)))

    async def _try(self, work: Callable[[Engine], Awaitable[Any]]) -> bool:
        try:
            await self._ask(work)
        except (ConnectionLost, GatewayError):
            return False
        return True

    # --- operators

    def retry(self, target: int) -> None:
        rows = self._world.database.rows(
            "SELECT id FROM message WHERE state NOT IN ('completed', 'cancelled', 'expired') ORDER BY id"
        )
        if rows:
            id = MessageId(rows[target % len(rows)]["id"])
            self._go(self._try(lambda engine: operate.retry(id, _OPERATORS[0], "to see", engine)))

    async def _decide_reviews(self) -> None:
        while True:
            await asyncio.sleep(4 + self._random.random() * 12)
            rows = self._world.database.rows(
                "SELECT id, kind, parent_id FROM message WHERE state = 'under_review' ORDER BY id"
            )
            for row in rows:
                if self._random.random() < 0.3 and not self._world.calm:
                    await self._decide(row["id"], row["kind"], row["parent_id"])

    async def _decide(self, id: str, kind: str, parent: str | None) -> None:
        """One operator asks the register and puts forward; another asks again and confirms."""
        decision = self._truth(id, kind, parent)
        if decision is None:
            return
        name, number = decision
        proposed = await self._try(
            lambda engine: operate.propose_resolution(
                MessageId(id), _OPERATORS[0], decision=name, visa_number=number, reason="asked", engine=engine
            )
        )
        await asyncio.sleep(self._random.random() * 5)
        again = self._truth(id, kind, parent)
        if proposed and again is not None and again[1] == number and (again[0] == name or number is None):
            self._world.note("confirm", id, name)
            await self._try(lambda engine: operate.confirm_resolution(MessageId(id), _OPERATORS[1], engine))

    def _truth(self, id: str, kind: str, parent: str | None) -> tuple[str, str | None] | None:
        """What the register says of it; None while it can't say."""
        register = self._world.register
        if kind != "visa.application":
            live = register.live(f"{parent}/visa_issuance")
            return ("send_again", None) if live is not None else ("done", None)
        reference = f"{id}/visa_issuance"
        if register.may_still_act(reference):
            return None
        live = register.live(reference)
        if live is not None:
            return "issued", live.number
        return self._random.choice((("refused", None), ("send_again", None)))

    def saw_move(self, change: Change) -> None:
        """A review that ends in another try was decided by two persons: the register expects a repeat."""
        before = (change.before or {}).get("state")
        if before == State.UNDER_REVIEW and change.after["state"] == State.READY:
            reference = f"{change.key}/visa_issuance"
            register = self._world.register
            register.sent_again[reference] = len(register.calls.get(reference, ()))

    # --- the ministry

    def suspend(self, target: int, seconds: float) -> None:
        licensee = _LICENSEES[target % 2]
        if licensee not in self._suspended:
            self._suspended.add(licensee)
            self._go(self._suspend(licensee, seconds))

    async def _suspend(self, licensee: str, seconds: float) -> None:
        await self._put_status(licensee, "suspended")
        await asyncio.sleep(seconds)
        while not await self._put_status(licensee, "active"):
            await asyncio.sleep(3)
        self._suspended.discard(licensee)

    async def _put_status(self, licensee: str, status: str) -> bool:
        self._version += 1
        body = {
            "licensee_id": licensee, "version": self._version, "status": status, "name_en": "A name",
            "name_ar": "اسم", "reason_code": "licence_renewed", "effective_from": "2026-06-17",
        }  # fmt: skip
        arrival = Arrival(PartyId("licensing"), "licensee.status", body, "http")
        return await self._try(lambda engine: take(arrival, engine))

    def lower_ceiling(self, target: int, seconds: float) -> None:
        if not self._lowered:
            self._lowered = self._lowering = True
            self._go(self._lower(seconds))

    async def _lower(self, seconds: float) -> None:
        await self._try(lambda engine: engine.ledger.work(self._lower_now))
        await asyncio.sleep(seconds)
        await self._raise_ceilings()

    def _lower_now(self, books: Books) -> None:
        """A process that was frozen may come to it only when places are to be, or just were, enough again."""
        if self._lowering and not self._world.calm:
            for quota, taken in _quotas(books):
                books.set_ceiling(quota, taken)

    async def _raise_ceilings(self) -> None:
        self._lowering = False
        while not await self._try(lambda engine: engine.ledger.work(_raised)):
            await asyncio.sleep(3)
        self._lowered = False

    def set_right(self) -> None:
        """Places for everybody, so that what waits for one goes on."""
        if self._world.plan.ceiling is not None or self._lowered:
            self._lowered = True
            self._go(self._raise_ceilings())


def _quotas(books: Books) -> list[tuple[Quota, int]]:
    found = []
    for licensee, country in zip(_LICENSEES, ("IDN", "PAK"), strict=True):
        for month in range(1, 13):
            quota = Quota("plan", f"{licensee}/1448-{month:02}/{country}")
            state = books.quota(quota)
            if state is not None:
                found.append((quota, state.taken))
    return found


def _raised(books: Books) -> None:
    for quota, _ in _quotas(books):
        books.set_ceiling(quota, 1_000)


@cache
def _known(center: PartyId) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A batch's header and the persons whom the center applies for: the same in every run."""
    header, lines = sample_batch(_PERSONS, 11, START.date(), clean=True, center=center)
    return header, list(lines)


def _body(header: dict[str, Any], lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in (header, *lines))


def _submission(center: PartyId, key: str, body: bytes) -> Submission:
    async def stream() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        await asyncio.sleep(0.01)
        yield body[len(body) // 2 :]

    return Submission(center, key, _FORMAT, "lines", dry_run=False, reader=READERS[_FORMAT], body=stream())
