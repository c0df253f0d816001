"""Read: a party's bytes into a header and lines, in slices of a few milliseconds.

The body is hashed as it passes, so that a repetition of its idempotency key can be told from a reuse.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator

from gateway.pipeline.intake import Submission
from gateway.ports import ReadItem
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

    async def items(self) -> AsyncIterator[ReadItem]:
        """Header and lines. Raises `Refused` when the body as a whole can't be read."""
        pause = Pause()
        async for chunk in self._submission.body:
            self._hash.update(chunk)
            for piece in _pieces(chunk):
                for item in self._parser.feed(piece):
                    yield item
                    await pause.if_due()
        for item in self._parser.close():
            yield item
            await pause.if_due()

    async def digest(self) -> bytes:
        """SHA-256 over media type, mode and the decoded body; reads what is left of it."""
        async for chunk in self._submission.body:
            self._hash.update(chunk)
        return self._hash.digest()


class Pause:
    """Lets others run once our slice is used up."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + _SLICE_S

    async def if_due(self) -> None:
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + _SLICE_S


def _pieces(chunk: bytes, size: int = 65_536) -> Iterator[bytes]:
    if len(chunk) <= size:
        yield chunk
        return
    for start in range(0, len(chunk), size):
        yield chunk[start : start + size]
