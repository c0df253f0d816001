"""What the three calls of an application cost in CPU, ours and plain zeep's in one run.

    python -m benchmarks.soap_call [calls]

A call is prepared (values to checked bytes) and its reply read (bytes to checked values), against canned
bytes; zeep gets the same values and bytes, and checks nothing. Before anything is timed, both have to
write the same document in canonical form, and read the same values. Rounds of both alternate, and the best of
each counts. Prints a table and JSON, microseconds a call. "read, first" is a reply whose shape was not seen
before.

Sending is measured on the gateway's own loop against a server in another process that answers at once, 32
calls at a time, ours and aiohttp's client in one run.
"""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import uvloop
import zeep
import zeep.helpers
from lxml import etree

from adapters.foreign_affairs.convert import issuance_request
from adapters.foreign_affairs.services import VISAS
from adapters.interior.convert import clearance_request, verification_request
from adapters.interior.services import NIC, PASSPORTS
from gateway.clock import SystemClock
from gateway.http import HttpClient, HttpReply
from gateway.message import BatchFacts, CallContext, MessageId, Projection, RequestConverter, new_id
from gateway.ports import PreparedRequest
from gateway.soap import Endpoint, SoapPartner, SoapService, load_contract
from gateway.soap.contract import VENDORED, _VendoredFiles
from gateway.soap.envelope import Dialect
from gateway.soap.header import request_header
from gateway.soap.reply import read_reply
from gateway.soap.server import SoapServer
from gateway.soap.shapes import Shapes

_AT_ONCE = 32
#: Short: on a busy machine a long round has no quiet moment.
_ROUND = 20
_HEADERS = {"Content-Type": 'application/soap+xml; charset=utf-8; action="IssueVisa"'}
#: A partner that answers each read with the same reply. Bodies here arrive in one piece.
_PARTNER = """
import asyncio, sys
body = sys.stdin.buffer.read()
head = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/soap+xml\\r\\nContent-Length: %d\\r\\n\\r\\n"
class Partner(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(head % len(body) + body)
async def main():
    server = await asyncio.get_running_loop().create_server(Partner, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

PILGRIM = Projection(
    {
        "visa_type": "umrah",
        "passport.number": "C4412345",
        "passport.type": "P",
        "passport.issuing_state": "IDN",
        "passport.issue_date": "2023-04-01",
        "passport.expiry_date": "2033-04-01",
        "name.given": "Siti",
        "name.father": "Abdul",
        "name.grandfather": "Karim",
        "name.family": "Rahmawati",
        "name_ar.given": "سيتي",
        "name_ar.father": "عبدل",
        "name_ar.grandfather": "كريم",
        "name_ar.family": "رحمواتي",
        "birth_date": "1990-02-28",
        "birth_country": "IDN",
        "nationality": "IDN",
        "sex": "F",
        "travel.arrival_date": "2026-12-20",
        "travel.departure_date": "2026-12-30",
        "travel.entry_port": "JED",
        "batch.mission_id": "MSN-IDN-JKT",
        "batch.group_number": "GRP-4001",
    }
)


#: What each partner answers; `{reference}` is the request's own.
_PAIR = {"gregorian": "2026-11-20", "hijri": "1448-06-10"}
_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "CheckClearance": {"status": "CLEAR", "reference": "ref-1"},
    "VerifyPassport": {"status": "VALID"},
    "IssueVisa": {
        "request_reference": "{reference}",
        "visa_number": "6000000001",
        "valid_from": _PAIR,
        "valid_until": _PAIR,
        "stay_until": _PAIR,
    },
}
_CALLS: Mapping[str, tuple[SoapService, RequestConverter]] = {
    "CheckClearance": (NIC, clearance_request),
    "VerifyPassport": (PASSPORTS, verification_request),
    "IssueVisa": (VISAS, issuance_request),
}


def main(calls: int) -> None:
    """Measure and print."""
    measured = {action: _measured(action, calls) for action in _CALLS}
    exchange = Exchanged("IssueVisa")
    result = {
        "calls": calls,
        "operations": measured,
        "least_ratio": min(one["ratio"] for one in measured.values()),
        **_sending(exchange.request.body, exchange.reply.body, calls),
    }
    columns = list(next(iter(measured.values())))
    rows = [[action, *(f"{one[column]:g}" for column in columns)] for action, one in measured.items()]
    for row in (["", *columns], *rows):
        sys.stdout.write(f"{row[0]:<16}" + "".join(f"{cell:>18}" for cell in row[1:]) + "\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


class Exchanged:
    """One operation with everything that a call of it and its reply need, ours and zeep's."""

    def __init__(self, action: str) -> None:
        service, convert = _CALLS[action]
        clock = SystemClock()
        endpoint = Endpoint("http://127.0.0.1:1", 1, 1)
        self.action, self.context, self.contract = action, _context(), load_contract(service)
        self.values = dict(convert(PILGRIM, self.context))
        self.partner = SoapPartner(self.contract, endpoint, HttpClient(clock, idle_s=1), clock)
        self.request = self.prepare()
        self.reply = _reply(
            SoapServer(self.contract, clock), self.request, self.context, action, self.contract.dialect
        )
        self._shapes = Shapes()
        transport: Any = _VendoredFiles()
        wsdl = str(VENDORED / "wsdl" / service.wsdl)
        self._zeep: Any = zeep.Client(wsdl, transport=transport)  # type: ignore[no-untyped-call]
        self._header = request_header(service, action, self.request.correlation_id, self.context, clock.now())
        self._operation = self._zeep.service._binding.get(action)

    def prepare(self) -> PreparedRequest:
        return self.partner.prepare(self.action, self.values, self.context)

    def read(self) -> Mapping[str, Any]:
        """As a partner whose replies are known is read."""
        return read_reply(self.contract, self.request, self.reply, 262_144, shapes=self._shapes)

    def read_first(self) -> Mapping[str, Any]:
        return read_reply(self.contract, self.request, self.reply, 262_144)

    def prepare_by_zeep(self) -> bytes:
        header = {"header": self._header}
        message = self._zeep.create_message(
            self._zeep.service, self.action, **self.values, _soapheaders=header
        )
        return etree.tostring(message)

    def read_by_zeep(self) -> Any:
        return self._operation.process_reply(etree.fromstring(self.reply.body))

    def check_equal(self) -> None:
        """Raises `AssertionError` unless both write the same document and read the same values."""
        ours, theirs = (_canonical_body(one) for one in (self.request.body, self.prepare_by_zeep()))
        assert ours == theirs, self.action
        read = zeep.helpers.serialize_object(self.read_by_zeep().body, dict)  # type: ignore[no-untyped-call]
        assert self.read() == self.read_first() == self.read() == _without_none(read), self.action


