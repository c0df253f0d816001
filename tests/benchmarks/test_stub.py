"""The benchmark's partner: cheap, and still what the contracts promise."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from adapters.foreign_affairs.services import VISAS
from adapters.interior.services import NIC, PASSPORTS
from benchmarks.peers.stub import Connection, Stub, operations
from gateway.clock import SystemClock
from gateway.errors import Uncertain
from gateway.http import HttpReply
from gateway.message import BatchFacts, CallContext, MessageId, new_id
from gateway.ports import PreparedRequest
from gateway.soap import SoapService, load_contract
from gateway.soap.header import request_header
from gateway.soap.reply import read_reply
from gateway.soap.security.demo_keys import OURS, demo_certificate, demo_key, ensure_demo_pair
from gateway.soap.security.keys import Pinned
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity, Signatures
from gateway.soap.security.signing import Signer
from schemas.hijri import agree

_TODAY = date(2026, 11, 22)
_BATCH = BatchFacts("B-1", "LIC-1001", "AGT-2001", "MSN-IDN-JKT", 1448, group_number="GRP-4001")
_CALLS: Mapping[str, tuple[SoapService, str]] = {
    "CheckClearance": (NIC, "/nic"),
    "VerifyPassport": (PASSPORTS, "/passports"),
    "IssueVisa": (VISAS, "/foreign-affairs"),
}


def request(action: str, reference: str, security: MessageSecurity = UNPROTECTED) -> PreparedRequest:
    """With what the stub looks at; the rest of it is nobody's matter here."""
    service, _ = _CALLS[action]
    contract = load_contract(service)
    message_id = new_id()
    context = CallContext(MessageId(new_id()), reference, _BATCH)
    header = contract.header.write(request_header(service, action, message_id, context, SystemClock().now()))
    content = (
        f"<n:{action} xmlns:n='urn:x'><n:request_reference>{reference}</n:request_reference>"
        f"<n:group_number>GRP-4001</n:group_number><n:passport><n:number>C44{reference[-2:]}</n:number>"
        f"</n:passport></n:{action}>"
    )
    return PreparedRequest(action, security.write(contract.dialect, header, content), message_id)


def values(
    stub: Stub, action: str, reference: str, security: MessageSecurity = UNPROTECTED
) -> Mapping[str, Any]:
    """What the gateway makes of the stub's answer, all its checks included."""
    service, path = _CALLS[action]
    sent = request(action, reference, security)
    status, headers, body = taken_apart(stub.answer(path, sent.body))
    return read_reply(load_contract(service), sent, HttpReply(status, headers, body), 65_536, security)


def taken_apart(response: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert int(headers["content-length"]) == len(body)
    return int(first.split()[1]), headers, body


@pytest.fixture
def stub() -> Stub:
    return Stub(operations(_TODAY, None))


def test_its_answers_pass_every_check_of_the_gateway(stub: Stub) -> None:
    assert values(stub, "CheckClearance", "a/01")["result"]["status"] == "CLEAR"
    assert values(stub, "VerifyPassport", "a/01")["result"] == {"status": "VALID"}
    visa = values(stub, "IssueVisa", "a/01")["result"]
    assert visa["request_reference"] == "a/01"
    for name in ("valid_from", "valid_until", "stay_until"):
        assert agree(visa[name]["gregorian"], visa[name]["hijri"])


def test_an_answer_names_the_message_that_it_answers(stub: Stub) -> None:
    sent, other = request("CheckClearance", "a/01"), request("CheckClearance", "a/02")
    status, headers, body = taken_apart(stub.answer("/nic", sent.body))
    with pytest.raises(Uncertain):
        read_reply(load_contract(NIC), other, HttpReply(status, headers, body), 65_536)


def test_it_counts_what_it_issued_and_issues_a_reference_once(stub: Stub) -> None:
    first = values(stub, "IssueVisa", "a/01")["result"]["visa_number"]
    assert values(stub, "IssueVisa", "a/01")["result"]["visa_number"] == first
    assert values(stub, "IssueVisa", "b/02")["result"]["visa_number"] != first
    evidence = json.loads(taken_apart(stub.answer("/_evidence", b""))[2])
    assert evidence["calls"] == {"IssueVisa": 3}
    assert [passport for passport, _ in evidence["visas"]] == ["C4401", "C4402"]
    assert evidence["visas"][0][1] == first


def test_a_request_that_is_no_call_gets_no_answer(stub: Stub) -> None:
    with pytest.raises(ValueError, match="message_id"):
        stub.answer("/nic", b"<nothing/>")
    with pytest.raises(KeyError):
        stub.answer("/elsewhere", b"")


def test_with_keys_it_signs_and_counts_what_was_not_signed(tmp_path: Path) -> None:
    for who in (OURS, "foreign-affairs"):
        ensure_demo_pair(tmp_path, who, "ecdsa")
    pinned = Pinned([demo_certificate(tmp_path, "foreign-affairs", "ecdsa")])
    ours = Signatures(Signer(demo_key(tmp_path, OURS, "ecdsa")), pinned, SystemClock())
    stub = Stub(operations(_TODAY, tmp_path))
    assert values(stub, "IssueVisa", "a/01", ours)["result"]["request_reference"] == "a/01"
    assert stub.register.unsigned == 0
    stub.answer("/foreign-affairs", request("IssueVisa", "a/02").body)
    assert stub.register.unsigned == 1


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True


def connected(stub: Stub) -> tuple[Wire, Connection]:
    wire, connection = Wire(), Connection(stub)
    connection.connection_made(wire)  # type: ignore[arg-type]
    return wire, connection


def posted(action: str, reference: str) -> bytes:
    body = request(action, reference).body
    return f"POST {_CALLS[action][1]} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_requests_may_come_in_any_pieces_one_after_the_other(stub: Stub, piece: int) -> None:
    wire, connection = connected(stub)
    for reference in ("a/01", "a/02"):
        data = posted("IssueVisa", reference)
        for start in range(0, len(data), piece):
            connection.data_received(data[start : start + piece])
    said = [re.findall(rb"request_reference>([^<]+)<", each)[0] for each in wire.written]
    assert said == [b"a/01", b"a/02"]


def test_what_is_no_call_ends_the_connection(stub: Stub) -> None:
    wire, connection = connected(stub)
    connection.data_received(b"POST /nic HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
    assert wire.aborted
    assert not wire.written


async def test_it_answers_late_when_it_was_told_to(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Loop:
        def call_later(self, delay_s: float, callback: Any, *arguments: Any) -> None:
            waits.append(delay_s)
            callback(*arguments)

    monkeypatch.setattr("benchmarks.peers.stub.asyncio.get_running_loop", Loop)
    wire, connection = connected(stub)
    connection.data_received(b"POST /_latency/100 HTTP/1.1\r\n\r\n")
    connection.data_received(posted("CheckClearance", "a/01"))
    assert waits == [0.1]
    assert len(wire.written) == 2
