"""What a REST partner can answer, and what it may never be taken for: a value. By a real local server."""

from __future__ import annotations

import gzip
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.errors import Uncertain
from gateway.message import Answered, NotDone, Unknown
from tests.rest.partners import SERVICE, answering, attempt, partner
from tests.soap.partners import context

OTHER_ID = "0199c0de-ffff-7fff-8fff-ffffffffffff"
#: The correlation id that was sent, to the bytes of the reply.
Reply = Callable[[str], bytes]


def http(status: str, content_type: str | None, body: bytes, *more: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *more]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join((*lines, "", "")).encode() + body


def ok(body: str | bytes, content_type: str | None = "application/json") -> bytes:
    return http("200 OK", content_type, body if isinstance(body, bytes) else body.encode())


def reply(sent: str, result: Any = None, **more: Any) -> str:
    return json.dumps({"correlation_id": sent, "result": result or {"status": "OPEN"}, **more})


def error(sent: str, error_type: str = "Technical", code: str = "SERVICE_CLOSED", **more: Any) -> str:
    return json.dumps(
        {"correlation_id": sent, "service_error": {"error_type": error_type, "code": code, **more}}
    )


BAD: dict[str, tuple[Reply, str]] = {
    "html_502": (lambda _: http("502 Bad Gateway", "text/html", b"<html>"), "http_502"),
    "html_200": (lambda _: ok("<html>", "text/html"), "reply_not_json"),
    "no_content_type": (lambda sent: ok(reply(sent), None), "reply_not_json"),
    "another_json": (lambda sent: ok(reply(sent), "application/problem+json"), "reply_not_json"),
    "another_charset": (lambda sent: ok(reply(sent), "application/json; charset=utf-16"), "reply_not_json"),
    "redirect": (
        lambda sent: http(
            "302 Found", "application/json", reply(sent).encode(), "Location: http://x.example"
        ),
        "redirected",
    ),
    "no_content_204": (lambda _: b"HTTP/1.1 204 No Content\r\n\r\n", "http_204"),
    "accepted_202": (lambda sent: http("202 Accepted", "application/json", reply(sent).encode()), "http_202"),
    "valid_body_with_500": (
        lambda sent: http("500 Oops", "application/json", reply(sent).encode()),
        "http_500",
    ),
    "valid_body_with_503": (
        lambda sent: http("503 Busy", "application/json", reply(sent).encode()),
        "http_503",
    ),
    "empty_503": (lambda _: http("503 Busy", None, b""), "http_503"),
    "html_503": (lambda _: http("503 Busy", "text/html", b"<html>SERVICE_CLOSED"), "http_503"),
    "garbage_503": (lambda _: http("503 Busy", "application/json", b"{"), "http_503"),
    "definite_error_about_another_request": (
        lambda _: http("503 Busy", "application/json", error(OTHER_ID).encode()),
        "http_503",
    ),
    "definite_error_as_business_503": (
        lambda sent: http("503 Busy", "application/json", error(sent, "Business").encode()),
        "technical_error",
    ),
    "other_technical_error": (lambda sent: ok(error(sent, code="INTERNAL")), "technical_error"),
    "other_technical_error_503": (
        lambda sent: http("503 Busy", "application/json", error(sent, code="INTERNAL").encode()),
        "technical_error",
    ),
    "definite_error_with_500": (
        lambda sent: http("500 Oops", "application/json", error(sent).encode()),
        "http_500",
    ),
    "empty_200": (lambda _: ok(""), "reply_invalid_json"),
    "cut_json": (lambda sent: ok(reply(sent)[:-1]), "reply_invalid_json"),
    "two_values": (lambda sent: ok(reply(sent) * 2), "reply_invalid_json"),
    "byte_order_mark": (lambda sent: ok("\ufeff" + reply(sent)), "reply_invalid_json"),
    "bad_utf8": (
        lambda sent: ok(reply(sent).encode().replace(b"OPEN", b"OP\xff")),
        "reply_encoding_not_utf8",
    ),
    "lone_surrogate": (
        lambda sent: ok(reply(sent, {"status": "OPEN", "note": "\ud800"})),
        "reply_encoding_not_utf8",
    ),
    "duplicate_key": (
        lambda sent: ok(reply(sent).replace('"status": "OPEN"', '"status": "SHUT", "status": "OPEN"')),
        "reply_duplicate_key",
    ),
    "duplicate_result": (
        lambda sent: ok(reply(sent)[:-1] + ', "result": {"status": "SHUT"}}'),
        "reply_duplicate_key",
    ),
    "nan": (lambda sent: ok(reply(sent, more=float("nan"))), "reply_number_not_allowed"),
    "infinite": (lambda sent: ok(reply(sent).replace('"OPEN"', "1e999")), "reply_number_not_allowed"),
    "long_number": (
        lambda sent: ok(reply(sent).replace('"OPEN"', "9" * 5_000)),
        "reply_number_not_allowed",
    ),
    "nested_17": (lambda sent: ok(reply(sent, more=_nested(17))), "reply_nesting_too_deep"),
    "nested_20000": (lambda _: ok("[" * 20_000), "reply_nesting_too_deep"),
    "not_an_object": (lambda _: ok("[]"), "reply_schema_invalid"),
    "null": (lambda _: ok("null"), "reply_schema_invalid"),
    "no_result": (lambda sent: ok(json.dumps({"correlation_id": sent})), "reply_schema_invalid"),
    "result_and_error": (
        lambda sent: ok(reply(sent, service_error={"error_type": "Business", "code": "X"})),
        "reply_schema_invalid",
    ),
    "unknown_field": (lambda sent: ok(reply(sent, {"status": "OPEN", "more": 1})), "reply_schema_invalid"),
    "unknown_field_outside": (lambda sent: ok(reply(sent, more=1)), "reply_schema_invalid"),
    "missing_field": (lambda sent: ok(reply(sent, {"note": "x"})), "reply_schema_invalid"),
    "unknown_status": (lambda sent: ok(reply(sent, {"status": "open"})), "reply_schema_invalid"),
    "wrong_type": (lambda sent: ok(reply(sent, {"status": "OPEN", "note": 1})), "reply_schema_invalid"),
    "lower_case_error_code": (
        lambda sent: ok(error(sent, "Business", "sorry")),
        "reply_schema_invalid",
    ),
    "another_correlation_id": (lambda _: ok(reply(OTHER_ID)), "reply_uncorrelated"),
    "business_error_about_another_request": (
        lambda _: ok(error(OTHER_ID, "Business", "UNKNOWN")),
        "reply_uncorrelated",
    ),
    "gzip": (
        lambda sent: http(
            "200 OK", "application/json", gzip.compress(reply(sent).encode()), "Content-Encoding: gzip"
        ),
        "reply_compressed",
    ),
    "too_large": (lambda sent: ok(reply(sent) + " " * 70_000), "reply_too_large"),
    "cut_short": (
        lambda sent: http("200 OK", "application/json", reply(sent).encode(), length=10_000),
        "reply_cut_short",
    ),
    "not_http": (lambda _: b"hello\r\n\r\n", "reply_not_http"),
}


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


