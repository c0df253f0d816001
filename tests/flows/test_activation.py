"""Activation: every source asked, partial answers kept, unknown is not clear."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Refused, Unavailable
from gateway.message import Answered
from tests.flows.office import CENTER, LICENSING, World, send, told

_CLEAR = Answered({"standing": "CLEAR", "valid_until": "2027-12-31"})
_CHECK = {"check_id": "CHK-9", "version": 1, "licensee_id": "LIC-1001", "season": 1448}
_ASKED = {
    "nic": "CheckLicenseeHold",
    "passports": "CheckLicenseeHold",
    "gosi": "CheckCertificate",
    "dues": "CheckDues",
}


def _script(world: World, source: str, *replies: Any) -> None:
    scripts = world.engine.partners[source].scripts  # type: ignore[attr-defined]
    assert _ASKED[source] in scripts
    scripts[_ASKED[source]] = list(replies)


async def _ready(world: World) -> None:
    """Everything that the licensee and the ministry have to do themselves."""
    for source in _ASKED:
        _script(world, source, _CLEAR)
    await send(world, CENTER, "readiness.report", licensee_id="LIC-1001", season=1448)
    for part, month in ((1, 6), (2, 7)):
        plan = {"plan_id": f"PLN-{part}", "licensee_id": "LIC-1001", "season": 1448, "part": part}
        quotas = [{"month": month, "country": "IDN", "pilgrims": 10}]
        await send(world, CENTER, "plan.submission", **plan, quotas=quotas)
        await send(world, LICENSING, "plan.decision", plan_id=f"PLN-{part}", decision="approved", quotas=None)


async def _latest(world: World) -> dict[str, Any]:
    return (await told(world, LICENSING, "licensee.activation"))[-1]


def _standings(event: dict[str, Any]) -> dict[str, str]:
    return {source["source"]: source["standing"] for source in event["sources"]}


async def test_a_licensee_that_nothing_prevents_is_activated(world: World) -> None:
    await _ready(world)
    await send(world, LICENSING, "licensee.activation_check", **_CHECK)
    await world.carry_until_rest()
    event = await _latest(world)
    assert event["active"] is True
    assert set(_standings(event).values()) == {"CLEAR"}
    (shown,) = (await told(world, CENTER, "licensee.activation"))[-1:]
    assert shown["active"] is True
    assert "sources" not in shown


@pytest.mark.parametrize("source", list(_ASKED))
async def test_one_source_that_blocks_is_enough(world: World, source: str) -> None:
    await _ready(world)
    _script(world, source, Answered({"standing": "BLOCK", "code": "HELD"}))
    await send(world, LICENSING, "licensee.activation_check", **_CHECK)
    await world.carry_until_rest()
    event = await _latest(world)
    assert event["active"] is False
    assert _standings(event)[source] == "BLOCK"
    with pytest.raises(Refused, match="licensee_not_activated"):
        await world.submit(1)


async def test_a_source_that_does_not_answer_is_unknown_and_completes_it_later(world: World) -> None:
    await _ready(world)
    _script(world, "dues", Unavailable("connect_failed"), Unavailable("connect_failed"), _CLEAR)
    await send(world, LICENSING, "licensee.activation_check", **_CHECK)
    await world.carry_due()
    partial = await _latest(world)
    assert partial["active"] is False
    assert _standings(partial) == {
        "nic": "CLEAR", "passports": "CLEAR", "gosi": "CLEAR", "dues": "UNKNOWN",
        "record": "CLEAR", "readiness": "CLEAR", "packages": "CLEAR", "plans": "CLEAR",
    }  # fmt: skip
    await world.carry_until_rest()
    whole = await _latest(world)
    assert whole["active"] is True
    assert whole["revision"] > partial["revision"]


async def test_what_the_licensee_makes_ready_later_completes_it_too(world: World) -> None:
    for source in _ASKED:
        _script(world, source, _CLEAR)
    await send(world, LICENSING, "licensee.activation_check", **_CHECK)
    await world.carry_until_rest()
    assert _standings(await _latest(world))["readiness"] == "UNKNOWN"
    await _ready(world)
    assert (await _latest(world))["active"] is True


async def test_a_licensee_made_known_by_message_needs_an_activation(world: World) -> None:
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-NEW", version=1, status="active")
    record = await world.engine.ledger.record("licensee", "LIC-NEW")
    assert record is not None
    assert record.facts["needs_activation"] is True
    facts = {"name_en": "known before", **record.facts}
    await send(world, LICENSING, "licensee.status", licensee_id="LIC-NEW", version=2, status="active")
    again = await world.engine.ledger.record("licensee", "LIC-NEW")
    assert again is not None
    assert again.facts["needs_activation"] == facts["needs_activation"]
