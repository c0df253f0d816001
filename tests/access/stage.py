"""A whole gateway with everything in it that one party must not learn of another.

The real composition root, its listeners, its worker and the partners' simulators; two service centers, the
ministry's departments, the committee and the systems have all spoken with it before the first probe. Every
text that a party wrote holds a mark of its own, every id that it was given is noted: its canaries.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.service_centers.sample import sample_batch
from cli.bootstrap import build
from cli.demo import partners, settings_in
from cli.gateway import Gateway
from gateway.message import new_id
from gateway.observe.log import configure_logging
from gateway.web.soap_services import secrets_directory
from gateway.web.tokens import demo_key_path
from schemas.kinds import KINDS
from tests.access.wire import Answer, Request, Wire
from tests.schemas.pictures import jpeg, sha256

AUDIENCE = "umrah-gateway"
CENTERS = ("sc-01", "sc-02")
#: Who else has spoken, and may try.
OTHERS = ("licensing", "pilgrim-services", "committee", "passports", "foreign-affairs")
SYSTEMS = ("passports", "foreign-affairs")
_PHOTOS = 6
#: Of the simulators: no visa has a number that stands in the documentation.
_SEED = 7
#: A line with it is rejected.
UNKNOWN_VISA_TYPE = "none"
_SETTLED_S = 60.0
#: In every text of a center; letters only, so that it may be part of a name.
_MARKS = {"sc-01": "Zqalif", "sc-02": "Zqbaax"}

_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
UUID = re.compile(_UUID)
#: What a canary looks like, so that an answer is gone through once: ids, digests, visas, passports, marks.
_LIKELY = re.compile(
    b"|".join((_UUID, rb"[0-9a-f]{64}", rb"[0-9]{10}", rb"[A-Z]{1,2}[0-9]{6,8}", rb"(?i:zq(?:alif|baax))"))
)


@dataclass
class Tenant:
    """One party: what it owns, what it was given, and what may be known of it by nobody else."""

    id: str
    key: Ed25519PrivateKey = field(repr=False)
    batches: list[str] = field(default_factory=list)
    applications: list[str] = field(default_factory=list)
    #: Of other kinds.
    messages: list[str] = field(default_factory=list)
    #: Ids of notifications and their cursors.
    events: list[str] = field(default_factory=list)
    cursors: list[int] = field(default_factory=list)
    photos: list[bytes] = field(default_factory=list)
    visas: list[str] = field(default_factory=list)
    passports: list[str] = field(default_factory=list)
    #: Idempotency keys and token ids that it used.
    keys: list[str] = field(default_factory=list)
    jtis: list[str] = field(default_factory=list)
    #: Token ids of others that it has used too: a second time they are its own.
    borrowed: set[str] = field(default_factory=set)
    #: The bodies of its messages, by kind, and of its batches, as they were sent.
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    submitted: list[tuple[dict[str, Any], list[dict[str, Any]]]] = field(default_factory=list)
    #: Of what it wrote.
    mark: str = ""

    @property
    def number(self) -> int:
        return int(self.id.removeprefix("sc-"))

    @property
    def ids(self) -> list[str]:
        """Every id that the gateway gave it."""
        return [*self.batches, *self.applications, *self.messages, *self.events]

    @property
    def canaries(self) -> list[str]:
        """What nobody else may be told."""
        digests = (sha256(photo) for photo in self.photos)
        return [*filter(None, [self.mark]), *self.ids, *self.visas, *self.passports, *digests]

    def token(self, **claims: Any) -> str:
        """A fresh token; `claims` replace what it says, None takes one away."""
        now = int(time.time())
        said = {"iss": self.id, "aud": AUDIENCE, "iat": now, "exp": now + 240, "jti": new_id(), **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.key, algorithm="EdDSA")


@dataclass
class Stage:
    """The gateway under probe."""

    gateway: Gateway
    data: Path
    tenants: dict[str, Tenant]
    #: Shared secrets of the systems that call SOAP services.
    secrets: Mapping[str, str]
    #: Whose each canary is: more than one party's, where one is told of what another sent.
    owners: dict[bytes, set[str]] = field(default_factory=dict)

    def note_canaries(self) -> None:
        """Everything that is known by now becomes a canary."""
        self.owners = {}
        for tenant in self.tenants.values():
            for canary in tenant.canaries:
                self.owners.setdefault(canary.lower().encode(), set()).add(tenant.id)

    def found(self, text: bytes) -> Iterator[tuple[str, set[str]]]:
        """The canaries that a text holds, and whose they are."""
        for found in _likely(text):
            if owners := self.owners.get(found.lower()):
                yield found.decode(), owners

    @property
    def url(self) -> str:
        return self.gateway.host.public_url

    def routes(self) -> set[tuple[str, str]]:
        """Method and path of everything that the public listener serves."""
        listening = self.gateway.host._public
        assert listening is not None
        return {(route.method, route.path) for route in listening.switch.routes}

    @property
    def centers(self) -> list[Tenant]:
        return [self.tenants[center] for center in CENTERS]


# --- a party at work -------------------------------------------------------------------------------


@dataclass
class _Party:
    """Sends as one tenant and notes what it is given."""

    tenant: Tenant
    wire: Wire

    async def call(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        jti = new_id()
        self.tenant.jtis.append(jti)
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        bearer = (("Authorization", f"Bearer {self.tenant.token(jti=jti)}"),)
        return await self.wire.send(Request(method, target, (*bearer, *named), body))

    async def get(self, target: str) -> Any:
        answer = await self.call("GET", target)
        assert answer.status == 200, (self.tenant.id, target, answer)
        return json.loads(answer.body)

    async def message(self, kind: str, **changes: Any) -> str:
        body = {**KINDS[kind].example, **changes}
        body = {name: value for name, value in body.items() if value is not None}
        key = f"message-{self.tenant.id}-{kind}-{len(self.tenant.messages)}"
        answer = await self.call(
            "POST", f"/v1/messages/{kind}", json.dumps(body).encode(),
            Content_Type="application/json", Idempotency_Key=key,
        )  # fmt: skip
        assert answer.status == 202, (self.tenant.id, kind, answer)
        self.tenant.keys.append(key)
        self.tenant.sent[kind] = body
        self.tenant.messages.append(json.loads(answer.body)["message_id"])
        return self.tenant.messages[-1]

    async def batch(self, header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> str:
        kept = [dict(line) for line in lines]
        key = f"batch-{self.tenant.id}-{len(self.tenant.batches)}"
        answer = await self.call(
            "POST", "/v1/batches", ndjson(header, kept),
            Content_Type="application/x-ndjson", Idempotency_Key=key,
        )  # fmt: skip
        assert answer.status == 202, (self.tenant.id, answer)
        self.tenant.keys.append(key)
        self.tenant.submitted.append((dict(header), kept))
        self.tenant.passports += [line["passport"]["number"] for line in kept]
        self.tenant.batches.append(json.loads(answer.body)["batch_id"])
        return self.tenant.batches[-1]

    async def photo(self, picture: bytes) -> None:
        answer = await self.call("PUT", f"/v1/photos/{sha256(picture)}", picture, Content_Type="image/jpeg")
        assert answer.status == 201, answer
        self.tenant.photos.append(picture)

    async def settled(self, batch: str) -> None:
        async with asyncio.timeout(_SETTLED_S):
            while (await self.get(f"/v1/batches/{batch}"))["state"] != "completed":
                await asyncio.sleep(0.05)

    async def look(self) -> None:
        """Note the ids of everything that it can see by now."""
        self.tenant.applications.clear()
        for batch in self.tenant.batches:
            page = await self.get(f"/v1/batches/{batch}/applications?limit=1000")
            self.tenant.applications += [line["application_id"] for line in page["applications"]]
            found = (line.get("visa") or {} for line in page["applications"])
            self.tenant.visas += [visa["number"] for visa in found if visa.get("number")]
        told = await self.get("/v1/notifications?cursor=0&limit=1000")
        # What a message led to is told under a number of its own, which is no secret: the cursor.
        ids = (str(event["id"]) for event in told["notifications"])
        self.tenant.events = [id for id in ids if UUID.fullmatch(id.encode())]
        self.tenant.cursors = [int(event["cursor"]) for event in told["notifications"]]


@lru_cache(maxsize=32)
def _likely(text: bytes) -> frozenset[bytes]:
    """Kept for documents that come again and again."""
    return frozenset(_LIKELY.findall(text))


def ndjson(header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in (header, *lines))


# --- what is there before the first probe ----------------------------------------------------------


@asynccontextmanager
async def open_stage(folder: Path) -> AsyncIterator[Stage]:
    """A gateway with all of it, listening on free ports; everything is stopped afterwards."""
    configure_logging("error")
    async with partners(folder, _SEED) as partners_url:
        gateway = build(settings_in(folder, partners_url))
        await gateway.start()
        try:
            stage = _stage(gateway, folder / "data")
            await _fill(stage)
            stage.note_canaries()
            yield stage
        finally:
            await gateway.stop()


def _stage(gateway: Gateway, data: Path) -> Stage:
    tenants = {}
    for party in (*CENTERS, *OTHERS):
        key = load_pem_private_key(demo_key_path(data, party).read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        tenants[party] = Tenant(party, key, mark=_MARKS.get(party, ""))
    secrets = {
        party: (secrets_directory(data) / f"{party}.secret").read_text().split()[0] for party in SYSTEMS
    }
    return Stage(gateway, data, tenants, secrets)


async def _fill(stage: Stage) -> None:
    wire = Wire(stage.url)
    parties = {name: _Party(tenant, wire) for name, tenant in stage.tenants.items()}
    try:
        for center in CENTERS:
            await _of_a_center(parties[center])
        for center in CENTERS:
            await _of_the_ministry(parties["licensing"], stage.tenants[center])
        await _of_the_committee(parties["committee"])
        for center in CENTERS:
            await parties[center].settled(stage.tenants[center].batches[0])
        for name in (*CENTERS, "licensing", "pilgrim-services", "committee"):
            party = parties[name]
            await party.look()
            if party.tenant.cursors:  # everything confirmed, so that a confirmation changes nothing
                await party.call("POST", f"/v1/notifications/confirm?cursor={party.tenant.cursors[-1]}")
    finally:
        await wire.close()


async def _of_a_center(party: _Party) -> None:
    tenant, mark = party.tenant, party.tenant.mark
    today = datetime.now(UTC).date()
    for number in range(_PHOTOS):
        await party.photo(jpeg(fill=bytes([tenant.number * 16 + number])))
    for seed, count in ((1, 4), (2, 3)):
        header, lines = sample_batch(count, seed, today, clean=True, center=tenant.id)
        await party.batch(
            {**header, "batch_reference": f"{mark}-{seed}"},
            [marked(line, mark, f"{mark}-{seed}-{each}") for each, line in enumerate(lines)],
        )
    # Refused by a partner, and rejected by us: both have lists of their own.
    header, lines = sample_batch(2, 3, today, clean=True, center=tenant.id)
    bad, refused = (marked(line, mark, f"{mark}-3-{each}") for each, line in enumerate(lines))
    bad["visa_type"] = UNKNOWN_VISA_TYPE
    refused["passport"] = {**refused["passport"], "number": refused["passport"]["number"][:-2] + "90"}
    await party.batch({**header, "batch_reference": f"{mark}-3"}, [bad, refused])
    licensee, agent = f"LIC-{1000 + tenant.number}", f"AGT-{2000 + tenant.number}"
    ours: dict[str, Any] = {"licensee_id": licensee}
    visit = {"group_number": None, "visa_numbers": None, "package_id": None}
    await party.message("readiness.report", report_id=f"RDY-{mark}", **ours)
    await party.message("package.submission", package_id=f"PKG-{mark}", title=f"Package {mark}", **ours)
    await party.message("plan.submission", plan_id=f"PLN-{mark}", **ours)
    await party.message("agent_contract.submission", contract_id=f"CTR-{mark}", agent_id=agent, **ours)
    await party.message("compliance.report", report_id=f"CMP-{mark}", **ours, **visit)
    await party.message(
        "case.report", case_id=f"CASE-{mark}", description=f"Lost {mark}", visa_number=None, **ours
    )
    await party.message(
        "complaint.submission", complaint_id=f"CPL-{mark}", text=f"Said {mark}", visa_number=None, **ours
    )


async def _of_the_ministry(licensing: _Party, center: Tenant) -> None:
    """Each is told to the licensee's center, or to nobody but the committee."""
    licensee = f"LIC-{1000 + center.number}"
    for version in (2, 3):
        await licensing.message(
            "licensee.status", licensee_id=licensee, version=version, name_en=f"Company {center.mark}"
        )
    await licensing.message(
        "violation.recorded", violation_id=f"VIO-{center.mark}", licensee_id=licensee, agent_id=None,
        text=f"Seen {center.mark}",
    )  # fmt: skip
    await licensing.message(
        "investigation.opened", investigation_id=f"INV-{center.mark}", licensee_id=licensee,
        grounds=f"Because {center.mark}",
    )  # fmt: skip
    await licensing.message("package.decision", package_id=f"PKG-{center.mark}", decision="approved")


async def _of_the_committee(committee: _Party) -> None:
    told = await committee.get("/v1/notifications?cursor=0&limit=1000")
    for event in told["notifications"]:
        if event["kind"] == "committee.referral":
            case = event["data"]["case_id"]
            await committee.message("committee.decision", case_id=case, revision=1, decision="upheld")


def marked(line: Mapping[str, Any], mark: str, reference: str) -> dict[str, Any]:
    """A line of a batch whose person carries the mark."""
    passport = {name: value for name, value in line["passport"].items() if name != "mrz"}
    name = {**line["name"], "family": mark, "father": mark}
    return {
        **line, "reference": reference, "name": name, "passport": passport, "address": f"{mark} street",
        "email": f"{mark.lower()}@example.org", "profession": mark,
    }  # fmt: skip


def absent_person(line: Mapping[str, Any], random: Random) -> dict[str, Any]:
    """The same line for a person whom nobody ever submitted."""
    number = f"{line['passport']['number'][:2]}{random.randrange(10**5):05}{random.randrange(10, 90)}"
    return {**line, "passport": {**line["passport"], "number": number}}