async def end_of(answer: Reply) -> object:
    """The end of one attempt that is answered so."""
    async with (
        answering(lambda headers: answer(headers["x-correlation-id"])) as (url, _),
        partner(SERVICE, url) as through,
    ):
        return await attempt(through)


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_reply_is_never_taken_for_a_value(name: str) -> None:
    answer, code = BAD[name]
    end = await end_of(answer)
    assert isinstance(end, Unknown)
    assert end.code == code


async def test_a_whole_reply_that_cannot_be_trusted_says_that_nothing_is_on_its_way() -> None:
    assert await end_of(BAD["unknown_status"][0]) == Unknown("reply_schema_invalid", answered=True)
    assert await end_of(BAD["cut_short"][0]) == Unknown("reply_cut_short", answered=False)


async def test_the_good_reply_that_the_bad_ones_are_made_from_is_taken() -> None:
    assert await end_of(lambda sent: ok(reply(sent))) == Answered({"result": {"status": "OPEN"}})
    utf8 = 'application/json; charset="UTF-8"'
    noted = {"status": "OPEN", "note": "مفتوح"}
    assert await end_of(lambda sent: ok(reply(sent, noted), utf8)) == Answered({"result": noted})


async def test_what_is_nested_as_deep_as_allowed_is_judged_by_the_model_alone() -> None:
    end = await end_of(lambda sent: ok(reply(sent, more=_nested(15))))
    assert end == Unknown("reply_schema_invalid", answered=True)


async def test_a_business_refusal_is_a_normal_answer() -> None:
    end = await end_of(lambda sent: ok(error(sent, "Business", "UNKNOWN", text_ar="غير معروف")))
    assert isinstance(end, Answered)
    assert end.result["service_error"]["code"] == "UNKNOWN"


@pytest.mark.parametrize("status", ["503 Busy", "429 Slow down", "200 OK"])
@pytest.mark.parametrize("code", sorted(SERVICE.definite_errors))
async def test_a_listed_technical_error_says_that_nothing_was_done(status: str, code: str) -> None:
    end = await end_of(lambda sent: http(status, "application/json", error(sent, code=code).encode()))
    assert end == NotDone(f"technical_{code}")


async def test_no_value_of_a_bad_reply_is_told() -> None:
    secret = {"status": "OPEN", "note": 77_123_456, "Hunter2": "Hunter2"}
    async with (
        answering(lambda headers: ok(reply(headers["x-correlation-id"], secret))) as (url, _),
        partner(SERVICE, url) as through,
    ):
        request = through.prepare("Ask", {"who": "me"}, context())
        with pytest.raises(Uncertain) as caught:
            await through.send(request, send_by_boottime_s=SystemClock().boottime_s() + 5)
    told = "".join(traceback.format_exception(caught.value))
    assert "reply_schema_invalid" in told
    assert "Hunter2" not in told
    assert "77123456" not in told
