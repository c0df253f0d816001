"""Is this a picture in JPEG (ITU-T T.81)? Its segments are walked; no pixel is made."""

from __future__ import annotations

from typing import Final

_START: Final = b"\xff\xd8\xff"
_END: Final = b"\xff\xd9"
_SCAN: Final = 0xDA
#: SOF0 to SOF15 (B.1.1.3): where the size of the picture stands.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: More than any camera writes; keeps the walk short.
_MOST_SEGMENTS: Final = 1_000


def is_jpeg(data: bytes) -> bool:
    """True for whole segments from the start to the first scan, a frame with a width, and an end marker."""
    if not (data.startswith(_START) and data.endswith(_END)):
        return False
    at, framed = 2, False
    for _ in range(_MOST_SEGMENTS):
        marker, length = _segment(data, at)
        if length < 2:
            return False
        if marker == _SCAN:
            return framed
        framed = framed or (marker in _FRAMES and _has_width(data, at))
        at += 2 + length
    return False


def _segment(data: bytes, at: int) -> tuple[int, int]:
    """The marker at `at` and how long its segment is, or 0 where there is no whole one."""
    if at + 4 > len(data) or data[at] != 0xFF:
        return 0, 0
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    return data[at + 1], length if at + 2 + length <= len(data) else 0


def _has_width(data: bytes, at: int) -> bool:
    """After the marker: length, precision, height, width (B.2.2). A height may follow the first scan."""
    return int.from_bytes(data[at + 7 : at + 9], "big") > 0
