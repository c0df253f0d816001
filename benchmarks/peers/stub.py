"""The partner of every contender: one process, raw HTTP/1.1, replies from templates, about 20 µs a call.

    python -m benchmarks.peers.stub --port 0 [--soap-keys FOLDER]

Prints `{"url": …}`. It answers what the vendored WSDLs promise: always CLEAR, VALID, issued. It deduplicates
by `request_reference` and remembers who was issued which visa: the benchmark judges by `GET /_evidence`.
`POST /_latency/100` lets every later answer wait 100 ms. With `--soap-keys` it signs as the partners of a
demonstration do, and counts requests without a signature instead of verifying them: it is to be cheap.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from gateway.clock import SystemClock
from gateway.soap.envelope import SOAP_11, SOAP_12, Dialect
from gateway.soap.security.loading import demo_partner_security
from schemas.hijri import season, to_hijri

_HEADER: Final = (
    '<MessageHeader xmlns="urn:umrah:types:v1"><message_id>{{id}}</message_id><kind>{kind}</kind>'
    "<version>1</version><correlation_id>{{correlation}}</correlation_id><sender>{sender}</sender>"
    "<receiver>umrah-gateway</receiver><sent_at>{{at}}</sent_at><season>{season}</season>"
    "<classification>{classification}</classification></MessageHeader>"
)
_CLEAR: Final = (
    '<CheckClearanceResponse xmlns="urn:umrah:interior:nic:v1"><result><status>CLEAR</status>'
    "<reference>{number}</reference></result></CheckClearanceResponse>"
)
_VALID: Final = (
    '<VerifyPassportResponse xmlns="urn:umrah:interior:passports:v1"><result><status>VALID</status></result>'
    "</VerifyPassportResponse>"
)
_ISSUED: Final = (
    '<IssueVisaResponse xmlns="urn:umrah:foreign_affairs:visas:v1" xmlns:t="urn:umrah:types:v1"><result>'
    "<request_reference>{{reference}}</request_reference><visa_number>{{number}}</visa_number>"
    "<valid_from>{today}</valid_from><valid_until>{until}</valid_until><stay_until>{until}</stay_until>"
    "</result></IssueVisaResponse>"
)

#: In any prefix.
_MESSAGE_ID: Final = re.compile(rb"[<:]message_id>([0-9a-f-]{36})<").search
_REFERENCE: Final = re.compile(rb"[<:]request_reference>([^<]+)<").search
_PASSPORT: Final = re.compile(rb"[<:]number>([A-Z0-9]{3,9})<").search
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE).search
_SIGNED: Final = b"SignatureValue>"

Writer = Callable[[Dialect, str, str], bytes]


@dataclass(frozen=True, slots=True)
class Operation:
    """How one operation is answered."""

    name: str
    dialect: Dialect
    header: str
    content: str
    write: Writer


@dataclass(slots=True)
class Register:
    """What was asked for and what was issued."""

    calls: Counter[str] = field(default_factory=Counter)
    unsigned: int = 0
    #: By request_reference: passport number and visa number.
    visas: dict[str, tuple[str, str]] = field(default_factory=dict)

    def issue(self, reference: str, passport: str) -> str:
        """The visa's number: the first one, where the reference is known."""
        visa = self.visas.setdefault(reference, (passport, str(6_000_000_000 + len(self.visas))))
        return visa[1]

    def evidence(self) -> dict[str, Any]:
        return {"calls": dict(self.calls), "unsigned": self.unsigned, "visas": list(self.visas.values())}


class Stub:
    """Answers requests; knows nothing of connections."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        """`operations` by path."""
        self.register = Register()
        self.latency_s = 0.0
        self._operations = operations

    def answer(self, path: str, body: bytes) -> bytes:
        """A whole HTTP response. Raises `KeyError` for an unknown path, `ValueError` for what is no call."""
        if path == "/_evidence":
            return _response("application/json", json.dumps(self.register.evidence()).encode())
        if path.startswith("/_latency/"):
            self.latency_s = float(path.rpartition("/")[2]) / 1000
            return _response("application/json", b"{}")
        return self._call(self._operations[path], body)

    def _call(self, operation: Operation, body: bytes) -> bytes:
        message_id, reference = _MESSAGE_ID(body), _REFERENCE(body)
        if message_id is None or reference is None:
            raise ValueError("no message_id or no request_reference")
        register = self.register
        register.calls[operation.name] += 1
        register.unsigned += _SIGNED not in body
        header = operation.header.format(
            id=f"00000000-0000-7000-8000-{register.calls.total():012x}",
            correlation=message_id[1].decode(),
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        content = self._content(operation, reference[1].decode(), body)
        reply = operation.write(operation.dialect, header, content)
        return _response(operation.dialect.media_type + "; charset=utf-8", reply)

    def _content(self, operation: Operation, reference: str, body: bytes) -> str:
        if operation.name != "IssueVisa":
            return operation.content.format(number=self.register.calls.total())
        passport = _PASSPORT(body)
        if passport is None:
            raise ValueError("no passport number")
        return operation.content.format(
            reference=reference, number=self.register.issue(reference, passport[1].decode())
        )


def operations(today: date, keys: Path | None) -> dict[str, Operation]:
    """By path. Reads the keys of the demonstration, if there are any."""

    def made(name: str, party: str, kind: str, dialect: Dialect, content: str, level: str) -> Operation:
        header = _HEADER.format(kind=kind, sender=party, season=season(today), classification=level)
        return Operation(name, dialect, header, content, _writer(party, keys))

    until = today + timedelta(days=60)
    issued = _ISSUED.format(today=_pair(today), until=_pair(until))
    nic, passports, visas = (
        "interior.security_clearance",
        "interior.passport_verification",
        "foreign_affairs.visa_issuance",
    )
    return {
        "/nic": made("CheckClearance", "nic", nic, SOAP_11, _CLEAR, "secret"),
        "/passports": made("VerifyPassport", "passports", passports, SOAP_11, _VALID, "restricted"),
        "/foreign-affairs": made("IssueVisa", "foreign-affairs", visas, SOAP_12, issued, "restricted"),
    }


def _writer(party: str, keys: Path | None) -> Writer:
    if keys is None:
        return Dialect.wrap
    return demo_partner_security(keys, party, SystemClock()).write


def _pair(day: date) -> str:
    return f"<t:gregorian>{day}</t:gregorian><t:hijri>{to_hijri(day)}</t:hijri>"


def _response(content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One request at a time; what is no call ends the connection, so that nobody takes it for an answer."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_ends = self._received.find(b"\r\n\r\n")
        if head_ends < 0:
            return
        length = _LENGTH(self._received, 0, head_ends)
        body_begins = head_ends + 4
        ends = body_begins + (int(length[1]) if length else 0)
        if len(self._received) < ends:
            return
        request, self._received = self._received[:ends], self._received[ends:]
        self._respond(request[:head_ends].split(b" ", 2)[1].decode(), request[body_begins:])

    def _respond(self, path: str, body: bytes) -> None:
        try:
            response = self._stub.answer(path, body)
        except (KeyError, ValueError):
            self._transport.abort()
            return
        if self._stub.latency_s and not path.startswith("/_"):
            asyncio.get_running_loop().call_later(self._stub.latency_s, self._transport.write, response)
        else:
            self._transport.write(response)


async def serve(port: int, keys: Path | None) -> None:
    """Until it is ended."""
    stub = Stub(operations(SystemClock().today(), keys))
    server = await asyncio.get_running_loop().create_server(partial(Connection, stub), "127.0.0.1", port)
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--soap-keys", type=Path)
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.soap_keys))


if __name__ == "__main__":
    main()
