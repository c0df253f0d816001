"""What Foreign Affairs tells us, as canonical bodies."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from adapters.foreign_affairs.inbound import INBOUND, SERVED
from gateway.ports import InboundOperation
from gateway.soap import load_contract
from schemas.kinds import KINDS, check
from schemas.kinds.record import MAX_COUNT

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
    [
        ("PublishMissionCapacity", "publish_mission_capacity"),
        ("NotifyAttestation", "notify_attestation_attested"),
        ("NotifyAttestation", "notify_attestation_rejected"),
    ],
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
    st.dates(date(1000, 1, 1), date(2999, 12, 31)),
    st.dates(date(1000, 1, 1), date(2999, 12, 31)),
    st.integers(0, MAX_COUNT),
    st.integers(1, MAX_COUNT),
)
def test_days_and_numbers_come_through_whole(opens: date, closes: date, ceiling: int, version: int) -> None:
    body = {
        "mission_id": "MSN-IDN-JKT",
        "version": version,
        "window": {"opens": opens.isoformat(), "closes": closes.isoformat()},
        "ceiling": ceiling,
    }
    request = CONTRACTS["capacity"].actions["PublishMissionCapacity"].request
    assert converted("PublishMissionCapacity", request.write(body).encode()) == body
