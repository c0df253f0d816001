"""Partners that answer badly: one application a row, whose verification and whose visa both meet the reply.

The verification may be repeated and is; the visa may not: it is uncertain, is asked about, and ends as issued
once. What the partner did is judged by its own evidence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.hostile.row import Act, Row, Told
from tests.hostile.site import Site, application, batch_request, json_batch

_PATIENCE_S: Final = 30.0
#: The reader of replies has tests of its own for all; here the ones that are about the connection, and some.
_IN_SHORT: Final = (
    "html_502", "empty_200", "valid_body_with_500", "truncated", "anothers_correlation_id", "maybe",
    "dripping", "redirect", "gzip_bomb", "multipart", "endless_body",
)  # fmt: skip
_STEPS: Final = ("interior.passport_verification", "foreign_affairs.visa_issuance")


def _met(trick: str) -> Callable[[Site], Act]:
    def prepare(site: Site) -> Act:
        line = application()
        sent = batch_request(site.gateway, json_batch(line), "application/json")
        site.partner.arm(line["passport"]["number"], trick)

        def act() -> Told:
            batch = site.gateway.send(sent).document["batch_id"]
            return _told(site, _settled(site, batch))

        return act

    return prepare


def _settled(site: Site, batch: str) -> dict[str, Any]:
    ends = time.monotonic() + _PATIENCE_S
    while True:
        page = site.gateway.get(f"/v1/batches/{batch}/applications").document
        line: dict[str, Any] = page["applications"][0]
        if line["state"] in ("issued", "refused", "rejected", "under_review") or time.monotonic() > ends:
            return line
        time.sleep(0.02)


def _told(site: Site, line: dict[str, Any]) -> Told:
    evidence = site.gateway.home.get("partners", "/_evidence")
    calls = [
        each for each in site.gateway.message(line["application_id"])["timeline"] if "duration_s" in each
    ]
    spoilt = [_first(calls, step) for step in _STEPS]
    codes = " and ".join(dict.fromkeys(f"{each['outcome']} {each['code']}" for each in spoilt))
    asked = "asked about, " if any(each["what"] == "inquiry" for each in calls) else ""
    once = "" if evidence["issued_twice"] else " once"
    return Told(f"{codes}; {asked}{line['state']}{once}", seconds=max(each["duration_s"] for each in spoilt))


def _first(calls: list[dict[str, Any]], step: str) -> dict[str, Any]:
    return next(each for each in calls if each["step"] == step)


def _rows() -> Iterator[Row]:
    def row(name: str, trick: str, code: str, note: str = "") -> Row:
        answer = f"unknown {code}; asked about, issued once"
        long = trick not in _IN_SHORT
        return Row("SOAP out", name, _met(trick), answer, refused=False, note=note, long=long)

    yield row("HTML with 502", "html_502", "http_502", "nothing was done: absent twice, then sent again")
    yield row("empty 200", "empty_200", "reply_invalid_xml")
    yield row("empty 202", "empty_202", "http_202")
    yield row("HTTP 500 with a valid body", "valid_body_with_500", "http_500")
    yield row("a fault of the other SOAP version", "other_versions_fault", "reply_wrong_version")
    yield row("truncated", "truncated", "reply_invalid_xml")
    yield row("shorter than announced", "shorter_than_announced", "reply_cut_short")
    yield row("wrong namespace", "wrong_namespace", "reply_schema_invalid")
    yield row("another message's correlation id", "anothers_correlation_id", "reply_uncorrelated")
    yield row("a field missing", "field_missing", "reply_schema_invalid")
    yield row(
        "`maybe` for a value of two",
        "maybe",
        "reply_schema_invalid",
        "no reply of our partners' contracts has a boolean",
    )
    yield row("two Body children", "two_body_children", "reply_body_not_single")
    yield row("a header that must be understood", "must_understand", "reply_not_understood")
    yield row("a doctype with an entity", "doctype", "reply_doctype_forbidden")
    yield row("UTF-7 by its declaration", "utf7", "reply_encoding_not_utf8")
    yield row(
        "one byte a second",
        "dripping",
        "reply_timeout",
        "ends at the configured deadline of the whole call (here 0.9 s)",
    )
    yield row("redirect to another host", "redirect", "redirected", "the address is not asked")
    yield row("gzip 1000:1 (100 MB)", "gzip_bomb", "reply_compressed", "never unpacked")
    yield row("multipart without boundary", "multipart", "reply_not_soap")
    yield row("a body without end", "endless_body", "reply_too_large")
    yield row("headers without end", "endless_head", "reply_head_too_large")
    yield row("not HTTP", "not_http", "reply_not_http")
    yield row("closed without a word", "closed", "connection_lost")


ROWS: Final = tuple(_rows())
