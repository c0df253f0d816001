"""What Interior tells us, as canonical bodies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from adapters.interior.inbound import INBOUND, SERVED
from gateway.ports import InboundOperation
from gateway.soap import load_contract
from schemas.kinds import KINDS, check

GOLDEN = Path(__file__).with_name("golden")
CONTRACTS = {name: load_contract(service) for name, service in SERVED.items()}
OPERATIONS = {operation.action: operation for operation in INBOUND}


def converted(action: str, xml: bytes) -> dict[str, Any]:
    """As the service does it: the schema first."""
    operation = OPERATIONS[action]
    contract = CONTRACTS[operation.service]
    element = etree.fromstring(xml)
    contract.check(element)
    return operation.convert(contract.actions[action].request.read(element))


@pytest.mark.parametrize(
    ("action", "name"),
    [("NotifyArrival", "notify_arrival"), ("NotifyDeparture", "notify_departure")],
)
def test_messages_become_the_bodies_of_the_golden_files(action: str, name: str) -> None:
    body = converted(action, (GOLDEN / f"{name}.xml").read_bytes())
    assert body == json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    assert check(OPERATIONS[action].kind, body) == body


@pytest.mark.parametrize("operation", INBOUND, ids=lambda operation: operation.action)
def test_a_message_is_known_by_the_key_of_its_kind(operation: InboundOperation) -> None:
    assert operation.key == KINDS[operation.kind].key


def test_every_action_of_every_service_is_an_operation_with_its_kind() -> None:
    offered = {
        (name, action, service.kinds[action])
        for name, service in SERVED.items()
        for action in CONTRACTS[name].actions
    }
    assert offered == {(each.service, each.action, each.kind) for each in INBOUND}


@given(
    st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 1900 < moment.year < 2900),
    st.integers(-14 * 60, 14 * 60),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=80),
)
def test_a_moment_and_a_text_come_through_whole(moment: datetime, minutes: int, carrier: str) -> None:
    """Any moment at any offset, and any text that XML can carry."""
    moment = moment.astimezone(timezone(timedelta(minutes=minutes)))
    request = CONTRACTS["movements"].actions["NotifyArrival"].request
    written = request.write(
        {
            "event_id": "E",
            "visa_number": "6123456789",
            "at": moment.isoformat(),
            "port": "JED",
            "carrier": carrier,
        }
    )
    body = converted("NotifyArrival", written.encode())
    assert datetime.fromisoformat(body["at"]) == moment
    assert body["carrier"] == carrier
