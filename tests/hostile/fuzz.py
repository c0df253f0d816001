"""Cases by chance, each judged as a row of the table is: no failure of ours, no second, no memory, no word.

Five sources: XML batches and SOAP calls that are mutated from a corpus of good ones; CSV, NDJSON and JSON the
same; bodies that hypothesis makes from the published schemas; and schemathesis on `/openapi.json` as it is
served. What is made by mutation can be made again from its seed and number.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import cycle
from random import Random
from typing import Any, Final

from adapters.service_centers import MEDIA_TYPES
from adapters.service_centers.sample import sample_batch
from gateway.soap.envelope import SOAP_11, SOAP_12, Dialect
from tests.hostile import mutation
from tests.hostile.door import arrival, batch_passes, soap_passes
from tests.hostile.file_rows import written
from tests.hostile.row import LONGEST_S, MOST_MB
from tests.hostile.site import CENTER, Site, SoapCaller, batch_request, json_batch
from tests.hostile.wire import Answer, answer_in, is_whole, request

#: How the cases are shared out.
SHARES: Final[Mapping[str, float]] = {
    "XML batches, mutated": 0.25,
    "SOAP calls, mutated": 0.30,
    "CSV, NDJSON and JSON, mutated": 0.25,
    "hypothesis on the published schemas": 0.10,
    "schemathesis on /openapi.json": 0.10,
}
#: Logs, memory and good messages are looked at so often.
_LOOK_EVERY: Final = 250
_MOST_FAULTS: Final = 50
_PATIENCE_S: Final = 30.0
_ANOTHER: Final = "sc-04"
_FAULT: Final = re.compile(rb"<(?:faultcode|s:Value)>s:")
#: Says that the fault is ours, in either version of SOAP.
_OURS: Final = re.compile(rb"<(?:faultcode|s:Value)>s:(?:Server|Receiver)<")

#: Makes a whole request, under a new token and key each time.
Make = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """One input."""

    source: str
    #: By which it can be made again.
    number: int
    make: Make


@dataclass
class Report:
    """What a run came to."""

    cases: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    #: Cases that took too long once and not when they were sent again: the machine was busy.
    slow_once: int = 0
    memory_mb: float = 0.0
    #: What the process has more after each source than before the first: a leak would go on growing.
    grown_mb: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cases": sum(self.cases.values()),
            "by_source": dict(self.cases),
            "answers": dict(sorted(self.answers.items())),
            "faults": self.faults,
            "longest_s": round(self.longest_s, 3),
            "slow_once": self.slow_once,
            "most_memory_mb": round(self.memory_mb, 1),
            "grown_mb": {name: round(grown, 1) for name, grown in self.grown_mb.items()},
            "seconds": round(self.seconds, 1),
        }


def fuzz(site: Site, count: int, seed: int, *, longest_s: float = LONGEST_S) -> Report:
    """That many cases in all, against a site that is up."""
    report, began = Report(), time.perf_counter()
    gateway = site.gateway
    gateway.logged()
    resident = gateway.resident_mb()
    for source, share in SHARES.items():
        with closing(Line(gateway.home.ports["public"])) as line:
            for cases in _in_groups(_SOURCES[source](site, round(count * share), seed)):
                with gateway.measured() as cost:
                    for case in cases:
                        _judge(case, line, report, longest_s)
                report.memory_mb = max(report.memory_mb, cost[0].memory_mb)
                _look(site, source, report)
                if len(report.faults) > _MOST_FAULTS:
                    return report
        report.grown_mb[source] = gateway.resident_mb() - resident
    report.seconds = time.perf_counter() - began
    return report


def _in_groups(cases: Iterator[Case]) -> Iterator[list[Case]]:
    group: list[Case] = []
    for case in cases:
        group.append(case)
        if len(group) == _LOOK_EVERY:
            yield group
            group = []
    if group:
        yield group


def _judge(case: Case, line: Line, report: Report, longest_s: float) -> None:
    answer, took = _timed(case, line)
    if took > longest_s:
        report.slow_once += 1
        answer, took = min((_timed(case, line) for _ in range(3)), key=lambda found: found[1])
    report.cases[case.source] += 1
    report.answers[_kind(answer)] += 1
    report.longest_s = max(report.longest_s, took)
    for fault in _faults(answer, took, longest_s):
        report.faults.append(f"{case.source} #{case.number}: {fault}")


def _timed(case: Case, line: Line) -> tuple[Answer, float]:
    sent = case.make()
    began = time.perf_counter()
    answer = line.send(sent)
    return answer, time.perf_counter() - began


def _kind(answer: Answer) -> str:
    """Its status; SOAP 1.1 has 500 for a sender's fault too (W3C Note, 6.2)."""
    return f"{answer.status}, a SOAP sender's fault" if _senders_fault(answer) else str(answer.status)


