"""Every answer of every route has the headers that protect its reader, errors and pages included."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.web.site import Site

PLACEHOLDER = re.compile(r"\{[a-z0-9_]+\}")
#: What no policy of ours may hold: something from elsewhere, or a script.
LOOSE = re.compile(r"unsafe-|https?:|\*|data:|script-src|connect-src|img-src")


def paths(site: Site, *, admin: bool) -> list[tuple[str, str]]:
    """From the router itself: a new route is tried without being named here."""
    listening = site.host._admin if admin else site.host._public
    assert listening is not None
    return [
        (route.method, PLACEHOLDER.sub("x", route.resource.canonical))
        for route in listening.runner.app.router.routes()  # type: ignore[union-attr]
        if route.resource is not None
    ]


def check(headers: Mapping[str, str]) -> None:
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert not LOOSE.search(policy)
    assert "Server" not in headers
    assert "Strict-Transport-Security" not in headers  # means nothing without TLS
    assert re.fullmatch("no-store|no-cache", headers["Cache-Control"])
    assert headers["X-Request-Id"]


@pytest.mark.parametrize("admin", [False, True], ids=["public", "admin"])
async def test_on_every_route_whoever_calls(site: Site, admin: bool) -> None:
    tried = paths(site, admin=admin)
    assert len(tried) > 10
    statuses = set()
    for method, path in [*tried, ("GET", "/nowhere"), ("DELETE", tried[0][1])]:
        for token in ("", None, "nonsense"):
            answer = await site.call(
                method, path, token=token, admin=admin, data=b"{" if method != "GET" else None
            )
            check(answer.headers)
            statuses.add(answer.status)
    assert statuses >= {200, 401, 404, 405}


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n"])
async def test_on_answers_to_what_is_no_request_too(site: Site, data: bytes) -> None:
    lines = (await site.raw(data)).partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    check(dict(line.split(": ", maxsplit=1) for line in lines))


async def test_pages_load_nothing_from_anywhere(site: Site) -> None:
    for path in ("/docs", "/problems/not_found"):
        page = (await site.get(path, token="")).body.decode()
        assert not re.search(r"<(script|img|link|iframe|object|embed|form|base)\b|\bsrc=|@import|url\(", page)
        assert not re.search(r"\bon[a-z]+=", page)
