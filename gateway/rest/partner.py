"""A partner that speaks JSON over HTTP (see `gateway.ports.Partner`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import Refused, Uncertain
from gateway.http import HttpClient
from gateway.message import CallContext, new_id
from gateway.observe import tracing
from gateway.ports import PreparedRequest
from gateway.rest.reply import read_reply, reply_model
from gateway.rest.service import CORRELATION_ID, IDEMPOTENCY_KEY, JSON, RestService

_HEADERS: Final = {"Content-Type": JSON, "Accept": JSON}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a destination is reached."""

    url: str
    #: For one whole call, waiting for a free connection included. How many there are at the same time, and
    #: whether there may be one at all, is decided by whoever calls (`gateway.pipeline.protect`).
    deadline_s: float
    connect_timeout_s: float
    max_reply_bytes: int = 65_536


class RestRequest(PreparedRequest, frozen=True):
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
        reply = await self._client.post(
            self._urls[request.action],
            {**_headers(request), **tracing.headers()},
            request.body,
            deadline_s=self._endpoint.deadline_s,
            connect_timeout_s=self._endpoint.connect_timeout_s,
            max_reply_bytes=self._endpoint.max_reply_bytes,
            send_by_boottime_s=send_by_boottime_s,
        )
        try:
            return read_reply(self._service, self._replies[request.action], request.correlation_id, reply)
        except Uncertain as error:
            raise Uncertain(error.code, error.detail, answered=True) from error


def _headers(request: PreparedRequest) -> dict[str, str]:
    if not isinstance(request, RestRequest):
        raise TypeError("not a request that this partner prepared")
    return {
        **_HEADERS,
        IDEMPOTENCY_KEY: request.idempotency_key,
        CORRELATION_ID: request.correlation_id,
    }
