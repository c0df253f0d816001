"""What happens to every request: an id, an answer whatever goes wrong, a log line, headers that protect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.message import new_id
from gateway.observe import tracing
from gateway.observe.log import log
from gateway.web.problems import is_fault, problem_of, respond

REQUEST_ID: Final = web.RequestKey("request_id", str)
#: Who the request comes from, once that is proven.
CALLER: Final = web.RequestKey("caller", str)

PROTECTION: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    # Nothing is loaded, framed, or sent from a page of ours. /docs has a policy of its own, as strict.
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
#: Over TLS only, where it means something (RFC 6797, 7.2).
_STAY_ON_TLS: Final = {"Strict-Transport-Security": "max-age=31536000"}
#: Counts an answer, by interface (http or soap) and class of status (2xx).
Count = Callable[[str, str], None]
#: Asked for every few seconds by machines.
_UNLOGGED: Final = frozenset({"/metrics", "/livez", "/readyz"})


class UnderWay:
    """Counts the requests being answered, so that the host can wait for the last one."""

    def __init__(self) -> None:
        #: Each connection is closed after its next answer.
        self.leaving = False
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around one request."""
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def ended(self, within_s: float) -> None:
        """Return when no request is under way, or after `within_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._none.wait()


def answer_always(base_url: str, under_way: UnderWay, count: Count | None = None) -> Middleware:
    """The middleware that turns every exception into a problem answer. `base_url` is for its `type`."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = new_id()
        started = time.perf_counter()
        with under_way.one(), _traced(request) as span:
            try:
                response = await handler(request)
            # The border: nothing may leave it but an answer.
            except Exception as error:
                response = _answer(error, request, base_url)
            span.tell(method=request.method, route=_route(request), status=response.status)
        if under_way.leaving and not response.prepared:
            response.force_close()
        if count is not None:
            count(_interface(request), f"{response.status // 100}xx")
        _log(request, response, time.perf_counter() - started)
        return response

    return answer


def _traced(request: web.Request) -> AbstractContextManager[tracing.Telling]:
    """Its methods and routes are known names: no path that somebody sent stands in a trace."""
    if request.path in _UNLOGGED:
        return tracing.NOTHING
    return tracing.received("answer", request.headers.get("traceparent"))


def _interface(request: web.Request) -> str:
    """SOAP says with status 500 what HTTP says with 4xx, so its answers are counted apart."""
    return "soap" if (_route(request) or "").startswith("/soap/") else "http"


def _answer(error: Exception, request: web.Request, base_url: str) -> web.StreamResponse:
    if is_fault(error):
        log.exception(
            "request_failed", action="request", request_id=request[REQUEST_ID], route=_route(request)
        )
    if request.writer.output_size:
        # Part of another answer is out: the connection is cut, and the caller sees that it is incomplete.
        raise ConnectionResetError from error
    problem = problem_of(error)
    return respond(problem, request[REQUEST_ID], request.headers.get("Accept-Language"), base_url)


def _log(request: web.Request, response: web.StreamResponse, duration_s: float) -> None:
    if request.path in _UNLOGGED:
        return
    log.info(
        "request",
        action="request",
        request_id=request[REQUEST_ID],
        method=request.method,
        route=_route(request),
        status=response.status,
        duration_s=round(duration_s, 4),
        party=request.get(CALLER),
    )


def _route(request: web.Request) -> str | None:
    """The route's pattern, never the path that was asked for."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else None


def protection(*, tls: bool) -> dict[str, str]:
    """The headers of every answer."""
    return {**PROTECTION, **_STAY_ON_TLS} if tls else PROTECTION


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """For `Application.on_response_prepare`. A handler's own headers win; nobody learns our versions."""
    for name, value in protection(tls=request.secure).items():
        response.headers.setdefault(name, value)
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
    response.headers.pop("Server", None)


async def expect_later(_request: web.Request) -> None:
    """For `expect_handler`: "100 Continue" is said when the body is wanted (see `body.decoded`)."""
