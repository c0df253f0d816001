"""`POST /v1/messages/{kind}` and `GET /v1/messages/{id}` as parties meet them."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import time
from typing import Any

import pytest

from gateway.message import PartyId
from gateway.web import messages
from schemas.kinds import KINDS
from tests.flows.office import example, told
from tests.web.site import JSON, XML, Answer, Site, written

STATUS = "licensee.status"
READINESS = "readiness.report"


def status(version: int = 2, **changes: Any) -> dict[str, Any]:
    return example(STATUS, licensee_id="LIC-1001", version=version, **changes)


def readiness(**changes: Any) -> dict[str, Any]:
    return example(READINESS, licensee_id="LIC-1001", **changes)


async def from_licensing(site: Site, body: Any, **options: Any) -> Answer:
    return await site.message(STATUS, body, party="licensing", **options)


async def version_in_force(site: Site) -> str:
    record = await site.world.engine.ledger.record("licensee", "LIC-1001")
    assert record is not None
    return record.version


# --- taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media", [JSON, XML])
async def test_a_message_is_taken_and_its_state_is_where_location_says(site: Site, media: str) -> None:
    answer = await from_licensing(site, status(), media=media)
    assert answer.status == 202
    assert answer.json["kind"] == STATUS
    assert answer.json["duplicate"] is False
    assert answer.headers["Location"] == f"/v1/messages/{answer.json['message_id']}"
    found = await site.get(answer.headers["Location"], token=site.token("licensing"))
    assert (found.status, found.json["kind"], found.json["state"]) == (200, STATUS, "done")
    assert await version_in_force(site) == "2"


@pytest.mark.parametrize(
    "kind", [kind for kind, schema in KINDS.items() if "service_center" in schema.senders]
)
async def test_json_and_xml_of_one_message_are_the_same_message(site: Site, kind: str) -> None:
    body = KINDS[kind].example
    first, again = await site.message(kind, body), await site.message(kind, body, media=XML)
    if first.status == 202:
        assert (again.status, again.json) == (200, {**first.json, "duplicate": True})
    else:  # refused for what it says, not for how it was written
        assert (again.status, again.code) == (first.status, first.code)
        assert first.status in (403, 409, 422)
        assert first.code != "message_invalid"


async def test_the_same_again_gets_the_first_answer_and_changes_nothing(site: Site) -> None:
    first = await from_licensing(site, status())
    again = await from_licensing(site, dict(reversed(status().items())))
    assert (again.status, again.json) == (200, {**first.json, "duplicate": True})
    assert len(await told(site.world, PartyId("sc-01"), STATUS)) == 1


async def test_another_body_under_the_same_key_is_a_conflict_and_changes_nothing(site: Site) -> None:
    await from_licensing(site, status(status="active"))
    other = await from_licensing(site, status(status="suspended"))
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    record = await site.world.engine.ledger.record("licensee", "LIC-1001")
    assert record is not None
    assert record.facts["status"] == "active"


async def test_sent_fifty_times_at_once_it_is_one_message(site: Site) -> None:
    async def sent() -> Answer:
        """Again as long as it is put off."""
        while (answer := await from_licensing(site, status())).status == 429:
            pass
        return answer

    answers = await asyncio.gather(*(sent() for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 49 + [202]
    assert len({answer.json["message_id"] for answer in answers}) == 1
    assert len(await told(site.world, PartyId("sc-01"), STATUS)) == 1


async def test_two_parties_may_use_the_same_key(site: Site) -> None:
    mine = await site.message("case.report", example("case.report", licensee_id="LIC-1001"))
    theirs = await site.message(
        "case.report", example("case.report", licensee_id="LIC-1001"), party="pilgrim-services"
    )
    assert (mine.status, theirs.status) == (202, 202)
    assert mine.json["message_id"] != theirs.json["message_id"]


async def test_a_zipped_message_is_unpacked(site: Site) -> None:
    packed = gzip.compress(written(STATUS, status()))
    assert (await from_licensing(site, packed, headers={"Content-Encoding": "gzip"})).status == 202


# --- the sender's own idempotency key -------------------------------------------------------------------


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


async def test_a_key_in_the_header_stands_for_one_message(site: Site) -> None:
    first = await from_licensing(site, status(2), headers=key("k"))
    other = await from_licensing(site, status(3), headers=key("k"))
    assert (first.status, other.status, other.code) == (202, 409, "idempotency_key_reused")
    assert await version_in_force(site) == "2"
    again = await from_licensing(site, status(2), headers=key("k"))
    assert (again.status, again.json["message_id"]) == (200, first.json["message_id"])


async def test_every_key_that_a_message_came_under_stands_for_it(site: Site) -> None:
    await from_licensing(site, status(2), headers=key("k1"))
    assert (await from_licensing(site, status(2), headers=key("k2"))).status == 200
    assert (await from_licensing(site, status(3), headers=key("k2"))).status == 409


async def test_a_key_in_the_header_holds_over_kinds_and_not_over_parties(site: Site) -> None:
    await from_licensing(site, status(), headers=key("k"))
    group = example("group.registration", licensee_id="LIC-1001")
    assert (
        await site.message("group.registration", group, party="licensing", headers=key("k"))
    ).status == 409
    assert (await site.message(READINESS, readiness(), headers=key("k"))).status == 202


async def test_a_message_that_was_refused_leaves_its_key_free(site: Site) -> None:
    refused = await from_licensing(site, status(version=0), headers=key("k"))
    assert refused.status == 422
    assert (await from_licensing(site, status(), headers=key("k"))).status == 202


async def test_a_key_that_cannot_be_one_is_refused(site: Site) -> None:
    answer = await from_licensing(site, status(), headers=key("a b"))
    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")


# --- refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media", [JSON, XML])
async def test_a_kind_that_there_is_not_is_not_found(site: Site, media: str) -> None:
    answer = await site.message("licensee.gossip", b"not even read", media=media)
    assert (answer.status, answer.code) == (404, "unknown_kind")


@pytest.mark.parametrize(
    ("party", "kind"),
    [
        ("sc-01", STATUS),
        ("committee", STATUS),
        ("licensing", READINESS),
        ("sc-01", "movement.arrival"),
        ("nic", "mission.capacity"),
        ("licensing", "licensee.activation"),
        ("sc-01", "overstay.notice"),
    ],
)
async def test_a_kind_that_is_not_this_partys_to_send_is_forbidden(site: Site, party: str, kind: str) -> None:
    answer = await site.message(kind, dict(KINDS[kind].example), party=party)
    assert (answer.status, answer.code) == (403, "not_your_message")


async def test_every_fault_is_told_with_its_place_in_both_languages(site: Site) -> None:
    body = readiness(vehicles="18", sites=[{"city": "atlantis", "address": "x"}], colour="red")
    body.pop("season")
    answer = await site.message(READINESS, body)
    assert (answer.status, answer.code) == (422, "message_invalid")
    found = {fault["pointer"]: fault["code"] for fault in answer.json["errors"]}
    assert found == {
        "/colour": "unknown_field",
        "/season": "field_missing",
        "/sites/0/city": "not_one_of",
        "/vehicles": "wrong_type",
    }
    for fault in answer.json["errors"]:
        assert fault["detail"].isascii()
        assert not fault["detail_ar"].isascii()
    assert b"atlantis" not in answer.body
    assert await told(site.world, PartyId("licensing"), READINESS) == []


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_a_refusal_speaks_the_language_that_was_asked_for(site: Site, language: str) -> None:
    answer = await site.message(READINESS, b"{}", headers={"Accept-Language": language})
    assert answer.headers["Content-Language"] == language
    assert answer.json["detail"].isascii() is (language == "en")


@pytest.mark.parametrize("media", ["text/csv", "application/x-ndjson", "text/plain", "application/soap+xml"])
async def test_another_media_type_is_refused(site: Site, media: str) -> None:
    answer = await from_licensing(site, written(STATUS, status()), media=media)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


async def test_another_charset_is_refused(site: Site) -> None:
    text = written(STATUS, status()).decode().encode("cp1256")
    answer = await from_licensing(site, text, media="application/json; charset=windows-1256")
    assert (answer.status, answer.code) == (415, "encoding_not_utf8")


async def test_no_body_is_told_as_that(site: Site) -> None:
    assert (await from_licensing(site, b"")).code == "body_missing"


async def test_a_document_that_is_too_large_is_refused_by_its_length_and_without_one(site: Site) -> None:
    large = b" " * (messages.MAX_BYTES + 1)

    async def chunked() -> Any:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    packed = gzip.compress(large)
    for answer in (
        await from_licensing(site, io.BytesIO(large)),
        await from_licensing(site, chunked()),
        await from_licensing(site, packed, headers={"Content-Encoding": "gzip"}),
    ):
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert str(messages.MAX_BYTES) in answer.json["detail"]


async def test_a_query_is_not_guessed_at(site: Site) -> None:
    answer = await site.post(
        f"/v1/messages/{STATUS}?dry_run=true", token=site.token("licensing"), data=written(STATUS, status())
    )
    assert (answer.status, answer.code) == (400, "invalid_parameter")


async def test_more_messages_at_once_than_there_is_room_for_are_put_off(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_AT_ONCE", 1)
    begun, go_on = asyncio.Event(), asyncio.Event()
    body = written(STATUS, status())

    async def slow() -> Any:
        yield body[:20]
        begun.set()
        await go_on.wait()
        yield body[20:]

    first = asyncio.create_task(from_licensing(site, slow()))
    await begun.wait()
    # The head of the first must have come before the second is asked.
    while (refused := await site.message(READINESS, readiness())).status != 429:
        assert refused.status in (200, 202)
    assert int(refused.headers["Retry-After"]) > 0
    go_on.set()
    assert (await first).status == 202


async def test_a_message_that_does_not_come_is_not_waited_for_as_long_as_a_batch(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert messages._BODY_S <= 30 < site.world.engine.settings.gateway.intake.body_timeout_s
    monkeypatch.setattr(messages, "_BODY_S", 0.2)
    head = (
        f"POST /v1/messages/{STATUS} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {site.token('licensing')}\r\n"
        f"Content-Type: {JSON}\r\nContent-Length: 500\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await site.connect()
    writer.write(head.encode() + b'{"licensee_id":')
    async with asyncio.timeout(5):
        assert (await reader.readline()).split(b" ")[1] == b"408"
        assert b"body_too_slow" in await reader.readuntil(b"}")
    writer.close()


async def test_nothing_is_taken_while_intake_is_closed(site: Site) -> None:
    site.host._intake_open = False
    answer = await from_licensing(site, status())
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)


async def test_refusals_are_counted_by_code_and_never_by_a_name_that_was_sent(site: Site) -> None:
    await from_licensing(site, b"{")
    await from_licensing(site, status(version=0))
    await site.message("licensee.gossip", b"{}", party="licensing")
    shown = (await site.get("/metrics", admin=True)).body.decode()
    assert (
        f'gateway_messages_rejected_total{{code="invalid_json",kind="{STATUS}",party="licensing"}} 1' in shown
    )
    assert f'{{code="message_invalid",kind="{STATUS}",party="licensing"}} 1' in shown
    assert '{code="unknown_kind",kind="unknown",party="licensing"} 1' in shown
    assert "gossip" not in shown


# --- who ------------------------------------------------------------------------------------------------


async def test_nobody_and_a_strangers_token_get_in_nowhere(site: Site) -> None:
    for token in ("x", site.token("sc-01")[:-4] + "AAAA"):
        answer = await site.message(READINESS, readiness(), token=token)
        assert (answer.status, answer.code) == (401, "unauthenticated")


async def test_a_token_is_good_for_one_message(site: Site) -> None:
    token = site.token("licensing")
    assert (await from_licensing(site, status(), token=token)).status == 202
    for body in (status(), status(3)):
        replayed = await from_licensing(site, body, token=token)
        assert (replayed.status, replayed.code) == (401, "token_replayed")
    assert await version_in_force(site) == "2"


async def test_a_lost_answer_is_fetched_with_the_same_token_and_key(site: Site) -> None:
    token = site.token("licensing")
    first = await from_licensing(site, status(), token=token, headers=key("k"))
    again = await from_licensing(site, status(), token=token, headers=key("k"))
    assert (again.status, again.json["message_id"]) == (200, first.json["message_id"])
    assert (await from_licensing(site, status(3), token=token, headers=key("k"))).status == 409
    assert (await from_licensing(site, status(), token=token, headers=key("l"))).status == 401


async def test_the_sender_is_who_the_token_says_whatever_the_body_says(site: Site) -> None:
    answer = await site.message(READINESS, {**readiness(), "sender": "sc-02"}, token=site.token("sc-02"))
    assert answer.status == 422
    taken = await site.message("case.report", example("case.report"), token=site.token("pilgrim-services"))
    row = await site.world.engine.ledger.message(taken.json["message_id"])
    assert row is not None
    assert row.party == "pilgrim-services"


async def test_another_partys_message_is_absent_to_the_byte(site: Site) -> None:
    taken = await from_licensing(site, status())
    theirs = await site.get(taken.headers["Location"], token=site.token("sc-01"))
    absent = await site.get(f"/v1/messages/{taken.json['message_id'][:-4]}0000", token=site.token("sc-01"))
    assert theirs.status == absent.status == 404
    ids = [answer.json["request_id"].encode() for answer in (theirs, absent)]
    assert theirs.body.replace(ids[0], b"") == absent.body.replace(ids[1], b"")
    apart = {"x-request-id", "date"}
    assert _without(theirs, apart) == _without(absent, apart)


def _without(answer: Answer, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in names}


async def test_the_state_of_a_message_says_nothing_of_its_content(site: Site) -> None:
    taken = await site.message("case.report", example("case.report", licensee_id="LIC-1001"))
    found = await site.get(taken.headers["Location"])
    assert set(found.json) == {"message_id", "kind", "state", "reason", "received_at", "updated_at"}


# --- hostile --------------------------------------------------------------------------------------------

DEEP = 100_000
XMLNS = '<message xmlns="urn:umrah:messages:v1" kind="licensee.status"'
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
GOOD_XML = written(STATUS, status(), XML)
HOSTILE_JSON = {
    "duplicate key": (b'{"version": 2, "version": 3}', "duplicate_key"),
    "NaN": (b'{"version": NaN}', "number_not_allowed"),
    "Infinity": (b'{"version": -Infinity}', "number_not_allowed"),
    "1e999": (b'{"version": 1e999}', "number_not_allowed"),
    "5,000 digits": (b'{"version": ' + b"9" * 5000 + b"}", None),
    "deep lists": (b"[" * DEEP, None),
    "deep objects": (b'{"a":' * DEEP, None),
    "deep in a field": (b'{"licensee_id":' + b"[" * DEEP + b"]" * DEEP + b"}", None),
    "byte-order mark": (b"\xef\xbb\xbf{}", "byte_order_mark"),
    "bad UTF-8": (b'{"licensee_id": "\xff"}', "encoding_not_utf8"),
    "UTF-16": ("{}".encode("utf-16"), None),
    "lone surrogate": (b'{"licensee_id": "\\ud800"}', "invalid_format"),
    "a list": (b"[]", "wrong_type"),
    "a number": (b"1", "wrong_type"),
    "half": (b'{"licensee_id": "LIC', "invalid_json"),
    "two documents": (b"{}{}", "invalid_json"),
    "a NUL": (b'{"licensee_id": "\\u0000"}', "message_invalid"),
    "prototype": (b'{"__proto__": {"status": "active"}}', "message_invalid"),
    "Arabic digits": ('{"licensee_id": "LIC-١٠٠١"}'.encode(), "message_invalid"),
}
HOSTILE_XML = {
    "doctype": (b"<!DOCTYPE message>" + GOOD_XML, "doctype_forbidden"),
    "entity": (b'<!DOCTYPE m [<!ENTITY a "b">]>' + GOOD_XML, "doctype_forbidden"),
    "external DTD": (b'<!DOCTYPE m SYSTEM "file:///etc/passwd">' + GOOD_XML, "doctype_forbidden"),
    "parameter entity": (b'<!DOCTYPE m [<!ENTITY % a SYSTEM "http://127.0.0.1:1/">%a;]>', None),
    "UTF-16 doctype": ("<!DOCTYPE message><message/>".encode("utf-16"), None),
    "UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?>' + GOOD_XML, None),
    "depth 300": (f"{XMLNS}>{'<a>' * 300}{'</a>' * 300}</message>".encode(), None),
    "many empty elements": (f"{XMLNS}>{'<a/>' * 200_000}</message>".encode(), None),
    "many attributes": ((XMLNS + "".join(f' a{n}=""' for n in range(80_000)) + "/>").encode(), None),
    "xsi:nil": (
        (
            XMLNS + ' xmlns:x="http://www.w3.org/2001/XMLSchema-instance"><version x:nil="true"/></message>'
        ).encode(),
        None,
    ),
    "a comment inside a value": (GOOD_XML.replace(b"LIC-1001", b"LIC-<!-- -->1001"), None),
    "an element twice": (GOOD_XML.replace(b"</message>", b"<version>3</version></message>"), "duplicate_key"),
    "another namespace": (GOOD_XML.replace(b"messages:v1", b"messages:v2"), "invalid_xml"),
    "another kind": (GOOD_XML.replace(b"licensee.status", b"group.registration"), "kind_mismatch"),
    "5,000 digits": (GOOD_XML.replace(b"<version>2<", b"<version>" + b"9" * 5000 + b"<"), "message_invalid"),
    "half": (GOOD_XML[:-12], "invalid_xml"),
    "JSON": (b"{}", "invalid_xml"),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
async def test_hostile_json_is_refused_and_the_next_good_message_passes(site: Site, name: str) -> None:
    await _refused(site, JSON, *HOSTILE_JSON[name])


@pytest.mark.parametrize("name", HOSTILE_XML)
async def test_hostile_xml_is_refused_and_the_next_good_message_passes(site: Site, name: str) -> None:
    await _refused(site, XML, *HOSTILE_XML[name])


async def _refused(site: Site, media: str, body: bytes, code: str | None) -> None:
    started = time.process_time()
    answer = await from_licensing(site, body, media=media)
    assert 400 <= answer.status < 500
    assert answer.code in ({code} if code else {*_SYNTAX})
    assert time.process_time() - started < 3
    assert len(answer.body) < 20_000
    assert b"Traceback" not in answer.body
    assert await version_in_force(site) == "1"
    assert (await from_licensing(site, status(), media=media)).status == 202


#: Where the parser decides at which of several faults it stops.
_SYNTAX = (
    "invalid_json", "invalid_xml", "number_not_allowed", "message_invalid", "too_deep", "doctype_forbidden",
    "encoding_not_utf8", "wrong_type", "unknown_field", "body_too_large", "too_many_elements",
    "too_many_attributes", "nesting_too_deep",
)  # fmt: skip


async def test_an_answer_stays_readable_however_much_is_wrong(site: Site) -> None:
    body = {f"a{number}": 1 for number in range(60_000)}
    answer = await from_licensing(site, json.dumps(body).encode())
    assert (answer.status, answer.code) == (422, "message_invalid")
    assert [fault["code"] for fault in answer.json["errors"]] == ["too_many_faults"]
