from __future__ import annotations

import asyncio
import json
import pickle
import zlib
from datetime import UTC, datetime, timedelta
from time import struct_time
from typing import Any

import jwt
import pytest

from gateway.bus.command import read_command
from gateway.bus.consumer import Intake
from gateway.bus.proof import ProofRules, sign_command
from gateway.errors import Conflict, Refused, Unavailable
from schemas.violation import Violation
from tests.bus.conftest import Network
from tests.bus.doubles import NOW, Department, Keys

REJECTED = "umrah.commands.rejected"
SECRET = "Zamzam-4711"


async def rejected(department: Department, count: int = 1) -> list[Any]:
    return await asyncio.to_thread(department.read, REJECTED, count)


async def test_a_command_is_taken_for_its_proven_sender(network: Network) -> None:
    await network.start()
    licensing = network.department()
    command = licensing.command()
    licensing.send(command)
    await network.noted.heard("taken", "licensing", "licensee.status", False)
    assert network.desk.taken == {("licensing", command["id"]): ("licensee.status", command["data"])}


async def test_a_command_sent_twice_is_accepted_once(network: Network) -> None:
    await network.start()
    licensing = network.department()
    command = licensing.command()
    licensing.send(command)
    licensing.send(command)
    await network.noted.heard("taken", "licensing", "licensee.status", False)
    await network.noted.heard("taken", "licensing", "licensee.status", True)
    assert len(network.desk.taken) == 1
    assert licensing.waiting(REJECTED) == 0


async def test_a_command_that_waited_before_the_gateway_started_is_taken(network: Network) -> None:
    bus = await network.start()
    assert await bus.stop()
    licensing = network.department()
    licensing.send(licensing.command())
    await network.make().start()
    await network.noted.heard("taken", "licensing", "licensee.status", False)


async def test_a_refused_command_is_set_aside_with_its_reason_and_place(network: Network) -> None:
    await network.start()
    fault = Violation("too_long", "/licensee_id", {"limit": 40})
    network.desk.errors = [Refused("too_long", violations=(fault,))]
    licensing = network.department()
    body = licensing.send(licensing.command(data={"licensee_id": SECRET}))
    (message,) = await rejected(licensing)
    headers = message.headers
    assert headers["reason_code"] == "too_long"
    assert headers["reason_pointer"] == "/data/licensee_id"
    assert "40" in headers["reason_text"]
    assert "40" in headers["reason_text_ar"]
    assert json.loads(headers["reasons"])[0]["pointer"] == "/data/licensee_id"
    assert headers["sender"] == "licensing"
    assert SECRET not in str(headers)
    assert bytes(message.body) == body
    await network.noted.heard("rejected", "licensing", "too_long")


async def test_a_conflict_is_set_aside(network: Network) -> None:
    await network.start()
    network.desk.errors = [Conflict("idempotency_key_reused")]
    licensing = network.department()
    licensing.send(licensing.command())
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == "idempotency_key_reused"


async def test_a_command_that_cannot_be_taken_now_is_offered_until_it_can(network: Network) -> None:
    await network.start()
    network.desk.errors = [Unavailable("ledger_unavailable")] * 3 + [
        Conflict("batch_in_progress", retry_after_s=1)
    ]
    licensing = network.department()
    licensing.send(licensing.command())
    await network.noted.heard("taken", "licensing", "licensee.status", False)
    assert network.desk.calls == 5
    assert network.noted.told.count(("postponed", "licensing", "licensee.status")) == 4
    assert licensing.waiting(REJECTED) == 0


async def test_a_command_that_makes_the_gateway_fail_is_set_aside_in_the_end(network: Network) -> None:
    await network.start()
    network.desk.errors = [ZeroDivisionError(SECRET)] * 5
    licensing = network.department()
    licensing.send(licensing.command())
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == "internal_error"
    assert SECRET not in str(message.headers)
    assert network.desk.calls == 5


async def test_a_forged_sender_is_set_aside(network: Network) -> None:
    await network.start()
    licensing = network.department()
    body = licensing.send(licensing.command(), signer="nobody")
    other = sign_command(network.keys.private["committee"], "licensing", "umrah-gateway", body, NOW)
    another_body = sign_command(network.keys.private["licensing"], "licensing", "umrah-gateway", b"x", NOW)
    audience = sign_command(network.keys.private["licensing"], "licensing", "elsewhere", body, NOW)
    for authorization in (other, another_body, audience, "Bearer x.y.z", "Basic abc", 7):
        licensing.send(body, headers={"authorization": authorization})
    codes = [message.headers["reason_code"] for message in await rejected(licensing, 7)]
    assert sorted(codes) == ["body_not_signed", *["unauthenticated"] * 6]
    assert not network.desk.calls


