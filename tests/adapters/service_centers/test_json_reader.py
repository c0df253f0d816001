from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.service_centers.strict_json import JsonError, StrictDecoder, ValueScanner
from tests.adapters.service_centers.reading import chunks, random_chunks, read, refused


def body(*applications: bytes, header: bytes = b'"batch_reference":"B"') -> bytes:
    return b"{" + header + b',"applications":[' + b",".join(applications) + b"]}"


def test_one_bad_application_does_not_hide_the_others() -> None:
    found = read("json", body(b'{"reference":"1"}', b'{"reference":}', b'{"reference":"3"}'))
    assert found.codes == [None, "invalid_json", None]
    assert found.lines[1].violation is not None
    assert found.lines[1].violation.params == {"column": 14}
    assert found.fields == [{"reference": "1"}, None, {"reference": "3"}]


@pytest.mark.parametrize("application", [b'"text"', b"17", b"null", b"[1]", b"true", b'"a,]}"'])
def test_an_application_that_is_no_object_is_its_lines_fault(application: bytes) -> None:
    for size in (1, 1000):
        found = read("json", chunks(body(b"{}", application, b"{}"), size))
        assert found.codes == [None, "wrong_type", None]


def test_a_repeated_name_is_found_with_its_place() -> None:
    found = read("json", body(b'{"passport":{"number":"A","number":"B"}}', b'{"a":[{"b":1},{"c":1,"c":2}]}'))
    assert found.codes == ["duplicate_key", "duplicate_key"]
    pointers = [line.violation.pointer for line in found.lines if line.violation]
    assert pointers == ["/passport/number", "/a/1/c"]


def test_a_repeated_name_that_may_be_a_value_is_not_repeated_in_the_answer() -> None:
    found = read("json", body(b'{"passport":{"L898902C3":1,"L898902C3":2}}'))
    assert found.lines[0].violation is not None
    assert found.lines[0].violation.pointer == "/passport"


NUMBERS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 20, b"9" * 5_000]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_out_of_range_is_refused_with_its_place(number: bytes) -> None:
    found = read("json", body(b'{"travel":{"flight":' + number + b"}}", b"{}"), max_line_bytes=10_000)
    assert found.codes == ["number_not_allowed", None]
    assert found.lines[0].violation is not None
    assert found.lines[0].violation.pointer == "/travel/flight"


@pytest.mark.parametrize("text", [rb"\ud800", rb"\uDFFF", rb"\ud800\u0041"])
def test_a_lone_surrogate_is_refused_with_its_place(text: bytes) -> None:
    found = read("json", body(b'{"name":{"given":"' + text + b'"}}', b'{"' + text + b'":1}'))
    assert found.codes == ["invalid_format", "invalid_format"]
    assert found.lines[0].violation is not None
    assert found.lines[0].violation.pointer == "/name/given"


def test_a_surrogate_pair_is_one_character() -> None:
    assert read("json", body(rb'{"address":"\ud83d\ude00"}')).fields == [{"address": "\U0001f600"}]


def test_an_application_nested_too_deep_is_its_lines_fault() -> None:
    deep = b'{"a":' + b"[" * 1_000 + b"]" * 1_000 + b"}"
    assert read("json", body(deep, b"{}")).codes == ["nesting_too_deep", None]


def test_brackets_inside_texts_are_not_nesting() -> None:
    text = b'{"address":"' + b"[{" * 500 + b'"}'
    assert read("json", body(text)).codes == [None]


def test_an_application_that_is_too_long_is_passed_over() -> None:
    for size in (1, 700, 100_000):
        long = b'{"address":"' + b'x\\"]' * 2_000 + b'"}'
        found = read("json", chunks(body(b"{}", long, b"{}"), size))
        assert found.codes == [None, "line_too_long", None]


def test_white_space_may_stand_everywhere() -> None:
    spaced = b' {\r\n "batch_reference" :\t"B" , "applications" : [ { } , \n{ } ] }\n '
    assert read("json", chunks(spaced, 1)).fields == [{}, {}]


def test_a_batch_without_applications_is_read() -> None:
    assert read("json", body()).lines == []


