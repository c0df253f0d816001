"""The survival scenario: kill the gateway again and again, then look at what the partners really did.

Real processes: the gateway (killed by SIGKILL at named crash points and at random moments), the simulators as
SOAP servers (never killed: their own evidence is the judge), and a client that repeats each batch under the
same key until it is accepted, as a service center would.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from adapters.service_centers.sample import sample_batch
from gateway.observe.crash import POINTS
from gateway.web.tokens import demo_key_path, sign_token
from tests.processes import ROOT, Installation

CENTER = "sc-01"
#: Endings of passport numbers: mostly well, a fifth issued with the connection dropped, some with faults.
ENDINGS = ("00", "11", "22", "33", "93", "93", "98", "95")


@dataclass
class Verdict:
    """What the kills left behind."""

    kills: int
    by_point: Counter[str]
    accepted: int
    final: Counter[str]
    lost: int
    issued_twice: list[str]
    #: Visas that the partner issued and no line of ours shows, neither as issued nor under review.
    forgotten: int
    seconds: float

    def as_row(self, fault: str) -> dict[str, Any]:
        return {
            "fault": fault,
            "engine": "sqlite",
            "runs": self.kills,
            "accepted": self.accepted,
            "lost": self.lost,
            "issued_twice": len(self.issued_twice),
            "other": {
                "forgotten": self.forgotten,
                "final": dict(self.final),
                "by_point": dict(self.by_point),
                "seconds": round(self.seconds, 1),
            },
        }


@dataclass
class Survival:
    """One run. `mutant` names a launcher in `tests/survival/mutants.py` in place of the gateway itself."""

    folder: Path
    kills: int
    foreign_affairs: str = "deduplicates"
    seed: int = 1
    lines: int = 40
    mutant: str | None = None
    #: Crash points to use in turn; None: all of them, and random moments in between.
    points: tuple[str, ...] | None = None
    endings: tuple[str, ...] = ENDINGS
    #: How long everything accepted may take to come to rest after the last kill.
    rest_s: float = 90
    receipts: dict[str, str] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Verdict:
        began = time.monotonic()
        self._random = random.Random(self.seed)
        self._home = Installation(self.folder, foreign_affairs=self.foreign_affairs, changes=self._changes())
        self._by_point: Counter[str] = Counter()
        try:
            self._home.start_partners()
            self._kill_again_and_again()
            return self._verdict(began)
        finally:
            self._stop.set()
            self._home.stop()

    def _changes(self) -> dict[str, list[tuple[str, str]]]:
        """What the configuration says of the partner must be true of it."""
        if self.foreign_affairs == "deduplicates":
            return {}
        pairs = [("deduplicates: true", "deduplicates: false")]
        if self.foreign_affairs == "neither":
            pairs.append(("enabled: true", "enabled: false"))
        return {"destinations.yaml": pairs}

    def _kill_again_and_again(self) -> None:
        points = itertools.cycle(self.points or (*POINTS, "random", "random"))
        client: threading.Thread | None = None
        for number in range(self.kills):
            point = next(points)
            self._start(point)
            if client is None or not client.is_alive():
                client = threading.Thread(target=self._submit_until_accepted, args=(number,), daemon=True)
                client.start()
            self._wait_or_kill(point)
        self._start("none")
        if client is not None:
            client.join(timeout=60)

    def _start(self, point: str) -> None:
        env = {} if point in ("random", "none") else {"GATEWAY_CRASH_POINT": self._armed(point)}
        if self.mutant is None:
            self._home.start_gateway(**env)
            return
        with (self.folder / "gateway.log").open("ab") as log:
            self._home.processes["gateway"] = subprocess.Popen(
                [sys.executable, "-m", "tests.survival.mutants", self.mutant],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", **self._home.environment(), **env},
            )
        self._home._wait_for("admin", "/livez", process="gateway")

    def _armed(self, point: str) -> str:
        passes = 1 if "accept" in point or "inquiry" in point else self._random.randrange(1, 25)
        return f"{point}:{passes}"

    def _wait_or_kill(self, point: str) -> None:
        """Until the point is reached; by our own hand at a random moment, or when it is not reached."""
        until = time.monotonic() + (self._random.uniform(0.05, 1.0) if point == "random" else 4.0)
        while self._home.alive("gateway") and time.monotonic() < until:
            time.sleep(0.02)
        reached = not self._home.alive("gateway")
        self._by_point[point if reached else "random"] += 1
        if not reached:
            self._home.kill("gateway")

    # the service center

    def _submit_until_accepted(self, number: int) -> None:
        body, key = self._batch(number), f"batch-{number}"
        while not self._stop.is_set():
            answer = self._request("POST", "/v1/batches", body, {"Idempotency-Key": key})
            if answer is not None:
                self.receipts[key] = answer["batch_id"]
                return
            time.sleep(0.1)

    def _batch(self, number: int) -> bytes:
        header, lines = sample_batch(self.lines, 1000 * self.seed + number, date.today(), clean=True)  # noqa: DTZ011
        out = [header]
        for index, line in enumerate(lines):
            passport = dict(line["passport"])
            passport.pop("mrz", None)
            passport["number"] = passport["number"][:-2] + self.endings[index % len(self.endings)]
            out.append({**line, "passport": passport})
        return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in out)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The JSON of a 2xx answer; None for anything else, also for nobody there."""
        key = demo_key_path(self._home.data, CENTER)
        try:
            token = sign_token(key, CENTER, "umrah-gateway", 240, datetime.now(UTC))
            request = urllib.request.Request(
                self._home.url("public") + path,
                data=body,
                method=method,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/x-ndjson",
                    **(headers or {}),
                },
            )
            with urllib.request.urlopen(request, timeout=20) as reply:
                return json.loads(reply.read())
        except (urllib.error.URLError, ConnectionError, TimeoutError, OSError, ValueError):
            return None

    # the judge

    def _verdict(self, began: float) -> Verdict:
        self._wait_until_settled()
        lines = [line for batch in self.receipts.values() for line in self._lines(batch)]
        evidence = self._home.get("partners", "/_evidence")
        final = Counter(line["state"] for line in lines)
        settled = {"issued", "refused", "rejected", "cancelled", "expired", "under_review"}
        shown = final["issued"] + final["under_review"]
        return Verdict(
            kills=self.kills,
            by_point=self._by_point,
            accepted=len(lines),
            final=final,
            lost=sum(count for state, count in final.items() if state not in settled)
            + self.lines * len(self.receipts)
            - len(lines),
            issued_twice=evidence["issued_twice"],
            forgotten=max(0, evidence["distinct_applications"] - shown),
            seconds=time.monotonic() - began,
        )

    def _wait_until_settled(self) -> None:
        until = time.monotonic() + self.rest_s
        open_batches = set(self.receipts.values())
        while open_batches and time.monotonic() < until:
            for batch in list(open_batches):
                status = self._request("GET", f"/v1/batches/{batch}")
                if status is not None and status["state"] == "completed":
                    open_batches.discard(batch)
            time.sleep(0.2)

    def _lines(self, batch: str) -> list[dict[str, Any]]:
        page = self._request("GET", f"/v1/batches/{batch}/applications?limit=1000")
        return [] if page is None else list(page["applications"])
