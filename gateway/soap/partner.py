"""A partner that speaks SOAP (see `gateway.ports.Partner`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from gateway.errors import Refused, Unavailable
from gateway.http import HttpClient
from gateway.message import CallContext, new_id
from gateway.ports import Clock, PreparedRequest
from gateway.soap.contract import Contract
from gateway.soap.envelope import open_envelope
from gateway.soap.header import request_header
from gateway.soap.reply import read_reply


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a destination is reached."""

    url: str
    #: For one whole call, waiting for a slot included.
    deadline_s: float
    connect_timeout_s: float
    #: Calls at the same time.
    concurrency: int
    max_reply_bytes: int = 262_144


class SoapPartner:
    """Safe for concurrent use in one loop, between `start` and `close`. Owns its HTTP client."""

    def __init__(self, contract: Contract, endpoint: Endpoint, client: HttpClient, clock: Clock) -> None:
        self._contract = contract
        self._endpoint = endpoint
        self._client = client
        self._clock = clock
        self._slots = asyncio.Semaphore(endpoint.concurrency)

    async def start(self) -> None:
        """Make the connection pool; connects nowhere yet."""
        await self._client.start()

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> PreparedRequest:
        """See `ports.Partner`. A fresh message id each time; raises `Refused` (`conversion_failed`)."""
        contract, message_id = self._contract, new_id()
        header = request_header(contract.service, action, message_id, context, self._clock.now())
        try:
            body = contract.dialect.wrap(
                contract.header.write(header), contract.actions[action].request.write(values)
            )
            _check_own(contract, body)
        except (UnicodeEncodeError, etree.XMLSyntaxError) as error:
            # The library's text quotes the values.
            raise Refused("conversion_failed", f"{action}: {type(error).__name__}") from None
        except Refused as error:
            raise Refused("conversion_failed", f"{action}: {error.detail}") from error
        return PreparedRequest(action, body, message_id)

    async def send(self, request: PreparedRequest, *, send_by_boottime_s: float) -> Mapping[str, Any]:
        """See `ports.Partner`. Never sent twice; raises `Unavailable` or `Uncertain`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._endpoint.deadline_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Unavailable("no_free_slot") from error
        try:
            reply = await self._client.post(
                self._endpoint.url,
                self._contract.dialect.headers(self._contract.actions[request.action].soap_action),
                request.body,
                deadline_s=deadline - loop.time(),
                connect_timeout_s=self._endpoint.connect_timeout_s,
                max_reply_bytes=self._endpoint.max_reply_bytes,
                send_by_boottime_s=send_by_boottime_s,
            )
        finally:
            self._slots.release()
        return read_reply(self._contract, request, reply, self._endpoint.max_reply_bytes)


def _check_own(contract: Contract, body: bytes) -> None:
    """Our own message against the contract: the last look before an intent is committed."""
    envelope = open_envelope(etree.fromstring(body))
    for block in (*envelope.headers, envelope.content):
        contract.check(block)
