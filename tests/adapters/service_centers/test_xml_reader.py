from __future__ import annotations

import pytest

from tests.adapters.service_centers.reading import chunks, read, refused

NS = b'xmlns="urn:umrah:service-centers:visa-batch:v1"'
XSI = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def body(*applications: bytes, header: bytes = b"<batch_reference>B</batch_reference>") -> bytes:
    lines = b"\n".join(b"<application>" + application + b"</application>" for application in applications)
    return (
        b"<visa_batch "
        + NS
        + b">\n"
        + header
        + b"<applications>\n"
        + lines
        + b"\n</applications></visa_batch>"
    )


REFERENCE = b"<reference>1</reference>"


@pytest.mark.parametrize("size", [1, 13, 1_000_000])
def test_elements_become_nested_fields_and_lists(size: int) -> None:
    application = (
        b"<reference>\xd9\x85 &amp; <![CDATA[<1>]]></reference>\n"
        b"<passport><mrz>\n<line>a</line> <line>b</line></mrz></passport>"
        b"<disclosures><disclosure>x</disclosure></disclosures><travel/><email/>"
    )
    found = read("xml", chunks(body(application), size))
    assert found.header == {"batch_reference": "B"}
    assert found.fields == [
        {
            "reference": "م & <1>",
            "passport": {"mrz": ["a", "b"]},
            "disclosures": ["x"],
            "travel": {},
            "email": "",
        }
    ]


@pytest.mark.parametrize(
    ("application", "code", "pointer"),
    [
        (b"<passport><number>A1<!-- -->23</number></passport>", "invalid_xml", "/passport/number"),
        (b"<passport><number><!-- -->A123</number></passport>", "invalid_xml", "/passport/number"),
        (b"<passport><number>A1<?p i?>23</number></passport>", "invalid_xml", "/passport/number"),
        (b"<passport>text<number>A1</number></passport>", "invalid_xml", "/passport"),
        (b"<sex>M<b>F</b></sex>", "invalid_xml", "/sex"),
        (b"text", "invalid_xml", ""),
        (b"<sex>M</sex><sex>F</sex>", "duplicate_key", "/sex"),
        (b"<passport><type>P</type><type>P</type></passport>", "duplicate_key", "/passport/type"),
        (b"<sex xsi:nil='true'/>", "unknown_field", "/sex"),
        (b"<sex xsi:type='integer'>M</sex>", "unknown_field", "/sex"),
        (b"<sex code='M'/>", "unknown_field", "/sex"),
        (b"<passport><mrz><text>a</text></mrz></passport>", "unknown_field", "/passport/mrz/text"),
        (b"<o:sex xmlns:o='urn:other'>M</o:sex>", "unknown_field", ""),
        (b"<sex xmlns=''>M</sex>", "unknown_field", "/sex"),
        (b"<sex/>" * 400 + b"<a><b/></a>" * 200, "duplicate_key", "/sex"),
        (b"".join(b"<f%d/>" % i for i in range(600)), "too_many_elements", ""),
        (b"<address>" + b"x" * 9_000 + b"</address>", "line_too_long", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_fault_in_one_application_does_not_hide_the_others(
    application: bytes, code: str, pointer: str, size: int
) -> None:
    whole = body(REFERENCE, application, REFERENCE).replace(NS, NS + b" " + XSI)
    found = read("xml", chunks(whole, size))
    assert found.codes == [None, code, None]
    assert found.lines[1].violation is not None
    assert found.lines[1].violation.pointer == pointer
    assert found.fields[2] == {"reference": "1"}
    assert [line.row for line in found.lines] == [3, 4, 5]


def test_comments_between_elements_are_no_harm() -> None:
    assert read("xml", body(b"<!-- a --><sex>M</sex><!-- b -->")).fields == [{"sex": "M"}]


def test_an_attribute_of_an_application_is_unknown() -> None:
    whole = body(REFERENCE, REFERENCE).replace(b"<application>", b"<application id='1'>", 1)
    assert read("xml", whole).codes == ["unknown_field", None]


def test_utf_16_is_read() -> None:
    whole = b'<?xml version="1.0" encoding="UTF-16"?>' + body(REFERENCE)
    assert read("xml", chunks(whole.decode().encode("utf-16"), 1)).fields == [{"reference": "1"}]


@pytest.mark.parametrize(
    ("whole", "code", "pointer"),
    [
        (b"", "invalid_xml", ""),
        (b"{}", "invalid_xml", ""),
        (b"<visa_batch/>", "invalid_xml", ""),
        (b"<visa_batch " + NS + b"/>", "field_missing", "/applications"),
        (b"<visa_batch " + NS + b" mode='x'><applications/></visa_batch>", "invalid_xml", ""),
        (body()[:-3], "invalid_xml", ""),
        (body() + b"x", "invalid_xml", ""),
        (body() + body(), "invalid_xml", ""),
        (
            body().replace(b"</applications>", b"</applications><season>1448</season>"),
            "header_after_lines",
            "",
        ),
        (body().replace(b"</applications>", b"text</applications>"), "invalid_xml", ""),
        (body().replace(b"</applications>", b"<other/></applications>"), "unknown_field", "/applications"),
        (body().replace(b"<applications>", b"<applications n='1'>"), "unknown_field", "/applications"),
        (body(header=b"<season>1</season><season>2</season>"), "duplicate_key", "/season"),
        (body(header=b"<season>14<!-- -->48</season>"), "invalid_xml", "/season"),
        (body(header=b"text"), "invalid_xml", ""),
        (body(header=b"<season>" + b"1" * 9_000 + b"</season>"), "line_too_long", ""),
        (body(b"&unknown;"), "invalid_xml", ""),
        (body(b"<sex>\x01</sex>"), "invalid_xml", ""),
        (body(b"<sex>&#1;</sex>"), "invalid_xml", ""),
        (body(b"<o:sex/>"), "invalid_xml", ""),
        (b"<!DOCTYPE visa_batch>" + body(), "doctype_forbidden", ""),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + body(), "doctype_forbidden", ""),
        (
            b'<!DOCTYPE a [<!ENTITY b "x"><!ENTITY % c SYSTEM "http://x/">%c;]>' + body(),
            "doctype_forbidden",
            "",
        ),
        ((b"<!DOCTYPE a>" + body()).decode().encode("utf-16"), "doctype_forbidden", ""),
        (b'<?xml version="1.0" encoding="UTF-7"?>' + body(), "encoding_not_utf8", ""),
        (b'<?xml version="1.0" encoding="windows-1256"?>' + body(), "encoding_not_utf8", ""),
        (body("<address>مكة</address>".encode("cp1256")), "encoding_not_utf8", ""),
        (body(b"<a>" * 300 + b"</a>" * 300), "nesting_too_deep", ""),
    ],
)
def test_a_body_that_cannot_be_followed_is_refused(whole: bytes, code: str, pointer: str) -> None:
    for size in (1, 100_000):
        found = refused("xml", chunks(whole, size))
        assert (found.code, found.pointer) == (code, pointer)


def test_more_lines_than_allowed_refuse_the_body() -> None:
    assert refused("xml", body(REFERENCE, REFERENCE, REFERENCE), max_lines=2).code == "too_many_lines"
