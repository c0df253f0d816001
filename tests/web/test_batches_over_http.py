from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from typing import Any

import pytest

from adapters.service_centers import FORMATS
from tests.web.site import CSV, JSON, NDJSON, XML, Site


@pytest.mark.parametrize("media", sorted(FORMATS))
async def test_a_batch_in_each_format_is_recorded_before_its_202(site: Site, media: str) -> None:
    answer = await site.submit(site.batch(3, media), media=media)
    assert answer.status == 202, answer.body
    receipt = answer.json
    assert receipt["state"] == "processing"
    assert receipt["counts"] == {"total": 3, "accepted": 3}
    assert (receipt["rejected"], receipt["more_rejected"]) == ([], False)
    assert answer.headers["Location"] == f"{site.host.public_url}/v1/batches/{receipt['batch_id']}"
    assert len(await site.world.rows(receipt["batch_id"])) == 3


async def test_a_rejected_line_is_named_with_place_and_reason_in_both_languages(site: Site) -> None:
    good, bad = site.world.applications(2)
    bad["travel"]["departure_date"] = "2020-01-01"
    answer = await site.submit(site.batch([good, bad]))
    assert answer.status == 202
    (fault,) = [entry for entry in answer.json["rejected"] if entry["code"] == "departure_before_arrival"]
    assert (fault["line"], fault["row"], fault["reference"]) == (2, 3, bad["reference"])
    assert fault["pointer"] == "/travel/departure_date"
    assert "departure" in fault["detail"]
    assert "المغادرة" in fault["detail_ar"]


async def test_a_repeated_batch_gets_the_first_answer(site: Site) -> None:
    body = site.batch(2)
    first = await site.submit(body)
    again = await site.submit(body)
    assert (again.status, again.body) == (202, first.body)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


async def test_a_repetition_that_is_zipped_is_the_same_batch(site: Site) -> None:
    body = site.batch(2)
    first = await site.submit(body)
    again = await site.submit(gzip.compress(body), headers={"Content-Encoding": "gzip"})
    assert (again.status, again.body) == (202, first.body)


async def test_a_key_with_another_body_is_a_conflict(site: Site) -> None:
    await site.submit(site.batch(1))
    answer = await site.submit(site.batch(2))
    assert (answer.status, answer.code) == (409, "idempotency_key_reused")


async def test_a_key_with_another_mode_is_a_conflict(site: Site) -> None:
    body = site.batch(1)
    await site.submit(body)
    answer = await site.submit(body, query="?mode=all_or_nothing")
    assert (answer.status, answer.code) == (409, "idempotency_key_reused")


async def test_one_key_fifty_times_at_once_makes_one_batch(site: Site) -> None:
    body = site.batch(20)
    answers = await asyncio.gather(*(site.submit(body) for _ in range(50)))
    batches = {answer.json["batch_id"] for answer in answers if answer.status == 202}
    assert len(batches) == 1
    others = [answer for answer in answers if answer.status != 202]
    assert {answer.code for answer in others} <= {"batch_in_progress", "rate_limited"}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in others)
    assert len(await site.world.rows(batches.pop())) == 20


async def test_a_dry_run_records_nothing(site: Site) -> None:
    answer = await site.submit(query="?dry_run=true")
    assert answer.status == 200
    assert (answer.json["batch_id"], answer.json["state"]) == (None, "validated")
    assert "Location" not in answer.headers
    # The key is still free.
    assert (await site.submit(site.batch(2))).status == 202


async def test_all_or_nothing_refuses_the_batch_and_names_its_bad_lines(site: Site) -> None:
    good, bad = site.world.applications(2)
    del bad["passport"]["number"]
    answer = await site.submit(site.batch([good, bad]), query="?mode=all_or_nothing")
    assert (answer.status, answer.code) == (422, "all_or_nothing_rejected")
    (error,) = answer.json["errors"]
    assert (error["line"], error["pointer"], error["code"]) == (2, "/passport/number", "field_missing")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?mode=both", "mode_unknown"),
        ("?dry_run=yes", "invalid_parameter"),
        ("?dry-run=true", "invalid_parameter"),
        ("?mode=lines&mode=lines", "invalid_parameter"),
    ],
)
async def test_a_query_that_is_not_understood_is_refused(site: Site, query: str, code: str) -> None:
    answer = await site.submit(query=query)
    assert (answer.status, answer.code) == (400, code)


