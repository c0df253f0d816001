"""Celery, prefork, with zeep over requests: a task a step, each on the durable queue.

celery -A benchmarks.peers.celery_peer worker --concurrency 2
"""

from __future__ import annotations

from functools import cache
from typing import Any

import psycopg
from celery import Celery
from celery.signals import worker_process_init

from benchmarks.peers import records
from benchmarks.peers.calls import Partners
from benchmarks.peers.settings import BROKER_URL, DATABASE_URL
from benchmarks.peers.wording import CLEARANCE, ISSUANCE, VERIFICATION, Service

app = Celery("peer", broker=BROKER_URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="peer.celery",
    task_default_delivery_mode="persistent",
    worker_prefetch_multiplier=16,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
)
_RETRY: dict[str, Any] = {"autoretry_for": (Exception,), "retry_backoff": True, "max_retries": None}


@worker_process_init.connect
def open_all(**_: Any) -> None:
    """Reading the WSDLs takes a moment: before the first task."""
    partners()
    database()


@cache
def partners() -> Partners:
    return Partners()


@cache
def database() -> psycopg.Connection[Any]:
    """One a process: a child runs one task at a time."""
    return psycopg.connect(DATABASE_URL, autocommit=True)


@app.task(**_RETRY)
def clear(application_id: str) -> None:
    _step(CLEARANCE, application_id)
    verify.delay(application_id)


@app.task(**_RETRY)
def verify(application_id: str) -> None:
    _step(VERIFICATION, application_id)
    issue.delay(application_id)


@app.task(**_RETRY)
def issue(application_id: str) -> None:
    _step(ISSUANCE, application_id)


def _step(service: Service, application_id: str) -> None:
    """Committed when this returns. Safe to repeat."""
    found = database().execute(records.OPEN, (application_id,)).fetchone()
    if found is None:
        return
    document, done = found
    if service.operation in done:
        return
    kept = partners().call(service, application_id, document["line"], document["batch"])
    database().execute(records.KEEP, (application_id, service.operation, kept))


def submit(application_ids: list[str]) -> None:
    """After they were committed."""
    with app.producer_or_acquire() as producer:
        for application_id in application_ids:
            clear.apply_async((application_id,), producer=producer)
