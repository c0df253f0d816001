"""`GET /v1/notifications` and its confirmation as parties meet them."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from gateway.message import PartyId
from gateway.pipeline import notify
from gateway.web import messages
from tests.flows.office import example, send
from tests.pipeline.world import World
from tests.web.site import Answer, Site

LICENSING = PartyId("licensing")
PATH = "/v1/notifications"


async def publish(site: Site, count: int = 1, *, first: int = 2) -> None:
    """So many events for sc-01 (which serves this licensee) and for no other center."""
    for version in range(first, first + count):
        await send(site.world, LICENSING, "licensee.status", licensee_id="LIC-1001", version=version)


async def page(site: Site, query: str = "", *, party: str = "sc-01") -> Any:
    answer = await site.get(PATH + query, token=site.token(party))
    assert answer.status == 200, answer.body
    return answer.json


async def confirm(site: Site, cursor: str, *, party: str = "sc-01") -> Answer:
    return await site.post(f"{PATH}/confirm?cursor={cursor}", token=site.token(party))


def versions(found: Any) -> list[int]:
    return [event["data"]["version"] for event in found["notifications"]]


async def test_what_is_meant_for_a_party_comes_in_order_with_its_granted_fields(site: Site) -> None:
    await publish(site, 3)
    found = await page(site)
    assert versions(found) == [2, 3, 4]
    (event, *_) = found["notifications"]
    assert set(event) == {"cursor", "id", "kind", "subject", "time", "classification", "data"}
    assert (event["kind"], event["subject"]) == ("licensee.status", "LIC-1001")
    assert set(event["data"]) <= {"licensee_id", "version", "status", "effective_from"}
    assert found["cursor"] == found["notifications"][-1]["cursor"]
    assert found["more"] is False


async def test_reading_is_resumed_where_it_ended_and_a_page_has_a_limit(site: Site) -> None:
    await publish(site, 5)
    read: list[int] = []
    cursor = "0"
    for _ in range(3):
        found = await page(site, f"?cursor={cursor}&limit=2")
        read += versions(found)
        cursor = found["cursor"]
    assert read == [2, 3, 4, 5, 6]
    assert found["more"] is False
    assert (await page(site, f"?cursor={cursor}"))["notifications"] == []
    assert (await page(site, f"?cursor={cursor}"))["cursor"] == cursor


async def test_a_page_ends_early_when_it_grows_large(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish(site, 5)
    monkeypatch.setattr(notify, "_PAGE_BYTES", 1)
    monkeypatch.setattr(notify, "_READ_AT_ONCE", 2)
    first = await page(site)
    assert (versions(first), first["more"]) == ([2], True)
    assert versions(await page(site, f"?cursor={first['cursor']}")) == [3]


async def test_more_than_is_read_at_once_comes_on_one_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(site, 5)
    monkeypatch.setattr(notify, "_READ_AT_ONCE", 2)
    assert versions(await page(site)) == [2, 3, 4, 5, 6]
    assert versions(await page(site, "?limit=3")) == [2, 3, 4]


async def test_nothing_is_forgotten_before_it_is_confirmed(site: Site) -> None:
    await publish(site, 3)
    found = await page(site)
    assert versions(await page(site)) == [2, 3, 4]
    middle = found["notifications"][1]["cursor"]
    assert (await confirm(site, middle)).json == {"confirmed": middle}
    after = await page(site)
    assert (versions(after), after["confirmed"]) == ([4], middle)
    assert versions(await page(site, "?cursor=0")) == [2, 3, 4]


async def test_a_confirmed_cursor_never_goes_back(site: Site) -> None:
    await publish(site, 3)
    events = (await page(site))["notifications"]
    await confirm(site, events[2]["cursor"])
    for earlier in (events[0]["cursor"], "0"):
        assert (await confirm(site, earlier)).json == {"confirmed": events[2]["cursor"]}
    assert (await page(site))["notifications"] == []


async def test_what_is_still_to_come_can_not_be_confirmed_away(site: Site) -> None:
    await publish(site)
    for cursor in ("999999999999999999", "1000"):
        answer = await confirm(site, cursor)
        assert (answer.status, answer.code) == (400, "invalid_cursor")
    await publish(site, first=3)
    assert versions(await page(site)) == [2, 3]


async def test_another_partys_events_are_never_seen(site: Site) -> None:
    await publish(site, 2)
    await send(site.world, PartyId("sc-01"), "readiness.report", licensee_id="LIC-1001")
    assert {event["kind"] for event in (await page(site))["notifications"]} == {"licensee.status"}
    assert (await page(site, "?cursor=0", party="sc-02"))["notifications"] == []
    assert (await page(site, "?cursor=0", party="nic"))["notifications"] == []
    (report,) = (await page(site, party="licensing"))["notifications"]
    assert report["kind"] == "readiness.report"


async def test_confirming_is_each_partys_own(site: Site) -> None:
    await publish(site, 2)
    cursor = (await page(site))["cursor"]
    assert (await confirm(site, cursor, party="sc-02")).status == 400
    await confirm(site, cursor)
    assert (await page(site, party="sc-02"))["confirmed"] == "0"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?cursor=", "invalid_cursor"),
        ("?cursor=-1", "invalid_cursor"),
        ("?cursor=1x", "invalid_cursor"),
        ("?cursor=%D9%A1", "invalid_cursor"),
        ("?cursor=" + "9" * 19, "invalid_cursor"),
        ("?limit=0", "invalid_parameter"),
        ("?limit=1001", "invalid_parameter"),
        ("?wait=31", "invalid_parameter"),
        ("?wait=0", "invalid_parameter"),
        ("?cursor=0&cursor=1", "invalid_parameter"),
        ("?party=sc-02", "invalid_parameter"),
    ],
)
async def test_what_can_not_be_meant_is_refused(site: Site, query: str, code: str) -> None:
    answer = await site.get(PATH + query)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize("wait", ["abc", "", "0", "31", "-1", "%D9%A1"])
async def test_a_wait_that_can_not_be_meant_is_refused_when_something_is_there_too(
    site: Site, wait: str
) -> None:
    await publish(site)
    answer = await site.get(f"{PATH}?wait={wait}")
    assert (answer.status, answer.code) == (400, "invalid_parameter")


async def test_a_confirmation_without_a_cursor_is_refused(site: Site) -> None:
    assert (await site.post(f"{PATH}/confirm")).code == "invalid_cursor"


async def test_a_token_confirms_once_and_reads_often(site: Site) -> None:
    await publish(site)
    token = site.token()
    for _ in range(2):
        assert (await site.get(PATH, token=token)).status == 200
    assert (await site.post(f"{PATH}/confirm?cursor=0", token=token)).status == 200
    assert (await site.post(f"{PATH}/confirm?cursor=0", token=token)).code == "token_replayed"
    assert (await site.get(PATH, token="")).status == 401


# --- waiting --------------------------------------------------------------------------------------------


class Looks:
    """Counts the looks for new events; `begun` is set with the first one of a request that waits."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = asyncio.Event()
        self.count = 0
        look = world.engine.ledger.events

        async def counted(receiver: PartyId, *, after: int, limit: int) -> Any:
            found = await look(receiver, after=after, limit=limit)
            if limit == 1:
                self.count += 1
                self.begun.set()
            return found

        monkeypatch.setattr(world.engine.ledger, "events", counted)
        monkeypatch.setattr(messages, "_LOOK_EVERY_S", 0.01)


