"""How confidential each event is: by what its receiver gets of it, and so whether the bus seals it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from cli.ministry_bus import LedgerOutbox
from gateway.bus.department import read_event
from gateway.bus.event import encode_event
from gateway.message import PartyId
from gateway.pipeline.notify import notifications
from tests.flows.audience import granting
from tests.flows.border import FOREIGN_AFFAIRS
from tests.flows.office import CENTER, COMMITTEE, LICENSING, PILGRIM_SERVICES, World, example, send


async def classes(world: World, party: PartyId) -> dict[str, str]:
    """The class that each kind of event has for a party, as its notifications say."""
    page = await notifications(party, world.engine, cursor="0", limit=1000)
    return {event["kind"]: event["classification"] for event in page["notifications"]}


async def on_the_bus(world: World, party: PartyId) -> tuple[dict[str, Any], dict[str, Any]]:
    """The only event of a party as the broker sees it, and its data as the party reads it."""
    key = OKPKey.generate_key("X25519")
    (event,) = await LedgerOutbox(lambda: world.engine).after(party, "bus", 10)
    body = encode_event(event, key)
    return json.loads(body), dict(read_event(body, party, key).data)


async def test_one_event_is_as_confidential_as_what_each_receiver_gets_of_it(world: World) -> None:
    check = {"check_id": "CHK-9", "version": 1, "licensee_id": "LIC-1001", "season": 1448}
    await send(world, LICENSING, "licensee.activation_check", **check)
    assert await classes(world, LICENSING) == {"licensee.activation": "secret"}
    assert await classes(world, CENTER) == {"licensee.activation": "public"}


async def test_a_complaint_is_restricted_for_everybody_who_reads_it(world: World) -> None:
    await send(world, CENTER, "complaint.submission")
    assert await classes(world, PILGRIM_SERVICES) == {"complaint.submission": "restricted"}
    assert await classes(world, COMMITTEE) == {"committee.referral": "restricted"}


async def test_a_published_ceiling_is_public_and_goes_over_the_bus_in_clear(world: World) -> None:
    await send(world, FOREIGN_AFFAIRS, "mission.capacity")
    assert await classes(world, LICENSING) == {"mission.capacity": "public"}
    sent, read = await on_the_bus(world, LICENSING)
    assert (sent["classification"], sent["datacontenttype"]) == ("public", "application/json")
    assert sent["data"] == read == example("mission.capacity")


@pytest.mark.parametrize(
    ("kind", "highest"), [("complaint.submission", "restricted"), ("case.report", "secret")]
)
async def test_restricted_and_secret_data_goes_over_the_bus_sealed(
    world: World, kind: str, highest: str
) -> None:
    await send(world, CENTER, kind)
    sent, read = await on_the_bus(world, PILGRIM_SERVICES)
    assert (sent["classification"], sent["datacontenttype"]) == (highest, "application/jose")
    assert example(kind)["visa_number"] not in json.dumps(sent)
    assert read == example(kind)


async def test_a_field_more_in_the_policy_raises_the_class(world: World) -> None:
    """The same event with the place of a case, and without it."""
    for fields, highest in ((("case_id", "status"), "public"), (("case_id", "place"), "restricted")):
        changed = granting(world, "licensing", "case.report", *fields)
        await send(changed, PILGRIM_SERVICES, "case.report", case_id=f"CASE-{highest}")
        assert await classes(changed, LICENSING) == {"case.report": highest}
