"""`demo`: the main job, whole. Simulators, gateway, a batch as a center sends it, its visas, and the proof.

The gateway runs in this process behind its real listeners, embedded; the partner systems in one of their own.
Everything is fresh, on free ports, and gone afterwards.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.service_centers.batch_writer import write_batch
from adapters.service_centers.sample import sample_batch
from cli.bootstrap import build
from cli.gateway import Gateway
from cli.serve import run
from gateway.clock import SystemClock
from gateway.errors import GatewayError
from gateway.observe.log import configure_logging
from gateway.settings import Settings, demo_profile, load
from gateway.settings.profiles import signed_profile
from gateway.soap.security.demo_keys import demo_keys_directory
from gateway.soap.security.loading import ensure_demo_soap_keys
from gateway.states import SETTLED
from gateway.web.tokens import demo_key_path, sign_token

CENTER = "sc-01"
_MOST_OF = 0.99
_TIMEOUT_S = 180.0

#: What the simulators do, by the last two characters of the passport number.
OUTCOMES: Mapping[str, str] = {
    "90": "clearance: HIT",
    "91": "clearance: PENDING twice, then CLEAR",
    "92": "passport: LOST",
    "93": "visa issued, then the connection drops",
    "94": "passport check: 503 twice, then well",
    "95": "clearance: an HTML 502 once",
    "96": "visa issued, the answer takes 3 s",
    "97": "no mission capacity once",
    "98": "technical fault once, nothing issued",
    "99": "visa issued, never an answer",
}


@dataclass(slots=True)
class Story:
    """What happened, for people and for machines."""

    applications: int
    receipt: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    endings: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_to_most: float = 0.0

    @property
    def states(self) -> Counter[str]:
        return Counter(str(result["state"]) for result in self.results)

    def met(self) -> dict[str, Counter[str]]:
        """By outcome: how the lines whose passport asked for it ended. Rejected lines met no partner."""
        found: dict[str, Counter[str]] = {ending: Counter() for ending in OUTCOMES}
        for result in self.results:
            ending = self.endings.get(str(result["reference"]))
            if ending in found and result["state"] != "rejected":
                found[ending][str(result["state"])] += 1
        return found

    def as_json(self) -> dict[str, Any]:
        """The document of `demo --json`."""
        states = self.states
        shown = states["issued"] + states["under_review"]
        final = sum(count for state, count in states.items() if state in SETTLED)
        return {
            "applications": self.applications,
            "issued": states["issued"],
            "refused": states["refused"],
            "rejected": states["rejected"],
            "under_review": states["under_review"],
            "seconds": round(self.seconds, 3),
            "seconds_to_99_percent": round(self.seconds_to_most, 3),
            "applications_per_second": round(_MOST_OF * self.applications / self.seconds_to_most, 1),
            "visas_issued_twice": len(self.evidence["issued_twice"]),
            "lost": self.applications - final,
            "forgotten": max(0, self.evidence["distinct_applications"] - shown),
            "outcomes_met": {ending: sum(ends.values()) for ending, ends in self.met().items()},
            "partner_calls": self.evidence["calls"],
        }


def demo(applications: int, seed: int, *, as_json: bool, signed: bool = False) -> int:
    """Play it. 0 when every line was accounted for and no visa was issued twice, 1 otherwise.

    `signed`: gateway and partners sign what they send one another, and take nothing else.
    """
    console = Console(stderr=True)
    configure_logging("error")
    story = Story(applications)
    run(_play(story, seed, console, signed=signed))
    if as_json:
        print(json.dumps(story.as_json(), indent=2))  # noqa: T201 - this is the command's output
    else:
        _tell(story, Console())
    return 0 if _is_sound(story) else 1


def _is_sound(story: Story) -> bool:
    found = story.as_json()
    return not (found["lost"] or found["visas_issued_twice"] or found["forgotten"])


async def _play(story: Story, seed: int, console: Console, *, signed: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="umrah-demo-") as name:
        folder = Path(name)
        options = _soap_keys(folder) if signed else ()
        async with (
            partners(folder, seed, *options) as partners_url,
            _gateway(folder, partners_url, signed=signed) as gateway,
        ):
            console.print(f"[bold]partners[/]  {partners_url}  NIC, Passports, Foreign Affairs (simulated)")
            console.print(f"[bold]gateway[/]   {gateway.host.public_url}  embedded: SQLite, no broker")
            batch = _sample(folder, story, seed)
            async with aiohttp.ClientSession(gateway.host.public_url, trust_env=False) as session:
                await _submit_and_wait(batch, story, session, folder, console)
                async with session.get(f"{partners_url}/_evidence") as reply:
                    story.evidence = await reply.json()


# --- the parts -----------------------------------------------------------------------------------------


@asynccontextmanager
async def partners(folder: Path, seed: int, *options: str) -> AsyncIterator[str]:
    """The simulators in a process of their own; yields their URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from cli.main import main; raise SystemExit(main())",
        *("simulate", "--port", "0", "--seed", str(seed), "--state", str(folder / "partners"), *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise AssertionError("stdout is a pipe")
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        if not line:
            raise GatewayError("simulators_failed", "the simulators did not start")
        yield str(json.loads(line)["url"])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _soap_keys(folder: Path) -> tuple[str, str]:
    """Make the keys of both sides, and tell the partners where theirs are."""
    data = folder / "data"
    ensure_demo_soap_keys(signed_profile(settings_in(folder, "http://127.0.0.1:1")), data)
    return ("--soap-keys", str(demo_keys_directory(data)))


@asynccontextmanager
async def _gateway(folder: Path, partners: str, *, signed: bool) -> AsyncIterator[Gateway]:
    settings = settings_in(folder, partners)
    gateway = build(signed_profile(settings) if signed else settings)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


def settings_in(folder: Path, partners: str) -> Settings:
    """The shipped configuration, hasty, on free ports, against these partners, in this folder."""
    settings = demo_profile(load(None, {"GATEWAY_DATA_DIR": str(folder / "data")}))
    listeners = settings.gateway.listeners
    anywhere = listeners.model_copy(
        update={
            "public": listeners.public.model_copy(update={"port": 0}),
            "admin": listeners.admin.model_copy(update={"port": 0}),
        }
    )
    destinations = {
        name: destination.model_copy(update={"url": f"{partners}/{name}"})
        for name, destination in settings.destinations.items()
    }
    gateway = settings.gateway.model_copy(update={"listeners": anywhere})
    return settings.model_copy(update={"gateway": gateway, "destinations": destinations})


def _sample(folder: Path, story: Story, seed: int) -> Path:
    """The batch as a file, and which outcome each line asks the simulators for."""
    header, lines = sample_batch(story.applications, seed, SystemClock().today(), center=CENTER)
    kept = list(lines)
    for line in kept:
        number = str(line.get("passport", {}).get("number", ""))
        story.endings[str(line.get("reference"))] = number[-2:]
    path = folder / "batch.ndjson"
    with path.open("wb") as out:
        write_batch("ndjson", header, iter(kept), out)
    return path


async def _submit_and_wait(
    batch: Path, story: Story, session: aiohttp.ClientSession, folder: Path, console: Console
) -> None:
    began = time.perf_counter()
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "demo"}
    with batch.open("rb") as body:
        async with session.post("/v1/batches", data=body, headers=_proof(folder) | headers) as reply:
            story.receipt = await reply.json()
    if reply.status != 202:
        raise GatewayError(str(story.receipt.get("code")), str(story.receipt.get("detail")))
    counts, took_s = story.receipt["counts"], time.perf_counter() - began
    taken, rejected = counts.get("accepted", 0), counts.get("rejected", 0)
    console.print(
        f"[bold]batch[/]     {counts['total']} lines from {CENTER} in {took_s:.2f} s: "
        f"{taken} accepted, {rejected} rejected with a reason each"
    )
    await _wait_until_settled(story, session, folder, began, console)
    url = f"/v1/batches/{story.receipt['batch_id']}/results"
    async with session.get(url, headers=_proof(folder) | {"Accept": "application/x-ndjson"}) as results:
        story.results = [json.loads(line) for line in (await results.text()).splitlines()]
    if story.results and "line" not in story.results[0]:
        story.results = story.results[1:]


