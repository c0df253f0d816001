"""What a stand-in takes and refuses: it must not be kinder than the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import ValidationError

from gateway.rest.hosting import Call, routes
from tests.rest.partners import SERVICE
from tests.soap.partners import serving

HEADERS = {"Content-Type": "application/json", "Idempotency-Key": "k", "X-Correlation-Id": "c"}


async def answer(call: Call) -> Mapping[str, Any]:
    if call.values["who"] == "nobody":
        return {"service_error": {"error_type": "Business", "code": "UNKNOWN"}}
    return {"result": {"status": "OPEN"}}


@pytest.mark.parametrize(
    ("headers", "body", "status", "expected"),
    [
        ({}, b'{"who": "me"}', 200, {"correlation_id": "c", "result": {"status": "OPEN"}}),
        ({"Content-Type": "text/plain"}, b'{"who": "me"}', 415, {"code": "unsupported_media_type"}),
        ({"Idempotency-Key": ""}, b'{"who": "me"}', 400, {"code": "header_missing"}),
        ({"X-Correlation-Id": ""}, b'{"who": "me"}', 400, {"code": "header_missing"}),
        ({}, b'{"who": "me", "who": "me"}', 422, {"code": "duplicate_key"}),
        ({}, b'{"who": 1}', 422, {"code": "schema_invalid"}),
        ({}, b"{", 422, {"code": "invalid_json"}),
    ],
)
async def test_a_request_is_taken_only_as_the_contract_has_it(
    headers: dict[str, str], body: bytes, status: int, expected: dict[str, Any]
) -> None:
    async with serving(routes("/shop", SERVICE, answer)) as url, ClientSession() as session:
        address = f"{url}/shop/v1/openings/ask"
        async with session.post(address, data=body, headers=HEADERS | headers) as response:
            assert (response.status, await response.json()) == (status, expected)


async def test_a_refusal_is_answered_with_200() -> None:
    async with serving(routes("", SERVICE, answer)) as url, ClientSession() as session:
        address = f"{url}/v1/openings/ask"
        async with session.post(address, data=b'{"who": "nobody"}', headers=HEADERS) as response:
            body = await response.json()
    assert body["service_error"]["code"] == "UNKNOWN"
    assert body["correlation_id"] == "c"


def test_an_answer_outside_the_contract_is_a_fault_of_the_stand_in() -> None:
    from gateway.rest.reply import reply_model

    model = reply_model(SERVICE.actions["Ask"].reply)
    with pytest.raises(ValidationError):
        model.model_validate({"correlation_id": "c", "result": {"status": "PERHAPS"}})
