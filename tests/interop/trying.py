"""One foreign stack tried in one direction: rows of what was called, over what, and what went wrong."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from adapters.foreign_affairs.operations import OPERATIONS as FOREIGN_AFFAIRS
from adapters.foreign_affairs.services import VISAS
from adapters.interior.operations import SECURITY_CLEARANCE
from adapters.interior.services import NIC
from gateway.message import Answered, AttemptEnd, Declined, Deferred, Unknown
from gateway.soap import SoapService
from gateway.soap.contract import VENDORED
from tests.interop.calls import VERSIONS, calls, shortcoming, told
from tests.interop.site import Site, open_site
from tests.interop.stacks import Stack
from tests.soap import partners

_MEDIA_TYPES = {"1.1": "text/xml", "1.2": "application/soap+xml"}
_PATIENCE_S = 60.0
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:[0-9]+")
_ISSUANCE = next(each for each in FOREIGN_AFFAIRS if each.call.action == "IssueVisa")


@dataclass(frozen=True)
class Row:
    """One operation over one version."""

    service: str
    operation: str
    soap: str
    #: What was tried, and what of it did not come out as it should.
    tried: tuple[str, ...]
    wrong: tuple[str, ...]


# --- their client, our services ----------------------------------------------------------------------


async def client_rows(stack: Stack) -> list[Row]:
    """Every operation of ours, over both versions, called by their client."""
    stack.prepare()
    rows = []
    for version in VERSIONS:
        async with open_site() as site:
            rows += [row async for row in _called(stack, site, version)]
    return rows


async def _called(stack: Stack, site: Site, version: str) -> AsyncIterator[Row]:
    planned = list(calls(site, version))
    outcomes = await _outcomes(stack, [call for _, _, call in planned])
    on_the_wire = set(site.media_types)
    for each in told(version):
        found = [
            (expected, shortcoming(expected, outcome))
            for (of, expected, _), outcome in zip(planned, outcomes, strict=True)
            if of == each
        ]
        wrong = [f"{expected}: {fault}" for expected, fault in found if fault]
        if on_the_wire != {_MEDIA_TYPES[version]}:
            wrong.append(f"on the wire: {sorted(on_the_wire)}")
        if [body for (_, kind, _), (body, _) in site.desk.taken.items() if kind == each.kind] != [each.body]:
            wrong.append("the desk was not handed what was sent")
        yield Row(each.service, each.operation, version, tuple(name for name, _ in found), tuple(wrong))


async def _outcomes(stack: Stack, planned: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *stack.client,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            out, err = await process.communicate(stack.written(planned))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode(errors="replace")
    outcomes: list[Mapping[str, Any]] = json.loads(out)
    return outcomes


# --- their server, our client --------------------------------------------------------------------------


async def server_rows(stack: Stack) -> list[Row]:
    """Two of the partners' contracts, served by their server and called by our partner."""
    rows = []
    for service, soap, operation in ((NIC, "1.1", SECURITY_CLEARANCE), (VISAS, "1.2", _ISSUANCE)):
        async with (
            _served(stack, service, soap) as url,
            partners.partner(service, url, deadline_s=20.0) as through,
        ):
            found = [
                (name, await partners.attempt(through, operation, projection=_applicant(ending)))
                for ending, name in _ENDINGS[operation.call.action].items()
            ]
        wrong = tuple(f"{name}: {end}" for name, end in found if not _as_meant(name, end))
        tried = tuple(name for name, _ in found)
        rows.append(Row(service.wsdl, operation.call.action, soap, tried, wrong))
    return rows


#: By the end of the passport number, as the foreign servers are written.
_ENDINGS: Mapping[str, Mapping[str, str]] = {
    "CheckClearance": {"45": "clear", "90": "hit", "98": "fault"},
    "IssueVisa": {"45": "issued", "97": "refused", "98": "fault"},
}


def _applicant(ending: str) -> Any:
    return partners.application(passport__number=f"C44123{ending}")


def _as_meant(name: str, end: AttemptEnd) -> bool:
    match name, end:
        case ("clear", Answered(result)):
            return result["status"] == "CLEAR"
        case ("issued", Answered(result)):
            return result["visa_number"] == "6123456789"
        case ("hit", Declined()) | ("refused", Deferred()):
            return True
        case ("fault", Unknown(code)):
            return code == "fault"
    return False


@asynccontextmanager
async def _served(stack: Stack, service: SoapService, soap: str) -> AsyncIterator[str]:
    """Their server with that contract of ours; yields its address, which it prints once it listens."""
    assert stack.server is not None
    process = await asyncio.create_subprocess_exec(
        *stack.server,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **dict(_environment(service, soap))},
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            yield await _address(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _environment(service: SoapService, soap: str) -> Iterator[tuple[str, str]]:
    yield "WSDL", str(VENDORED / "wsdl" / service.wsdl)
    yield "SOAP", soap
    yield "SERVICE_NAME", service.service
    yield "PORT_NAME", service.port


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    said = b""
    async for line in process.stdout:
        said += line
        found = _ADDRESS.search(line)
        if found:
            return f"{found[0].decode()}/"
    raise AssertionError(said.decode(errors="replace"))
