"""FastStream on RabbitMQ, asyncio, with zeep's AsyncClient: the two checks at once, then the visa.

faststream run benchmarks.peers.faststream_peer:app --workers 2
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from psycopg_pool import AsyncConnectionPool

from benchmarks.peers import records
from benchmarks.peers.calls import AsyncPartners
from benchmarks.peers.settings import BROKER_URL, DATABASE_URL, PREFETCH
from benchmarks.peers.wording import CLEARANCE, ISSUANCE, VERIFICATION

_CHECK = RabbitQueue("peer.faststream.check", durable=True)
_ISSUE = RabbitQueue("peer.faststream.issue", durable=True)

broker = RabbitBroker(
    BROKER_URL,
    default_channel=Channel(prefetch_count=PREFETCH, publisher_confirms=True),
    logger=None,
    graceful_timeout=10,
)
app = FastStream(broker, logger=logging.getLogger("peer"))


class Opened:
    """What is made at the start of a process."""

    partners: AsyncPartners
    database: AsyncConnectionPool[Any]


@app.on_startup
async def open_all() -> None:
    Opened.partners = AsyncPartners(connections=4 * PREFETCH)
    Opened.database = AsyncConnectionPool(
        DATABASE_URL, min_size=2, max_size=min(PREFETCH, 20), kwargs={"autocommit": True}, open=False
    )
    await Opened.database.open(wait=True)


@app.after_shutdown
async def close_all() -> None:
    await Opened.database.close()
    await Opened.partners.close()


@broker.subscriber(_CHECK, ack_policy=AckPolicy.NACK_ON_ERROR)
async def check(application_id: str) -> None:
    """Safe to repeat. Committed before it is acknowledged."""
    document, done = await _open(application_id)
    if VERIFICATION.operation not in done:
        call, line, batch = Opened.partners.call, document["line"], document["batch"]
        cleared, valid = await asyncio.gather(
            call(CLEARANCE, application_id, line, batch), call(VERIFICATION, application_id, line, batch)
        )
        await _execute(
            records.KEEP_TWO,
            (application_id, CLEARANCE.operation, cleared, application_id, VERIFICATION.operation, valid),
        )
    await broker.publish(application_id, _ISSUE, persist=True)


@broker.subscriber(_ISSUE, ack_policy=AckPolicy.NACK_ON_ERROR)
async def issue(application_id: str) -> None:
    document, done = await _open(application_id)
    if ISSUANCE.operation not in done:
        number = await Opened.partners.call(ISSUANCE, application_id, document["line"], document["batch"])
        await _execute(records.KEEP, (application_id, ISSUANCE.operation, number))


async def _open(application_id: str) -> tuple[Any, list[str]]:
    async with Opened.database.connection() as connection:
        found = await (await connection.execute(records.OPEN, (application_id,))).fetchone()
    if found is None:
        raise LookupError(application_id)
    return found[0], found[1]


async def _execute(statement: Any, values: tuple[str, ...]) -> None:
    async with Opened.database.connection() as connection:
        await connection.execute(statement, values)


_publishing: asyncio.Runner | None = None


def submit(application_ids: list[str]) -> None:
    """After they were committed. For a process of its own: it keeps a loop and a connection."""
    global _publishing  # noqa: PLW0603
    if _publishing is None:
        _publishing = asyncio.Runner()
        _publishing.run(broker.connect())
    _publishing.run(_publish(application_ids))


async def _publish(application_ids: list[str]) -> None:
    for start in range(0, len(application_ids), PREFETCH):
        some = application_ids[start : start + PREFETCH]
        await asyncio.gather(*(broker.publish(each, _CHECK, persist=True) for each in some))
