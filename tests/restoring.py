"""A gateway that is backed up under load, killed, restored and taken on: real processes."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapters.service_centers.sample import sample_batch
from gateway.web.tokens import demo_key_path, sign_token
from tests.processes import Installation

CENTER = "sc-01"
RIYADH = ZoneInfo("Asia/Riyadh")
SETTLED = frozenset({"issued", "refused", "rejected", "cancelled", "expired", "under_review"})
#: Mostly well; some issued with the connection dropped, some with a fault or without capacity once.
ENDINGS = ("00", "11", "93", "98", "97", "22")


@dataclass
class Disaster:
    """One installation, its center, and what the center was promised."""

    folder: Path
    foreign_affairs: str = "deduplicates"
    lines: int = 30
    latency_ms: float = 0
    database_url: str | None = None
    receipts: dict[str, str] = field(default_factory=dict)
    endings: tuple[str, ...] = ENDINGS
    #: Makes the installation, such as one of forked processes.
    installed: Callable[..., Installation] = Installation
    _sending: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.home = self.installed(
            self.folder,
            foreign_affairs=self.foreign_affairs,
            changes=self._changes(),
            latency_ms=self.latency_ms,
        )

    def _changes(self) -> dict[str, list[tuple[str, str]]]:
        """What the configuration says of the partner must be true of it."""
        if self.foreign_affairs == "deduplicates":
            return {}
        pairs = [("deduplicates: true", "deduplicates: false")]
        if self.foreign_affairs == "neither":
            pairs.append(("enabled: true", "enabled: false"))
        return {"destinations.yaml": pairs}

    # processes

    def environment(self) -> dict[str, str]:
        return {} if self.database_url is None else {"GATEWAY_DATABASE_URL": self.database_url}

    def serve(self, *options: str) -> None:
        self.home._start("gateway", "serve", *options, **self.environment())
        self.home._wait_for("admin", "/livez", process="gateway")

    def run(self, *arguments: str) -> Any:
        """A command's JSON, and its exit code under `exit`."""
        done = self.home.run(*arguments, "--json", **self.environment())
        document = json.loads(done.stdout) if done.stdout.strip() else {}
        return {**document, "exit": done.returncode, "told": done.stderr.decode()}

    def lose_and_restore(self) -> Any:
        """Issued, backed up with calls under way, more accepted, killed, restored. What `restore` told."""
        self.home.start_partners()
        self.serve()
        self.submit(1)
        self.issued_until(self.lines // 2)
        self.submit(2)
        backup = self.folder / "backup.tar"
        made = self.run("backup", str(backup))
        if made["exit"]:
            raise RuntimeError(made["told"])
        self.submit(3)
        self.issued_until(2 * self.lines + self.lines // 2)
        self.submit(4)
        self.issued_until(3 * self.lines)
        self.home.kill("gateway")
        return self.run("restore", "--replace", str(backup))

    def repeat_what_was_forgotten(self) -> None:
        """The center is told 404 for a batch that it has a receipt for; hands it in again, same key."""
        for key in self.forgotten():
            self.submit(int(key.rpartition("-")[2]))

    # the center

    def submit(self, number: int) -> str:
        """A batch under its key, until it is accepted."""
        key, body = f"batch-{number}", self.batch(number)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            answer = self.request("POST", "/v1/batches", body, {"Idempotency-Key": key})
            if answer is not None:
                self.receipts[key] = answer["batch_id"]
                return str(answer["batch_id"])
            time.sleep(0.05)
        raise TimeoutError(key)

    def batch(self, number: int) -> bytes:
        header, lines = sample_batch(self.lines, 1000 + number, date.today(), clean=True)  # noqa: DTZ011
        out = [header]
        for index, line in enumerate(lines):
            passport = dict(line["passport"])
            passport.pop("mrz", None)
            passport["number"] = passport["number"][:-2] + self.endings[index % len(self.endings)]
            out.append({**line, "passport": passport})
        return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in out)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The JSON of a 2xx answer; None for anything else."""
        try:
            key = demo_key_path(self.home.data, CENTER)
            token = sign_token(key, CENTER, "umrah-gateway", 240, datetime.now(UTC))
            request = urllib.request.Request(
                self.home.url("public") + path,
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

    def lines_of(self, batch: str) -> list[dict[str, Any]]:
        page = self.request("GET", f"/v1/batches/{batch}/applications?limit=1000")
        return [] if page is None else list(page["applications"])

    def states(self) -> Counter[str]:
        """Of every line of every batch that the center knows, by its latest receipt."""
        return Counter(line["state"] for batch in self.receipts.values() for line in self.lines_of(batch))

    def settle(self, wait_s: float = 60) -> Counter[str]:
        """Until everything is final or with a person."""
        until = time.monotonic() + wait_s
        while (found := self.states()).keys() - SETTLED and time.monotonic() < until:
            time.sleep(0.2)
        return found

    def forgotten(self) -> list[str]:
        """Keys of batches that the center has a receipt for and the gateway does not know."""
        return [
            key for key, batch in self.receipts.items() if self.request("GET", f"/v1/batches/{batch}") is None
        ]

    # the partner

    def evidence(self) -> dict[str, Any]:
        return dict(self.home.get("partners", "/_evidence"))

    def issued_until(self, count: int) -> None:
        until = time.monotonic() + 60
        while self.evidence()["visas_issued"] < count and time.monotonic() < until:
            time.sleep(0.02)

    def statement(self, day: date, *, as_xml: bool = False) -> Path:
        """The partner's own list of that day, as a file."""
        suffix = "xml" if as_xml else "csv"
        url = f"{self.home.url('partners')}/_statement?date={day.isoformat()}&format={suffix}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            path = self.folder / f"statement.{suffix}"
            path.write_bytes(reply.read())
        return path

    def reconcile_all(self) -> list[dict[str, Any]]:
        """Every lost day, as soon as its list is complete."""
        told: list[dict[str, Any]] = []
        until = time.monotonic() + 60
        days = [datetime.now(RIYADH).date()]
        while days and time.monotonic() < until:
            found = self.run(
                "reconcile", "foreign-affairs", "--date", days[0].isoformat(),
                "--statement", str(self.statement(days[0])),
            )  # fmt: skip
            told.append(found)
            days = [date.fromisoformat(day) for day in found["lost_days"].get("open", ())]
            if found["lost_days"].get("not_counted"):
                time.sleep(0.3)
        return told
