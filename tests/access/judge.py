"""Probes sent and answers compared: what differs, what leaked, what was changed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any

from tests.access.probes import KNOWN, PROBES, Draw, Kept, Pair, Route
from tests.access.stage import CENTERS, UUID, Stage, Tenant
from tests.access.wire import Answer, Request, Wire

#: Said anew in every answer.
_ANEW = frozenset({"date", "x-request-id"})
#: A longer answer is a document: its code is its status.
_LONG_BYTES = 20_000


@dataclass
class Tally:
    """What the probes of one route in the name of one tenant came to."""

    route: Route
    tenant: str
    probes: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    #: Probes whose answer was another one than their twin's: by what they tried, and both codes.
    differing: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    #: Canaries of another party in an answer.
    leaks: list[str] = field(default_factory=list)
    #: The first of each.
    examples: dict[tuple[str, str, str], str] = field(default_factory=dict)

    @property
    def known(self) -> Counter[str]:
        """Differences that the rules of the network bring with them, by what was tried."""
        found: Counter[str] = Counter()
        for (family, code, _), count in self.differing.items():
            if family in KNOWN and KNOWN[family].code in code.split():
                found[family] += count
        return found

    @property
    def unexplained(self) -> list[str]:
        """An example of each difference that nothing explains."""
        return [
            f"{family}: {code} against {twin}\n{self.examples[family, code, twin]}"
            for family, code, twin in self.differing
            if family not in KNOWN or KNOWN[family].code not in code.split()
        ]


async def probe(stage: Stage, route: Route, attacker: str, count: int, seed: int) -> Tally:
    """So many probes of one route in the name of one center, against the other."""
    victim = next(each for each in CENTERS if each != attacker)
    tally = Tally(route, attacker)
    random = Random(f"{seed}/{route}/{attacker}")
    wire = Wire(stage.url)
    kept = Kept()
    try:
        for _ in range(count):
            draw = Draw(stage, random, stage.tenants[attacker], stage.tenants[victim], kept)
            pair = PROBES[route](draw)
            if pair.before is not None:
                first = await wire.send(pair.before)
                assert first.status in (200, 201, 202), (pair.family, first)
            answer, twin = await wire.send(pair.probe), await wire.send(pair.twin)
            _judge(tally, stage, draw.attacker, pair, answer, twin)
    finally:
        await wire.close()
    return tally


def _judge(tally: Tally, stage: Stage, attacker: Tenant, pair: Pair, answer: Answer, twin: Answer) -> None:
    tally.probes += 1
    tally.families[pair.family.partition(";")[0].partition(",")[0]] += 1
    tally.answers[_code(answer)] += 1
    for request, found in ((pair.probe, answer), (pair.twin, twin)):
        tally.leaks += leaks(stage, attacker, request, found)
    if is_failure(answer) or not same(answer, twin, pair.repeated):
        what = (pair.family.partition(";")[0], _code(answer), _code(twin))
        tally.differing[what] += 1
        tally.examples.setdefault(what, f"{pair.probe}\n{answer}\n--- twin\n{pair.twin}\n{twin}")


def leaks(stage: Stage, attacker: Tenant, request: Request, answer: Answer) -> list[str]:
    """Canaries of anybody else that the answer holds and the request does not."""
    return [
        f"{canary} of {', '.join(sorted(owners))} in the answer to {request.method} {request.target}"
        for part in (answer.head, answer.body)
        for canary, owners in stage.found(part)
        if attacker.id not in owners and canary.encode() not in request.written("")
    ]


def is_failure(answer: Answer) -> bool:
    """Whether the gateway failed. A SOAP 1.1 fault has status 500 whoever is to blame, and says who."""
    return answer.status >= 500 and b"<faultcode>s:Client</faultcode>" not in answer.body


def same(answer: Answer, twin: Answer, repeated: tuple[str, str] = ("", "")) -> bool:
    """Whether a caller can't tell one answer from the other."""
    return _seen(answer, repeated[0]) == _seen(twin, repeated[1])


