"""Finding canaries in bytes, however they were written.

Plain, in capitals, in JSON's and URLs' escapes, in UTF-16, in base64 and base64url, in hexadecimal, packed by
gzip or zlib; and one inside another, twice over.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Collection, Iterator
from typing import Final

from tests.canary.marks import ARABIC_MARK, FROM_ARABIC, Token

_LETTERS: Final = re.compile(rb"[Zz]q[a-z]{5}|ZQ[A-Z]{5}")
_ARABIC: Final = re.compile(re.escape(ARABIC_MARK.encode()) + rb"((?:[\xd8-\xdb][\x80-\xbf]){5})")
_NUMBER: Final = re.compile(rb"[0-9]+")
_DAY: Final = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: A SHA-256, or as much of one as a partner makes a reference of.
_DIGEST: Final = re.compile(rb"[0-9a-fA-F]{24,}")
_DIGITS: Final = range(7, 17)
_ESCAPE: Final = re.compile(rb"\\u([0-9a-fA-F]{4})|&#x([0-9a-fA-F]{1,5});|&#([0-9]{1,6});")
_PERCENT: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX: Final = re.compile(rb"[0-9a-fA-F]{14,}")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_PACKED: Final = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda](?=[\x00-\xff])")
_DEPTH: Final = 2
_MOST_PACKED: Final = 65_536
_MOST_UNPACKED: Final = 1_000_000


def tokens(data: bytes) -> list[Token]:
    """Everything in plain bytes that might be a canary."""
    found = [Token(each.decode().lower()) for each in _LETTERS.findall(data)]
    for letters in _ARABIC.findall(data):
        text = "".join(FROM_ARABIC.get(letter, "?") for letter in letters.decode("utf-8", "replace"))
        found.append(Token(f"zq{text}"))
    found += [Token(each.decode()) for each in _NUMBER.findall(data) if len(each) in _DIGITS]
    found += [Token(each.decode()) for each in _DAY.findall(data)]
    found += [Token(each.decode().lower()) for each in _DIGEST.findall(data) if len(each) in (24, 64)]
    return found


def found_in(data: bytes, known: Collection[Token]) -> set[Token]:
    """The canaries among `known` that stand in the data, in any form."""
    return {token for view in views(data) for token in tokens(view) if token in known}


def found_raw(data: bytes, known: Collection[Token]) -> set[Token]:
    """The same for what should be sealed, where a digest may also stand as 32 bytes."""
    digests = {token for token in known if len(token) == 64 and bytes.fromhex(token) in data}
    return found_in(data, known) | digests


def views(data: bytes, depth: int = _DEPTH) -> Iterator[bytes]:
    """The data as it is and as whatever it may be the writing of."""
    yield data
    if b"\0" in data:
        yield data.replace(b"\0", b"")
    for unescaped in (_ESCAPE.sub(_unescaped, data), _PERCENT.sub(_unquoted, data)):
        if unescaped != data:
            yield unescaped
    if depth:
        for inner in _decoded(data):
            yield from views(inner, depth - 1)


def _unescaped(found: re.Match[bytes]) -> bytes:
    number = int(found[1] or found[2], 16) if found[1] or found[2] else int(found[3])
    return chr(number).encode("utf-8", "replace") if number < 0x110000 else b""


def _unquoted(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)])


def _decoded(data: bytes) -> Iterator[bytes]:
    """What stands in base64 at any of its four places, in hexadecimal, and packed: each sort as one."""
    runs = [run.group().rstrip(b"=").translate(_URL_SAFE) for run in _BASE64.finditer(data)]
    for shift in range(4):
        yield b"\n".join(_from_base64(run[shift:]) for run in runs)
    runs = [run.group() for run in _HEX.finditer(data)]
    for shift in range(2):
        yield b"\n".join(_from_hex(run[shift:]) for run in runs)
    for place in _PACKED.finditer(data):
        if unpacked := _unpacked(data[place.start() : place.start() + _MOST_PACKED]):
            yield unpacked


def _from_base64(text: bytes) -> bytes:
    return base64.b64decode(text[: len(text) // 4 * 4] + _rest(text))


def _rest(text: bytes) -> bytes:
    """The last, incomplete four characters with their padding; one alone says nothing."""
    rest = text[len(text) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _from_hex(text: bytes) -> bytes:
    return binascii.unhexlify(text[: len(text) // 2 * 2])


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(47).decompress(data, _MOST_UNPACKED)
    except zlib.error:
        return b""
