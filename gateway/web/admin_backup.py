"""A copy of the embedded ledger, for administrators, while the gateway goes on.

The answer begins with lines of JSON: how much is copied so far, and at last `size` and `sha256` of the copy,
whose bytes follow.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway.errors import Conflict, Refused
from gateway.ledger.copying import Copying
from gateway.ledger.file_lock import FileLock
from gateway.ledger.journal import Entry
from gateway.message import new_id
from gateway.pipeline.engine import Engine
from gateway.web import query
from gateway.web.caller import operator

MEDIA_TYPE: Final = "application/octet-stream"
_PIECE: Final = 1_048_576
#: How often it is told how far the copy has come: a reader must not think that we are gone.
_TOLD_EVERY_S: Final = 0.5
_READER_SILENCE_S: Final = 60.0
_DRAFT: Final = ".copy-"
_LOCK: Final = ".copy.lock"


class Backup:
    """The handler."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        return [web.route("POST", "/v1/admin/backup", self.backup)]

    async def backup(self, request: web.Request) -> web.StreamResponse:
        """One copy at a time. It is noted in the journal before it is made."""
        name = operator(request)
        query.parameters(request)
        ledger = self._engine.ledger
        if not isinstance(ledger, Copying):
            raise Refused("backup_by_server", status=409)
        with _alone(ledger.folder):
            await ledger.note(Entry(self._engine.now(), "backup", name))
            with _draft(ledger.folder) as draft:
                return await _answer(request, _pieces(ledger, draft))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of all processes at the ledger. Raises `Conflict`."""
    lock = FileLock(folder / _LOCK)
    try:
        if not lock.try_take():
            raise Conflict("backup_running")
        yield
    finally:
        lock.close()


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A new file's name; what a crash left of earlier ones is removed."""
    for left in folder.glob(f"{_DRAFT}*"):
        left.unlink(missing_ok=True)
    draft = folder / f"{_DRAFT}{new_id()}"
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
        Path(f"{draft}-journal").unlink(missing_ok=True)


async def _pieces(ledger: Copying, draft: Path) -> AsyncIterator[bytes]:
    so_far = [0, 0]
    copying = asyncio.ensure_future(
        ledger.copy_to(draft, lambda done, of: so_far.__setitem__(slice(2), [done, of]))
    )
    try:
        while not copying.done():
            await asyncio.wait({copying}, timeout=_TOLD_EVERY_S)
            if copying.done():
                break
            yield _line({"copied": so_far[0], "of": so_far[1]})
        copying.result()
    finally:
        await asyncio.wait({copying})  # a reader that went away ends no thread
    size, digest = await asyncio.to_thread(_measured, draft)
    yield _line({"size": size, "sha256": digest})
    with draft.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _measured(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


async def _answer(request: web.Request, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    """Written piece by piece. Before the first one an error still gets its own answer."""
    response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE})
    async for piece in pieces:
        if not response.prepared:
            await response.prepare(request)
        async with asyncio.timeout(_READER_SILENCE_S):
            await response.write(piece)
    await response.write_eof()
    return response
