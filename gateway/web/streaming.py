"""Answers that are written while they are made, however long they get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from gateway.pipeline.read import Pause

_WRITE_AT: Final = 65_536
#: A reader that takes nothing for this long is cut off.
_READER_SILENCE_S: Final = 30.0


async def stream(request: web.Request, media: str, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    """Write what comes, some 64 KiB at a time, in slices that let others run.

    An error in the middle cuts the connection.
    """
    headers = {"Content-Type": media if media.startswith("application/") else f"{media}; charset=utf-8"}
    response = web.StreamResponse(headers={**headers, "Vary": "Accept"})
    waiting = bytearray()
    pause = Pause()
    async for piece in pieces:
        waiting += piece
        if pause.due():
            await pause.begin()
        if len(waiting) >= _WRITE_AT:
            await _write(request, response, waiting)
    await _write(request, response, waiting)
    await response.write_eof()
    return response


async def _write(request: web.Request, response: web.StreamResponse, waiting: bytearray) -> None:
    """The head goes out with the first piece: until then an error still gets its own answer."""
    if not response.prepared:
        await response.prepare(request)
    async with asyncio.timeout(_READER_SILENCE_S):
        await response.write(bytes(waiting))
    waiting.clear()
