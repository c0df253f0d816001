"""dramatiq, threads in processes, with zeep over requests: an actor a step, each on the durable queue.

dramatiq benchmarks.peers.dramatiq_peer --processes 2 --threads 8
"""

from __future__ import annotations

from functools import cache
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from psycopg_pool import ConnectionPool

from benchmarks.peers import records
from benchmarks.peers.calls import Partners
from benchmarks.peers.settings import BROKER_URL, DATABASE_URL, PREFETCH
from benchmarks.peers.wording import CLEARANCE, ISSUANCE, VERIFICATION, Service


class Opened(dramatiq.Middleware):
    """Reading the WSDLs takes a moment: before the first message."""

    def before_worker_boot(self, broker: Any, worker: Any) -> None:
        partners()
        database()


# Messages are persistent and acknowledged after the actor, as always with this broker.
dramatiq.set_broker(RabbitmqBroker(url=BROKER_URL, confirm_delivery=True))
dramatiq.get_broker().add_middleware(Opened())


@cache
def partners() -> Partners:
    return Partners()


@cache
def database() -> ConnectionPool[Any]:
    return ConnectionPool(
        DATABASE_URL, min_size=2, max_size=min(PREFETCH, 20), kwargs={"autocommit": True}, open=True
    )


@dramatiq.actor(queue_name="peer.dramatiq")
def clear(application_id: str) -> None:
    _step(CLEARANCE, application_id)
    verify.send(application_id)


@dramatiq.actor(queue_name="peer.dramatiq")
def verify(application_id: str) -> None:
    _step(VERIFICATION, application_id)
    issue.send(application_id)


@dramatiq.actor(queue_name="peer.dramatiq")
def issue(application_id: str) -> None:
    _step(ISSUANCE, application_id)


def _step(service: Service, application_id: str) -> None:
    """Committed when this returns. Safe to repeat. The connection is not held during the call."""
    with database().connection() as connection:
        found = connection.execute(records.OPEN, (application_id,)).fetchone()
    if found is None:
        return
    document, done = found
    if service.operation in done:
        return
    kept = partners().call(service, application_id, document["line"], document["batch"])
    with database().connection() as connection:
        connection.execute(records.KEEP, (application_id, service.operation, kept))


def submit(application_ids: list[str]) -> None:
    """After they were committed."""
    for application_id in application_ids:
        clear.send(application_id)