async def test_a_batch_needs_an_idempotency_key(site: Site) -> None:
    answer = await site.post("/v1/batches", headers={"Content-Type": NDJSON}, data=site.batch())
    assert (answer.status, answer.code) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("key", ["two words", "x" * 256, "مفتاح"])
async def test_an_idempotency_key_is_1_to_255_visible_ascii_characters(site: Site, key: str) -> None:
    answer = await site.submit(key=key)
    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")
    assert (await site.submit(key="x" * 255)).status == 202


async def test_another_media_type_is_refused(site: Site) -> None:
    answer = await site.submit(media="application/pdf", body=b"%PDF")
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    answer = await site.submit(media="text/csv; charset=windows-1256", body=b"a")
    assert (answer.status, answer.code) == (415, "encoding_not_utf8")


async def test_the_batch_of_a_center_that_does_not_serve_the_licensee_is_refused(site: Site) -> None:
    answer = await site.submit(token=site.token("sc-02"))
    assert (answer.status, answer.code) == (403, "center_not_licensed")
    assert answer.json["errors"][0]["pointer"] == "/licensee_id"


async def _submitted(site: Site, applications: Any = 3) -> str:
    answer = await site.submit(site.batch(applications))
    assert answer.status == 202
    return str(answer.json["batch_id"])


async def test_another_party_s_ids_answer_as_absent_ones(site: Site) -> None:
    batch = await _submitted(site)
    (message, *_) = await site.world.rows(batch)  # type: ignore[arg-type]
    absent = "019bd0f2-0000-7000-8000-000000000000"
    for method, path in (
        ("GET", "/v1/batches/{}"),
        ("GET", "/v1/batches/{}/applications"),
        ("GET", "/v1/batches/{}/results"),
        ("GET", "/v1/batches/{}/rejected"),
        ("POST", "/v1/batches/{}/confirm"),
        ("POST", "/v1/batches/{}/cancel"),
    ):
        theirs = await site.call(method, path.format(batch), token=site.token("sc-02"))
        none = await site.call(method, path.format(absent), token=site.token("sc-02"))
        assert (theirs.status, _told(theirs)) == (404, _told(none)), path
    for method, path in (("GET", "/v1/messages/{}"), ("POST", "/v1/applications/{}/cancel")):
        theirs = await site.call(method, path.format(message.id), token=site.token("sc-02"))
        none = await site.call(method, path.format(absent), token=site.token("sc-02"))
        assert (theirs.status, _told(theirs)) == (404, _told(none)), path
    assert (await site.get(f"/v1/batches/{batch}")).status == 200


def _told(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json.items() if name != "request_id"}


async def test_the_status_counts_lines_by_state(site: Site) -> None:
    batch = await _submitted(site)
    answer = await site.get(f"/v1/batches/{batch}")
    assert (answer.json["state"], answer.json["counts"]) == ("processing", {"total": 3, "accepted": 3})
    await site.world.carry_until_rest()
    answer = await site.get(f"/v1/batches/{batch}")
    assert (answer.json["state"], answer.json["counts"]) == ("completed", {"total": 3, "issued": 3})


async def test_pages_follow_each_other_to_the_end(site: Site) -> None:
    batch = await _submitted(site, 5)
    seen, cursor = [], ""
    while cursor is not None:
        query = f"?limit=2{cursor and f'&cursor={cursor}'}"
        page = (await site.get(f"/v1/batches/{batch}/applications{query}")).json
        seen += [line["line"] for line in page["applications"]]
        cursor = page["next_cursor"]
    assert seen == [1, 2, 3, 4, 5]


async def test_pages_can_be_of_one_state(site: Site) -> None:
    good, bad = site.world.applications(2)
    bad["sex"] = "Q"
    batch = await _submitted(site, [good, bad])
    page = (await site.get(f"/v1/batches/{batch}/applications?state=rejected")).json
    assert [line["line"] for line in page["applications"]] == [2]


