"""A reply of a known shape is taken for exactly what the long way makes of it: value, or refusal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.http import HttpReply
from gateway.message import Answered, Unknown
from gateway.ports import PreparedRequest
from gateway.soap import reply as long_way
from gateway.soap import shapes as module
from gateway.soap.contract import Contract
from gateway.soap.header import GATEWAY
from gateway.soap.reply import read_reply
from gateway.soap.shapes import Shapes
from tests.soap import partners
from tests.soap.generated import CONTRACTS, codec, values_of
from tests.soap.test_bad_replies import IN_DOUBT, ISSUING, SUBJECTS, Sent, Subject, altered, good, soap
from tests.soap.test_certain import contract_type

#: Of those who answer us.
CALLED = [
    (name, action) for name in ("nic", "passports", "foreign-affairs") for action in CONTRACTS[name].actions
]
IDS = ("0199c0de-0000-7000-8000-000000000001", "0199c0de-0000-7000-8000-000000000002")


def body_of(contract: Contract, action: str, values: Any, message_id: str = IDS[0]) -> bytes:
    """A good reply, as our own writer puts it."""
    header = {
        "message_id": IDS[1],
        "kind": "interior.security_clearance",
        "version": "1",
        "correlation_id": message_id,
        "sender": "partner",
        "receiver": GATEWAY,
        "sent_at": "2026-11-22T10:00:00.000+03:00",
        "season": 1448,
        "classification": "secret",
    }
    return contract.dialect.wrap(contract.header.write(header), contract.actions[action].reply.write(values))


def outcome(
    contract: Contract, action: str, body: bytes, shapes: Shapes | None = None, most: int = 10_000
) -> object:
    """The values, or what is said instead of them."""
    reply = HttpReply(200, {"content-type": contract.dialect.media_type}, body)
    try:
        return read_reply(contract, PreparedRequest(action, b"", IDS[0]), reply, most, shapes=shapes)
    except GatewayError as error:
        return type(error), error.code, error.detail


def in_other_words(body: bytes, style: int) -> bytes:
    """The same reply, as another partner would write it."""
    text = body.decode()
    if style & 1:
        text = text.replace("><", ">\n  <").replace("?>\n  <", "?><")
    if style & 2:
        text = re.sub(r"\bs(?=[:=])", "soapenv", text)
    if style & 4:
        text = re.sub("<(/?)MessageHeader", r"<\1t:MessageHeader", text).replace(
            "MessageHeader xmlns=", "MessageHeader xmlns:t="
        )
        start, end = text.index("<t:MessageHeader"), text.index("</t:MessageHeader")
        text = (
            text[:start]
            + text[start]
            + re.sub("<(/?)(?=[a-z_]+>)", r"<\1t:", text[start + 1 : end])
            + text[end:]
        )
    if style & 8:
        text = re.sub("(<[a-z]+:Header>)", r'\1<w:Id xmlns:w="urn:w" w:a="b">uuid:7</w:Id>', text)
    return text.encode()


EDITS = st.one_of(
    st.sampled_from(
        [
            b"",
            b" ",
            b"<",
            b">",
            b"&",
            b"&amp;",
            b"<!-- -->",
            b"]]>",
            b"\r",
            b"\x00",
            b"\xff",
            b"<?a?>",
            b"/>",
            b'="',
        ]
    ),
    st.binary(max_size=3),
)


@pytest.mark.parametrize(("name", "action"), CALLED)
def test_a_known_shape_changes_nothing(name: str, action: str) -> None:
    contract = CONTRACTS[name]
    type_ = contract_type(name, codec(name, action, "reply").tag)

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(values_of(type_), min_size=2, max_size=2),
        st.integers(0, 15),
        st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), EDITS), min_size=1, max_size=4),
    )
    def same(several: list[Any], style: int, edits: list[tuple[float, int, bytes]]) -> None:
        shapes = Shapes()
        for values in several:
            body = in_other_words(body_of(contract, action, values), style)
            for tried in (
                body,
                body.replace(IDS[0].encode(), IDS[1].encode()),
                edited(body, edits[:1]),
                edited(body, edits),
            ):
                expected = outcome(contract, action, tried)
                assert outcome(contract, action, tried, shapes) == expected
                assert outcome(contract, action, tried, shapes) == expected
            plain = outcome(contract, action, body_of(contract, action, values), shapes)
            assert plain == values or values["service_error"]["error_type"] == "Technical"

    same()


def edited(body: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for where, gone, new in edits:
        at = int(where * len(body))
        body = body[:at] + new + body[at + gone :]
    return body


VISA = {
    "request_reference": "r/1",
    "visa_number": "6000000001",
    **{
        name: {"gregorian": "2026-11-20", "hijri": "1448-06-10"}
        for name in ("valid_from", "valid_until", "stay_until")
    },
}
GOOD = body_of(CONTRACTS["foreign-affairs"], "IssueVisa", {"result": VISA})


def issued(body: bytes, shapes: Shapes, most: int = 10_000) -> object:
    return outcome(CONTRACTS["foreign-affairs"], "IssueVisa", body, shapes, most)


@pytest.mark.parametrize("style", range(16))
def test_the_second_reply_of_a_shape_is_not_parsed(style: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = Shapes()
    first = issued(in_other_words(GOOD, style), shapes)
    second = in_other_words(GOOD.replace(b"6000000001", b"6000000002").replace(b"uuid:7", b"uuid:8"), style)
    expected = issued(second, Shapes())

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(long_way, "parse", refuse)
    assert issued(second, shapes) == expected != first


XSI = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:v="urn:umrah:foreign_affairs:visas:v1"'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<result>", "<result><!-- x -->"),
        ("<result>", "<result><?x y?>"),
        ("<s:Body>", "<s:Body><!-- <a><b> -->"),
        ("<s:Body>", "<s:Body><?x <a> <b> ?>"),
        ("<s:Header>", '<s:Header><x xmlns="urn:x"><![CDATA[<a><b>]]></x>'),
        ("<s:Envelope", "<?x y?><s:Envelope"),
        (' encoding="utf-8"', ' en<coding="utf-8"'),
        ("6000000001", "<![CDATA[6000000001]]>"),
        ("6000000001", "&#54;000000001"),
        ("<s:Header>", '<s:Header><x xmlns="urn:x" a=">">y</x>'),
        ("<visa_number>", f'<visa_number {XSI} i:type="v:VisaNumber">'),
        ("<result>", f'<result {XSI} i:type="v:Visa">'),
        ("<IssueVisaResponse ", f'<IssueVisaResponse {XSI} i:schemaLocation="a b" '),
    ],
)
def test_what_is_more_than_tags_and_texts_has_no_shape(old: str, new: str) -> None:
    shapes, body = Shapes(), GOOD.replace(old.encode(), new.encode(), 1)
    assert isinstance(issued(body, shapes), dict)
    assert not shapes._known["IssueVisa"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("6000000001", "60000<!-- x -->00001"),
        ("<visa_number>", f'<visa_number {XSI} i:nil="false">'),
        ("<visa_number>", '<visa_number xmlns:x="a>'),
        ("6000000001", "60000000011"),
        ("6000000001", ""),
        ("<visa_number>6000000001</visa_number>", "<visa_number/>"),
        ("2026-11-20", "2026-02-30"),
        ("2026-11-20", "2026-11-20 "),
        ("r/1", "r/1\r\n"),
    ],
)
def test_what_the_long_way_makes_of_it_counts_in_a_known_shape_too(old: str, new: str) -> None:
    shapes, body = Shapes(), GOOD.replace(old.encode(), new.encode(), 1)
    assert isinstance(issued(GOOD, shapes), dict)
    assert issued(body, shapes) == issued(body, Shapes())


def test_an_empty_field_that_is_written_short_has_no_shape() -> None:
    error = {"error_type": "Business", "code": "X", "text_en": "", "text_ar": "x", "source": "partner"}
    body = body_of(CONTRACTS["foreign-affairs"], "IssueVisa", {"service_error": error})
    short, shapes = re.sub(b"<(n1:text_en)></n1:text_en>", rb"<\1/>", body), Shapes()
    assert short != body
    assert issued(short, shapes) == {"service_error": error}
    assert not shapes._known["IssueVisa"]


def test_a_reply_over_the_cap_is_refused_whatever_its_shape() -> None:
    shapes = Shapes()
    assert isinstance(issued(GOOD, shapes), dict)
    assert issued(GOOD, shapes, most=len(GOOD) - 1) == issued(GOOD, Shapes(), most=len(GOOD) - 1)
    assert not isinstance(issued(GOOD, shapes, most=len(GOOD) - 1), dict)


@pytest.mark.parametrize(
    ("extra", "kept"),
    [("<a>y</a>" * 20, 1), ("<a>y</a>" * 200, 0), (" " * 20_000, 0)],
    ids=["a foreign block", "one of many elements", "one of much text"],
)
def test_only_what_is_compiled_in_a_moment_is_kept(extra: str, kept: int) -> None:
    body = GOOD.replace(b"<s:Header>", f"<s:Header><x xmlns='urn:x'>{extra}</x>".encode())
    shapes = Shapes()
    assert issued(body, shapes, most=100_000) == issued(GOOD, Shapes())
    assert len(shapes._known["IssueVisa"]) == kept


def test_a_partner_that_writes_no_two_replies_alike_is_read_as_well_and_remembered_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes, kept = Shapes(), []

    class Counted(module._Shape):
        def __init__(self, text: str, *more: Any) -> None:
            kept.append(text)
            super().__init__(text, *more)

    monkeypatch.setattr(module, "_Shape", Counted)
    made = [issued(GOOD.replace(b"<result>", b"<result>" + b" " * count), shapes) for count in range(300)]
    assert all(one == made[0] for one in made)
    assert len(kept) == 9  # the first, second, fourth … 256th
    assert len(shapes._known["IssueVisa"]) == 8


async def answers(subject: Subject, *replies: Callable[[Subject, Sent], bytes]) -> list[object]:
    """What one partner's attempts end in, whose replies come in this order."""
    left = iter(replies)

    async def respond(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(next(left)(subject, Sent.of(body)))
        await writer.drain()

    async with partners.raw_server(respond) as url, partners.partner(subject.service, url) as through:
        return [await partners.attempt(through, subject.operation) for _ in replies]


@pytest.mark.parametrize("subject", SUBJECTS, ids=["repeatable", "issuing"])
@pytest.mark.parametrize("name", IN_DOUBT)
async def test_a_bad_reply_after_good_ones_leaves_the_call_in_doubt(name: str, subject: Subject) -> None:
    reply, code = IN_DOUBT[name]

    def well(subject: Subject, sent: Sent) -> bytes:
        return soap(subject, good(subject, sent))

    before, bad, after = await answers(subject, well, reply, well)
    assert isinstance(before, Answered)
    assert bad == Unknown(code)
    assert after == before


async def test_a_visa_under_another_reference_is_not_ours_in_a_known_shape_either() -> None:
    def well(subject: Subject, sent: Sent) -> bytes:
        return soap(subject, good(subject, sent))

    def others(subject: Subject, sent: Sent) -> bytes:
        return soap(subject, altered(subject, sent, sent.reference, "r/other"))

    assert (await answers(ISSUING, well, others))[1] == Unknown("another_reference")
