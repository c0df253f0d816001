"""A gateway with something sealed in every place, and copies of it, as a thief or a backup has them."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.ledger.journal import GENESIS, line
from gateway.ledger.keeping import STORES, Cursor, Wrapped
from gateway.message import MessageId
from gateway.pipeline import operate, wishes
from gateway.pipeline.photos import keep_photo
from tests.flows.border import number_visas
from tests.flows.office import send
from tests.pipeline.world import CENTER, World

#: In every sealed place one; none of them may ever be read again once it was shredded.
NAME = "Qanaryqanary"
REASON = "the mission was phoned about Qanaryreason"
COMPLAINT = "The bus never came, said Qanarycomplaint."
PHOTO = b"\xff\xd8 Qanaryphoto \xff\xd9"
CANARIES = (NAME, "Qanaryreason", "Qanarycomplaint", "Qanaryphoto")


def applications(world: World, count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Applications of people whose family name is the canary; their passports' zones are left out."""
    made = world.applications(count, seed)
    for one in made:
        one["name"] = {**one["name"], "family": NAME}
        one["passport"].pop("mrz", None)
    return made


@dataclass(frozen=True, slots=True)
class Planted:
    """What was put in: a batch that is completed (its second line rejected), and what else there is."""

    batch_id: str
    application: MessageId
    complaint: MessageId
    passport: tuple[str, str]
    visa_number: str


async def plant(world: World) -> Planted:
    """Something sealed in every store but for a proposal, which nothing that is over has."""
    number_visas(world)
    # The one that travels first is carried first, so its visa's number is known.
    good, broken, third = sorted(applications(world, 3), key=lambda line: str(line["travel"]["arrival_date"]))
    broken["birth_date"] = "1990-02-30"
    receipt = await world.submit([good, broken, third])
    await world.carry_until_rest()
    rows = await world.rows(receipt.batch_id)
    await wishes.confirm_batch(CENTER, rows[0].batch_id, world.engine)  # type: ignore[arg-type]
    await keep_photo(CENTER, hashlib.sha256(PHOTO).hexdigest(), PHOTO, world.engine)
    complaint = await send(world, CENTER, "complaint.submission", text=COMPLAINT)
    (waiting,) = await world.rows((await world.submit(applications(world, 1, 8), key="k2")).batch_id)
    await operate.retry(waiting.id, "operator-1", REASON, world.engine)
    await operate.cancel(waiting.id, "operator-1", REASON, world.engine)
    await wishes.confirm_batch(CENTER, waiting.batch_id, world.engine)  # type: ignore[arg-type]
    passport = good["passport"]
    return Planted(
        str(receipt.batch_id), rows[0].id, complaint.message_id,
        (passport["number"], passport["issuing_state"]), "6000000001",
    )  # fmt: skip


async def sealed_rows(world: World) -> list[Wrapped]:
    """Every row with something sealed."""
    return [row for store in STORES for row in await world.engine.ledger.wrapped(Cursor(store), 100_000)]


def bytes_of_photo() -> str:
    return base64.b64encode(PHOTO).decode()


def backup(folder: Path, name: str) -> Path:
    """A copy of the database files as they lie there, and no key."""
    copied = folder / name
    copied.mkdir()
    for path in folder.glob("ledger.db*"):
        shutil.copy(path, copied / path.name)
    return copied / "ledger.db"


def blobs(database: Path) -> Iterator[tuple[str, str, bytes]]:
    """Table, column and value of all binary values of a database."""
    with sqlite3.connect(database) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            found = connection.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in found.description]
            for row in found:
                yield from ((table, name, value) for name, value in zip(names, row, strict=True)
                            if isinstance(value, bytes))  # fmt: skip
    connection.close()


async def chain_is_whole(world: World) -> bool:
    """Whether each entry follows from the one before it, up to the head that is kept."""
    entries = await world.engine.ledger.journal(after=0, limit=1_000_000)
    digest = GENESIS
    for one in entries:
        digest = hashlib.sha256(digest + line(one.chain, one.number, one.entry)).digest()
        if digest != one.hash:
            return False
    heads = await world.engine.ledger.heads()
    return heads["main"].hash == digest
