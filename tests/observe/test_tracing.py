from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.interior.operations import PASSPORT_VERIFICATION
from adapters.interior.services import PASSPORTS
from cli.ministry_bus import LedgerOutbox
from gateway.bus.port import CHANNEL
from gateway.errors import Misconfigured
from gateway.message import PartyId
from gateway.observe import tracing
from gateway.observe.spans import Spans
from gateway.pipeline.worker import Worker
from schemas.kinds import KINDS
from tests.bus.conftest import Network, empty_memory
from tests.bus.doubles import Outbox
from tests.deploy.rules import ROOT
from tests.pipeline.world import World
from tests.rest import partners as rest_partners
from tests.soap import partners
from tests.web.site import Site

CHECK = "licensee.activation_check"
LICENSING = PartyId("licensing")
CALLERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def spans(kept: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in kept.get_finished_spans() if span.name == name]


def trace_of(span: ReadableSpan) -> str:
    return f"{span.get_span_context().trace_id:032x}"  # type: ignore[union-attr]


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def carry(world: World) -> None:
    """As the worker does: claimed by it, not by the test."""
    engine = world.engine
    worker = Worker(engine)
    await engine.ledger.sweep(now=engine.now(), release=10_000)
    while await worker._claim(64):
        await asyncio.wait(worker._carried)
        await engine.ledger.sweep(now=engine.now(), release=10_000)


async def posted(site: Site, **headers: str) -> str:
    """A message that leads to calls and to an event; its id."""
    answer = await site.message(CHECK, dict(KINDS[CHECK].example), party="licensing", headers=headers)
    assert answer.status == 202, answer.body
    return str(answer.json["message_id"])


# --- one message, one trace -----------------------------------------------------------------------------


async def test_a_message_is_one_trace_from_its_post_to_its_calls_and_its_event(
    site: Site, kept: InMemorySpanExporter
) -> None:
    called: list[str] = []
    for partner in site.world.engine.partners.values():
        _note_headers(partner, called)
    message = await posted(site, traceparent=CALLERS)
    await carry(site.world)

    (answer,) = spans(kept, "answer")
    assert trace_of(answer) == CALLERS.split("-")[1]
    (receive,) = spans(kept, "receive")
    assert told(receive) == {"message_id": message, "kind": CHECK}
    assert [link.context.span_id for link in receive.links] == [answer.get_span_context().span_id]  # type: ignore[union-attr]

    trace = trace_of(receive)
    (carried,), calls, (settled,) = (spans(kept, name) for name in ("carry", "call", "settle"))
    assert carried.parent is not None
    assert carried.parent.span_id == receive.get_span_context().span_id  # type: ignore[union-attr]
    assert len(calls) == 4
    for span in (*calls, settled):
        assert trace_of(span) == trace
        assert span.parent == carried.get_span_context()
    assert sorted(header.split("-")[1:3] for header in called) == sorted(
        [trace, f"{call.get_span_context().span_id:016x}"]  # type: ignore[union-attr]
        for call in calls
    )
    (sent,) = await _published(site.world)
    (publish,) = spans(kept, "publish")
    assert sent["traceparent"] == f"00-{trace}-{publish.get_span_context().span_id:016x}-01"  # type: ignore[union-attr]
    assert trace_of(publish) == trace


def _note_headers(partner: Any, called: list[str]) -> None:
    send = partner.send

    async def noting(*args: Any, **options: Any) -> Any:
        called.append(tracing.headers()["traceparent"])
        return await send(*args, **options)

    partner.send = noting


async def _published(world: World) -> Sequence[dict[str, Any]]:
    """The headers of the events that the bus sends to licensing, by its real publisher."""
    empty_memory()
    events = await LedgerOutbox(lambda: world.engine).after(LICENSING, CHANNEL, 100)
    outbox = Outbox()
    outbox.events[LICENSING] = list(events)
    network = Network("memory://", outbox)
    await network.start()
    await outbox.marked(LICENSING, events[-1].seq)
    found = network.department(LICENSING).read("umrah.events.licensing", len(events))
    await network.close()
    return [message.headers for message in found]


