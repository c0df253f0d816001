"""What is taken for a photo."""

from __future__ import annotations

import pytest

from schemas.jpeg import is_jpeg
from tests.schemas.pictures import FRAME, HEAD, SCAN, jpeg, segment

START, END = b"\xff\xd8", b"\xff\xd9"


def test_a_whole_picture_is_one() -> None:
    assert is_jpeg(jpeg())


@pytest.mark.parametrize("frame", [0xC0, 0xC1, 0xC2, 0xCF])
def test_every_coding_of_the_standard_is_one(frame: int) -> None:
    assert is_jpeg(START + HEAD + segment(frame, b"\x08\0\x10\0\x10\x01\x01\x11\0") + SCAN + b"x" + END)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        START + END,
        b"\x89PNG\r\n\x1a\n" + b"x" * 100,
        b"<svg onload='x'/>",
        START + b"\xff" + b"<html>" * 50 + END,
        jpeg()[:-2],
        jpeg() + b"\n",
        START + HEAD + SCAN + b"x" + END,
        START + HEAD + FRAME + END,
        START + HEAD + segment(0xC4, b"\x08\0\x10\0\x10\x01") + SCAN + b"x" + END,
        START + HEAD + segment(0xC0, b"\x08\0\x10\0\0\x01\x01\x11\0") + SCAN + b"x" + END,
        START + segment(0xE0, b"x")[:2] + b"\xff\xff" + END,
        START + b"\xff\xe0\0\1" + FRAME + SCAN + END,
        START + segment(0xE1, b"") * 50_000 + FRAME + SCAN + END,
    ],
    ids=[
        "nothing", "markers only", "PNG", "SVG", "text between markers", "cut off", "something behind it",
        "no frame", "no scan", "a table in place of a frame", "no width", "a segment longer than the file",
        "a segment shorter than its length", "segments without end",
    ],
)  # fmt: skip
def test_anything_else_is_not(data: bytes) -> None:
    assert not is_jpeg(data)
