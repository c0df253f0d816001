"""What reaches a center's own server, over real sockets."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from gateway.clock import SystemClock
from gateway.ledger.port import Position
from gateway.message import PartyId
from gateway.pipeline.notify import confirm
from gateway.pipeline.webhook_positions import CHANNEL, list_webhooks, replay
from gateway.values import replace
from gateway.webhooks.schedule import GIVE_UP_AFTER
from tests.flows.office import CENTER, LICENSING, World, send
from tests.webhooks.receiver import SECRET, Receiver, courier

OTHER_SECRET = b"fedcba9876543210fedcba9876543210"


def verifier(secret: bytes = SECRET) -> Verifier:
    return Verifier("whsec_" + b64encode(secret).decode())


async def events(world: World, count: int = 3) -> list[int]:
    """So many events for the center, `batch.completed` the last; their cursors."""
    if count == 1:
        await send(world, LICENSING, "licensee.status")
    else:
        await world.submit(count - 1)
        await world.carry_until_rest()
    return [event.seq for event in await world.engine.ledger.events(CENTER, after=0, limit=1000)]


async def position(world: World) -> Position:
    return await world.engine.ledger.position(CENTER, CHANNEL)


def count(world: World, result: str) -> float:
    found = world.engine.metrics.registry.get_sample_value(
        "gateway_webhook_deliveries_total", {"party": CENTER, "result": result}
    )
    return found or 0.0


async def test_a_notice_is_verified_by_a_library_that_is_not_ours(world: World, receiver: Receiver) -> None:
    await events(world, 1)
    engine = replace(world.engine, clock=SystemClock())  # the library looks at the time itself
    async with courier(engine, receiver.url) as delivering:
        await delivering.round()
    headers, body = receiver.got[0]
    assert verifier().verify(body, dict(headers)) == json.loads(body)
    for wrong in (body.replace(b"licensee", b"Licensee"), body + b" "):
        with pytest.raises(WebhookVerificationError):
            verifier().verify(wrong, dict(headers))
    with pytest.raises(WebhookVerificationError):
        verifier(OTHER_SECRET).verify(body, dict(headers))


async def test_while_a_secret_is_changed_both_sign(world: World, receiver: Receiver) -> None:
    await events(world, 1)
    engine = replace(world.engine, clock=SystemClock())
    async with courier(engine, receiver.url, secrets=(SECRET, OTHER_SECRET)) as delivering:
        await delivering.round()
    headers, body = receiver.got[0]
    for secret in (SECRET, OTHER_SECRET):
        verifier(secret).verify(body, dict(headers))


async def test_a_hundred_and_more_go_out_in_one_round_in_order_each_once(
    world: World, receiver: Receiver
) -> None:
    cursors = await events(world, 130)
    async with courier(world.engine, receiver.url) as delivering:
        assert await delivering.round() == 130
        assert await delivering.round() == 0
    assert receiver.cursors == cursors
    assert count(world, "delivered") == 130
    assert await position(world) == Position(cursors[-1])


async def test_a_notice_says_what_to_fetch_and_nothing_of_a_person(world: World, receiver: Receiver) -> None:
    applications = world.applications(3)
    receipt = await world.submit(applications)
    await world.carry_until_rest()
    await send(world, LICENSING, "licensee.status")
    await send(world, LICENSING, "group.registration", version=2)
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
    kinds = [notice["type"] for notice in receiver.notices]
    assert kinds.count("visa.result") == 3
    assert "licensee.status" in kinds
    sent = b"".join(body for _, body in receiver.got).decode() + str([h for h, _ in receiver.got])
    for canary in personal(applications):
        assert canary not in sent
    for notice in receiver.notices:
        assert set(notice) == {"type", "timestamp", "data"}
        assert set(notice["data"]) <= {"cursor", "kind", "subject", "batch_id", "message_id"}
    assert receiver.notices[0]["data"]["batch_id"] == receipt.batch_id


async def test_the_message_behind_an_event_with_data_is_not_named(world: World, receiver: Receiver) -> None:
    taken = await send(world, LICENSING, "licensee.status")
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
    (notice,) = receiver.notices
    assert taken.message_id not in str(notice)


def personal(applications: list[dict[str, Any]]) -> list[str]:
    """Every text of an application that names or finds a person."""
    found = []
    for application in applications:
        found += [application["passport"]["number"], application["birth_date"], application["reference"]]
        found += [text for text in _texts(application.get("name", {})) if len(text) > 2]
    assert len(found) > 3 * len(applications)
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    return [value] if isinstance(value, str) else []


async def test_after_a_500_the_same_notice_comes_again_and_nothing_overtakes_it(
    world: World, receiver: Receiver
) -> None:
    cursors = await events(world)
    receiver.answers = [204, 500, 204]
    async with courier(world.engine, receiver.url) as delivering:
        assert await delivering.round() == 1
        assert await delivering.round() == 0  # not due yet
        assert receiver.cursors == cursors[:2]
        stands = await position(world)
        assert (stands.seq, stands.failures) == (cursors[0], 1)
        assert stands.next_at is not None
        assert stands.next_at > world.engine.now()
        world.clock.pass_by(seconds=5)
        assert await delivering.round() == 2
    assert receiver.cursors == [cursors[0], cursors[1], *cursors[1:]]
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids[1] == ids[2]
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.got]
    assert stamps[2] - stamps[1] == 5
    assert await position(world) == Position(cursors[-1])
    assert (count(world, "delivered"), count(world, "failed")) == (3, 1)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 503])
async def test_any_other_answer_is_no_delivery_and_no_redirect_is_followed(
    world: World, receiver: Receiver, status: int
) -> None:
    await events(world, 1)
    receiver.answers = [status]
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    async with courier(world.engine, receiver.url) as delivering:
        assert await delivering.round() == 0
    assert len(receiver.got) == 1
    assert (await position(world)).failures == 1


async def test_the_waits_grow_with_the_failures(world: World, receiver: Receiver) -> None:
    await events(world, 1)
    receiver.answers = [503]
    waits = []
    async with courier(world.engine, receiver.url) as delivering:
        for _ in range(14):
            await delivering.round()
            due = (await position(world)).next_at
            assert due is not None
            waits.append((due - world.engine.now()) / 1_000_000)
            world.clock.pass_by(seconds=waits[-1] + 0.001)
    assert len(receiver.got) == 14
    assert all(1.25 <= wait <= 3_600 for wait in waits)
    assert max(waits[:3]) <= 20 < max(waits[8:])


async def test_a_receiver_that_nobody_reaches_costs_nothing_but_time(world: World) -> None:
    await events(world, 1)
    async with courier(world.engine, "http://127.0.0.1:9/hook") as delivering:
        assert await delivering.round() == 0
    assert (await position(world)).failures == 1


async def test_after_three_days_of_failures_an_event_is_skipped_and_the_next_tried_at_once(
    world: World, receiver: Receiver
) -> None:
    cursors = await events(world, 2)
    receiver.answers = [500, 500, 500, 204]
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
        world.clock.pass_by(seconds=GIVE_UP_AFTER.total_seconds() - 60)
        await delivering.round()
        assert (await position(world)).seq == 0
        world.clock.pass_by(seconds=4_000)
        assert await delivering.round() == 1
    assert receiver.cursors == [cursors[0]] * 3 + [cursors[1]]
    assert count(world, "skipped") == 1
    assert await position(world) == Position(cursors[1])


async def test_an_old_event_tried_late_has_its_three_days_too(world: World, receiver: Receiver) -> None:
    await events(world, 1)
    world.clock.pass_by(days=10)
    receiver.answers = [500, 204]
    async with courier(world.engine, receiver.url) as delivering:
        assert await delivering.round() == 0
        world.clock.pass_by(seconds=5)
        assert await delivering.round() == 1
    assert count(world, "skipped") == 0


async def test_a_receiver_that_is_gone_is_not_called_again_until_the_configuration_changes(
    world: World, receiver: Receiver
) -> None:
    await events(world, 2)
    receiver.answers = [410, 204]
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
        world.clock.pass_by(days=1)
        await delivering.round()
    async with courier(world.engine, receiver.url) as restarted:
        await restarted.round()
        shown = await list_webhooks(restarted.engine)
    assert len(receiver.got) == 1
    assert shown["webhooks"][0]["state"] == "stopped"
    async with courier(world.engine, f"{receiver.url}/new") as changed:
        assert await changed.round() == 2


async def test_a_restart_goes_on_where_it_was(world: World, receiver: Receiver) -> None:
    cursors = await events(world)
    receiver.answers = [204, 500, 204]
    async with courier(world.engine, receiver.url) as first:
        await first.round()
    async with courier(world.engine, receiver.url) as second:
        assert await second.round() == 0  # the wait was kept
        world.clock.pass_by(seconds=5)
        assert await second.round() == 2
    assert receiver.cursors == [cursors[0], cursors[1], *cursors[1:]]


async def test_what_was_confirmed_before_there_was_a_webhook_is_not_told_again(
    world: World, receiver: Receiver
) -> None:
    cursors = await events(world)
    await confirm(CENTER, str(cursors[1]), world.engine)
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
    assert receiver.cursors == cursors[2:]


async def test_an_operator_s_replay_tells_again_from_that_cursor_on(world: World, receiver: Receiver) -> None:
    cursors = await events(world)
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
        await replay(CENTER, str(cursors[1]), "operator-1", "lost there", delivering.engine)
        await delivering.round()
        await replay(CENTER, "1", "operator-1", "lost there", delivering.engine)
        await delivering.round()
    assert receiver.cursors == [*cursors, *cursors[1:], *cursors]


async def test_a_replay_during_a_delivery_is_not_undone_by_its_mark(world: World, receiver: Receiver) -> None:
    cursors = await events(world)

    async def while_it_is_delivered() -> None:
        if receiver.cursors == cursors:
            await replay(CENTER, "1", "operator-1", "lost there", delivering.engine)

    receiver.during = while_it_is_delivered
    async with courier(world.engine, receiver.url) as delivering:
        assert await delivering.round() == 3
        assert await delivering.round() == 3
    assert receiver.cursors == [*cursors, *cursors]


async def test_a_replay_calls_a_receiver_again_that_was_gone(world: World, receiver: Receiver) -> None:
    await events(world, 2)
    receiver.answers = [204, 410, 204]
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
        await replay(CENTER, "1", "operator-1", "it is back", delivering.engine)
        assert await delivering.round() == 2


async def test_each_party_is_told_its_own(world: World, receiver: Receiver) -> None:
    await events(world, 1)
    await send(world, CENTER, "readiness.report")
    async with courier(world.engine, receiver.url) as delivering:
        await delivering.round()
    own = await world.engine.ledger.events(CENTER, after=0, limit=100)
    others = await world.engine.ledger.events(PartyId("licensing"), after=0, limit=100)
    assert others
    assert receiver.cursors == [event.seq for event in own]


async def test_what_operators_see_of_a_webhook(world: World, receiver: Receiver) -> None:
    await events(world, 2)
    receiver.answers = [500]
    async with courier(world.engine, receiver.url) as delivering:
        (before,) = (await list_webhooks(delivering.engine))["webhooks"]
        await delivering.round()
        (shown,) = (await list_webhooks(delivering.engine))["webhooks"]
    assert (before["state"], before["waiting"], before["next_at"]) == ("delivering", 2, None)
    assert (shown["party"], shown["state"], shown["failures"], shown["waiting"]) == (CENTER, "failing", 1, 2)
    assert shown["failing_since"] == world.clock.now().isoformat(timespec="milliseconds")
    assert shown["next_at"] > shown["failing_since"]
