"""What the peers send is what the contracts want, and they look at what they get."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import zeep
from lxml import etree

from adapters.foreign_affairs.services import VISAS
from adapters.interior.services import NIC, PASSPORTS
from benchmarks.peers import wording
from benchmarks.peers.settings import WSDLS
from benchmarks.peers.supply import Supply
from gateway.clock import SystemClock
from gateway.message import new_id
from gateway.soap import SoapService, load_contract
from gateway.soap.server import SoapServer

_OURS: dict[str, SoapService] = {"nic": NIC, "passports": PASSPORTS, "foreign-affairs": VISAS}


@pytest.mark.parametrize("service", wording.SERVICES, ids=lambda service: service.operation)
def test_the_requests_of_the_peers_are_valid(service: wording.Service) -> None:
    contract = load_contract(_OURS[service.party])
    server = SoapServer(contract, SystemClock())
    client: Any = zeep.Client(str(WSDLS / service.wsdl))
    for line in (batch := Supply(5).batch(20)).lines:
        application_id = new_id()
        message = client.create_message(
            client.create_service(service.binding, "http://127.0.0.1:1"),
            service.operation,
            **wording.request(service, application_id, line, batch.header),
            _soapheaders={"header": wording.header(service, application_id, batch.header)},
        )
        call = server.receive(f"{contract.dialect.media_type}; charset=utf-8", etree.tostring(message))
        assert call.action.name == service.operation
        assert call.values["request_reference"] == f"{application_id}/{service.operation}"


def reply(**answer: str) -> Any:
    header = SimpleNamespace(header=SimpleNamespace(correlation_id="one"))
    return SimpleNamespace(header=header, body=SimpleNamespace(result=SimpleNamespace(**answer)))


def test_a_peer_takes_no_answer_to_another_message() -> None:
    good = reply(status="CLEAR", reference="R-1")
    assert wording.result(wording.CLEARANCE, {"message_id": "one"}, good) == "R-1"
    with pytest.raises(wording.Unusable):
        wording.result(wording.CLEARANCE, {"message_id": "two"}, good)


def test_a_peer_goes_on_with_nothing_but_a_yes() -> None:
    with pytest.raises(wording.Unusable):
        wording.result(wording.VERIFICATION, {"message_id": "one"}, reply(status="LOST"))
    refused = reply()
    refused.body.result = None
    with pytest.raises(wording.Unusable):
        wording.result(wording.ISSUANCE, {"message_id": "one"}, refused)
    issued = reply(visa_number="6000000001")
    assert wording.result(wording.ISSUANCE, {"message_id": "one"}, issued) == "6000000001"