def _canonical_body(envelope: bytes) -> str:
    content = etree.fromstring(envelope)[-1][0]
    return etree.canonicalize(etree.tostring(content, encoding="unicode"), rewrite_prefixes=True)


def _without_none(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_none(part) for name, part in value.items() if part is not None}


def _measured(action: str, calls: int) -> dict[str, float]:
    one = Exchanged(action)
    one.check_equal()
    timed: dict[str, Callable[[], object]] = {
        "ours prepare": one.prepare,
        "ours read": one.read,
        "ours read, first": one.read_first,
        "zeep prepare": one.prepare_by_zeep,
        "zeep read": one.read_by_zeep,
    }
    best = _best_in_turns(timed, calls)
    ours, theirs = (best[f"{who} prepare"] + best[f"{who} read"] for who in ("ours", "zeep"))
    return {
        "request bytes": len(one.request.body),
        "reply bytes": len(one.reply.body),
        **best,
        "ratio": round(theirs / ours, 1),
    }


def _context() -> CallContext:
    message_id = MessageId(new_id())
    batch = BatchFacts("B-1", "LIC-1001", "AGT-2001", "MSN-IDN-JKT", 1448, group_number="GRP-4001")
    return CallContext(message_id, f"{message_id}/visa_issuance", batch)


def _reply(
    server: SoapServer, request: PreparedRequest, context: CallContext, action: str, dialect: Dialect
) -> HttpReply:
    """What the stand-in does for a call, without HTTP."""
    call = server.receive(f"{dialect.media_type}; charset=utf-8", request.body)
    given = _ANSWERS[action]
    result = {
        name: context.request_reference if value == "{reference}" else value for name, value in given.items()
    }
    answer = server.answer(call, {"result": result})
    return HttpReply(answer.status, {"content-type": answer.content_type}, answer.body)


def _sending(request: bytes, reply: bytes, calls: int) -> dict[str, float]:
    """CPU of this process for one POST and its reply."""
    with subprocess.Popen(
        [sys.executable, "-c", _PARTNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as partner:
        assert partner.stdin and partner.stdout
        partner.stdin.write(reply)
        partner.stdin.close()
        url = f"http://127.0.0.1:{int(partner.stdout.readline())}/"
        try:
            return uvloop.run(_send_both(url, request, calls))
        finally:
            partner.kill()


async def _send_both(url: str, body: bytes, calls: int) -> dict[str, float]:
    client = HttpClient(SystemClock(), idle_s=5)
    await client.start()
    limits = {"deadline_s": 5.0, "connect_timeout_s": 1.0, "send_by_boottime_s": math.inf}

    async def ours() -> None:
        await client.post(url, _HEADERS, body, max_reply_bytes=262_144, **limits)

    async with aiohttp.ClientSession(trust_env=False, auto_decompress=False) as session:

        async def theirs() -> None:
            async with asyncio.timeout(5), session.post(url, data=body, headers=_HEADERS) as response:
                await response.read()

        measured = {
            "ours_send_us": await _best_at_once(ours, calls),
            "aiohttp_send_us": await _best_at_once(theirs, calls),
        }
    await client.close()
    return measured


async def _best_at_once(post: Callable[[], Awaitable[None]], calls: int) -> float:
    async def some() -> None:
        for _ in range(max(calls // _AT_ONCE, 1)):
            await post()

    async def once() -> float:
        started = time.process_time()
        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
        return (time.process_time() - started) / (max(calls // _AT_ONCE, 1) * _AT_ONCE) * 1e6

    return round(min([await once() for _ in range(6)]), 1)


def _best_in_turns(timed: Mapping[str, Callable[[], object]], calls: int) -> dict[str, float]:
    def once(run: Callable[[], object]) -> float:
        started = time.process_time()
        for _ in range(_ROUND):
            run()
        return (time.process_time() - started) / _ROUND * 1e6

    rounds = [{name: once(run) for name, run in timed.items()} for _ in range(max(calls // _ROUND, 5))]
    return {name: round(min(one[name] for one in rounds), 1) for name in timed}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
