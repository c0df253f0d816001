"""The operators' side of webhooks, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.ledger.port import Position
from gateway.pipeline.webhook_positions import CHANNEL
from tests.flows.office import CENTER, World
from tests.web.site import Site, open_site
from tests.webhooks.receiver import telling
from tests.webhooks.test_delivery import events

REPLAY = f"/v1/admin/webhooks/{CENTER}/replay"
ASKED = {"from_cursor": "2", "reason": "lost there"}


@pytest.fixture
async def site(world: World, tmp_path: Path) -> AsyncIterator[Site]:
    world.engine = telling(world.engine, "https://center.example/hook", allow_private=False)
    async with aiohttp.ClientSession() as session:
        opened = await open_site(world, tmp_path, session)
        yield opened
        await opened.host.stop()


async def test_only_operators_get_in(site: Site) -> None:
    for method, path in (("GET", "/v1/admin/webhooks"), ("POST", REPLAY)):
        for token in ("", "guess", site.token()):
            answer = await site.call(method, path, admin=True, token=token)
            assert answer.status == 401


async def test_webhooks_are_listed(site: Site) -> None:
    await events(site.world, 2)
    answer = await site.get("/v1/admin/webhooks", admin=True)
    (hook,) = answer.json["webhooks"]
    assert (hook["party"], hook["cursor"], hook["waiting"]) == (CENTER, "0", 2)
    assert "secret" not in answer.body.decode()


async def test_a_replay_sets_the_position_back_in_the_operator_s_name(site: Site) -> None:
    await site.world.engine.ledger.mark(CENTER, CHANNEL, Position(9))
    answer = await site.admin_post(REPLAY, ASKED, operator="operator-2")
    assert (answer.status, answer.json["cursor"]) == (200, "1")
    assert (await site.world.engine.ledger.position(CENTER, CHANNEL)).seq == 1
    metrics = (await site.get("/metrics", admin=True, token="")).body.decode()
    assert 'gateway_operator_actions_total{action="webhook_replay"} 1.0' in metrics


async def test_what_was_never_delivered_is_not_skipped_by_a_replay(site: Site) -> None:
    answer = await site.admin_post(REPLAY, ASKED)
    assert (answer.status, answer.code) == (409, "not_delivered_yet")


@pytest.mark.parametrize("party", ["sc-02", "nobody", "%2e%2e"])
async def test_a_party_without_a_webhook_is_not_found(site: Site, party: str) -> None:
    answer = await site.admin_post(f"/v1/admin/webhooks/{party}/replay", ASKED)
    assert answer.status == 404


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"from_cursor": "2"},
        {"reason": "r"},
        {**ASKED, "from_cursor": 2},
        {**ASKED, "from_cursor": "-1"},
        {**ASKED, "from_cursor": "٢"},
        {**ASKED, "from_cursor": "1" * 19},
        {**ASKED, "reason": ""},
        {**ASKED, "more": 1},
    ],
)
async def test_a_replay_that_is_not_understood_changes_nothing(site: Site, document: Any) -> None:
    await site.world.engine.ledger.mark(CENTER, CHANNEL, Position(9))
    answer = await site.admin_post(REPLAY, document)
    assert (answer.status, answer.code) == (422, "request_invalid")
    assert (await site.world.engine.ledger.position(CENTER, CHANNEL)).seq == 9