#: Of the audit log, signed anew every minute: the same for every party, and in every receipt.
_CHECKPOINT = re.compile(
    rb'"checkpoint": (?:null|\{"document": "(?:[^"\\]|\\.)*", "signature": "[0-9a-f]*"\})'
)


def _seen(answer: Answer, repeated: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a caller can tell answers apart by: all but what is anew in each, and what it said itself."""
    headers = sorted(
        (name.lower(), _without_ids(value.encode()).decode())
        for name, value in answer.headers
        if name.lower() not in _ANEW
    )
    body = answer.body.replace(repeated.encode(), b"<repeated>") if repeated else answer.body
    if len(body) != len(answer.body) or _CHECKPOINT.search(body[:_LONG_BYTES]):  # as long as what is masked
        headers = [(name, value) for name, value in headers if name != "content-length"]
    return answer.status, headers, lasting(body)


def lasting(body: bytes) -> bytes:
    """Without what is said anew in every answer: the ids made for it, the latest checkpoint."""
    if len(body) < _LONG_BYTES:
        body = _CHECKPOINT.sub(b"<checkpoint>", body)
    return _without_ids(body)


@lru_cache(maxsize=32)
def _without_ids(text: bytes) -> bytes:
    return UUID.sub(b"<id>", text)


def _code(answer: Answer) -> str:
    """The status, with the code of a problem, of a SOAP fault, or of lines that were rejected."""
    return " ".join([str(answer.status), *sorted(_codes(answer))])


def _codes(answer: Answer) -> set[str]:
    media = answer.header("Content-Type").partition(";")[0]
    if not answer.body or len(answer.body) > _LONG_BYTES:
        return set()
    if media in ("application/json", "application/problem+json"):
        document = json.loads(answer.body)
        faults = (*document.get("rejected", ()), *document.get("errors", ()))
        codes = {document.get("code"), *(fault["code"] for fault in faults)}
        return {code for code in codes if code}
    return {code.decode().lower() for code in re.findall(rb"<code[^>]*>([A-Z_]+)</code>", answer.body)}


# --- controls --------------------------------------------------------------------------------------


def shown_to_owner(tenant: Tenant) -> Iterator[tuple[Route, Request]]:
    """Requests by which a party sees its own: what would be found, were it shown to another."""
    headers = (("Authorization", f"Bearer {tenant.token()}"),)
    batch, rejected = tenant.batches[0], tenant.batches[-1]
    for path, id in (
        ("/v1/batches/{id}", batch),
        ("/v1/batches/{id}/applications", batch),
        ("/v1/batches/{id}/results", batch),
        ("/v1/batches/{id}/rejected", rejected),
        ("/v1/messages/{id}", tenant.applications[0]),
    ):
        yield ("GET", path), Request("GET", path.format(id=id), headers)
    yield ("GET", "/v1/notifications"), Request("GET", "/v1/notifications?cursor=0&limit=1000", headers)


async def everything(stage: Stage) -> dict[str, Any]:
    """What each center sees of what was there before the first probe."""
    wire = Wire(stage.url)
    found: dict[str, Any] = {}
    try:
        for tenant in stage.centers:
            headers = (("Authorization", f"Bearer {tenant.token()}"),)
            targets: Sequence[str] = [
                *(
                    f"/v1/batches/{id}{more}"
                    for id in tenant.batches
                    for more in ("", "/applications", "/results")
                ),
                *(f"/v1/messages/{id}" for id in (*tenant.messages, *tenant.applications)),
            ]
            for target in targets:
                answer = await wire.send(Request("GET", target, headers))
                found[f"{tenant.id} {target}"] = (answer.status, lasting(answer.body))
            told = await wire.send(Request("GET", "/v1/notifications?cursor=0&limit=1000", headers))
            document = json.loads(told.body)
            known = [each for each in document["notifications"] if int(each["cursor"]) in tenant.cursors]
            found[f"{tenant.id} notifications"] = (known, document["confirmed"])
    finally:
        await wire.close()
    return found