def _senders_fault(answer: Answer) -> bool:
    return answer.status >= 500 and bool(_FAULT.search(answer.body)) and not _OURS.search(answer.body)


def _faults(answer: Answer, took: float, longest_s: float) -> Iterator[str]:
    if answer.status >= 500 and not _senders_fault(answer):
        yield f"status {answer.status} {answer.code}"
    if not answer.status:
        yield "no answer"
    if b"Traceback" in answer.body:
        yield "a traceback"
    if took > longest_s:
        yield f"{took:.2f} s"


def _look(site: Site, source: str, report: Report) -> None:
    logged = site.gateway.logged()
    for line in logged.splitlines():
        if b'"level": "error"' in line or b"Traceback" in line:
            report.faults.append(f"{source}: logged {line[:300]!r}")
    if report.memory_mb > MOST_MB:
        report.faults.append(f"{source}: {report.memory_mb:.0f} MB")
    if not site.gateway.home.alive("gateway"):
        report.faults.append(f"{source}: the gateway died")
    # What the schemas make are messages of the ministry too, and some are taken: of a licensee that none of
    # the examples names, and which line is then refused by new rules is no fault.
    elif source.startswith(("hypothesis", "schemathesis")):
        answer = site.gateway.batch(json_batch(center=_ANOTHER), MEDIA_TYPES["json"], party=_ANOTHER)
        if answer.status != 202:
            report.faults.append(f"{source}: a good batch got {answer.status} {answer.code}")
    elif not (batch_passes("xml", site) and batch_passes("csv", site) and soap_passes(site)):
        report.faults.append(f"{source}: a good message did not pass")


# --- connections ------------------------------------------------------------------------------------------