async def test_after_a_restart_the_trace_goes_on_though_nothing_of_it_was_stored(site: Site) -> None:
    first, second = InMemorySpanExporter(), InMemorySpanExporter()
    tracing.use(Spans(SimpleSpanProcessor(first)))
    await posted(site)
    tracing.use(Spans(SimpleSpanProcessor(second)))  # as another process
    await carry(site.world)
    tracing.stop()
    (receive,), (carried,) = spans(first, "receive"), spans(second, "carry")
    assert trace_of(carried) == trace_of(receive)
    assert carried.parent is not None
    assert carried.parent.span_id == receive.get_span_context().span_id  # type: ignore[union-attr]


async def test_every_line_of_a_batch_has_a_trace_of_its_own(site: Site, kept: InMemorySpanExporter) -> None:
    await site.submit(site.batch(3))
    await carry(site.world)
    received = spans(kept, "receive")
    assert len({trace_of(span) for span in received}) == 3
    (request,) = spans(kept, "answer")
    assert {link.context.trace_id for span in received for link in span.links} == {
        request.get_span_context().trace_id  # type: ignore[union-attr]
    }
    for name, count in (("call", 9), ("commit", 3), ("settle", 3)):
        found = spans(kept, name)
        assert len(found) == count
        assert {trace_of(span) for span in found} == {trace_of(span) for span in received}


async def test_a_repeated_message_is_not_received_twice(site: Site, kept: InMemorySpanExporter) -> None:
    await posted(site)
    repeated = await site.message(CHECK, dict(KINDS[CHECK].example), party="licensing")
    assert repeated.json["duplicate"] is True
    assert len(spans(kept, "receive")) == 1


async def test_a_command_from_the_bus_belongs_to_the_trace_of_its_sender(kept: InMemorySpanExporter) -> None:
    async def work() -> str:
        tracing.born("m-1", kind="licensee.status")
        return "taken"

    assert await tracing.under("command", {"traceparent": CALLERS, "tracestate": "x=y"}, work()) == "taken"
    (command,), (receive,) = spans(kept, "command"), spans(kept, "receive")
    assert trace_of(command) == CALLERS.split("-")[1]
    assert receive.links[0].context.span_id == command.get_span_context().span_id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "header", ["", "garbage", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x" * 5000, b"00"]
)
async def test_a_header_that_is_none_begins_a_new_trace(kept: InMemorySpanExporter, header: Any) -> None:
    async def work() -> None:
        return None

    await tracing.under("command", {"traceparent": header}, work())
    (command,) = spans(kept, "command")
    assert command.parent is None


# --- on the wire ----------------------------------------------------------------------------------------


async def test_a_soap_partner_gets_the_trace_as_an_http_header(kept: InMemorySpanExporter) -> None:
    seen: list[web.Request] = []
    bodies: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        bodies.append(await request.read())
        return web.Response(status=503)

    async with (
        partners.serving([web.post("/p", answer)]) as url,
        partners.partner(PASSPORTS, url + "/p") as through,
    ):
        with tracing.of_message(partners.MESSAGE, "call"):
            await partners.attempt(through, PASSPORT_VERIFICATION)
        await partners.attempt(through, PASSPORT_VERIFICATION)
    (call,) = spans(kept, "call")
    assert seen[0].headers["traceparent"].split("-")[1] == trace_of(call)
    assert "traceparent" not in seen[1].headers
    assert all(b"traceparent" not in body for body in bodies), "what is signed stays as the contract says"


async def test_a_rest_partner_gets_it_too(kept: InMemorySpanExporter) -> None:
    refusal = b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n"
    async with (
        rest_partners.answering(lambda _: refusal) as (url, sent),
        rest_partners.partner(rest_partners.SERVICE, url) as through,
    ):
        with tracing.of_message(partners.MESSAGE, "call"):
            await rest_partners.attempt(through)
    (call,) = spans(kept, "call")
    assert sent[0][0]["traceparent"].split("-")[1] == trace_of(call)


# --- nothing personal, and no one else's wishes -------------------------------------------------------------


