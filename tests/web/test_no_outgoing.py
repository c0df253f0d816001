"""No request is ever made to an address that a message names: only configuration names whom we call."""

from __future__ import annotations

import ast
import json
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.web.tokens import demo_key_path
from tests.web.site import CSV, JSON, NDJSON, XML, Site

ROOT: Final = Path(__file__).parents[2]
#: What connects or resolves, by the names that it is called by.
CONNECTING: Final = frozenset(
    {
        "ClientSession",
        "create_connection",
        "create_unix_connection",
        "getaddrinfo",
        "gethostbyname",
        "open_connection",
        "open_unix_connection",
        "sock_connect",
        "urlopen",
    }
)
#: Modules that connect: the client of partners, and webhooks' with checked addresses.
CONNECT: Final = frozenset({"gateway/http/client.py", "gateway/webhooks/address.py"})
#: Modules that make a client, each with addresses of the configuration only.
MAKE_CLIENTS: Final = frozenset({"cli/bootstrap.py", "gateway/webhooks/webhooks.py"})
LIBRARIES: Final = frozenset({"requests", "httpx", "urllib.request", "http.client", "ftplib", "smtplib"})

_heard: list[tuple[str, Any]] = []
_listening = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening and event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        _heard.append((event, arguments))


# A hook can't be taken away again: one for all tests of this process, silent until asked.
sys.addaudithook(_hear)


@contextmanager
def heard() -> Iterator[list[tuple[str, Any]]]:
    """All connecting and resolving of this process."""
    global _listening  # noqa: PLW0603
    _heard.clear()
    _listening = True
    try:
        yield _heard
    finally:
        _listening = False


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def was_called(trap: socket.socket) -> bool:
    try:
        taken, _ = trap.accept()
    except BlockingIOError:
        return False
    taken.close()
    return True


def test_the_trap_catches_and_the_hook_hears(trap: socket.socket) -> None:
    with heard() as events, socket.create_connection(trap.getsockname()):
        pass
    assert was_called(trap)
    assert events


async def test_nobody_is_called_whom_a_message_names(site: Site, trap: socket.socket) -> None:
    url = f"http://127.0.0.1:{trap.getsockname()[1]}/x"
    ours = {int(each.rpartition(":")[2]) for each in (site.host.public_url, site.host.admin_url)}
    statuses = set()
    with heard() as events:
        for number, (media, body) in enumerate(bodies(site, url)):
            answer = await site.submit(body, media=media, key=f"k-{number}", headers=headers_naming(url))
            statuses.add(answer.status)
        await site.message("case.report", {"case_id": url, "description": url, "callback": url})
        await site.message(
            "case.report", f'<a xmlns:xi="x"><xi:include href="{url}"/></a>'.encode(), media=XML
        )
        for header in ({"jku": url}, {"x5u": url}, {"jku": url, "kid": url}):
            await site.get("/v1/notifications", token=token_naming(site, header))
        await site.get(f"/v1/notifications?cursor={url}&callback={url}", headers=headers_naming(url))
        await site.world.carry_until_rest()
    assert 202 in statuses  # some of it was taken, and carried
    assert not was_called(trap)
    others = [found for found in events if not (found[0] == "socket.connect" and found[1][1][1] in ours)]
    assert [found for found in others if not _resolves_us(found)] == []


def _resolves_us(found: tuple[str, Any]) -> bool:
    """The test's own client."""
    return found[0] == "socket.getaddrinfo" and found[1][0] in ("127.0.0.1", b"127.0.0.1")


def headers_naming(url: str) -> dict[str, str]:
    names = ("Referer", "Origin", "X-Forwarded-Host", "X-Original-URL", "Callback-Url", "Link", "SOAPAction")
    return dict.fromkeys(names, url)


def token_naming(site: Site, header: dict[str, str]) -> str:
    key = load_pem_private_key(demo_key_path(site.data, "sc-01").read_bytes(), None)
    now = int(site.world.clock.now().timestamp())
    claims = {"iss": "sc-01", "aud": "umrah-gateway", "iat": now, "exp": now + 60}
    return jwt.encode(claims, key, algorithm="EdDSA", headers=header)  # type: ignore[arg-type]


def bodies(site: Site, url: str) -> Iterator[tuple[str, bytes]]:
    """Batches whose texts are addresses, and documents that ask to be completed from elsewhere."""
    header, *lines = (json.loads(line) for line in site.batch(2).splitlines())
    for line in lines:
        line.update(profession=url[:60], address=url, email="a@127.0.0.1", photo_url=url)
    yield NDJSON, b"\n".join(json.dumps(line).encode() for line in (header, *lines))
    yield JSON, json.dumps({**header, "$schema": url, "$ref": url, "applications": lines}).encode()
    xml = site.batch(1, XML)
    declaration, _, rest = xml.partition(b"?>")
    assert rest
    for before in (
        f'<!DOCTYPE a SYSTEM "{url}">',
        f'<!DOCTYPE a [<!ENTITY % e SYSTEM "{url}"> %e;]>',
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "{url}">]>',
        f'<?xml-stylesheet href="{url}" type="text/xsl"?>',
    ):
        yield XML, declaration + b"?>" + before.encode() + rest
    name, _, more = rest.lstrip().partition(b">")
    located = (
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x {url}"'
        f' xsi:noNamespaceSchemaLocation="{url}" xml:base="{url}"'
    )
    yield XML, name + located.encode() + b">" + more
    yield CSV, site.batch(1, CSV) + f'\n=HYPERLINK("{url}")'.encode()


@cache
def sources() -> Mapping[str, list[ast.AST]]:
    """Calls and imports of what runs in a gateway, by path. Simulators stand for the other side."""
    paths = [
        path for folder in ("gateway", "adapters", "schemas", "cli") for path in (ROOT / folder).rglob("*.py")
    ]
    return {
        path.relative_to(ROOT).as_posix(): [
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call | ast.Import | ast.ImportFrom)
        ]
        for path in paths
        if path.name != "simulator.py"
    }


def names_called(nodes: list[ast.AST]) -> set[str]:
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    return {
        call.attr if isinstance(call, ast.Attribute) else call.id
        for call in calls
        if isinstance(call, ast.Attribute | ast.Name)
    }


def imported(nodes: list[ast.AST]) -> set[str]:
    plain = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_two_modules_connect_and_two_make_clients() -> None:
    found = {path: names_called(nodes) for path, nodes in sources().items()}
    connecting = {path for path, names in found.items() if names & CONNECTING}
    assert {path for path in connecting if not path.startswith("cli/")} == CONNECT
    assert {path for path, names in found.items() if names & {"HttpClient", "GuardedClient"}} == MAKE_CLIENTS


def test_no_library_that_connects_by_itself_is_imported() -> None:
    assert {
        path: imported(nodes) & LIBRARIES for path, nodes in sources().items() if imported(nodes) & LIBRARIES
    } == {}
