"""Every route of the public listener, two service centers, each against what is the other's.

A sample of it in the suite; at length with `python -m benchmarks.cross_tenant` (docs/access.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.errors import Refused
from gateway.ledger.sqlite.ledger import SqliteLedger
from gateway.message import PartyId
from gateway.pipeline import photos, report
from gateway.values import replace
from tests.access.judge import Tally, everything, lasting, probe, shown_to_owner
from tests.access.probes import PROBES, in_order
from tests.access.stage import CENTERS, Stage, open_stage
from tests.access.wire import Request, Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Of each route in the name of each center.
PROBES_EACH = 20
SEED = 4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path_factory.mktemp("access")) as opened:
        yield opened


async def test_every_route_of_the_listener_is_probed(stage: Stage) -> None:
    assert stage.routes() == set(PROBES)


async def test_a_checkpoint_is_the_same_for_everybody_and_no_difference(stage: Stage) -> None:
    """It is signed anew every minute, and stands in receipts and documents."""
    wire = Wire(stage.url)
    for tenant in stage.centers:
        headers = (("Authorization", f"Bearer {tenant.token()}"),)
        answer = await wire.send(Request("GET", "/v1/checkpoint", headers))
        assert b"signature" in answer.body
        assert lasting(answer.body) == b"{<checkpoint>}"
    await wire.close()


async def test_a_party_sees_its_own_and_the_probes_would_know_it(stage: Stage) -> None:
    wire = Wire(stage.url)
    for tenant in stage.centers:
        for route, request in shown_to_owner(tenant):
            answer = await wire.send(request)
            assert answer.status == 200, route
            seen = {canary for canary, owners in stage.found(answer.body) if owners == {tenant.id}}
            assert len(seen) >= 2, route
    await wire.close()


async def test_nothing_of_another_party_shows_and_nothing_of_it_changes(stage: Stage) -> None:
    before = await everything(stage)
    for route in in_order():
        for center in CENTERS:
            tally = await probe(stage, route, center, PROBES_EACH, SEED)
            assert tally.probes == PROBES_EACH
            assert tally.leaks == [], (route, center)
            assert tally.unexplained == [], (route, center)
    assert await everything(stage) == before


# --- the probes find what they look for ------------------------------------------------------------


async def probed(stage: Stage, *route: str, count: int = 60) -> Tally:
    method, path = route
    return await probe(stage, (method, path), CENTERS[0], count, SEED + 1)


BY_BATCH = ["/v1/batches/{id}", "/v1/batches/{id}/applications", "/v1/batches/{id}/results"]


@pytest.mark.parametrize("path", BY_BATCH)
async def test_a_batch_shown_to_anybody_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    own_batch = report.own_batch

    async def anybodys(party: PartyId, batch_id: Any, engine: Any) -> Any:
        row = await engine.ledger.batch(batch_id)
        return row or await own_batch(party, batch_id, engine)

    monkeypatch.setattr(report, "own_batch", anybodys)
    assert (await probed(stage, "GET", path)).leaks


async def test_a_message_shown_to_anybody_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    own_message = report.own_message

    async def anybodys(party: PartyId, message_id: Any, engine: Any) -> Any:
        row = await engine.ledger.message(message_id)
        return row or await own_message(party, message_id, engine)

    monkeypatch.setattr(report, "own_message", anybodys)
    assert (await probed(stage, "GET", "/v1/messages/{id}")).leaks


async def test_an_answer_that_only_tells_that_there_is_something_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_batch = report.own_batch

    async def forbidding(party: PartyId, batch_id: Any, engine: Any) -> Any:
        row = await engine.ledger.batch(batch_id)
        if row is not None and row.party != party:
            raise Refused("forbidden", status=403)
        return await own_batch(party, batch_id, engine)

    monkeypatch.setattr(report, "own_batch", forbidding)
    tally = await probed(stage, "POST", "/v1/batches/{id}/cancel")
    assert not tally.leaks
    assert tally.unexplained


async def test_notifications_of_another_are_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    events = SqliteLedger.events

    async def of_the_other(self: SqliteLedger, party: PartyId, **options: Any) -> Any:
        return await events(self, PartyId(CENTERS[1]), **options)

    monkeypatch.setattr(SqliteLedger, "events", of_the_other)
    assert (await probed(stage, "GET", "/v1/notifications")).leaks


async def test_an_idempotency_key_that_is_everybodys_is_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered with a conflict, it would tell that the other has used it."""
    begin = SqliteLedger.begin_batch

    async def everybodys(self: SqliteLedger, opening: Any) -> Any:
        return await begin(self, replace(opening, party=PartyId(CENTERS[0])))

    monkeypatch.setattr(SqliteLedger, "begin_batch", everybodys)
    assert (await probed(stage, "POST", "/v1/batches", count=100)).unexplained


async def test_a_token_id_that_is_everybodys_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    use_token = SqliteLedger.use_token

    async def everybodys(self: SqliteLedger, party: PartyId, jti: str, key: str, **options: Any) -> Any:
        return await use_token(self, PartyId(CENTERS[1]), jti, key, **options)

    monkeypatch.setattr(SqliteLedger, "use_token", everybodys)
    stage.centers[0].borrowed.clear()
    assert (await probed(stage, "POST", "/v1/batches/{id}/confirm", count=300)).unexplained


async def test_a_photo_that_is_everybodys_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = photos.keep_photo

    async def everybodys(party: PartyId, *photo: Any) -> bool:
        return await keep(PartyId(CENTERS[0]), *photo)

    monkeypatch.setattr("gateway.web.photos.keep_photo", everybodys)
    assert (await probed(stage, "PUT", "/v1/photos/{sha256}")).unexplained