async def test_a_command_may_wait_for_days_but_not_for_ever(network: Network) -> None:
    rules = ProofRules(max_age_s=3 * 86_400)
    await network.start(intake=Intake(kinds={"licensee.status": 1}, proof=rules))
    licensing = network.department()
    key = network.keys.private["licensing"]
    for days in (2, 4):
        body = json.dumps(licensing.command()).encode()
        signed = sign_command(key, "licensing", "umrah-gateway", body, NOW - timedelta(days=days))
        licensing.send(body, headers={"authorization": signed})
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == "command_too_old"
    await network.noted.heard("taken", "licensing", "licensee.status", False)


def _event(**given: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "one",
        "source": "urn:umrah:party:licensing",
        "type": "licensee.status",
        "data": {"licensee_id": SECRET},
        **given,
    }


def _json(**given: Any) -> bytes:
    return json.dumps(_event(**given)).encode()


POISON: dict[str, tuple[bytes, dict[str, Any], str, str]] = {
    "pickle": (pickle.dumps(_event()), {"content_type": "application/x-python-serialize"},
               "unsupported_media_type", ""),
    "pickle_said_to_be_json": (pickle.dumps(_event()), {}, "encoding_not_utf8", ""),
    "bad_json": (b'{"specversion": ', {}, "invalid_json", ""),
    "empty": (b"", {}, "invalid_json", ""),
    "not_an_object": (b"[]", {}, "not_a_cloudevent", ""),
    "duplicate_key": (b'{"id": "1", "id": "2"}', {}, "duplicate_key", ""),
    "nan": (b'{"id": NaN}', {}, "number_not_allowed", ""),
    "huge_number": (b'{"id": 1e999}', {}, "number_not_allowed", ""),
    "long_integer": (b'{"id": ' + b"9" * 5_000 + b"}", {}, "number_not_allowed", ""),
    "deep": (b"[" * 50_000, {}, "nesting_too_deep", ""),
    "rather_deep": (_json(data={"x": json.loads("[" * 40 + "]" * 40)}), {}, "nesting_too_deep", ""),
    "lone_surrogate": (_json(data={"name_en": "\ud800"}), {}, "invalid_format", "/data/name_en"),
    "byte_order_mark": (b"\xef\xbb\xbf" + _json(), {}, "invalid_json", ""),
    "other_media_type": (_json(), {"content_type": "application/json"}, "unsupported_media_type", ""),
    "batch_of_events": (_json(), {"content_type": "application/cloudevents-batch+json"},
                        "unsupported_media_type", ""),
    "compression_header": (zlib.compress(_json()), {"headers": {"compression": "application/x-gzip"}},
                           "compression_refused", ""),
    "unknown_compression": (_json(), {"headers": {"compression": "x/y"}}, "compression_refused", ""),
    "content_encoding": (zlib.compress(_json()), {"content_encoding": "gzip"}, "compression_refused", ""),
    "unknown_kind": (_json(type="licensee.gossip"), {}, "unknown_kind", "/type"),
    "unknown_version": (_json(dataschema="urn:umrah:kind:licensee.status:v9"), {},
                        "unknown_version", "/dataschema"),
    "unknown_specversion": (_json(specversion="0.3"), {}, "not_a_cloudevent", "/specversion"),
    "no_id": (_json(id=""), {}, "not_a_cloudevent", "/id"),
    "no_data": (_json(data=None), {}, "not_a_cloudevent", "/data"),
    "xml_data": (_json(datacontenttype="text/xml"), {}, "not_a_cloudevent", "/datacontenttype"),
    "too_large": (_json(data={"x": "x" * 100_000}), {}, "body_too_large", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
async def test_a_poison_body_is_set_aside_and_the_next_command_passes(network: Network, name: str) -> None:
    await network.start()
    body, properties, code, pointer = POISON[name]
    licensing = network.department()
    licensing.send(body, **properties)
    licensing.send(licensing.command())
    await network.noted.heard("taken", "licensing", "licensee.status", False)
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == code
    assert message.headers["reason_pointer"] == pointer
    assert SECRET not in str(message.headers)
    assert message.content_type == "application/octet-stream"
    assert bytes(message.body or b"") == (body if len(body) <= 100_000 else b"")
    assert network.desk.calls == 1


async def test_a_compressed_body_is_never_unpacked(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[str] = []
    monkeypatch.setattr("kombu.message.decompress", lambda _body, name: unpacked.append(name))
    await network.start()
    sender = network.department()
    sender.send(zlib.compress(b"0" * 10_000_000), headers={"compression": "application/x-gzip"})
    await network.noted.heard("rejected", None, "compression_refused")
    assert unpacked == []


async def test_what_is_under_way_is_finished_before_the_bus_stops(network: Network) -> None:
    started, release = asyncio.Event(), asyncio.Event()
    take = network.desk.__call__

    async def slow(*args: Any) -> Any:
        started.set()
        await release.wait()
        return await take(*args)

    network.desk = slow  # type: ignore[assignment]
    bus = await network.start()
    licensing = network.department()
    licensing.send(licensing.command())
    await started.wait()
    stopping = asyncio.create_task(bus.stop())
    release.set()
    assert await stopping
    await network.noted.heard("taken", "licensing", "licensee.status", False)


async def test_prefetch_bounds_what_is_held_at_once(real_network: Network) -> None:
    release = asyncio.Event()
    held = 0
    most = 0
    take = real_network.desk.__call__

    async def slow(*args: Any) -> Any:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await release.wait()
        held -= 1
        return await take(*args)

    real_network.desk = slow  # type: ignore[assignment]
    await real_network.start(intake=Intake(kinds={"licensee.status": 1}, prefetch=5))
    licensing = real_network.department()
    for _ in range(20):
        licensing.send(licensing.command())
    async with asyncio.timeout(30):
        while most < 5:
            await asyncio.sleep(0)
    release.set()
    await real_network.noted.heard("taken", "licensing", "licensee.status", False, times=20)
    assert most == 5


class _EndOfTime(datetime):
    """Goes over the wire as a timestamp that Python has no date for."""

    def utctimetuple(self) -> struct_time:
        return struct_time((1970, 1, 1, 0, 0, 2**63, 0, 1, 0))


UNREADABLE: dict[str, dict[str, Any]] = {
    "content_type": {"content_type": b"\xff\xfe"},
    "message_id": {"message_id": b"\xff\xfe"},
    "timestamp": {"headers": {"at": _EndOfTime(2026, 1, 1, tzinfo=UTC)}},
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_properties_that_cannot_be_read_are_set_aside_and_the_next_command_passes(
    real_network: Network, name: str
) -> None:
    await real_network.start()
    licensing = real_network.department()
    body = licensing.send(licensing.command(), **UNREADABLE[name])
    licensing.send(licensing.command())
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == "properties_unreadable"
    assert bytes(message.body) == body
    await real_network.noted.heard("taken", "licensing", "licensee.status", False)
    assert real_network.noted.told.count(("connected", "consumer", False)) == 0
    assert real_network.desk.calls == 1


async def test_a_routing_key_that_cannot_be_read_changes_nothing(real_network: Network) -> None:
    await real_network.start()
    licensing = real_network.department()
    licensing.send(
        licensing.command(),
        exchange="umrah.commands",
        routing_key=b"\xff\xfe",
        headers={"CC": ["umrah.commands"]},
    )
    await real_network.noted.heard("taken", "licensing", "licensee.status", False)
    assert real_network.noted.told.count(("connected", "consumer", False)) == 0


async def test_a_signed_digest_that_is_no_text_is_set_aside(network: Network) -> None:
    await network.start()
    licensing = network.department()
    claims = {"iss": "licensing", "aud": "umrah-gateway", "iat": int(NOW.timestamp()), "sha256": "\ud800"}
    token = jwt.encode(claims, network.keys.private["licensing"], algorithm="EdDSA")
    licensing.send(licensing.command(), headers={"authorization": f"Bearer {token}"})
    licensing.send(licensing.command())
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == "body_not_signed"
    await network.noted.heard("taken", "licensing", "licensee.status", False)


async def test_a_command_that_the_reader_fails_on_is_set_aside_and_the_next_one_passes(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(body: bytes, *rest: Any) -> Any:
        if SECRET.encode() in body:
            raise ValueError(SECRET)
        return read_command(body, *rest)

    monkeypatch.setattr("gateway.bus.consumer.read_command", failing)
    await network.start()
    licensing = network.department()
    licensing.send(licensing.command(data={"licensee_id": SECRET}))
    licensing.send(licensing.command())
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == "bad_request"
    assert message.headers["sender"] == "licensing"
    assert SECRET not in str(message.headers)
    await network.noted.heard("taken", "licensing", "licensee.status", False)
    assert network.noted.told.count(("connected", "consumer", False)) == 0


async def test_a_withdrawn_key_proves_nobody_any_more(network: Network) -> None:
    bus = await network.start()
    licensing = network.department()
    licensing.send(licensing.command())
    await network.noted.heard("taken", "licensing", "licensee.status", False)
    bus.use(Keys("committee"))
    licensing.send(licensing.command())
    (message,) = await rejected(licensing)
    assert message.headers["reason_code"] == "unauthenticated"
    assert network.desk.calls == 1
