"""`RestPartner` towards a partner that behaves: what is sent, the bulkhead, the latest instant to send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.message import Answered, NotDone, Unknown
from gateway.ports import PreparedRequest
from gateway.rest import RestPartner
from gateway.rest.hosting import Call, routes
from tests.rest.partners import SERVICE, answering, attempt, partner
from tests.soap.partners import context, serving

OPEN = Answered({"result": {"status": "OPEN"}})


def http_ok(body: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def good(headers: Mapping[str, str]) -> bytes:
    return http_ok(json.dumps({"correlation_id": headers["x-correlation-id"], "result": {"status": "OPEN"}}))


@dataclass
class Shop:
    """Answers once `gate` is open, and counts."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[Call] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def answer(self, call: Call) -> Mapping[str, Any]:
        self.calls.append(call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.gate.wait()
        # Others of the same instant come in first.
        await asyncio.sleep(0)
        self.at_once -= 1
        return {"result": {"status": "OPEN"}}


@asynccontextmanager
async def calling(shop: Shop, **options: Any) -> AsyncIterator[RestPartner]:
    async with (
        serving(routes("/shop", SERVICE, shop.answer)) as url,
        partner(SERVICE, url + "/shop", **options) as through,
    ):
        yield through


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.gate.set()
    return shop


async def test_a_request_carries_our_reference_and_an_id_of_its_own() -> None:
    async with answering(good) as (url, sent), partner(SERVICE, url + "/shop/") as through:
        ends = [await attempt(through, call_context=context("m-1/shop.opening")) for _ in range(2)]

    assert ends == [OPEN, OPEN]
    (first, body), (second, _) = sent
    assert first[":start"] == "POST /shop/v1/openings/ask HTTP/1.1"
    assert first["content-type"] == first["accept"] == "application/json"
    assert first["idempotency-key"] == second["idempotency-key"] == "m-1/shop.opening"
    assert first["x-correlation-id"] != second["x-correlation-id"]
    assert json.loads(body) == {"who": "me"}, "what is not there is left out, and nothing else goes along"


@pytest.mark.parametrize(
    "values", [{}, {"who": 1}, {"who": "me", "more": "x"}, {"who": "me", "how_many": "1"}, {"who": "\ud800"}]
)
async def test_values_outside_the_contract_are_a_conversion_fault_that_tells_no_value(
    values: dict[str, Any],
) -> None:
    async with partner(SERVICE, "http://127.0.0.1:1") as through:
        with pytest.raises(Refused) as refused:
            through.prepare("Ask", values, context())
    assert refused.value.code == "conversion_failed"
    assert refused.value.detail in ("Ask: ValidationError", "Ask: PydanticSerializationError")
    assert refused.value.__suppress_context__


async def test_a_request_of_another_partner_is_a_mistake_of_ours(shop: Shop) -> None:
    async with calling(shop) as through:
        with pytest.raises(TypeError):
            await through.send(PreparedRequest("Ask", b"{}", "id"), send_by_boottime_s=1e12)
        assert shop.calls == []


async def test_after_the_latest_instant_nothing_is_sent(shop: Shop) -> None:
    async with calling(shop) as through:
        assert await attempt(through, send_within_s=-1.0) == NotDone("send_by_passed")
    assert shop.calls == []


async def test_a_refused_connection_is_provably_not_sent() -> None:
    async with partner(SERVICE, "http://127.0.0.1:1") as through:
        assert await attempt(through) == NotDone("not_connected")


async def test_an_address_that_is_none_is_provably_not_sent() -> None:
    async with partner(SERVICE, "http://bad address") as through:
        assert await attempt(through) == NotDone("address_invalid")


async def test_the_next_good_reply_passes_after_a_bad_one() -> None:
    turns = iter((http_ok("{"),))

    def answer(headers: Mapping[str, str]) -> bytes:
        bad = next(turns, None)
        return good(headers) if bad is None else bad

    async with answering(answer) as (url, _), partner(SERVICE, url) as through:
        assert await attempt(through) == Unknown("reply_invalid_json", answered=True)
        assert await attempt(through) == OPEN
