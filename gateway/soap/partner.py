"""A partner that speaks SOAP (see `gateway.ports.Partner`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from gateway.errors import Refused, Unavailable, Uncertain
from gateway.http import HttpClient
from gateway.message import CallContext, new_id
from gateway.ports import Clock, PreparedRequest
from gateway.soap.contract import Contract
from gateway.soap.header import RequestHeaders
from gateway.soap.reply import read_reply
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity


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

    def __init__(
        self,
        contract: Contract,
        endpoint: Endpoint,
        client: HttpClient,
        clock: Clock,
        security: MessageSecurity = UNPROTECTED,
    ) -> None:
        self._security = security
        self._contract = contract
        self._endpoint = endpoint
        self._client = client
        self._clock = clock
        self._request_headers = RequestHeaders(contract)
        self._http_headers = {
            name: contract.dialect.headers(action.soap_action) for name, action in contract.actions.items()
        }
        self._slots = asyncio.Semaphore(endpoint.concurrency)

    async def start(self) -> None:
        """Make the connection pool; connects nowhere yet."""
        await self._client.start()

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> PreparedRequest:
        """See `ports.Partner`. A fresh message id each time; raises `Refused` (`conversion_failed`).

        Our own message is checked against the contract: the last look before an intent is committed.
        """
        contract, message_id = self._contract, new_id()
        try:
            header = self._request_headers.write(action, message_id, context, self._clock.now())
            content = contract.actions[action].request.write(values)
            contract.check(etree.fromstring(content.encode()))
            body = self._security.write(contract.dialect, header, content)
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
        # What waited half of its time for a slot has too little left for a fair exchange.
        await self._slot(loop.time() + self._endpoint.deadline_s / 2)
        try:
            reply = await self._client.post(
                self._endpoint.url,
                self._http_headers[request.action],
                request.body,
                deadline_s=deadline - loop.time(),
                connect_timeout_s=self._endpoint.connect_timeout_s,
                max_reply_bytes=self._endpoint.max_reply_bytes,
                send_by_boottime_s=send_by_boottime_s,
            )
        finally:
            self._slots.release()
        try:
            return read_reply(self._contract, request, reply, self._endpoint.max_reply_bytes, self._security)
        except Uncertain as error:
            raise Uncertain(error.code, error.detail, answered=True) from error

    async def _slot(self, until: float) -> None:
        """Raises `Unavailable` (`no_free_slot`): nothing was sent."""
        if not self._slots.locked():
            await self._slots.acquire()  # does not wait
            return
        try:
            async with asyncio.timeout_at(until):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Unavailable("no_free_slot") from error