@pytest.mark.parametrize(
    "query",
    ["?limit=0", "?limit=1001", "?limit=-1", "?limit=٣", "?state=carried", "?state=", "?page=2", "?cursor=a"],
)
async def test_a_page_that_is_not_understood_is_refused(site: Site, query: str) -> None:
    batch = await _submitted(site)
    assert (await site.get(f"/v1/batches/{batch}/applications{query}")).status == 400


async def test_results_come_in_the_format_asked_for(site: Site) -> None:
    batch = await _submitted(site)
    await site.world.carry_until_rest()

    async def fetch(accept: str) -> Any:
        answer = await site.get(f"/v1/batches/{batch}/results", headers={"Accept": accept})
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(accept)
        return answer.body.decode()

    results = json.loads(await fetch(JSON))["results"]
    numbers = [result["visa"]["number"] for result in results]
    assert len(numbers) == 3
    assert [json.loads(line) for line in (await fetch(NDJSON)).splitlines()] == results
    assert [row["visa.number"] for row in csv.DictReader(io.StringIO(await fetch(CSV)))] == numbers
    assert (await fetch(XML)).count("<result>") == 3


async def test_json_is_what_comes_when_nothing_is_asked_for(site: Site) -> None:
    batch = await _submitted(site)
    answer = await site.get(f"/v1/batches/{batch}/results", headers={"Accept": "*/*"})
    assert answer.headers["Content-Type"] == JSON


async def test_a_format_that_is_not_offered_is_not_acceptable(site: Site) -> None:
    batch = await _submitted(site)
    for path in ("results", "rejected"):
        answer = await site.get(f"/v1/batches/{batch}/{path}", headers={"Accept": "application/pdf"})
        assert (answer.status, answer.code) == (406, "not_acceptable")


async def test_rejected_lines_come_back_as_they_were_sent(site: Site) -> None:
    good, bad = site.world.applications(2)
    bad["mobile"] = "12"
    batch = await _submitted(site, [good, bad])
    answer = await site.get(f"/v1/batches/{batch}/rejected")
    (line,) = answer.json["rejected"]
    assert line["application"] == bad
    assert (line["line"], line["errors"][0]["pointer"]) == (2, "/mobile")


async def test_one_application_can_be_looked_at(site: Site) -> None:
    batch = await _submitted(site, 1)
    (row,) = await site.world.rows(batch)  # type: ignore[arg-type]
    answer = await site.get(f"/v1/messages/{row.id}")
    assert (answer.status, answer.json["state"]) == (200, "accepted")


async def test_a_completed_batch_can_be_confirmed_and_one_under_way_cannot(site: Site) -> None:
    batch = await _submitted(site)
    assert (await site.post(f"/v1/batches/{batch}/confirm")).status == 409
    await site.world.carry_until_rest()
    answer = await site.post(f"/v1/batches/{batch}/confirm")
    assert answer.status == 200
    assert answer.json["confirmed_at"]


async def test_lines_and_batches_can_be_cancelled(site: Site) -> None:
    batch = await _submitted(site)
    (first, *_) = await site.world.rows(batch)  # type: ignore[arg-type]
    answer = await site.post(f"/v1/applications/{first.id}/cancel")
    assert (answer.status, answer.json["state"]) == (200, "cancelled")
    answer = await site.post(f"/v1/applications/{first.id}/cancel")
    assert (answer.status, answer.code) == (409, "already_settled")
    answer = await site.post(f"/v1/batches/{batch}/cancel")
    assert (answer.status, answer.json["counts"]["cancelled"]) == (200, 3)


@pytest.mark.parametrize("id", ["..", "%00", "a%20b", "x" * 65, "%D9%A3", "%ff"])
async def test_what_cannot_be_an_id_is_not_found(site: Site, id: str) -> None:
    answer = await site.raw(
        f"GET /v1/batches/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {site.token()}\r\n\r\n".encode()
    )
    assert answer.split(b" ")[1] == b"404"
