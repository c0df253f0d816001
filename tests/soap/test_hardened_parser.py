"""`gateway.xml`: what is refused, with which code, at which cost; and that the next good document passes."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refused
from gateway.xml import Limits, parse
from schemas.violation import Violation

LIMITS = Limits(max_bytes=2_000_000, max_depth=8, max_elements=1_000, max_attributes=16)
ENTITY = '<!DOCTYPE a [<!ENTITY e "{0}">]><a>&e;</a>'
EXTERNAL = '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>'
PARAMETER = '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]><a/>'

HOSTILE: dict[str, tuple[bytes, str]] = {
    "doctype": (b"<!DOCTYPE a><a/>", "doctype_forbidden"),
    "entity": (ENTITY.encode(), "doctype_forbidden"),
    "external_dtd": (EXTERNAL.encode(), "doctype_forbidden"),
    "parameter_entity": (PARAMETER.encode(), "doctype_forbidden"),
    "utf16_doctype": (ENTITY.encode("utf-16"), "doctype_forbidden"),
    "utf16_without_mark": (ENTITY.encode("utf-16-le"), "invalid_xml"),
    "undeclared_entity": (b"<a>&e;</a>", "invalid_xml"),
    "utf7": (b'<?xml version="1.0" encoding="UTF-7"?><a>+ADw-b/+AD4-</a>', "encoding_not_utf8"),
    "latin1": (b'<?xml version="1.0" encoding="iso-8859-1"?><a>\xe9</a>', "encoding_not_utf8"),
    "latin1_said_plainly": (b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', "encoding_not_utf8"),
    "utf8_that_claims_utf16": (b'<?xml version="1.0" encoding="utf-16"?><a/>', "encoding_not_utf8"),
    "bad_utf8": (b"<a>\xff</a>", "encoding_not_utf8"),
    "odd_utf16": ("<a/>".encode("utf-16") + b"x", "encoding_not_utf8"),
    "overlong_utf8": (b"<a>\xc0\xbc</a>", "encoding_not_utf8"),
    "depth_9": (b"<a>" * 9 + b"</a>" * 9, "nesting_too_deep"),
    "depth_300": (b"<a>" * 300 + b"</a>" * 300, "nesting_too_deep"),
    "many_elements": (b"<a>" + b"<b/>" * 400_000 + b"</a>", "too_many_elements"),
    "open_brackets": (b"<" * 1_900_000, "too_many_elements"),
    "many_attributes": (
        b"<a " + b" ".join(b"a%d='1'" % n for n in range(100_000)) + b"/>",
        "too_many_attributes",
    ),
    "many_namespaces": (
        b"<a " + b" ".join(b'xmlns:a%d="u"' % n for n in range(50_000)) + b"/>",
        "too_many_attributes",
    ),
    "attribute_hidden_by_a_bracket": (
        b"<a " + b" ".join(b"a%d='>'" % n for n in range(17)) + b"/>",
        "too_many_attributes",
    ),
    "unclosed_quote": (b'<a b="' + b"=" * 1_000_000, "invalid_xml"),
    "too_large": (b"<a>" + b"x" * 2_000_000 + b"</a>", "body_too_large"),
    "empty": (b"", "invalid_xml"),
    "blank": (b"  \n", "invalid_xml"),
    "not_xml": (b"hello", "invalid_xml"),
    "two_roots": (b"<a/><b/>", "invalid_xml"),
    "truncated": (b"<a><b>", "invalid_xml"),
    "attribute_twice": (b"<a b='1' b='2'/>", "invalid_xml"),
    "null": (b"<a>\x00</a>", "invalid_xml"),
    "gzip": (b"\x1f\x8b\x08\x00abc", "encoding_not_utf8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_with_a_stable_code(name: str) -> None:
    data, code = HOSTILE[name]
    with pytest.raises(Refused) as caught:
        parse(data, LIMITS)
    assert caught.value.code == code
    assert [violation.code for violation in caught.value.violations] == [code]
    assert parse(b"<good/>", LIMITS).tag == "good"


@pytest.mark.parametrize("name", HOSTILE)
def test_refusing_costs_bounded_time_and_memory(name: str) -> None:
    data, _ = HOSTILE[name]
    tracemalloc.start()
    started = time.thread_time()
    with pytest.raises(Refused):
        parse(data, LIMITS)
    took_s = time.thread_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took_s < 1.0
    assert peak < 20 * len(data) + 100_000


def test_the_place_is_named_and_the_value_is_not() -> None:
    with pytest.raises(Refused) as caught:
        parse(b"<a>\n <b>secret-value</c></a>", LIMITS)
    assert caught.value.violations == (Violation("invalid_xml", "", {"row": 2, "column": 21}),)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"<a><b/></a>",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<a/>',
        b"\xef\xbb\xbf<a/>",
        '<?xml version="1.0" encoding="UTF-16"?><a>ش</a>'.encode("utf-16"),
        "<a>ش</a>".encode("utf-16"),
        b"<a>" * 8 + b"</a>" * 8,
        b"<a " + b" ".join(b"a%d='=>='" % n for n in range(16)) + b">====</a>",
        b"<a>" + b"x='1' " * 100 + b"</a>",
    ],
)
def test_an_honest_document_passes(data: bytes) -> None:
    assert parse(data, LIMITS).tag == "a"


def test_a_comment_stays_visible_where_it_splits_a_text() -> None:
    root = parse(b"<a>12<!-- -->34</a>", LIMITS)
    assert root.text == "12"
    assert len(root) == 1


@given(
    st.binary(max_size=300)
    | st.text(max_size=100).map(lambda text: f"<a>{text}</a>".encode("utf-8", "replace"))
)
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        parse(data, LIMITS)
    except Refused as refused:
        assert refused.status == 400
