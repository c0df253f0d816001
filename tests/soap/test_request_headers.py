"""`RequestHeaders`: written from a template, and no different from one that is written and checked whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from lxml import etree

from adapters.interior.services import PASSPORTS
from gateway.errors import Refused
from gateway.message import CallContext, MessageId, new_id
from gateway.soap import header as header_module
from gateway.soap import load_contract
from gateway.soap.header import RequestHeaders, request_header
from gateway.values import replace
from tests.soap import partners

CONTRACT = load_contract(PASSPORTS)
ACTION = "VerifyPassport"
NOW = datetime(2026, 11, 22, 9, 0, 1, 234567, tzinfo=UTC)


def of(
    licensee: str = "LIC-1001", agent: str = "AGT-2001", season: int = 1448, served: Any = None
) -> CallContext:
    context = partners.context()
    batch = replace(context.batch, licensee=licensee, agent=agent, season=season)
    return replace(context, batch=batch, message_id=MessageId(served or new_id()))


def refusal(context: CallContext, message_id: str | None = None, now: datetime = NOW) -> Refused:
    with pytest.raises(Refused) as caught:
        RequestHeaders(CONTRACT).write(ACTION, message_id or new_id(), context, now)
    return caught.value


def test_a_header_from_the_template_is_the_one_written_whole() -> None:
    headers = RequestHeaders(CONTRACT)
    contexts = [of(), of(), of(agent="AGT-2002"), of(licensee="LIC-1002"), of(season=1449), of()]
    for number, context in enumerate(contexts):
        message_id, now = new_id(), NOW + timedelta(seconds=number)
        written = headers.write(ACTION, message_id, context, now)
        assert written == CONTRACT.header.write(request_header(PASSPORTS, ACTION, message_id, context, now))
        CONTRACT.check(etree.fromstring(written))


def test_another_time_zone_is_valid_too() -> None:
    riyadh = NOW.astimezone(timezone(timedelta(hours=3)))
    CONTRACT.check(etree.fromstring(RequestHeaders(CONTRACT).write(ACTION, new_id(), of(), riyadh)))


@pytest.mark.parametrize(
    "changes",
    [
        {"licensee": "<b/>"},
        {"agent": "<b/>"},
        {"season": 1},
        {"season": "1448</season>"},
        {"served": "another-id"},
        {"served": f"{new_id()}\n"},
    ],
)
def test_what_the_schema_forbids_is_refused(changes: dict[str, Any]) -> None:
    assert refusal(of(**changes)).code in ("schema_invalid", "conversion_failed")


def test_a_message_that_is_not_on_behalf_of_an_agent_names_none() -> None:
    header = RequestHeaders(CONTRACT).write(ACTION, new_id(), of(agent=""), NOW)
    CONTRACT.check(etree.fromstring(header))
    assert b"agent>" not in header.encode() if isinstance(header, str) else b"agent>" not in header


def test_a_message_id_that_is_none_is_refused() -> None:
    assert refusal(of(), message_id="<x/>").code == "schema_invalid"


def test_a_time_without_zone_is_refused() -> None:
    assert refusal(of(), now=NOW.replace(tzinfo=None)).code == "schema_invalid"


def test_a_licensee_named_like_a_place_in_the_template_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_module, "_ANY_ID", "LIC-1001")
    monkeypatch.setattr(type(CONTRACT), "check", lambda *_: None)
    assert refusal(of(licensee="LIC-1001")).code == "schema_invalid"
