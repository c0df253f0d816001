"""The exported log: whole, covered to its last entry, and the same whoever reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.ledger.audit_file import Tampered
from gateway.ledger.postgresql.ledger import PostgresLedger
from gateway.pipeline.notary import Notary, note_configuration
from gateway.values import replace
from tests import postgresql
from tests.audit.exports import KEYS, exported, kept, looks, notary_of
from tests.audit.logs import KeySigner, verified
from tests.audit.plain import plain_verifier
from tests.pipeline.world import World
from tests.web.site import Site


async def test_an_export_verifies_to_its_last_entry_and_tells_of_itself(world: World) -> None:
    ledger, notary = world.engine.ledger, notary_of(world.engine)
    await note_configuration(world.engine.settings, ledger, world.engine.now())
    await notary.start()
    receipt = kept(notary.latest)
    await world.submit(3)
    await world.carry_until_rest()
    await notary.cover()
    lines = await exported(world.engine)
    found = verified(lines, receipt)
    assert found.texts == len(world.engine.settings.documents)
    assert found.entries == (await ledger.heads())["main"].number
    assert found.checkpoints == 3
    actions = [json.loads(line[65:])["action"] for line in lines if line[64:66] == b" {"]
    assert actions[-1] == "audit_export"
    assert {"configuration", "scope"} < set(actions)
    assert plain_verifier()(lines, receipt)


async def test_an_export_is_read_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.audit_export._PAGE", 7)
    notary = notary_of(world.engine)
    await notary.start()
    for _ in range(9):
        await looks(world.engine.ledger, 5)
        await notary.cover()
    found = verified(await exported(world.engine), kept(notary.latest))
    assert (found.checkpoints, found.entries) == (11, (await world.engine.ledger.heads())["main"].number)


async def test_a_log_that_nobody_can_sign_is_exported_and_says_what_is_not_covered(
    world: World, tmp_path: Path
) -> None:
    notary = notary_of(world.engine)
    await looks(world.engine.ledger, 2)
    await notary.start()
    (tmp_path / KEYS / "checkpoint.key").unlink()
    await looks(world.engine.ledger, 4)
    lines = await exported(world.engine)
    with pytest.raises(Tampered) as fault:
        verified(lines)
    assert fault.value.code == "not_covered"
    assert "last 5 entries" in fault.value.text, "the export is one itself"


async def test_nothing_that_a_message_says_is_in_the_log(world: World) -> None:
    await world.submit(2)
    await world.carry_until_rest()
    await notary_of(world.engine).start()
    text = b"".join(await exported(world.engine)).decode()
    for application in world.applications(2):
        for value in _texts_of(application):
            assert value not in text, "a value of an application"


def _texts_of(value: object) -> list[str]:
    """Long enough not to stand in a log by chance."""
    match value:
        case dict():
            return [text for part in value.values() for text in _texts_of(part)]
        case list():
            return [text for part in value for text in _texts_of(part)]
        case str() if len(value) >= 9:
            return [value]
    return []


async def test_chains_of_several_writers_stand_in_one_log(
    world: World, postgresql_server: postgresql.Server
) -> None:
    """The same records whoever is read first: chain by chain between two checkpoints."""
    url, clock = postgresql_server.emptied(), world.clock
    writers = [PostgresLedger(url, clock, by_database_time=False) for _ in range(2)]
    for ledger in writers:
        await ledger.open()
    notary = Notary(writers[0], KeySigner(), clock, world.engine.metrics, interval_s=30)
    engine = replace(world.engine, ledger=writers[0], notary=notary)
    await notary.start()
    for round in range(3):
        for ledger in (writers[1], writers[0], writers[1]):
            await looks(ledger, 3 + round)
        await notary.cover()
    lines = await exported(engine)
    found = verified(lines, kept(notary.latest))
    assert len(found.chains) == 2
    assert found.entries == sum(head.number for head in (await writers[1].heads()).values())
    assert plain_verifier()(lines, kept(notary.latest))
    await notary.stop()
    for ledger in writers:
        await ledger.close()


async def test_receipts_carry_the_latest_checkpoint_and_every_party_may_fetch_it(site: Site) -> None:
    notary = notary_of(site.world.engine)
    assert (await site.submit()).json["checkpoint"] is None, "before the first"
    await notary.start()
    receipt = await site.submit(site.batch(seed=9), key="key-2")
    assert receipt.status == 202
    status = await site.get(f"/v1/batches/{receipt.json['batch_id']}")
    asked = [await site.get("/v1/checkpoint", token=site.token(party)) for party in ("sc-02", "licensing")]
    for answer in (receipt, status, *asked):
        assert answer.json["checkpoint"]["document"].encode() == kept(notary.latest).document
    assert (await site.get("/v1/checkpoint", token="")).status == 401
    lines = await exported(site.world.engine)
    assert verified(lines, kept(notary.latest)).key_from == "receipt"


async def test_auditors_export_over_http_and_nobody_else(site: Site) -> None:
    await notary_of(site.world.engine).start()
    path = "/v1/admin/audit/export"
    answer = await site.get(path, admin=True, token=site.operator_token("auditor-1"))
    assert answer.status == 200
    assert verified(answer.body.splitlines(keepends=True)).entries
    assert (await site.get(path, admin=True)).status == 403
    assert (await site.get(path, admin=True, token="")).status == 401