async def test_spans_tell_allow_listed_things_only(site: Site, kept: InMemorySpanExporter) -> None:
    applications = site.world.applications(2)
    await site.submit(site.batch(applications))
    await site.get("/v1/batches/C4412345?passport=C4412345")
    await carry(site.world)
    allowed = set(tracing.ATTRIBUTES.values())
    text = "".join(span.to_json() for span in kept.get_finished_spans())
    for span in kept.get_finished_spans():
        assert set(told(span)) <= allowed, span.name
        assert not span.events
        assert not span.status.description
    for application in applications:
        for secret in (application["passport"]["number"], application["name"]["family"]):
            assert secret not in text
    assert "C4412345" not in text


async def test_what_is_not_allow_listed_is_left_out_and_so_is_what_an_exception_says(
    kept: InMemorySpanExporter,
) -> None:
    with (
        pytest.raises(ValueError, match="C4412345"),
        tracing.of_message("m-1", "call", passport="C4412345") as span,
    ):
        span.tell(name="Siti", state="ok", operation=None)
        raise ValueError("C4412345")
    (call,) = spans(kept, "call")
    assert told(call) == {"message_id": "m-1", "state": "ok"}
    assert "C4412345" not in call.to_json()
    assert not call.status.is_ok


def test_all_processes_keep_the_same_share_whatever_callers_ask_for() -> None:
    exporters = [InMemorySpanExporter(), InMemorySpanExporter()]
    for exporter in exporters:
        tracing.use(Spans(SimpleSpanProcessor(exporter), ratio=0.25))
        for number in range(400):
            with tracing.of_message(f"m-{number}", "call"):
                pass
        with tracing.received("answer", "00-" + "f" * 32 + "-b7ad6b7169203331-01"):
            pass
    tracing.stop()
    one, other = ({told(span)["message_id"] for span in spans(each, "call")} for each in exporters)
    assert one == other
    assert 60 < len(one) < 140
    assert not spans(exporters[0], "answer"), "the caller's sampled flag is no order"


# --- off, as shipped ------------------------------------------------------------------------------------


async def test_without_traces_no_header_is_sent_and_nothing_is_kept(site: Site) -> None:
    called: list[Any] = []
    for partner in site.world.engine.partners.values():
        send = partner.send

        async def noting(*args: Any, _send: Any = send, **options: Any) -> Any:
            called.append(tracing.headers())
            return await _send(*args, **options)

        partner.send = noting  # type: ignore[method-assign]
    await posted(site, traceparent=CALLERS)
    await carry(site.world)
    assert called
    assert not any(called)
    assert tracing.received("answer", CALLERS) is tracing.NOTHING


def test_off_nothing_of_opentelemetry_is_imported() -> None:
    """The whole of the gateway, as `serve` imports it."""
    program = (
        "import sys, cli.serve, cli.bootstrap, cli.supervisor; from gateway.observe import tracing;"
        "assert tracing.start({}) is False;"
        "off = {'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://x', 'OTEL_SDK_DISABLED': 'true'};"
        "assert tracing.start(off) is False;"
        "sys.exit(sum(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0


def test_asked_for_without_the_extra_the_start_is_refused() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None; from gateway.observe import tracing;"
        "tracing.start({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://x'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Misconfigured" in done.stderr
    assert "umrah-gateway[tracing]" in done.stderr


@pytest.mark.parametrize("ratio", ["x", "-0.1", "1.5"])
def test_a_share_that_is_none_is_refused(ratio: str) -> None:
    with pytest.raises(Misconfigured, match="share"):
        tracing.start({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", tracing.RATIO: ratio})


async def test_spans_go_to_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTLP over HTTP; the exporter reads the address from the environment itself."""
    bodies: list[bytes] = []

    async def collect(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    async with partners.serving([web.post("/v1/traces", collect)]) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        assert tracing.start({"OTEL_EXPORTER_OTLP_ENDPOINT": url}) is True
        with tracing.of_message("m-1", "call", destination="nic"):
            pass
        await asyncio.to_thread(tracing.stop)
    assert len(bodies) == 1
    assert b"umrah-gateway" in bodies[0]
    assert b"nic" in bodies[0]


def test_the_page_tells_every_attribute() -> None:
    page = (ROOT / "docs" / "tracing.md").read_text()
    for name in tracing.ATTRIBUTES.values():
        assert f"`{name}`" in page
    assert tracing.RATIO in page
