from __future__ import annotations

import json
import re
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pytest

from adapters.service_centers import READERS, WRITERS
from adapters.service_centers.message_format import read_xml
from gateway.flows import FLOWS
from gateway.web.docs_page import POLICY, docs_page
from gateway.web.examples import EXAMPLES, example_batch
from gateway.web.openapi import document
from schemas.kinds import KINDS
from tests.web.site import Site

TODAY = date(2026, 11, 22)
DOCUMENT = document("http://127.0.0.1:8080", TODAY, WRITERS)


def _faults(schema: dict[str, Any], value: Any) -> list[Any]:
    # Takes half a second to load: not in each process that shares the tests.
    from openapi_schema_validator import OAS31Validator

    return list(OAS31Validator(schema).iter_errors(value))


def test_the_document_is_valid_openapi_3_1() -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


async def test_every_route_is_documented_and_every_documented_route_exists(site: Site) -> None:
    assert site.host._public is not None
    routes = site.host._public.runner.app.router.routes()
    registered = {(route.method.lower(), route.resource.canonical) for route in routes if route.resource}
    documented = {
        (method, _routed(method, path)) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert registered == documented


def _routed(method: str, path: str) -> str:
    """Each kind of message is documented apart; one route takes them all."""
    return "/v1/messages/{kind}" if method == "post" and path in SENDING else path


SENDING = {f"/v1/messages/{kind}": kind for kind, schema in KINDS.items() if not schema.outgoing}


def test_every_kind_that_a_party_may_send_is_documented_and_no_other() -> None:
    documented = {path for path in DOCUMENT["paths"] if "post" in DOCUMENT["paths"][path]}
    assert documented & {f"/v1/messages/{kind}" for kind in KINDS} == set(SENDING)
    assert set(SENDING.values()) == set(FLOWS)


@pytest.mark.parametrize("kind", sorted(SENDING.values()))
def test_the_example_of_a_kind_fits_its_documented_schema_and_a_wrong_one_does_not(kind: str) -> None:
    body = DOCUMENT["paths"][f"/v1/messages/{kind}"]["post"]["requestBody"]["content"]
    schema = {**body["application/json"]["schema"], "components": DOCUMENT["components"]}
    example = body["application/json"]["example"]
    assert not _faults(schema, example)
    assert _faults(schema, {**example, "colour": "red"})
    assert read_xml(body["application/xml"]["example"].encode(), KINDS[kind]) == example


async def test_messages_notifications_and_reports_have_the_documented_shape(site: Site) -> None:
    status = dict(KINDS["licensee.status"].example) | {"licensee_id": "LIC-1001", "version": 2}
    taken = await site.message("licensee.status", status, party="licensing")
    conforms("Taken", taken)
    conforms("MessageState", await site.get(taken.headers["Location"], token=site.token("licensing")))
    await site.submit(site.batch(1))
    await site.world.carry_until_rest()
    page = await site.get("/v1/notifications")
    kinds = {event["kind"] for event in page.json["notifications"]}
    assert kinds == {"licensee.status", "batch.completed", "visa.result"}
    conforms("Notifications", page)
    for event in page.json["notifications"]:
        described = DOCUMENT["components"]["schemas"][f"event.{event['kind']}"]
        assert set(event["data"]) <= _properties(described)
    conforms("Confirmed", await site.post(f"/v1/notifications/confirm?cursor={page.json['cursor']}"))
    for path, name in (("visa-flow", "event.visa_flow.report"), ("season", "event.season.report")):
        conforms(name, await site.get(f"/v1/reports/{path}", token=site.token("licensing")))


def test_a_notification_with_data_of_another_kind_does_not_fit() -> None:
    event = {
        "cursor": "1", "id": "1", "kind": "season.report", "subject": "1448",
        "time": "2026-11-22T00:00:00.000+00:00", "classification": "restricted", "data": {"season": "x"},
    }  # fmt: skip
    schema = {"$ref": "#/components/schemas/Notification", "components": DOCUMENT["components"]}
    assert _faults(schema, event)
    assert not _faults(schema, {**event, "data": {"season": 1448}})
    assert not _faults(schema, {**event, "data": None})


async def test_the_document_is_served_as_it_was_made(site: Site) -> None:
    answer = await site.get("/openapi.json", token="")
    made = document(site.host.public_url, site.world.clock.today(), WRITERS)
    assert answer.json == json.loads(json.dumps(made))


def test_every_format_that_is_read_or_written_has_an_example() -> None:
    assert set(EXAMPLES) == set(READERS)
    results = DOCUMENT["paths"]["/v1/batches/{id}/results"]["get"]["responses"]["200"]["content"]
    assert {media for media in results if results[media]["example"]} == set(WRITERS)


@pytest.mark.parametrize("media", sorted(EXAMPLES))
async def test_the_example_of_each_format_is_accepted(site: Site, media: str) -> None:
    example = example_batch(media, site.world.clock.today())
    body = example if isinstance(example, str) else json.dumps(example)
    answer = await site.submit(body.encode(), media=media)
    assert (answer.status, answer.json.get("rejected")) == (202, [])


def conforms(name: str, answer: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    assert not _faults(schema, answer.json), name
    described = set(_properties(DOCUMENT["components"]["schemas"][name]))
    assert set(answer.json) <= described, name


async def test_answers_have_the_documented_shape(site: Site) -> None:
    good, bad = site.world.applications(2)
    bad["sex"] = "Q"
    receipt = await site.submit(site.batch([good, bad]))
    conforms("Receipt", receipt)
    batch = receipt.json["batch_id"]
    await site.world.carry_until_rest()
    conforms("BatchProgress", await site.get(f"/v1/batches/{batch}"))
    page = await site.get(f"/v1/batches/{batch}/applications")
    conforms("Page", page)
    conforms("Results", await site.get(f"/v1/batches/{batch}/results"))
    conforms("RejectedLines", await site.get(f"/v1/batches/{batch}/rejected"))
    conforms("BatchStatus", await site.post(f"/v1/batches/{batch}/confirm"))
    message = page.json["applications"][0]["application_id"]
    conforms("Result", await site.get(f"/v1/messages/{message}"))
    conforms("Cancellation", await site.post(f"/v1/applications/{message}/cancel"))
    conforms("BatchCancellation", await site.post(f"/v1/batches/{batch}/cancel"))
    conforms("Problem", await site.get("/v1/batches/1"))
    conforms("Problem", await site.submit(site.batch([good, bad]), key="2", query="?mode=all_or_nothing"))


def _properties(schema: Any) -> set[str]:
    return set(schema.get("properties", {}))


class _Page(HTMLParser):
    """Collects what a page would fetch, run, or link to inside itself."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.attributes |= set(given)
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if given.get("href"):
            self.links.append(str(given["href"]))


def test_the_page_for_people_fetches_and_runs_nothing() -> None:
    page = _Page()
    page.feed(docs_page(DOCUMENT))
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "style", "onclick", "onload"} & page.attributes
    assert "'sha256-" in POLICY


def test_every_link_inside_the_page_leads_somewhere() -> None:
    page = _Page()
    page.feed(docs_page(DOCUMENT))
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert len(inside) > 20
    assert set(inside) <= page.ids


def test_the_page_shows_every_call_with_a_curl_line_and_every_example() -> None:
    text = docs_page(DOCUMENT)
    for path, methods in DOCUMENT["paths"].items():
        assert f"<code>{path}</code>" in text
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in text
    assert text.count("curl") >= sum(len(methods) for methods in DOCUMENT["paths"].values())
    for media in EXAMPLES:
        assert f"Body as {media}" in text


async def test_the_style_of_the_page_is_the_one_that_its_policy_allows(site: Site) -> None:
    import base64
    import hashlib

    answer = await site.get("/docs", token="")
    style = re.search(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


def test_no_text_of_the_document_can_become_markup() -> None:
    changed = {**DOCUMENT, "info": {**DOCUMENT["info"], "title": "<script>", "description": "<b>`<i>`"}}
    page = _Page()
    page.feed(docs_page(changed))
    assert not {"script", "b", "i"} & set(page.tags)
