"""Read: a party's bytes into a header and lines, in slices of a few milliseconds.

The body is hashed as it passes, so that a repetition of its idempotency key can be told from a reuse.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator

from gateway.pipeline.intake import Submission
from gateway.ports import ReadHeader, ReadItem, ReadLine
from gateway.settings.gateway import Intake

#: How long parsing may keep the event loop from others.
_SLICE_S = 0.004


class BodyReader:
    """Reads one submission's body, once."""

    def __init__(self, submission: Submission, limits: Intake) -> None:
        self._submission = submission
        self._parser = submission.reader.open(
            max_line_bytes=limits.max_line_bytes, max_lines=limits.max_lines
        )
        self._hash = hashlib.sha256(f"{submission.media_type}\n{submission.mode}\n".encode())

    async def chunks(self, size: int) -> AsyncIterator[ReadHeader | list[ReadLine]]:
        """The header by itself, then the lines, `size` at a time; only the last ones may be fewer.

        Raises `Refused` when the body as a whole can't be read: what was read before it is lost.
        """
        pause = Pause()
        lines: list[ReadLine] = []
        async for items in self._items():
            for item in items:
                if isinstance(item, ReadHeader):
                    yield item
                    continue
                lines.append(item)
                if len(lines) >= size:
                    yield lines
                    lines = []
                if pause.due():
                    await pause.begin()
        if lines:
            yield lines

    async def _items(self) -> AsyncIterator[Iterator[ReadItem]]:
        """What each piece of the body holds; read while it is gone through."""
        async for chunk in self._submission.body:
            self._hash.update(chunk)
            for piece in _pieces(chunk):
                yield self._parser.feed(piece)
        yield self._parser.close()

    async def digest(self) -> bytes:
        """SHA-256 over media type, mode and the decoded body; reads what is left of it."""
        async for chunk in self._submission.body:
            self._hash.update(chunk)
        return self._hash.digest()


class Pause:
    """Lets others run once our slice is used up."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + _SLICE_S

    def due(self) -> bool:
        return time.perf_counter() > self._until

    async def begin(self) -> None:
        """One round of the event loop, and the next slice is ours."""
        await asyncio.sleep(0)
        self._until = time.perf_counter() + _SLICE_S


def _pieces(chunk: bytes, size: int = 65_536) -> Iterator[bytes]:
    if len(chunk) <= size:
        yield chunk
        return
    for start in range(0, len(chunk), size):
        yield chunk[start : start + size]
