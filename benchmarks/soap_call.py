"""What one IssueVisa costs in CPU, ours and plain zeep's in one run: building the request, reading the reply.

    python benchmarks/soap_call.py [calls]

Prints JSON, microseconds a call, the best of five rounds. zeep is given the same bytes, without network.
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
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import uvloop
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

_AT_ONCE = 32
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
        **_sending(request.body, reply.body, calls),
    }
    result["ours_call_us"] = round(sum(result[f"ours_{part}_us"] for part in ("build", "send", "read")), 1)
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
    return HttpReply(answer.status, {"content-type": answer.content_type}, answer.body)


def _zeep(reply: HttpReply) -> tuple[Any, Callable[[], object]]:
    """A plain zeep client of the same WSDL, and its reading of the same reply: no checks at all."""
    transport: Any = _VendoredFiles()
    client: Any = zeep.Client(str(VENDORED / "wsdl" / VISAS.wsdl), transport=transport)
    operation = client.service._binding.get("IssueVisa")
    return client, lambda: operation.process_reply(etree.fromstring(reply.body))


def _build_by_zeep(client: Any, values: Any, header: Any) -> bytes:
    message = client.create_message(client.service, "IssueVisa", **values, _soapheaders={"header": header})
    return etree.tostring(message)


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


def _best(run: Callable[[], object], calls: int) -> float:
    def once() -> float:
        started = time.process_time()
        for _ in range(calls):
            run()
        return (time.process_time() - started) / calls * 1e6

    return round(min(once() for _ in range(5)), 1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