async def test_a_request_that_waits_is_answered_as_soon_as_there_is_something(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(site.world, monkeypatch)
    waiting = asyncio.create_task(page(site, "?wait=30"))
    await looks.begun.wait()
    await publish(site)
    async with asyncio.timeout(10):
        assert versions(await waiting) == [2]


async def test_what_is_there_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(site.world, monkeypatch)
    await publish(site)
    assert versions(await page(site, "?wait=30")) == [2]
    assert looks.count == 0


async def test_waiting_ends_with_its_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    Looks(site.world, monkeypatch)
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await page(site, "?wait=1"))["notifications"] == []
    assert 0.9 < loop.time() - started < 8


async def test_waiting_ends_when_the_host_stops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(site.world, monkeypatch)
    waiting = asyncio.create_task(page(site, "?wait=30"))
    await looks.begun.wait()
    async with asyncio.timeout(8):
        await site.host.stop()
        assert (await waiting)["notifications"] == []


async def test_nobody_is_waited_for_who_has_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(site.world, monkeypatch)
    request = f"GET {PATH}?wait=30 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token()}\r\n\r\n"
    _, writer = await site.connect()
    writer.write(request.encode())
    await looks.begun.wait()
    writer.close()
    async with asyncio.timeout(8):
        await site.host._public.under_way.ended(8)  # type: ignore[union-attr]


async def test_more_waiting_requests_than_there_is_room_for_are_put_off(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(site.world, monkeypatch)
    monkeypatch.setattr(messages, "_MOST_WAITING", 1)
    async with aiohttp.ClientSession():
        waiting = asyncio.create_task(page(site, "?wait=30"))
        await looks.begun.wait()
        refused = await site.get(f"{PATH}?wait=30")
        assert (refused.status, refused.code) == (429, "rate_limited")
        assert (await site.get(PATH)).status == 200
        await publish(site)
        assert versions(await waiting) == [2]


async def test_one_party_that_waits_much_does_not_keep_another_from_waiting(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(site.world, monkeypatch)
    monkeypatch.setattr(messages, "_MOST_WAITING", 4)
    waiting = asyncio.create_task(page(site, "?wait=30"))
    await looks.begun.wait()
    async with asyncio.timeout(10):
        refused = await site.get(f"{PATH}?wait=30")
        assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (429, True)
        assert (await page(site, "?wait=1", party="sc-02"))["notifications"] == []
    await publish(site)
    assert versions(await waiting) == [2]


# --- damage ---------------------------------------------------------------------------------------------


async def test_a_damaged_event_does_not_keep_the_next_ones_back(site: Site) -> None:
    await publish(site, 2)

    def damage(books: Any) -> None:
        books._tx.run("UPDATE outbox SET sealed = zeroblob(64) WHERE seq = (SELECT min(seq) FROM outbox"
                      " WHERE receiver = 'sc-01')", ())  # fmt: skip

    await site.world.engine.ledger.work(damage)
    events = (await page(site))["notifications"]
    assert [event["data"] and event["data"]["version"] for event in events] == [None, 3]


async def test_names_of_what_may_be_fetched_stand_where_there_is_no_data(site: Site) -> None:
    receipt = await site.submit(site.batch(1))
    await site.world.carry_until_rest()
    events = [e for e in (await page(site))["notifications"] if e["kind"] == "batch.completed"]
    assert [event["data"]["batch_id"] for event in events] == [receipt.json["batch_id"]]


def test_the_example_of_these_tests_is_one(world: World) -> None:
    assert example("licensee.status", licensee_id="LIC-1001")["version"] >= 1
