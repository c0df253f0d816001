"""HTTP for commands: one call at a time, each with a deadline, every failure in words for people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
from yarl import URL

from cli.outcome import CommandError, Unreachable, WrongUsage

_CONNECT_S: Final = 5.0
#: The longest silence. A batch that is sent is answered once it is on disk.
_SILENCE_S: Final = 60.0
_PROBLEM: Final = "application/problem+json"

T = TypeVar("T")
Params = Mapping[str, str]
Sink = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer."""

    status: int
    headers: Mapping[str, str]
    document: Any


class Http:
    """Calls to one address. `bearer` gives a token for each call; `hints` tell what to do by HTTP status."""

    def __init__(
        self, base_url: str, bearer: Callable[[], str] | None = None, hints: Mapping[int, str] | None = None
    ) -> None:
        self._base_url = base_url
        self._bearer = bearer
        self._hints = dict(hints or {})

    def get(self, path: str, params: Params | None = None) -> Reply:
        """A document. Raises `CommandError`, and `Unreachable` when nobody answers; so do all others."""
        return _run(self._document("GET", path, params=params))

    def post(self, path: str, document: Any = None) -> Reply:
        """Ask for something to be done."""
        return _run(self._document("POST", path, json=document))

    def upload(self, path: str, pieces: Iterable[bytes], headers: Mapping[str, str], params: Params) -> Reply:
        """Send a body piece by piece. It is not begun before the gateway has accepted the headers."""
        return _run(
            self._document(
                "POST", path, params=params, headers=headers, data=_as_stream(pieces), expect100=True
            )
        )

    def download(
        self, path: str, accept: str, sink: Sink, *, params: Params | None = None, document: Any = None
    ) -> None:
        """Hand each piece of the answer to `sink`. An answer that ends early raises `Unreachable`.

        With a `document` it is asked for by POST.
        """
        how = {"params": params} if document is None else {"params": params, "json": document}
        _run(self._download("GET" if document is None else "POST", path, accept, sink, how))

    async def _document(self, method: str, path: str, **how: Any) -> Reply:
        async with self._call(method, path, **how) as response:
            return Reply(response.status, response.headers, await _json(response))

    async def _download(
        self, method: str, path: str, accept: str, sink: Sink, how: Mapping[str, Any]
    ) -> None:
        async with self._call(method, path, headers={"Accept": accept}, **how) as response:
            async for piece in response.content.iter_any():
                sink(piece)

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **how: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        sent = {**(headers or {}), **self._authorization()}
        url = URL(self._base_url + path, encoded=True)
        try:
            async with (
                aiohttp.ClientSession(trust_env=False, timeout=timeout) as session,
                session.request(method, url, headers=sent, allow_redirects=False, **how) as response,
            ):
                transport = response.connection and response.connection.transport
                try:
                    if response.status >= 300:
                        raise await self._problem(response)
                    yield response
                finally:
                    # A body that was refused may still have pieces waiting to be sent.
                    if transport:
                        transport.abort()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._failure(error) from error

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._bearer()}"} if self._bearer else {}

    def _failure(self, error: Exception) -> CommandError:
        """aiohttp's errors in words. A subclass stands before its base."""
        match error:
            case aiohttp.InvalidURL():
                return WrongUsage(f"{self._base_url} is not a URL")
            case aiohttp.ClientSSLError():
                return Unreachable(f"no secure connection to {self._base_url}: {type(error).__name__}")
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                return Unreachable(f"no gateway at {self._base_url}", hint="start it with `serve`")
            case TimeoutError():
                return Unreachable(f"{self._base_url} did not answer in time")
            case _:
                return Unreachable(f"the connection to {self._base_url} was cut ({type(error).__name__})")

    async def _problem(self, response: aiohttp.ClientResponse) -> CommandError:
        hint = self._hints.get(response.status, "")
        if response.content_type != _PROBLEM:
            text = f"HTTP {response.status} from {self._base_url}, which does not answer as a gateway does"
            return CommandError(text, code="not_a_gateway")
        problem = await _json(response)
        if wait := response.headers.get("Retry-After"):
            hint = f"try again in {wait} s"
        detail = problem.get("detail") or problem.get("title")
        text = f"{detail} ({problem.get('code')}, request {problem.get('request_id')})"
        return CommandError(text, code=str(problem.get("code")), hint=hint, problem=problem)


async def _json(response: aiohttp.ClientResponse) -> Any:
    try:
        return json.loads(await response.read())
    except ValueError as error:
        raise CommandError("the answer is not JSON: is this the gateway?", code="not_a_gateway") from error


async def _as_stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _run(call: Coroutine[Any, Any, T]) -> T:
    async def whole() -> T:
        try:
            return await call
        finally:
            # A connection that was closed gives back its socket in the loop's next turn.
            await asyncio.sleep(0)

    return asyncio.run(whole())
