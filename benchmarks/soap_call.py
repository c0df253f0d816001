"""What one IssueVisa costs in CPU, ours and plain zeep's in one run: building the request, reading the reply.

    python benchmarks/soap_call.py [calls]

Prints JSON, microseconds a call, the best of five rounds. No network: zeep is given the same reply bytes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import zeep
from lxml import etree

from adapters.foreign_affairs.convert import issuance_request
from adapters.foreign_affairs.services import VISAS
from gateway.clock import SystemClock
from gateway.http import HttpClient, HttpReply
from gateway.message import BatchFacts, CallContext, MessageId, Projection, new_id
from gateway.ports import PreparedRequest
from gateway.soap import Endpoint, SoapPartner, load_contract
from gateway.soap.contract import VENDORED, _VendoredFiles
from gateway.soap.header import request_header
from gateway.soap.reply import read_reply
from gateway.soap.server import SoapServer

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
    }
)


def main(calls: int) -> None:
    """Measure and print."""
    contract, clock = load_contract(VISAS), SystemClock()
    context = _context()
    values = issuance_request(PILGRIM, context)
    partner = SoapPartner(
        contract, Endpoint("http://127.0.0.1:1", 1, 1, 1), HttpClient(clock, idle_s=1), clock
    )
    request = partner.prepare("IssueVisa", values, context)
    server = SoapServer(contract, clock)
    reply = _reply(server, request, context)
    client, read_by_zeep = _zeep(reply)
    header = request_header(VISAS, "IssueVisa", new_id(), context, clock.now())
    result = {
        "calls": calls,
        "request_bytes": len(request.body),
        "reply_bytes": len(reply.body),
        "ours_build_us": _best(lambda: partner.prepare("IssueVisa", values, context), calls),
        "ours_read_us": _best(lambda: read_reply(contract, request, reply, 262_144), calls),
        "zeep_build_us": _best(lambda: _build_by_zeep(client, values, header), calls),
        "zeep_read_us": _best(read_by_zeep, calls),
        "server_us": _best(lambda: _reply(server, request, context), calls),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def _context() -> CallContext:
    message_id = MessageId(new_id())
    batch = BatchFacts("B-1", "LIC-1001", "AGT-2001", "MSN-IDN-JKT", 1448, group_number="GRP-4001")
    return CallContext(message_id, f"{message_id}/visa_issuance", batch)


def _reply(server: SoapServer, request: PreparedRequest, context: CallContext) -> HttpReply:
    """What the stand-in does for a call, without HTTP."""
    call = server.receive("application/soap+xml; charset=utf-8", request.body)
    pair = {"gregorian": "2026-11-20", "hijri": "1448-06-10"}
    visa = {
        "request_reference": context.request_reference,
        "visa_number": "6000000001",
        "valid_from": pair,
        "valid_until": pair,
        "stay_until": pair,
    }
    answer = server.answer(call, {"result": visa})
    return HttpReply(answer.status, {"Content-Type": answer.content_type}, answer.body)


def _zeep(reply: HttpReply) -> tuple[Any, Callable[[], object]]:
    """A plain zeep client of the same WSDL, and its reading of the same reply: no checks at all."""
    transport: Any = _VendoredFiles()
    client: Any = zeep.Client(str(VENDORED / "wsdl" / VISAS.wsdl), transport=transport)
    operation = client.service._binding.get("IssueVisa")
    return client, lambda: operation.process_reply(etree.fromstring(reply.body))


def _build_by_zeep(client: Any, values: Any, header: Any) -> bytes:
    message = client.create_message(client.service, "IssueVisa", **values, _soapheaders={"header": header})
    return etree.tostring(message)


def _best(run: Callable[[], object], calls: int) -> float:
    def once() -> float:
        started = time.process_time()
        for _ in range(calls):
            run()
        return (time.process_time() - started) / calls * 1e6

    return round(min(once() for _ in range(5)), 1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
