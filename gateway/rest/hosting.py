"""A REST service on aiohttp's server: for the stand-ins of partners' systems."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from gateway.errors import Refused
from gateway.rest.json_text import read
from gateway.rest.reply import reply_model
from gateway.rest.service import CORRELATION_ID, IDEMPOTENCY_KEY, JSON, ErrorReply, RestAction, RestService


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is valid by the contract."""

    action: str
    idempotency_key: str
    correlation_id: str
    values: Mapping[str, Any]


class Instead(Exception):
    """Raised by a handler that answers something other than what the contract has."""

    def __init__(self, what: web.Response) -> None:
        super().__init__()
        self.what = what


#: Gives `{"result": …}` or `{"service_error": …}`.
Handler = Callable[[Call], Awaitable[Mapping[str, Any]]]


def routes(path: str, service: RestService, handler: Handler) -> list[web.RouteDef]:
    """POST for each action, below `path`."""
    base = path + service.base_path
    return [
        web.post(base + action.path, _responder(name, action, handler))
        for name, action in service.actions.items()
    ]


def _responder(
    name: str, action: RestAction, handler: Handler
) -> Callable[[web.Request], Awaitable[web.Response]]:
    reply = reply_model(action.reply)

    async def respond(request: web.Request) -> web.Response:
        try:
            call = await _call(name, action, request)
            values = await handler(call)
        except Refused as error:
            return web.json_response({"code": error.code}, status=error.status)
        except Instead as instead:
            return instead.what
        model = ErrorReply if "service_error" in values else reply
        answer = model.model_validate({"correlation_id": call.correlation_id, **values})
        return web.Response(body=answer.model_dump_json(exclude_none=True), content_type=JSON)

    return respond


def technical_error(call: Call, code: str, status: int = 503) -> Instead:
    """To be raised: the service says that it did nothing."""
    error = {"error_type": "Technical", "code": code}
    answer = ErrorReply.model_validate({"correlation_id": call.correlation_id, "service_error": error})
    return Instead(web.Response(body=answer.model_dump_json(), status=status, content_type=JSON))


async def _call(name: str, action: RestAction, request: web.Request) -> Call:
    if request.content_type != JSON:
        raise Refused("unsupported_media_type", status=415)
    key, correlation_id = request.headers.get(IDEMPOTENCY_KEY), request.headers.get(CORRELATION_ID)
    if not key or not correlation_id:
        raise Refused("header_missing", status=400)
    try:
        values = action.request.model_validate(read(await request.read())).model_dump(exclude_none=True)
    except ValidationError:
        raise Refused("schema_invalid") from None
    return Call(name, key, correlation_id, values)
