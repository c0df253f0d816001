"""The gateway as a contender: embedded (one process, two, or signing), and on PostgreSQL and RabbitMQ."""

from __future__ import annotations

import http.client
import io
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from adapters.service_centers.batch_writer import write_batch
from benchmarks.accounting import Components
from benchmarks.peers.contender import OWN, Batch, Outcome, Tuning
from benchmarks.peers.partner import Partner, partner
from benchmarks.peers.services import Services
from gateway.message import new_id
from gateway.soap.security.demo_keys import OURS, demo_keys_directory, ensure_demo_pair
from gateway.web.tokens import demo_key_path, sign_token
from tests.processes import Installation

_PAGE: Final = 1000
_START_S: Final = 60.0
_QUIET: Final = {"gateway.yaml": [("log_level: info", "log_level: warning")]}
#: More calls at once than shipped, for partners that take long.
_PATIENT: Final = {
    "gateway.yaml": [*_QUIET["gateway.yaml"], ("in_flight: 128", "in_flight: 512")],
    "destinations.yaml": [("concurrency: 64", "concurrency: 256")],
}
_SIGNERS: Final = ("nic", "passports", "foreign-affairs")


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch and the name that it got."""

    batch: Batch
    id: str


@dataclass(slots=True)
class RunningGateway:
    """Talked to as service centers do: each over a connection of its own, which it keeps."""

    home: Installation
    services: Mapping[str, int]
    _taken: list[Taken] = field(default_factory=list)
    _open: list[Taken] = field(default_factory=list)
    _connections: dict[str, http.client.HTTPConnection] = field(default_factory=dict)
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    def components(self) -> Components:
        return Components({OWN: self.home.processes["gateway"].pid, **self.services})

    def take(self, batch: Batch) -> None:
        body = io.BytesIO()
        write_batch("ndjson", batch.header, batch.lines, body)
        headers = {
            "Authorization": f"Bearer {self._signed(batch.center)}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": new_id(),
        }
        found = self._ask(batch.center, "POST", "/v1/batches", headers, body.getvalue())
        if found["counts"]["accepted"] != len(batch.lines):
            raise RuntimeError(f"not all were accepted: {found['counts']} {found['rejected'][:2]}")
        taken = Taken(batch, found["batch_id"])
        self._taken.append(taken)
        self._open.append(taken)

    def unfinished(self) -> int:
        found = {each.id: self._status(each) for each in self._open}
        self._open = [each for each in self._open if found[each.id]["state"] != "completed"]
        return sum(len(each.batch.lines) - found[each.id]["counts"].get("issued", 0) for each in self._open)

    def outcomes(self, first: int = 0) -> list[Outcome]:
        return [outcome for each in self._taken[first:] for outcome in self._outcomes(each)]

    def _outcomes(self, taken: Taken) -> Iterator[Outcome]:
        passports = {line["reference"]: line["passport"]["number"] for line in taken.batch.lines}
        received_at = _seconds(self._status(taken)["received_at"])
        cursor = ""
        while cursor is not None:
            path = f"/v1/batches/{taken.id}/applications?limit={_PAGE}{cursor and f'&cursor={cursor}'}"
            page = self._asked(taken.batch.center, path)
            for line in page["applications"]:
                visa = (line.get("visa") or {}).get("number") if line["state"] == "issued" else None
                yield Outcome(passports[line["reference"]], visa, received_at, _seconds(line["updated_at"]))
            cursor = page["next_cursor"]

    def _status(self, taken: Taken) -> Any:
        return self._asked(taken.batch.center, f"/v1/batches/{taken.id}")

    def _reading(self, center: str) -> dict[str, str]:
        """A token may be used again for reading: none is made for each question."""
        made_at, token = self._tokens.get(center, (0.0, ""))
        if time.monotonic() - made_at > 120:
            token = self._signed(center)
            self._tokens[center] = time.monotonic(), token
        return {"Authorization": f"Bearer {token}"}

    def _signed(self, center: str) -> str:
        key = demo_key_path(self.home.data, center)
        return sign_token(key, center, "umrah-gateway", 240, datetime.now(UTC))

    def _asked(self, center: str, path: str) -> Any:
        return self._ask(center, "GET", path, self._reading(center))

    def _ask(
        self, center: str, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Any:
        connection = self._connections.get(center)
        if connection is None:
            port = self.home.ports["public"]
            connection = self._connections[center] = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body, dict(headers))
        reply = connection.getresponse()
        found = json.loads(reply.read())
        if reply.status >= 300:
            raise RuntimeError(f"{method} {path}: {reply.status} {found}")
        return found


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# --- the four ----------------------------------------------------------------------------------------------


@contextmanager
def embedded(_: Services, tuning: Tuning) -> Iterator[tuple[RunningGateway, Partner]]:
    """SQLite, no broker, one process."""
    with _gateway(_changes(tuning)) as found:
        yield found


@contextmanager
def embedded_twice(_: Services, tuning: Tuning) -> Iterator[tuple[RunningGateway, Partner]]:
    """Two processes at one SQLite file, no broker."""
    with _gateway(_changes(tuning), arguments=("--workers", "2")) as found:
        _until_serving(found[0].home, 2)
        yield found


@contextmanager
def signed(_: Services, tuning: Tuning) -> Iterator[tuple[RunningGateway, Partner]]:
    """The same, and every message to and from the partners is signed with ECDSA."""
    agreed = "soap_security: {policy: signature, demo_keys: ecdsa}"
    changes = _changes(tuning)
    security = [(f"    party: {name}\n", f"    party: {name}\n    {agreed}\n") for name in _SIGNERS]
    changes["destinations.yaml"] = [*changes.get("destinations.yaml", []), *security]
    with _gateway(changes, signing=True) as found:
        yield found


@contextmanager
def distributed(services: Services, tuning: Tuning) -> Iterator[tuple[RunningGateway, Partner]]:
    """Two processes on PostgreSQL and RabbitMQ."""
    env = {
        "GATEWAY_DATABASE_URL": services.postgresql.emptied(),
        "GATEWAY_BROKER_URL": services.broker.url,
    }
    with _gateway(_changes(tuning), services.pids(), ("--workers", "2"), env) as found:
        _until_serving(found[0].home, 2)
        yield found


def _changes(tuning: Tuning) -> dict[str, list[tuple[str, str]]]:
    return dict(_PATIENT if tuning.waiting else _QUIET)


@contextmanager
def _gateway(
    changes: Mapping[str, list[tuple[str, str]]],
    services: Mapping[str, int] | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    *,
    signing: bool = False,
) -> Iterator[tuple[RunningGateway, Partner]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="umrah-bench-")))
        home = Installation(folder, changes=changes)
        keys = _keys(home.data) if signing else None
        found = stack.enter_context(partner(home.ports["partners"], keys))
        stack.callback(home.stop)
        home._start("gateway", "serve", *arguments, **(env or {}))
        home._wait_for("admin", "/livez", process="gateway")
        yield RunningGateway(home, services or {}), found
        home.terminate("gateway")


def _keys(data: Path) -> Path:
    """Of both sides: the partner starts before the gateway, which would make them."""
    folder = demo_keys_directory(data)
    for who in (OURS, *_SIGNERS):
        ensure_demo_pair(folder, who, "ecdsa")
    return folder


def _until_serving(home: Installation, processes: int) -> None:
    """Every process, and the leader has its connections."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        text = (home.get("admin", "/metrics") or b"").decode()
        serving = [line for line in text.splitlines() if line.startswith("gateway_processes ")]
        if serving and float(serving[0].split()[1]) == processes and "gateway_audit_head_sequence" in text:
            return
        time.sleep(0.1)
    raise TimeoutError("not every process came up")
