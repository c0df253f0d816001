"""Five hundred service centers: a configuration in which each is a party, and each as a client of its own."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
from ruamel.yaml import YAML

from adapters.service_centers.batch_writer import write_batch
from adapters.service_centers.sample import sample_batch
from benchmarks.peers.contender import Batch, Outcome
from gateway.message import new_id
from gateway.web.tokens import demo_key_path, sign_token

#: Centers of the shipped reference data: the others bring pilgrims from the same countries.
_MODELS: Final = 5
_PAGE: Final = 1000
#: An idle connection: shorter than the gateway keeps it.
_KEPT_S: Final = 5.0
#: A token may be used again for reading.
_TOKEN_S: Final = 120.0


# --- their configuration -----------------------------------------------------------------------------------


def names(count: int) -> list[str]:
    """Identifiers of so many centers."""
    return [f"center-{number:03}" for number in range(1, count + 1)]


def configure(config: Path, count: int) -> None:
    """Add so many centers to a configuration, each with a licensee, an agent, a package and a group.

    As many batches may be received at the same time: of those beyond it, each is told to come again after
    five seconds, and has everything so much later than the others.
    """
    yaml = YAML()
    parties, reference = (yaml.load(config / name) for name in _FILES)
    for number, name in enumerate(names(count), start=1):
        model = _model(number)
        own = _own(number)
        parties["parties"].append(
            {"id": name, "kind": "service_center", "name_en": name, "name_ar": name, "demo_key": True}
        )
        licensee = own["licensee_id"]
        country = reference["agents"][model]["country"]
        named = {"name_en": f"Licensee {number}", "name_ar": f"Licensee {number}"}
        reference["licensees"].append({"id": licensee, **named, "status": "active"})
        reference["service_centers"].append({"id": name, "status": "active", "licensees": [licensee]})
        reference["agents"].append(
            {
                "id": own["agent_id"],
                "licensees": [licensee],
                "country": country,
                "status": "active",
                "contract_until": None,
            }
        )
        reference["packages"].append({"id": own["package_id"], "licensee": licensee, "status": "approved"})
        reference["groups"].append({"number": own["group_number"], "licensee": licensee})
        reference["plans"].append({"licensee": licensee, "country": country, "pilgrims_a_month": 1_000_000})
    shipped = (config / "gateway.yaml").read_text("utf-8")
    places = f"max_concurrent_batches: {max(_PLACES, count)}"
    (config / "gateway.yaml").write_text(
        shipped.replace(f"max_concurrent_batches: {_PLACES}", places), "utf-8"
    )
    for name, document in zip(_FILES, (parties, reference), strict=True):
        yaml.dump(document, config / name)


#: As shipped.
_PLACES: Final = 32
_FILES: Final = ("parties.yaml", "reference.yaml")


def _model(number: int) -> int:
    return (number - 1) % _MODELS


def _own(number: int) -> dict[str, str]:
    """What the batches of a center name."""
    return {
        "licensee_id": f"LIC-{20_000 + number}",
        "agent_id": f"AGT-{20_000 + number}",
        "package_id": f"PKG-{20_000 + number}",
        "group_number": f"GRP-{20_000 + number}",
    }


def batches(count: int, lines: int, seed: int) -> list[Batch]:
    """One of each center; nobody applies twice."""
    today, known, made = datetime.now(UTC).date(), set[str](), []
    for number, name in enumerate(names(count), start=1):
        tries = iter(range(number * 100, number * 100 + 100))
        while True:
            header, found = sample_batch(
                lines, seed * 1_000_000 + next(tries), today, clean=True, center=f"sc-0{_model(number) + 1}"
            )
            batch = Batch(name, {**header, **_own(number), "batch_reference": name}, list(found))
            passports = {line["passport"]["number"] for line in batch.lines}
            if len(passports) == lines and not passports & known:
                break
        known |= passports
        made.append(batch)
    return made


# --- as clients --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Center:
    """A center and its one connection, from an address of its own (all of 127.0.0.0/8 is this machine)."""

    batches: Sequence[Batch]
    data: Path
    url: str
    address: str = "127.0.0.1"
    ids: list[str] = field(default_factory=list)
    #: Answers by status, of everything that it asked.
    answers: dict[int, int] = field(default_factory=dict)
    _token: tuple[float, str] = (0.0, "")
    _session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        return self.batches[0].center

    async def __aenter__(self) -> Center:
        connector = aiohttp.TCPConnector(limit=1, local_addr=(self.address, 0), keepalive_timeout=_KEPT_S)
        self._session = aiohttp.ClientSession(
            self.url, connector=connector, timeout=aiohttp.ClientTimeout(600)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self) -> None:
        """Hand everything in; whoever is told to wait, waits. Raises `RuntimeError` for any other refusal."""
        for batch in self.batches:
            await self.send_one(batch)

    async def send_one(self, batch: Batch) -> None:
        """The next of its batches."""
        body, key = _body(batch), new_id()
        while (found := await self._post(body, key, len(batch.lines))) is None:
            pass
        self.ids.append(found)

    async def _post(self, body: bytes, key: str, lines: int) -> str | None:
        headers = {
            "Authorization": f"Bearer {self._signed()}",
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": key,
        }
        assert self._session is not None
        async with self._session.post("/v1/batches", data=body, headers=headers) as reply:
            self._count(reply.status)
            found = json.loads(await reply.read())
            if reply.status in (429, 503):
                await asyncio.sleep(float(reply.headers["Retry-After"]))
                return None
        if reply.status != 202 or found["counts"]["accepted"] != lines:
            raise RuntimeError(f"{self.name}: {reply.status} {found}")
        return str(found["batch_id"])

    async def outcomes(self) -> list[Outcome]:
        """What the gateway says of every line."""
        return [
            each
            for id, batch in zip(self.ids, self.batches, strict=True)
            for each in await self._of(id, batch)
        ]

    async def _of(self, id: str, batch: Batch) -> list[Outcome]:
        passports = {line["reference"]: line["passport"]["number"] for line in batch.lines}
        received = _seconds((await self.get(f"/v1/batches/{id}"))["received_at"])
        found, cursor = [], ""
        while cursor is not None:
            page = await self.get(
                f"/v1/batches/{id}/applications?limit={_PAGE}{cursor and f'&cursor={cursor}'}"
            )
            for line in page["applications"]:
                visa = (line.get("visa") or {}).get("number") if line["state"] == "issued" else None
                found.append(
                    Outcome(passports[line["reference"]], visa, received, _seconds(line["updated_at"]))
                )
            cursor = page["next_cursor"]
        return found

    async def get(self, path: str) -> Any:
        """A document. Raises `RuntimeError` when there is none."""
        made_at, token = self._token
        if time.monotonic() - made_at > _TOKEN_S:
            token = self._signed()
            self._token = time.monotonic(), token
        assert self._session is not None
        async with self._session.get(path, headers={"Authorization": f"Bearer {token}"}) as reply:
            self._count(reply.status)
            if reply.status != 200:
                raise RuntimeError(f"{self.name}: {reply.status}")
            return json.loads(await reply.read())

    def _signed(self) -> str:
        return sign_token(
            demo_key_path(self.data, self.name), self.name, "umrah-gateway", 240, datetime.now(UTC)
        )

    def _count(self, status: int) -> None:
        self.answers[status] = self.answers.get(status, 0) + 1


def _body(batch: Batch) -> bytes:
    body = io.BytesIO()
    write_batch("ndjson", batch.header, batch.lines, body)
    return body.getvalue()


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def answers(centers: Sequence[Center]) -> Mapping[int, int]:
    """Of all of them together, by status."""
    found: dict[int, int] = {}
    for center in centers:
        for status, count in center.answers.items():
            found[status] = found.get(status, 0) + count
    return dict(sorted(found.items()))
