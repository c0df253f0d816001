"""Carrying alone: CPU and rate of clean applications, the gateway in this process beside the simulators.

`python -m benchmarks.carry [APPLICATIONS]` prints CPU an application (process, event loop) and the rate.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from adapters.service_centers.sample import sample_batch
from benchmarks.measure import _running
from cli.bootstrap import Gateway, build
from cli.demo import settings_in
from cli.serve import run
from gateway.observe.log import configure_logging
from gateway.pipeline.admit import admit
from gateway.pipeline.worker import Worker
from tests.pipeline.world import submission


async def carry(count: int, partners: str) -> None:
    """Admit `count` applications, then time how they are carried."""
    with tempfile.TemporaryDirectory(prefix="umrah-carry-") as folder:
        gateway = build(settings_in(Path(folder), partners))
        await gateway.start()
        try:
            await _timed(count, gateway)
        finally:
            await gateway.stop()


async def _timed(count: int, gateway: Gateway) -> None:
    engine = gateway.engine
    gateway.worker.drain()  # nothing is carried while lines come in
    header, lines = sample_batch(count, 7, engine.clock.today(), clean=True)
    receipt = await admit(submission([header, *lines]), engine)
    worker = Worker(engine)
    cpu, loop_cpu, began = time.process_time(), time.thread_time(), time.perf_counter()
    carrying = asyncio.create_task(worker.run())
    while True:
        batch = receipt.batch_id and await engine.ledger.batch(receipt.batch_id)
        if batch and batch.state == "completed":
            break
        await asyncio.sleep(0.1)
    wall = time.perf_counter() - began
    print(f"CPU an application    {1000 * (time.process_time() - cpu) / count:.2f} ms")
    print(f"  of it the event loop {1000 * (time.thread_time() - loop_cpu) / count:.2f} ms")
    print(f"applications a second {count / wall:.0f}")
    worker.drain()
    await carrying


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    configure_logging("error")
    with _running() as home:
        run(carry(count, home.url("partners")))


if __name__ == "__main__":
    main()