def _proof(folder: Path) -> dict[str, str]:
    """A fresh token, as a center makes one with its own key."""
    key = demo_key_path(folder / "data", CENTER)
    return {"Authorization": f"Bearer {sign_token(key, CENTER, 'umrah-gateway', 240, datetime.now(UTC))}"}


async def _wait_until_settled(
    story: Story, session: aiohttp.ClientSession, folder: Path, began: float, console: Console
) -> None:
    url = f"/v1/batches/{story.receipt['batch_id']}"
    headers = _proof(folder)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        bar = progress.add_task("settled  ", total=story.applications)
        async with asyncio.timeout(_TIMEOUT_S):
            while True:
                async with session.get(url, headers=headers) as reply:
                    status = await reply.json()
                settled = sum(status["counts"].get(state, 0) for state in SETTLED)
                progress.update(bar, completed=settled)
                story.seconds = time.perf_counter() - began
                if not story.seconds_to_most and settled >= _MOST_OF * story.applications:
                    story.seconds_to_most = story.seconds
                if status["state"] == "completed":
                    return
                await asyncio.sleep(0.1)


# --- telling -----------------------------------------------------------------------------------------------


def _tell(story: Story, console: Console) -> None:
    found = story.as_json()
    console.print(_states_table(story))
    console.print(_outcomes_table(story))
    if story.receipt.get("rejected"):
        console.print(_rejections_table(story))
    console.print(
        f"{found['applications']} lines: {found['issued']} issued, {found['refused']} refused, "
        f"{found['rejected']} rejected, {found['under_review']} under review. "
        f"99 % were final after {found['seconds_to_99_percent']:.2f} s "
        f"({found['applications_per_second']:.0f} applications/s), all after {found['seconds']:.2f} s."
    )
    console.print(
        f"By the partner's own evidence: {story.evidence['visas_issued']} visas for "
        f"{story.evidence['distinct_applications']} applications, "
        f"{found['visas_issued_twice']} issued twice. Lost: {found['lost']}."
    )


def _states_table(story: Story) -> Table:
    table = Table("state", "lines", "share", "example")
    for state, count in story.states.most_common():
        example = next(result for result in story.results if result["state"] == state)
        visa = (example.get("visa") or {}).get("number")
        shown = f"line {example['line']}" + (f", visa {visa}" if visa else "")
        share = "█" * max(1, round(30 * count / len(story.results)))
        table.add_row(state, str(count), share, shown)
    return table


def _outcomes_table(story: Story) -> Table:
    table = Table("passport ends in", "what the partner did", "lines", "how they ended")
    for ending, ends in story.met().items():
        how = ", ".join(f"{count} {state}" for state, count in ends.most_common())
        table.add_row(ending, OUTCOMES[ending], str(sum(ends.values())), how or "not in this sample")
    return table


def _rejections_table(story: Story) -> Table:
    table = Table("line", "where", "code", "what is wrong", "ما الخطأ")
    for rejected in story.receipt["rejected"][:8]:
        cells = (rejected.get(name) or "" for name in ("pointer", "code", "detail", "detail_ar"))
        table.add_row(str(rejected["line"]), *map(str, cells))
    return table
