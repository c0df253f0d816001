"""A partner that speaks JSON over HTTP (see `gateway.ports.Partner`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import Refused, Unavailable, Uncertain
from gateway.http import HttpClient
from gateway.message import CallContext, new_id
from gateway.ports import PreparedRequest
from gateway.rest.reply import read_reply, reply_model
from gateway.rest.service import CORRELATION_ID, IDEMPOTENCY_KEY, JSON, RestService

_HEADERS: Final = {"Content-Type": JSON, "Accept": JSON}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a destination is reached."""

    url: str
    #: For one whole call, waiting for a slot included.
    deadline_s: float
    connect_timeout_s: float
    #: Calls at the same time.
    concurrency: int
    max_reply_bytes: int = 65_536


@dataclass(frozen=True, slots=True)
class RestRequest(PreparedRequest):
    """A request with our reference, which goes into a header here."""

    idempotency_key: str


class RestPartner:
    """Safe for concurrent use in one loop, between `start` and `close`. Owns its HTTP client."""

    def __init__(self, service: RestService, endpoint: Endpoint, client: HttpClient) -> None:
        self._service = service
        self._endpoint = endpoint
        self._client = client
        base = endpoint.url.rstrip("/") + service.base_path
        self._urls = {name: base + action.path for name, action in service.actions.items()}
        self._replies = {name: reply_model(action.reply) for name, action in service.actions.items()}
        self._slots = asyncio.Semaphore(endpoint.concurrency)

    async def start(self) -> None:
        """Make the connection pool; connects nowhere yet."""
        await self._client.start()

    async def close(self) -> None:
        """Give back connections."""
        await self._client.close()

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> RestRequest:
        """See `ports.Partner`. A fresh correlation id each time; raises `Refused` (`conversion_failed`)."""
        try:
            message = self._service.actions[action].request.model_validate(values)
            body = message.model_dump_json(exclude_none=True).encode()
        except ValueError as error:  # not valid, or not to be written as UTF-8
            # The library's text quotes the values.
            raise Refused("conversion_failed", f"{action}: {type(error).__name__}") from None
        return RestRequest(action, body, new_id(), context.request_reference)

    async def send(self, request: PreparedRequest, *, send_by_boottime_s: float) -> Mapping[str, Any]:
        """See `ports.Partner`. Never sent twice; raises `Unavailable` or `Uncertain`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._endpoint.deadline_s
        # What waited half of its time for a slot has too little left for a fair exchange.
        await self._slot(loop.time() + self._endpoint.deadline_s / 2)
        try:
            reply = await self._client.post(
                self._urls[request.action],
                _headers(request),
                request.body,
                deadline_s=deadline - loop.time(),
                connect_timeout_s=self._endpoint.connect_timeout_s,
                max_reply_bytes=self._endpoint.max_reply_bytes,
                send_by_boottime_s=send_by_boottime_s,
            )
        finally:
            self._slots.release()
        try:
            return read_reply(self._service, self._replies[request.action], request.correlation_id, reply)
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


def _headers(request: PreparedRequest) -> dict[str, str]:
    if not isinstance(request, RestRequest):
        raise TypeError("not a request that this partner prepared")
    return {
        **_HEADERS,
        IDEMPOTENCY_KEY: request.idempotency_key,
        CORRELATION_ID: request.correlation_id,
    }
