"""Good documents made bad, by chance and repeatably: the same random numbers give the same document."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

#: What breaks readers, or made some reader break once.
_VALUES: Final = (
    b"", b" ", b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"9" * 5_000, b"99999-01-01", b"0000-00-00",
    b"2026-02-30", b"2026-11-22T24:00:00Z", b"true", b"maybe", b"null", b"\0", b"\r\n", b"\t", b"'", b'"',
    b"\\", b"=1+1", b"+1", b"-1", b"@SUM(A1)", b"../../etc/passwd", b"%n%s%x", b"${jndi:ldap://x}",
    b"'; DROP TABLE x;--", b"{{7*7}}", b"&amp;", b"&#0;", b"&#xD800;", b"&#1114112;", b"&undefined;",
    b"&lt;x&gt;", b"<!-- -->", b"<?x y?>", b"<![CDATA[x]]>", b"]]>", "\u202e\u2066".encode(),
    "\ufeff".encode(), "ﷺ".encode(), "٦".encode(), b"\xed\xa0\x80", b"\xc0\x80", b"\xff\xfe",
    b"\xf4\x90\x80\x80", "e\u0301".encode() * 200, b"x" * 70_000, b"\\ud800", b"\\u0000", b"[[[[[[", b"{}",
    b"[]", b'{"a":1,"a":2}',
)  # fmt: skip
_DECLARATIONS: Final = (
    b"<!DOCTYPE a>", b"<!DOCTYPE a [<!ENTITY e 'x'>]>", b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
    b"<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://127.0.0.1:9/'> %p;]>", b"<!doctype a>",
    b"<?xml version='1.1'?>",
)  # fmt: skip
_ATTRIBUTES: Final = (
    b" xmlns='urn:other'", b" xmlns:x='urn:x'", b" xmlns:x=''", b" x:y='1'", b" a='1' a='1'",
    b" xml:space='x'", b" xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'", b" Id='x'",
    b" xml:id='x'", b" xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:type='i:x'",
    b" s:mustUnderstand='1'", b" a='<'", b" " + b" ".join(b"a%d=''" % n for n in range(60)),
)  # fmt: skip
_ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1256", "utf-7", "utf-8-sig")
_START: Final = re.compile(rb"<[A-Za-z][^<>]*+>")
_ELEMENT: Final = re.compile(rb"<([A-Za-z:_]++)[^<>]*+>[^<>]*+</\1>")
_FIELD: Final = re.compile(rb'(?<=[,:])("?+)[^,"\r\n{}\[\]]++\1(?=[,\r\n}\]])')
_TEXT: Final = re.compile(rb">([^<>]++)<")

Change = Callable[[bytes, Random], bytes]


# --- of any bytes -----------------------------------------------------------------------------------------


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 3, 20))):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _leave_out(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.randrange(1, 60) :]


def _double(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    end = start + random.randrange(1, 400)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 50)) + data[end:]


def _put_in(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice(_VALUES) + data[place:]


def _encode(data: bytes, random: Random) -> bytes:
    return data.decode(errors="replace").encode(random.choice(_ENCODINGS), errors="replace")


ANY: Final[tuple[Change, ...]] = (_cut, _flip, _leave_out, _double, _put_in, _encode)


# --- of XML -----------------------------------------------------------------------------------------------


def _pick(pattern: re.Pattern[bytes], data: bytes, random: Random) -> re.Match[bytes] | None:
    found = list(pattern.finditer(data))
    return random.choice(found) if found else None


def _put(data: bytes, start: int, end: int, new: bytes) -> bytes:
    return data[:start] + new + data[end:]


def _value(data: bytes, random: Random) -> bytes:
    found = _pick(_TEXT, data, random)
    return _put(data, *found.span(1), random.choice(_VALUES)) if found else data


def _attribute(data: bytes, random: Random) -> bytes:
    found = _pick(_START, data, random)
    return _put(data, found.end() - 1, found.end() - 1, random.choice(_ATTRIBUTES)) if found else data


def _declare(data: bytes, random: Random) -> bytes:
    found = _pick(_START, data, random)
    return _put(data, found.start(), found.start(), random.choice(_DECLARATIONS)) if found else data


def _element_again(data: bytes, random: Random) -> bytes:
    found = _pick(_ELEMENT, data, random)
    return _put(data, found.end(), found.end(), found[0] * random.choice((1, 2, 300))) if found else data


def _element_away(data: bytes, random: Random) -> bytes:
    found = _pick(_ELEMENT, data, random)
    return _put(data, *found.span(), b"") if found else data


def _rename(data: bytes, random: Random) -> bytes:
    found = _pick(_ELEMENT, data, random)
    name = random.choice((b"x", b"a:b", b"xml", b"\xd8\xb9", b"Body", b"Header", b"n" * 3_000))
    return data.replace(found[1], name, random.choice((1, 2, 99))) if found else data


def _nest(data: bytes, random: Random) -> bytes:
    found = _pick(_START, data, random)
    depth = random.choice((2, 31, 33, 255, 257, 5_000))
    deep = b"<a>" * depth + b"</a>" * random.choice((depth, depth - 1))
    return _put(data, found.end(), found.end(), deep) if found else data


def _declared_encoding(data: bytes, random: Random) -> bytes:
    name = random.choice((b"utf-16", b"utf-7", b"latin-1", b"ebcdic-cp-us", b"x" * 100, b""))
    return re.sub(rb'encoding="[^"]*"', b'encoding="' + name + b'"', data)


XML: Final[tuple[Change, ...]] = (
    *ANY, _value, _value, _value, _attribute, _attribute, _declare, _element_again, _element_away, _rename,
    _nest, _declared_encoding,
)  # fmt: skip


# --- of tables and JSON -----------------------------------------------------------------------------------


def _field(data: bytes, random: Random) -> bytes:
    """One cell of a table, or one value of JSON."""
    found = _pick(_FIELD, data, random)
    return _put(data, *found.span(), random.choice(_VALUES)) if found else data


def _line_again(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    line = random.choice(lines)
    lines.insert(random.randrange(len(lines) + 1), line * random.choice((1, 1, 40)))
    return b"".join(lines)


def _lines_swapped(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    random.shuffle(lines)
    return b"".join(lines)


def _quotes(data: bytes, random: Random) -> bytes:
    old, new = random.choice(
        ((b'"', b"'"), (b'"', b'""'), (b",", b";"), (b"\r\n", b"\r"), (b"\n", b"\0\n"), (b":", b"="))
    )
    return data.replace(old, new, random.choice((1, 3, 10_000)))


TEXT: Final[tuple[Change, ...]] = (*ANY, _field, _field, _field, _line_again, _lines_swapped, _quotes)


def changed(data: bytes, changes: tuple[Change, ...], random: Random) -> bytes:
    """One to four changes, one after the other."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        data = random.choice(changes)(data, random)
    return data
