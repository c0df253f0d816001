"""Small pictures for tests: segments of JPEG as a camera writes them, without an image in them."""

from __future__ import annotations

import hashlib


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


HEAD = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
FRAME = segment(0xC0, b"\x08\0\x10\0\x10\x01\x01\x11\0")
SCAN = segment(0xDA, b"\x01\x01\0\0\x3f\0")


def jpeg(size_bytes: int = 600, fill: bytes = b"\x55") -> bytes:
    """A photo of exactly that size; another `fill` makes another one."""
    start, end = b"\xff\xd8" + HEAD + FRAME + SCAN, b"\xff\xd9"
    return start + fill * (size_bytes - len(start) - len(end)) + end


def sha256(photo: bytes) -> str:
    return hashlib.sha256(photo).hexdigest()
