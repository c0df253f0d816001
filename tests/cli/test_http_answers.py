"""Whatever answers, or does not: a sentence and an exit code."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web

from cli.http import Http
from cli.outcome import CommandError, Unreachable
from cli.public_api import CenterApi
from cli.sending import wait_until_settled
from cli.target import find
from gateway.web.tokens import write_secret
from tests.cli.command import Command, private_key, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def html(_request: web.Request) -> web.Response:
    return web.Response(status=502, text="<html>Bad gateway", content_type="text/html")


async def html_200(_request: web.Request) -> web.Response:
    return web.Response(text="<html>Welcome", content_type="text/html")


async def redirect(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


async def dropped(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"{")
    assert request.transport is not None
    request.transport.abort()
    return response


async def busy(_request: web.Request) -> web.Response:
    problem = {"code": "rate_limited", "detail": "Too much at once.", "request_id": "r-1", "errors": []}
    return web.json_response(
        problem, status=429, headers={"Retry-After": "7"}, content_type="application/problem+json"
    )


ANSWERS: dict[str, tuple[Handler, str]] = {
    "HTML 502": (html, "does not answer as a gateway does"),
    "HTML 200": (html_200, "not JSON"),
    "redirect": (redirect, "HTTP 302"),
    "dropped": (dropped, "was cut"),
    "cut in the middle": (cut, "was cut"),
    "busy": (busy, "try again in 7 s"),
}


@pytest.fixture
def answered() -> Iterator[Callable[[Handler], str]]:
    """Serves one handler everywhere; gives its URL."""
    with ExitStack() as stack:

        def serve(handler: Handler) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            return stack.enter_context(serving(app))

        yield serve


@pytest.fixture
def key(tmp_path: Path) -> Path:
    write_secret(tmp_path / "key.pem", private_key())
    return tmp_path / "key.pem"


@pytest.mark.parametrize("name", ANSWERS)
def test_a_bad_answer_is_told_in_a_sentence(
    run: Command, answered: Callable[[Handler], str], key: Path, name: str
) -> None:
    handler, told = ANSWERS[name]
    ended = run("status", "b", "--url", answered(handler), "--key-file", key)
    assert ended.code == 1
    assert told in ended.err
    assert ended.out == ""


def test_results_that_are_cut_are_never_taken_for_whole(
    run: Command, answered: Callable[[Handler], str], key: Path, tmp_path: Path
) -> None:
    file = tmp_path / "results.json"
    file.write_text("old", encoding="utf-8")
    ended = run("results", "b", "--url", answered(cut), "--key-file", key, "--output", file)
    assert ended.code == 1
    assert file.read_text(encoding="utf-8") == "old"


def test_silence_ends_the_call(answered: Callable[[Handler], str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    monkeypatch.setattr("cli.http._SILENCE_S", 0.1)
    with pytest.raises(Unreachable, match="in time"):
        Http(answered(silent)).get("/")


def test_proxies_of_the_environment_are_not_used(
    answered: Callable[[Handler], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fine(_request: web.Request) -> web.Response:
        return web.json_response({"fine": True})

    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert Http(answered(fine)).get("/").document == {"fine": True}


def test_a_packed_answer_is_read_as_what_it_is(answered: Callable[[Handler], str]) -> None:
    async def packed(_request: web.Request) -> web.Response:
        body = gzip.compress(b'{"a": 1}')
        return web.Response(body=body, headers={"Content-Encoding": "gzip"}, content_type="application/json")

    assert Http(answered(packed)).get("/").document == {"a": 1}


def test_the_gateways_own_words_are_kept(answered: Callable[[Handler], str]) -> None:
    with pytest.raises(CommandError) as caught:
        Http(answered(busy)).get("/")
    assert caught.value.code == "rate_limited"
    assert "r-1" in caught.value.message
    assert caught.value.document()["detail"] == "Too much at once."


def test_waiting_goes_on_while_the_gateway_is_away(
    run: Command, answered: Callable[[Handler], str], key: Path
) -> None:
    # aiohttp itself asks a second time.
    calls = iter(["away"] * 3 + ["processing"] + ["away"] * 3 + ["completed"])

    async def restarting(request: web.Request) -> web.Response:
        state = next(calls)
        if state == "away":
            return await dropped(request)
        return web.json_response({"state": state, "counts": {"total": 1, "issued": state == "completed"}})

    api = CenterApi(find(None, None, url=answered(restarting)), "sc-01", key)
    status, in_time = wait_until_settled(api, "b", 60, pause=lambda _s: None)
    assert in_time
    assert status["state"] == "completed"


def test_waiting_for_a_gateway_that_stays_away_ends(
    run: Command, answered: Callable[[Handler], str], key: Path
) -> None:
    api = CenterApi(find(None, None, url=answered(dropped)), "sc-01", key)
    with pytest.raises(Unreachable):
        wait_until_settled(api, "b", 0.05, pause=lambda _s: None)


def test_a_large_file_is_never_whole_in_memory(
    run: Command, answered: Callable[[Handler], str], key: Path, tmp_path: Path
) -> None:
    received = 0

    async def sink(request: web.Request) -> web.Response:
        nonlocal received
        async for piece in request.content.iter_any():
            received += len(piece)
        counts = {"total": 1, "accepted": 1}
        receipt = {"batch_id": "b", "state": "processing", "counts": counts, "rejected": []}
        return web.json_response(receipt | {"more_rejected": False}, status=202)

    file = tmp_path / "large.ndjson"
    with file.open("wb") as out:
        out.truncate(40_000_000)
    url = answered(sink)
    tracemalloc.start()
    try:
        ended = run("send", file, "--center", "sc-01", "--url", url, "--key-file", key)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ended.code == 0, ended
    assert received == 40_000_000
    assert peak < 12_000_000