class Line:
    """One connection that is kept while the gateway keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, sent: bytes) -> Answer:
        """The answer; on a new connection when the old one was closed meanwhile."""
        fresh = self._socket is None
        answer = self._try(sent)
        if not answer.status and not fresh:
            answer = self._try(sent)
        if not answer.status or answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def _try(self, sent: bytes) -> Answer:
        received = bytearray()
        with suppress(OSError):
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE_S)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):  # who refuses early may close before all is sent
                self._socket.sendall(sent)
            while not is_whole(received) and (data := self._socket.recv(262_144)):
                received += data
        answer = answer_in(bytes(received))
        if not answer.status:
            self.close()
        return answer

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _kept(sent: bytes) -> bytes:
    return sent.replace(b"Connection: close\r\n", b"", 1)


def _batch(site: Site, body: bytes, media: str, *, recorded: bool) -> Make:
    query = "" if recorded else "?dry_run=true"
    return lambda: _kept(batch_request(site.gateway, body, media, query=query))


# --- by mutation ------------------------------------------------------------------------------------------


def _corpus(name: str) -> list[bytes]:
    """Batches of one and of five lines, as centers send them."""
    found = [written(name)]
    for seed in range(4):
        lines = sample_batch(5, 900 + seed, date.today())[1]  # noqa: DTZ011
        with suppress(ValueError):  # a wrong line may have a field that CSV has no column for
            found.append(written(name, *lines))
    return found


def _mutated(site: Site, count: int, seed: int, source: str, names: tuple[str, ...]) -> Iterator[Case]:
    corpora = {name: _corpus(name) for name in names}
    for number, name in zip(range(count), cycle(names), strict=False):
        random = Random(f"{seed}/{source}/{number}")
        changes = mutation.XML if name == "xml" else mutation.TEXT
        body = mutation.changed(random.choice(corpora[name]), changes, random)
        yield Case(source, number, _batch(site, body, MEDIA_TYPES[name], recorded=number % 4 == 0))


def _xml_batches(site: Site, count: int, seed: int) -> Iterator[Case]:
    return _mutated(site, count, seed, "XML batches, mutated", ("xml",))


def _texts(site: Site, count: int, seed: int) -> Iterator[Case]:
    return _mutated(site, count, seed, "CSV, NDJSON and JSON, mutated", ("csv", "ndjson", "json"))


_CAPACITY: Final = (
    '<PublishMissionCapacity xmlns="urn:umrah:gateway:capacity:v1"><mission_id>MSN-IDN-JKT</mission_id>'
    "<version>3</version><window><opens>2026-12-01</opens><closes>2026-12-31</closes></window>"
    "<ceiling>1200</ceiling></PublishMissionCapacity>"
)
_ATTESTATION: Final = (
    '<NotifyAttestation xmlns="urn:umrah:gateway:attestations:v1"><contract_id>CON-1</contract_id>'
    "<version>2</version><decision>ATTESTED</decision><decided_at>2026-11-22T08:00:00Z</decided_at>"
    "<reference>ATT-2026-0093</reference></NotifyAttestation>"
)


def _soap_calls(site: Site, count: int, seed: int) -> Iterator[Case]:
    """Four in five have a good token and a bad Body; of the others anything may be bad."""
    source = "SOAP calls, mutated"
    passports, foreign = (SoapCaller(site.gateway, party) for party in ("passports", "foreign-affairs"))
    bodies = (
        (passports, "movements", arrival()),
        (passports, "movements", arrival().replace("Arrival", "Departure")),
        (foreign, "capacity", _CAPACITY),
        (foreign, "attestations", _ATTESTATION),
    )
    for number in range(count):
        random = Random(f"{seed}/{source}/{number}")
        caller, service, body = random.choice(bodies)
        dialect, whole = random.choice((SOAP_11, SOAP_12)), random.random() < 0.2
        yield Case(source, number, partial(_call, caller, service, body, dialect, whole, random.getstate()))


def _call(
    caller: SoapCaller, service: str, body: str, dialect: Dialect, whole: bool, state: tuple[Any, ...]
) -> bytes:
    """The same changes each time, around a new token."""
    random = Random()
    random.setstate(state)
    envelope = dialect.wrap(caller.security(), body)
    start = 0 if whole else envelope.index(b"<s:Body>")
    sent = envelope[:start] + mutation.changed(envelope[start:], mutation.XML, random)
    return _kept(request("POST", f"/soap/{service}", {"Content-Type": dialect.media_type}, sent))


# --- from the published schemas ---------------------------------------------------------------------------


def _operations(site: Site, seed: int, count: int, source: str, mode: Any) -> Iterator[tuple[int, Any]]:
    """Cases of schemathesis, the operations in turn, as many of each."""
    import hypothesis
    import schemathesis
    from schemathesis.config import SchemathesisConfig

    document = json.loads(site.gateway.send(request("GET", "/openapi.json", {})).body)
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [each for each in operations if mode(each)]
    number = 0
    for place, operation in enumerate(operations):
        share = count // len(operations) + (place < count % len(operations))
        made: list[Any] = []
        _draw(hypothesis, operation, share, seed, made)
        for case in (made * (share // max(1, len(made)) + 1))[:share]:
            yield number, case
            number += 1


def _draw(hypothesis: Any, operation: Any, count: int, seed: int, made: list[Any]) -> None:
    if not count:
        return

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def draw(case: Any) -> None:
        made.append(case)

    draw()


def _by_schema(site: Site, count: int, seed: int) -> Iterator[Case]:
    """Whole requests by schemathesis: paths, queries, headers, bodies, over every documented operation."""
    source, senders = "schemathesis on /openapi.json", _Senders(site)
    for number, case in _operations(site, seed, count, source, lambda _each: True):
        yield Case(source, number, partial(senders.request, case))


def _by_body(site: Site, count: int, seed: int) -> Iterator[Case]:
    """JSON bodies by hypothesis from the schemas of messages and batches, one value of each made worse."""
    source, senders = "hypothesis on the published schemas", _Senders(site)
    for number, case in _operations(site, seed + 1, count, source, lambda each: bool(each.body)):
        if case.media_type == "application/json" and not isinstance(case.body, bytes):
            body = json.dumps(case.body).encode(errors="replace")
            random = Random(f"{seed}/{source}/{number}")
            changed = mutation.changed(body, mutation.TEXT, random)
            yield Case(source, number, partial(senders.post, case.path, changed))
        else:
            yield Case(source, number, partial(senders.request, case))


_OWN_HEADERS: Final = ("authorization", "host", "content-length", "transfer-encoding", "connection")


class _Senders:
    """Sends each message as the party that may, so that more than the door is tried."""

    _PARTIES: Final = (CENTER, "licensing", "pilgrim-services", "committee", "passports", "foreign-affairs")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, str] = {}

    def request(self, case: Any) -> bytes:
        """A case of schemathesis as bytes."""
        made = _prepared(case)
        headers = {
            name: value for name, value in made.headers.items() if name.lower() not in _OWN_HEADERS
        } | {"Authorization": f"Bearer {self._site.gateway.token(self._party(case.path))}"}
        body = made.body.encode(errors="replace") if isinstance(made.body, str) else made.body
        # Who asks to be kept waiting for the next notification is, as long as the door is open.
        path = re.sub(r"(?<=[?&]wait=)[0-9]+(?=&|$)", "1000", made.path_url)
        return _kept(request(made.method, path, headers, body))

    def post(self, path: str, body: bytes) -> bytes:
        """A JSON body."""
        headers = {
            "Authorization": f"Bearer {self._site.gateway.token(self._party(path))}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"fuzz-{time.monotonic_ns()}",
        }
        return _kept(request("POST", path, headers, body))

    def _party(self, path: str) -> str:
        if not path.startswith(("/v1/messages/", "/v1/reports/")) or "{" in path:
            return CENTER
        if path not in self._known:
            self._known[path] = next((each for each in self._PARTIES if self._may(each, path)), CENTER)
        return self._known[path]

    def _may(self, party: str, path: str) -> bool:
        method = "GET" if "/reports/" in path else "POST"
        token = self._site.gateway.token(party)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._site.gateway.send(request(method, path, headers, b"{}")).status not in (403, 404)


def _prepared(case: Any) -> Any:
    """The request as `requests` would put it on the wire."""
    import requests

    kwargs = case.as_transport_kwargs(base_url="http://127.0.0.1")
    kwargs.pop("timeout", None)
    return requests.Request(**kwargs).prepare()


_SOURCES: Final[Mapping[str, Callable[[Site, int, int], Iterator[Case]]]] = {
    "XML batches, mutated": _xml_batches,
    "SOAP calls, mutated": _soap_calls,
    "CSV, NDJSON and JSON, mutated": _texts,
    "hypothesis on the published schemas": _by_body,
    "schemathesis on /openapi.json": _by_schema,
}