@pytest.mark.parametrize(
    ("frame", "code", "pointer"),
    [
        (b"", "invalid_json", ""),
        (b"[]", "invalid_json", ""),
        (b'{"a":1', "invalid_json", ""),
        (b'{"a":1}', "field_missing", "/applications"),
        (b"{}", "field_missing", "/applications"),
        (b'{"a":1,"a":2,"applications":[]}', "duplicate_key", "/a"),
        (b'{"a":NaN,"applications":[]}', "number_not_allowed", "/a"),
        (b'{"a":{"b":1,"b":1},"applications":[]}', "duplicate_key", "/a/b"),
        (b'{"applications":{}}', "wrong_type", "/applications"),
        (b'{"applications":[],"season":1448}', "header_after_lines", "/season"),
        (b'{"applications":[],"applications":[]}', "duplicate_key", "/applications"),
        (b'{"applications":[{},]}', "invalid_json", ""),
        (b'{"applications":[{} {}]}', "invalid_json", ""),
        (b'{"applications":[{}', "invalid_json", ""),
        (b'{"applications":[{"a":"', "invalid_json", ""),
        (b'{"applications":[{}]', "invalid_json", ""),
        (b'{"applications":[]} x', "invalid_json", ""),
        (b'{"applications":[]}{}', "invalid_json", ""),
        (b'{"a":' + b"[" * 100_000, "nesting_too_deep", ""),
        (b'{"a":' + b"[" * 20 + b"]" * 20 + b',"applications":[]}', "nesting_too_deep", "/a"),
        (b'{"a":"' + b"x" * 5_000 + b'","applications":[]}', "line_too_long", ""),
        (b'{"' + b"x" * 5_000 + b'":1,"applications":[]}', "line_too_long", ""),
        (b"\xef\xbb\xbf{}", "byte_order_mark", ""),
        ('{"a":1}'.encode("utf-16"), "encoding_not_utf8", ""),
        ('{"a":1}'.encode("utf-16-le"), "encoding_not_utf8", ""),
        (b'{"a":"\xff","applications":[]}', "encoding_not_utf8", "/a"),
        (b'{"applications":[{"a":"\xe3"}]}', "encoding_not_utf8", ""),
    ],
)
def test_a_frame_that_cannot_be_followed_refuses_the_body(frame: bytes, code: str, pointer: str) -> None:
    for size in (1, 4096, len(frame) + 1):
        if len(frame) < 10_000 or size > 1:
            found = refused("json", chunks(frame, size))
            assert (found.code, found.pointer) == (code, pointer)


def test_the_header_as_a_whole_has_a_limit() -> None:
    header = b",".join(b'"f%d":"%s"' % (i, b"x" * 100) for i in range(100))
    assert refused("json", body(header=header)).code == "line_too_long"


def test_more_lines_than_allowed_refuse_the_body() -> None:
    assert len(read("json", body(b"{}", b"{}"), max_lines=2).lines) == 2
    found = refused("json", body(b"{}", b"{}", b"{}"), max_lines=2)
    assert (found.code, found.params) == ("too_many_lines", {"limit": 2})


texts = st.text(st.characters(codec="utf-8"), max_size=9)
plain = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | texts
json_values = st.recursive(
    plain | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(st.text(max_size=4, alphabet='a"\\{[é'), json_values, max_size=4)
CODES = ("invalid_json", "encoding_not_utf8", "number_not_allowed", "duplicate_key", "invalid_format")


@settings(max_examples=150, deadline=None)
@given(st.lists(objects, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_any_objects_are_read_as_the_standard_library_reads_them(
    lines: list[dict[str, object]], ascii_only: bool, random: Random
) -> None:
    text = json.dumps({"applications": lines}, ensure_ascii=ascii_only).encode()
    assert read("json", random_chunks(text, random, 9), max_line_bytes=100_000).fields == lines


@settings(max_examples=200, deadline=None)
@given(json_values, st.integers(1, 9))
def test_the_scanner_finds_the_end_of_any_value(value: object, size: int) -> None:
    text = json.dumps(value).encode()
    scanner, buffer, end = ValueScanner(), bytearray(), None
    for piece in chunks(text + b",[1]}", size):
        buffer += piece
        end = end or scanner.scan(buffer)
    assert end == len(text)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_raise_a_json_error(raw: bytes) -> None:
    try:
        StrictDecoder().decode(raw)
    except JsonError as error:
        assert error.violation.code in CODES
