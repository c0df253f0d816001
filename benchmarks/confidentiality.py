"""What confidentiality costs: CPU an application with it on, against the same gateway with it off.

`python -m benchmarks.confidentiality [--applications N] [--rounds N]` writes benchmarks/confidentiality.json.

Off means: nothing is sealed (payloads and progress are kept as plain JSON), no blind index, a converter sees
the whole message in place of a projection, the journal has neither hashes nor disclosures, no checkpoints.
That can't be configured: this script takes the parts out of its own process. Rounds alternate, each pair of
neighbours gives one ratio; a round is thrown out when others used the machine (its own CPU below 60 % of the
time).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.service_centers.sample import sample_batch
from benchmarks.measure import _running
from benchmarks.pages import machine
from cli.bootstrap import build
from cli.demo import settings_in
from cli.gateway import Gateway
from cli.serve import run
from gateway.ledger.sql import journal
from gateway.ledger.sql.journal import JournalPage
from gateway.ledger.vault import DataKey, Place, Vault
from gateway.message import Disclosure, Projection
from gateway.observe.log import configure_logging
from gateway.pipeline.admit import admit
from gateway.policies.confidentiality import _FACTS, NeedToKnow
from tests.pipeline.world import submission

_NOTHING = DataKey(b"", None, "")  # type: ignore[arg-type]
_GIVEN = Disclosure("", "", (), "", "")


def take_confidentiality_out() -> None:
    """From this process, for good."""
    vault: Any = Vault
    vault.new_data_key = lambda self, message_id, kind: _NOTHING
    vault.data_key = lambda self, message_id, wrapped: _NOTHING
    vault.seal = lambda self, key, value, *, place: json.dumps(value, ensure_ascii=False).encode()
    vault.open = _read
    vault.blind_index = lambda self, season, *values: "\x1f".join(values).encode()
    need_to_know: Any = NeedToKnow
    need_to_know.project = lambda self, operation, destination, body, batch: _Whole(
        {
            **body,
            "batch": {path.removeprefix("batch."): getattr(batch, name) for path, name in _FACTS.items()},
        }
    )
    need_to_know.context = lambda self, operation, destination, context: context
    need_to_know.disclosure = lambda self, *asked: _GIVEN
    page: Any = JournalPage
    page.flush = _plain_flush
    page.scope = lambda self, tx, disclosure, now: 0
    hashes: Any = journal
    hashes._text = lambda detail: None


def _read(self: Vault, key: DataKey, sealed: bytes, *, place: Place) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(sealed)
    return value


class _Whole(Projection):
    """A message as it is."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(body)

    def __getitem__(self, path: str) -> Any:
        value: Any = self.fields
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value


def _plain_flush(self: JournalPage, tx: Any) -> None:
    if self._entries:
        tx.run_many(
            "INSERT INTO audit (chain, number, hash, at, action, actor, message_id, batch_id, from_state,"
            " to_state, code, records) VALUES ('', 0, x'', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (e.at, e.action, e.actor, e.message_id, e.batch_id, e.before, e.after, e.code, e.records)
                for e in self._entries
            ],
        )
        self._entries = []


# --- one sample, in a process of its own ----------------------------------------------------------------


async def _sample(count: int, partners: str, *, on: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="umrah-cost-") as folder:
        gateway = build(settings_in(Path(folder), partners))
        if not on:
            notary: Any = gateway.engine.notary
            notary._cover = _asleep
        await gateway.start()
        try:
            await _through(20, 1, gateway)  # connections and code warm up
            cpu, began = time.process_time(), time.perf_counter()
            await _through(count, 7, gateway)
            spent, wall = time.process_time() - cpu, time.perf_counter() - began
        finally:
            await gateway.stop()
    return {"cpu_ms": 1000 * spent / count, "busy": spent / wall, "rate": count / wall}


async def _asleep(*_: object) -> None:
    return None


async def _through(count: int, seed: int, gateway: Gateway) -> None:
    """From the body to the last final state."""
    engine = gateway.engine
    header, lines = sample_batch(count, seed, engine.clock.today(), clean=True)
    receipt = await admit(submission([header, *lines], key=f"key-{seed}"), engine)
    if receipt.batch_id is None:
        raise AssertionError("a batch was sent")
    while True:
        batch = await engine.ledger.batch(receipt.batch_id)
        if batch is not None and batch.state == "completed":
            break
        await asyncio.sleep(0.05)
    if dict(batch.counts) != {"issued": count}:
        raise AssertionError(f"not all were issued: {dict(batch.counts)}")


# --- all rounds -----------------------------------------------------------------------------------------


def _measure(count: int, partners: str, mode: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.confidentiality", "--sample", mode, "--partners", partners]
    found = subprocess.run([*command, "--applications", str(count)], check=True, capture_output=True)
    sample: dict[str, float] = json.loads(found.stdout)
    return sample


def compare(count: int, rounds: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """CPU an application on and off, and the median ratio of neighbours with its range."""
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []
    tried = 0
    with _running() as home:
        partners = home.url("partners")
        while len(pairs) < rounds and tried < 3 * rounds:
            tried += 1
            modes = ("on", "off") if tried % 2 else ("off", "on")
            sample = {mode: _measure(count, partners, mode) for mode in modes}
            kept = min(one["busy"] for one in sample.values()) >= _BUSY
            tell(f"round {tried}: " + ", ".join(f"{m} {sample[m]['cpu_ms']:.2f} ms" for m in ("on", "off"))
                 + ("" if kept else "  (thrown out: others used the machine)"))  # fmt: skip
            if kept:
                pairs.append((sample["on"], sample["off"]))
    ratios = [on["cpu_ms"] / off["cpu_ms"] for on, off in pairs]
    return {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "applications": count,
        "rounds": len(pairs),
        "cpu_ms_on": round(statistics.median(on["cpu_ms"] for on, _ in pairs), 2),
        "cpu_ms_off": round(statistics.median(off["cpu_ms"] for _, off in pairs), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
    }


_BUSY = 0.6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sample", choices=("on", "off"), help=argparse.SUPPRESS)
    parser.add_argument("--partners", help=argparse.SUPPRESS)
    given = parser.parse_args()
    configure_logging("error")
    if given.sample:
        if given.sample == "off":
            take_confidentiality_out()
        found: list[dict[str, float]] = []

        async def sample() -> None:
            found.append(await _sample(given.applications, given.partners, on=given.sample == "on"))

        run(sample())
        print(json.dumps(found[0]))
        return 0
    compared = compare(given.applications, given.rounds, lambda text: print(text, file=sys.stderr))
    Path(__file__).with_name("confidentiality.json").write_text(json.dumps(compared, indent=2) + "\n")
    print(json.dumps(compared, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
