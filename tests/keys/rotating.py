"""A rotation under load, killed again and again: real processes, a client that sends, the ledger as evidence.

The gateway carries a large batch while its keys are rotated, a probe posts small batches without a pause, and
the gateway is killed (SIGKILL) and started again at even steps of the rotation. Afterwards every sealed row
is opened with the keys that there are.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from adapters.service_centers.sample import sample_batch, write_batch
from gateway.ledger.key_files import KeyFiles
from gateway.ledger.vault import Place, Unsealable, Vault, wrapping_key
from gateway.web.operators import operator_token
from gateway.web.tokens import demo_key_path, sign_token
from tests.processes import Installation

#: Who sends much, and who only looks whether anything is taken in.
SENDER, PROBE = "sc-01", "sc-02"


@dataclass
class Verdict:
    """What the rotation came to."""

    messages: int
    kills: int
    #: Kills that came while the rotation was under way.
    kills_within: int
    rows: int
    unreadable: int
    set_aside: int
    under_old_keys: int
    retired: int
    #: The longest that a small batch waited for its 202 while no kill was in between, in seconds.
    longest_pause_s: float
    #: The same in the seconds before the rotation, on this machine, under this load.
    longest_pause_before_s: float
    median_pause_s: float
    probes: int
    rotation_s: float
    seconds: float

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Rotating:
    """One run: so many messages, so many kills."""

    folder: Path
    messages: int
    kills: int
    seed: int = 1
    #: How long is looked at intake before, to compare.
    calm_s: float = 0.5
    _stop: threading.Event = field(default_factory=threading.Event)
    #: Even: the gateway is up. Odd: it was killed and is not back yet.
    _life: int = 0
    _pauses: list[float] = field(default_factory=list)
    _before: list[float] = field(default_factory=list)
    _within: int = 0

    def run(self) -> Verdict:
        began = time.monotonic()
        self._home = Installation(self.folder)
        probe = threading.Thread(target=self._probe, daemon=True)
        try:
            self._home.start_partners()
            self._home.start_gateway()
            self._send(self.messages)
            probe.start()
            self._stop.wait(self.calm_s)
            self._before, self._pauses = self._pauses, []
            rotation_s = self._rotate_and_kill()
            self._stop.set()
            probe.join(timeout=60)
            self._home.terminate("gateway")
            return self._verdict(rotation_s, began)
        finally:
            self._stop.set()
            self._home.stop()

    # --- load ---------------------------------------------------------------------------------------------

    def _send(self, count: int) -> None:
        """The batch that is carried meanwhile, recorded before the rotation begins."""
        header, lines = sample_batch(count, self.seed, datetime.now(UTC).date(), clean=True)
        path = self.folder / "load.ndjson"
        with path.open("wb") as out:
            write_batch("ndjson", header, lines, out)
        self._post(SENDER, "load", path.read_bytes(), timeout_s=1800)

    def _probe(self) -> None:
        """Small batches, one after the other; those that a kill met are not counted."""
        today = datetime.now(UTC).date()
        for number in range(1_000_000):
            if self._stop.is_set():
                return
            header, lines = sample_batch(1, 1_000_000 + number, today, clean=True, center=PROBE)
            body = b"".join(json.dumps(one).encode() + b"\n" for one in (header, *lines))
            life, began = self._life, time.monotonic()
            with contextlib.suppress(OSError):
                self._post(PROBE, f"probe-{number}", body, timeout_s=30)
                if life == self._life and life % 2 == 0:
                    self._pauses.append(time.monotonic() - began)
            self._stop.wait(0.05)

    def _post(self, center: str, key: str, body: bytes, timeout_s: float) -> None:
        key_file = demo_key_path(self._home.data, center)
        token = sign_token(key_file, center, "umrah-gateway", 240, datetime.now(UTC))
        headers = {
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": key,
            "Content-Type": "application/x-ndjson",
        }
        request = urllib.request.Request(self._home.url("public") + "/v1/batches", body, headers)
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            assert reply.status == 202

    # --- rotation and kills -------------------------------------------------------------------------------

    def _rotate_and_kill(self) -> float:
        began = time.monotonic()
        self._admin("/v1/admin/keys/rotate", {"reason": "test"})
        for number in range(1, self.kills + 1):
            self._wait_for(number / (self.kills + 1))
            self._kill()
        self._wait_for(2.0)
        return time.monotonic() - began

    def _wait_for(self, part: float) -> None:
        """Until that part of all rows was seen, or the rotation has ended."""
        until = time.monotonic() + 1800
        while time.monotonic() < until:
            found = self._admin("/v1/admin/keys/rotation")
            if found["state"] == "finished" or found["done"] > part * found["total"]:
                self._within += found["state"] == "running"
                return
            time.sleep(0.01)
        raise TimeoutError("the rotation does not end")

    def _kill(self) -> None:
        self._life += 1
        self._home.kill("gateway")
        self._home.start_gateway()
        self._life += 1

    def _admin(self, path: str, body: Any = None) -> dict[str, Any]:
        token = operator_token(self._home.data, "admin-1")
        request = urllib.request.Request(
            self._home.url("admin") + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            document: dict[str, Any] = json.loads(reply.read())
            return document

    # --- evidence -----------------------------------------------------------------------------------------

    def _verdict(self, rotation_s: float, began: float) -> Verdict:
        keys = KeyFiles(self._home.data / "keys")
        vault = Vault(keys, lambda kind: kind)
        with sqlite3.connect(self._home.data / "gateway.db") as database:
            database.row_factory = sqlite3.Row
            rows = list(opened(database, vault))
            (messages,) = database.execute("SELECT count(*) FROM message").fetchone()
            (set_aside,) = database.execute(
                "SELECT count(*) FROM message WHERE code IN ('unsealable', 'shredded', 'internal_error')"
            ).fetchone()
        database.close()
        versions = keys.versions()
        newest = {version.bucket: version.id for version in versions}
        by_key = Counter(key for key, _ in rows)
        return Verdict(
            messages=messages,
            kills=self.kills,
            kills_within=min(self._within, self.kills),
            rows=len(rows),
            unreadable=sum(not readable for _, readable in rows),
            set_aside=set_aside,
            under_old_keys=sum(n for key, n in by_key.items() if key not in newest.values()),
            retired=sum(version.retired for version in versions),
            longest_pause_s=round(max(self._pauses, default=0.0), 3),
            longest_pause_before_s=round(max(self._before, default=0.0), 3),
            median_pause_s=round(median(self._pauses or [0.0]), 3),
            probes=len(self._pauses),
            rotation_s=round(rotation_s, 1),
            seconds=round(time.monotonic() - began, 1),
        )


def opened(database: sqlite3.Connection, vault: Vault) -> Iterator[tuple[str, bool]]:
    """Of every sealed row the key that it is under, and whether all of it opens."""
    for row in database.execute("SELECT * FROM message"):
        places = [(row["sealed_payload"], Place(row["party"], row["id"], "payload", 1))]
        if row["sealed_progress"] is not None:
            place = Place(row["party"], row["id"], "progress", row["progress_revision"])
            places.append((row["sealed_progress"], place))
        yield _opens(vault, row["id"], row["data_key"], places)
    for row in database.execute("SELECT * FROM batch WHERE sealed_receipt IS NOT NULL"):
        place = Place(row["party"], row["id"], "receipt", 1)
        yield _opens(vault, row["id"], row["data_key"], [(row["sealed_receipt"], place)])
    for row in database.execute("SELECT * FROM outbox WHERE sealed IS NOT NULL"):
        place = Place(row["receiver"], row["event_id"], "event", 1)
        yield _opens(vault, row["event_id"], row["data_key"], [(row["sealed"], place)])
    for row in database.execute("SELECT note FROM audit WHERE note IS NOT NULL"):
        yield _note_opens(vault, row["note"])


def _opens(vault: Vault, id: str, wrapped: bytes, sealed: list[tuple[bytes, Place]]) -> tuple[str, bool]:
    try:
        key = vault.data_key(id, wrapped)
        for value, place in sealed:
            vault.open(key, value, place=place)
    except Unsealable:
        return wrapping_key(wrapped), False
    return wrapping_key(wrapped), True


def _note_opens(vault: Vault, note: bytes) -> tuple[str, bool]:
    key_id = wrapping_key(note[38 : 38 + int.from_bytes(note[36:38], "big")])
    try:
        vault.read_note(note)
    except Unsealable:
        return key_id, False
    return key_id, True
