"""A service center that does not give up: each batch is sent under the same key until it is accepted."""

from __future__ import annotations

import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from adapters.service_centers.sample import sample_batch
from gateway.web.tokens import demo_key_path, sign_token
from tests.survival.home import Home

#: Endings of passport numbers: mostly well, a fifth issued with the connection dropped, some with faults.
ENDINGS: Final = ("00", "11", "22", "33", "93", "93", "98", "95")
WELL: Final = ("00", "11", "22", "33")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request; status 0: nobody answered, or the connection broke."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Center:
    """Sends to whichever gateway answers; remembers every batch that was accepted."""

    home: Home
    party: str = "sc-01"
    lines: int = 25
    endings: tuple[str, ...] = ENDINGS
    seed: int = 1
    timeout_s: float = 20
    #: By idempotency key: the id of the accepted batch.
    receipts: dict[str, str] = field(default_factory=dict)
    #: When each batch was accepted, and when it was first seen completed.
    accepted_at: dict[str, float] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)
    #: How far its clock is ahead: tokens are signed by the gateways' time.
    ahead_s: float = 0.0
    #: Whom requests go to; None: each gateway in turn.
    towards: int | None = None
    _turn: int = 0

    # sending

    def submit(self, number: int | None = None) -> bool:
        """Send a batch until it is accepted; False when told to stop before."""
        number = next(self._numbers) if number is None else number
        body, key = self.batch(number), f"{self.party}-{self.seed}-{number}"
        while not self.stopping.is_set():
            answer = self.post(body, key)
            if 200 <= answer.status < 300:
                self.receipts[key] = answer.body["batch_id"]
                self.accepted_at[answer.body["batch_id"]] = time.monotonic()
                return True
            self.stopping.wait(0.05)
        return False

    def post(self, body: bytes, key: str) -> Answer:
        """One attempt."""
        return self.request("POST", "/v1/batches", body, {"Idempotency-Key": key})

    def submit_aside(self) -> None:
        """Send another batch in a thread of its own."""
        thread = threading.Thread(target=self.submit, daemon=True)
        thread.start()
        self._threads.append(thread)

    def sending(self) -> int:
        """How many batches are not accepted yet."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return len(self._threads)

    def keep_sending(self, pause_s: float = 0.0) -> None:
        """One batch after the other in a thread, until `stop`."""

        def go_on() -> None:
            while self.submit():
                self.stopping.wait(pause_s)

        thread = threading.Thread(target=go_on, daemon=True)
        thread.start()
        self._threads.append(thread)

    def finish(self, timeout_s: float = 60) -> None:
        """Wait until every batch that was begun is accepted."""
        ends = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def stop(self) -> None:
        self.stopping.set()
        self.finish()

    def batch(self, number: int) -> bytes:
        """NDJSON of `lines` applications, the same for the same number."""
        today = date.today()  # noqa: DTZ011
        header, lines = sample_batch(
            self.lines, 100_000 * self.seed + number, today, clean=True, center=self.party
        )
        out: list[Mapping[str, Any]] = [header]
        for index, line in enumerate(lines):
            passport = {name: value for name, value in line["passport"].items() if name != "mrz"}
            passport["number"] = passport["number"][:-2] + self.endings[index % len(self.endings)]
            out.append({**line, "passport": passport})
        return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in out)

    # asking

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Of the next gateway in turn, or the one chosen."""
        self._turn += 1
        number = self._turn % len(self.home.ports) if self.towards is None else self.towards
        answer = self.ask(self.home.public(number), method, path, body, headers)
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        return answer

    def ask(
        self,
        base: str,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            request = urllib.request.Request(
                base + path, data=body, method=method, headers={**self._headers(), **(headers or {})}
            )
            with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:
                return Answer(reply.status, json.loads(reply.read() or b"null"), dict(reply.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _document(error), dict(error.headers))
        except (urllib.error.URLError, OSError, ValueError, EOFError):
            return Answer(0)
        except Exception as error:  # http.client's own
            if type(error).__module__ != "http.client":
                raise
            return Answer(0)

    def _headers(self) -> dict[str, str]:
        key = demo_key_path(self.home.data, self.party)
        now = datetime.now(UTC) + timedelta(seconds=self.ahead_s)
        token = sign_token(key, self.party, "umrah-gateway", 240, now)
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}

    # what became of them

    def open_batches(self, known: set[str]) -> set[str]:
        """Those among `known` that are not completed."""
        return {batch for batch in known if not self._completed(batch)}

    def _completed(self, batch: str) -> bool:
        answer = self.request("GET", f"/v1/batches/{batch}")
        return answer.status == 200 and answer.body["state"] == "completed"

    def wait_until_settled(self, rest_s: float) -> set[str]:
        """The batches that are still open after so long."""
        ends = time.monotonic() + rest_s
        still_open = self.open_batches(set(self.receipts.values()))
        while still_open and time.monotonic() < ends:
            time.sleep(0.1)
            still_open = self.open_batches(still_open)
        return still_open

    def lines_of(self, batch: str) -> list[Mapping[str, Any]]:
        """Every line of a batch as the gateway shows it."""
        for _ in range(20):
            answer = self.request("GET", f"/v1/batches/{batch}/applications?limit=1000")
            if answer.status == 200:
                return list(answer.body["applications"])
            time.sleep(0.1)
        return []


def _document(error: urllib.error.HTTPError) -> Any:
    try:
        return json.loads(error.read())
    except (OSError, ValueError):
        return None
