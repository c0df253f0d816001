"""Carrying alone: CPU and rate of clean applications, the gateway in this process beside the simulators.

`python -m benchmarks.carry [APPLICATIONS]` prints CPU an application (process, event loop) and the rate.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from adapters.service_centers.sample import sample_batch
from benchmarks.measure import _running
from cli.bootstrap import build
from cli.demo import settings_in
from cli.gateway import Gateway
from cli.serve import run
from gateway.observe.log import configure_logging
from gateway.pipeline.admit import admit
from gateway.pipeline.worker import Worker
from tests.pipeline.world import submission


@dataclass(slots=True)
class Carrying:
    """What carrying came to, of one application. `during` is entered around it, such as a sampler."""

    during: AbstractContextManager[None] = field(default_factory=nullcontext)
    worker: type[Worker] = Worker
    loop_ms: float = 0.0
    #: CPU of the other threads.
    others_ms: float = 0.0
    per_second: float = 0.0

    @property
    def cpu_ms(self) -> float:
        return self.loop_ms + self.others_ms


async def carry(count: int, partners: str, found: Carrying) -> None:
    """Admit `count` applications, then time how they are carried."""
    with tempfile.TemporaryDirectory(prefix="umrah-carry-") as folder:
        gateway = build(settings_in(Path(folder), partners))
        await gateway.start()
        try:
            await _timed(count, gateway, found)
        finally:
            await gateway.stop()


async def _timed(count: int, gateway: Gateway, found: Carrying) -> None:
    engine = gateway.engine
    gateway.worker.drain()  # nothing is carried while lines come in
    header, lines = sample_batch(count, 7, engine.clock.today(), clean=True)
    receipt = await admit(submission([header, *lines]), engine)
    worker = found.worker(engine)
    cpu, loop_cpu, began = time.process_time(), time.thread_time(), time.perf_counter()
    with found.during:
        carrying = asyncio.create_task(worker.run())
        while True:
            batch = receipt.batch_id and await engine.ledger.batch(receipt.batch_id)
            if batch and batch.state == "completed":
                break
            await asyncio.sleep(0.1)
    found.per_second = count / (time.perf_counter() - began)
    found.loop_ms = 1000 * (time.thread_time() - loop_cpu) / count
    found.others_ms = 1000 * (time.process_time() - cpu) / count - found.loop_ms
    worker.drain()
    await carrying


def carried(
    count: int, during: AbstractContextManager[None] | None = None, worker: type[Worker] = Worker
) -> Carrying:
    """Beside simulators in a process of their own."""
    configure_logging("error")
    found = Carrying(nullcontext() if during is None else during, worker)
    with _running() as home:
        run(carry(count, home.url("partners"), found))
    return found


def main() -> None:
    found = carried(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
    print(f"CPU an application    {found.cpu_ms:.2f} ms")
    print(f"  of it the event loop {found.loop_ms:.2f} ms")
    print(f"applications a second {found.per_second:.0f}")


if __name__ == "__main__":
    main()
