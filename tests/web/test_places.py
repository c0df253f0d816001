"""What is received at the same time: so much in all, and a quarter of it from one party."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from gateway.web.places import Places
from gateway.web.problems import RateLimited
from tests.web.site import JSON, NDJSON, Site

MESSAGE = ("POST", "/v1/messages/readiness.report", JSON)
PHOTO = ("PUT", "/v1/photos/" + "0" * 64, "image/jpeg")
BATCH = ("POST", "/v1/batches", NDJSON)


@dataclass
class Sending:
    """A request whose headers are sent and whose body is not."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    #: The first answer: 100 when the body is wanted, so when its place is taken.
    status: int
    headers: bytes

    async def end(self) -> int:
        """Send the body, and return the status of the answer."""
        self.writer.write(b"xx")
        return await _status(self.reader)


async def _status(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(5):
        return int((await reader.readline()).split(b" ")[1])


async def begin(site: Site, call: tuple[str, str, str], key: str, party: str = "sc-01") -> Sending:
    """A request that waits to be told to go on (RFC 9110, 10.1.1)."""
    method, path, media = call
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {site.token(party)}",
        f"Content-Type: {media}",
        f"Idempotency-Key: {key}",
        "Content-Length: 2",
        "Expect: 100-continue",
    )
    reader, writer = await site.connect()
    writer.write("\r\n".join([*lines, "", ""]).encode())
    return Sending(reader, writer, await _status(reader), await reader.readuntil(b"\r\n"))


def leave(senders: list[Sending]) -> None:
    for sender in senders:
        sender.writer.transport.abort()


@pytest.mark.parametrize(
    ("call", "share"), [(MESSAGE, 16), (PHOTO, 16), (BATCH, 8)], ids=["message", "photo", "batch"]
)
async def test_one_center_has_its_share_and_shuts_out_nobody(
    site: Site, call: tuple[str, str, str], share: int
) -> None:
    under_way = [await begin(site, call, f"k{number}") for number in range(share)]
    assert {sender.status for sender in under_way} == {100}
    refused = await begin(site, call, "more")
    headers = refused.headers + await refused.reader.readuntil(b"\r\n\r\n")
    assert (refused.status, b"\r\nRetry-After: 5\r\n" in b"\r\n" + headers) == (429, True)
    other = await begin(site, call, "other", "sc-02")
    assert other.status == 100
    # A place that is given back is there for the next.
    assert await under_way[0].end() in (400, 422)
    again = await begin(site, call, "again")
    assert again.status == 100
    leave([*under_way, refused, other, again])


def test_all_places_together_are_limited_whoever_asks() -> None:
    places = Places()
    with ExitStack() as taken:
        for number in range(8):
            taken.enter_context(places.one(f"sc-{number}", 8))
        with pytest.raises(RateLimited), places.one("sc-9", 8):
            pass
    with places.one("sc-9", 8):
        pass


@pytest.mark.parametrize("most", [1, 3, 4])
def test_whoever_has_none_may_have_one(most: int) -> None:
    places = Places()
    with places.one("sc-01", most), pytest.raises(RateLimited), places.one("sc-01", most):
        pass


def test_a_place_is_given_back_whatever_happens_and_its_party_forgotten() -> None:
    places = Places()
    with pytest.raises(ValueError, match="broken"), places.one("sc-01", 4):
        raise ValueError("broken")
    assert not places._of
    with places.one("sc-01", 4):
        pass


async def test_who_finds_all_places_taken_by_others_is_let_in_when_one_is_free_in_the_order_of_coming() -> (
    None
):
    places, served = Places(), []

    async def ask(party: str) -> None:
        async with places.soon(party, 1, 60):
            served.append(party)

    with places.one("sc-01", 1):
        asking = [asyncio.create_task(ask(f"sc-1{number}")) for number in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(RateLimited), places.one("sc-02", 2):  # nobody passes those in line
            pass
        assert served == []
    await asyncio.gather(*asking)
    assert served == [f"sc-1{number}" for number in range(5)]
    assert (places._taken, dict(places._of), list(places._line)) == (0, {}, [])


async def test_who_waits_for_too_long_is_sent_away_and_takes_no_place_with_him() -> None:
    places = Places()
    with places.one("sc-01", 1):
        with pytest.raises(RateLimited):
            async with places.soon("sc-02", 1, 0.0):
                pass
        gone = asyncio.create_task(_stand(places, "sc-03"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert (places._taken, dict(places._of), list(places._line)) == (0, {}, [])


async def test_a_place_that_is_handed_to_one_who_leaves_in_that_moment_goes_to_the_next() -> None:
    places, served = Places(), []

    async def ask(party: str) -> None:
        async with places.soon(party, 1, 60):
            served.append(party)

    with places.one("sc-01", 1):
        leaving, staying = (asyncio.create_task(ask(party)) for party in ("sc-02", "sc-03"))
        await asyncio.sleep(0)
    leaving.cancel()  # the place is his already, and he has not been told yet
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await staying
    assert served == ["sc-03"]
    assert (places._taken, dict(places._of)) == (0, {})


async def test_a_party_in_line_has_no_more_than_its_share() -> None:
    places = Places()
    with ExitStack() as taken:
        for number in range(8):
            taken.enter_context(places.one(f"sc-{number}", 8))
        waiting = [asyncio.create_task(_stand(places, "sc-9", 8)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RateLimited):
            await _stand(places, "sc-9", 8)
    await asyncio.gather(*waiting)


async def _stand(places: Places, party: str, most: int = 1) -> None:
    async with places.soon(party, most, 60):
        pass
