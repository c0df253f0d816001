"""Properties of a message that can't be read, made readable: so that it can be set aside like any other.

py-amqp reads properties and the routing key on the way to our callback. What fails there ends the connection,
and the broker delivers the same message again, for ever: one message would stop all commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import amqp.serialization  # type: ignore[import-untyped]
from amqp import spec

#: The header that stands for all properties of such a message.
UNREADABLE: Final = "x-properties-unreadable"

_Read = Callable[[bytes, int], tuple[dict[str, Any], int]]


def are_unreadable(headers: Mapping[str, Any]) -> bool:
    """Whether these headers stand for properties that could not be read."""
    return UNREADABLE in headers


def _tolerant(read: _Read) -> _Read:
    def properties(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
        try:
            return read(buffer, offset)
        # The border: a sender chooses these bytes, and there is no list of what they make the reader raise.
        except Exception:
            return {"application_headers": {UNREADABLE: "unreadable"}}, len(buffer)

    return properties


class ForgivingText(bytes):
    """Bytes of a frame whose text can always be read; what is no UTF-8 shows as a replacement mark."""

    def __getitem__(self, place: Any) -> Any:
        part = super().__getitem__(place)
        return ForgivingText(part) if isinstance(part, bytes) else part

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        try:
            return super().decode(encoding, errors)
        except UnicodeDecodeError:
            return super().decode(encoding, "replace")


def read_everything() -> None:
    """Let every message of this process reach its callback. Safe to repeat."""
    known = amqp.serialization.PROPERTY_CLASSES
    before: _Read = known[spec.Basic.CLASS_ID]
    if not hasattr(before, "forgives"):
        tolerant = _tolerant(before)
        tolerant.forgives = True  # type: ignore[attr-defined]
        known[spec.Basic.CLASS_ID] = tolerant


def forgive_routing_keys(channel: Any) -> None:
    """Let a delivery on this channel of py-amqp's be read whatever its routing key is."""
    dispatch = getattr(channel, "dispatch_method", None)
    if dispatch is None:  # `memory://` reads no bytes
        return

    def forgiving(method: tuple[int, int], payload: Any, content: Any) -> Any:
        whole = ForgivingText(payload) if method == spec.Basic.Deliver else payload
        return dispatch(method, whole, content)

    channel.dispatch_method = forgiving
