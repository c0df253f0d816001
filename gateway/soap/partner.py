"""A partner that speaks SOAP (see `gateway.ports.Partner`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from gateway.errors import Refused, Uncertain
from gateway.http import HttpClient
from gateway.message import CallContext, new_id
from gateway.observe import tracing
from gateway.ports import Clock, PreparedRequest
from gateway.soap.contract import Contract
from gateway.soap.header import RequestHeaders
from gateway.soap.reply import read_reply
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity
from gateway.soap.shapes import Shapes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a destination is reached."""

    url: str
    #: For one whole call, waiting for a free connection included. How many there are at the same time, and
    #: whether there may be one at all, is decided by whoever calls (`gateway.pipeline.protect`).
    deadline_s: float
    connect_timeout_s: float
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
        # What is signed differs in its markup from message to message, and is to be verified each time.
        self._shapes = None if security.proves else Shapes()
        self._http_headers = {
            name: contract.dialect.headers(action.soap_action) for name, action in contract.actions.items()
        }

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
            content = contract.write_request(action, values)
            body = self._security.write(contract.dialect, header, content)
        except (UnicodeEncodeError, etree.XMLSyntaxError) as error:
            # The library's text quotes the values.
            raise Refused("conversion_failed", f"{action}: {type(error).__name__}") from None
        except Refused as error:
            raise Refused("conversion_failed", f"{action}: {error.detail}") from error
        return PreparedRequest(action, body, message_id)

    async def send(self, request: PreparedRequest, *, send_by_boottime_s: float) -> Mapping[str, Any]:
        """See `ports.Partner`. Never sent twice; raises `Unavailable` or `Uncertain`."""
        reply = await self._client.post(
            self._endpoint.url,
            {**self._http_headers[request.action], **tracing.headers()},
            request.body,
            deadline_s=self._endpoint.deadline_s,
            connect_timeout_s=self._endpoint.connect_timeout_s,
            max_reply_bytes=self._endpoint.max_reply_bytes,
            send_by_boottime_s=send_by_boottime_s,
        )
        try:
            return read_reply(
                self._contract, request, reply, self._endpoint.max_reply_bytes, self._security, self._shapes
            )
        except Uncertain as error:
            raise Uncertain(error.code, error.detail, answered=True) from error
