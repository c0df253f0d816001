"""The journal by person, party and period, each decision with the policy text in force at it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from gateway.clock import RIYADH
from gateway.ledger.journal import Entry
from gateway.ledger.port import Ledger
from tests.access.journal import noted
from tests.access.test_disclosures import issued
from tests.web.site import Site

PATH = "/v1/admin/audit/entries"
WHY = {"reason": "complaint 4711"}


async def configure(ledger: Ledger, at: int, **files: str) -> None:
    """As the gateway does at its start and with each reload."""
    texts = {
        f"{name}.yaml": (hashlib.sha256(text.encode()).hexdigest(), text) for name, text in files.items()
    }
    detail = {"files": {name: digest for name, (digest, _) in texts.items()}}
    await ledger.configured(texts, Entry(at, "configuration", "gateway", detail=detail))  # type: ignore[arg-type]


async def lines(site: Site, query: str = "", person: dict[str, Any] | None = None, **more: Any) -> list[Any]:
    """What an auditor gets."""
    if person is None:
        answer = await site.get(f"{PATH}{query}", admin=True, token=site.operator_token("auditor-1"))
    else:
        passport = {name: person["passport"][name] for name in ("number", "issuing_state")}
        answer = await site.admin_post(PATH, {"passport": passport, **WHY, **more}, operator="auditor-1")
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.body.splitlines()]


def entries(found: list[Any]) -> list[Any]:
    return [one for one in found if one["type"] == "entry"]


async def test_each_entry_comes_with_the_policy_in_force_at_it(site: Site) -> None:
    ledger = site.world.engine.ledger
    await configure(ledger, 1, confidentiality="old lists", controls="as ever")
    await issued(site)
    await configure(ledger, 2, confidentiality="new lists", controls="as ever")
    await issued(site, key="key-2", seed=9)
    found = await lines(site)
    texts = {one["digest"]: one["text"] for one in found if one["type"] == "text"}
    assert sorted(texts.values()) == ["as ever", "new lists", "old lists"]
    assert all(hashlib.sha256(text.encode()).hexdigest() == digest for digest, text in texts.items())
    policies = {one["configuration"]: one["files"] for one in found if one["type"] == "configuration"}

    def policy(entry: Any) -> str:
        return str(texts[policies[entry["configuration"]]["confidentiality.yaml"]])

    calls = [one for one in entries(found) if one["action"] == "intent"]
    assert [policy(one) for one in calls] == ["old lists", "new lists"]
    known: set[Any] = set()
    for one in found:  # nothing is named before it was given
        if one["type"] == "entry":
            assert one.get("configuration") is None or one["configuration"] in known
        known.add(one.get("configuration") if one["type"] == "configuration" else one.get("digest"))


async def test_an_entry_is_as_the_exported_log_has_it_and_names_what_was_disclosed(site: Site) -> None:
    await issued(site)
    rows = {row.number: row for row in await site.world.engine.ledger.journal(after=0, limit=1000)}
    found = entries(await lines(site))
    assert [one["number"] for one in found] == sorted(rows)[: len(found)]
    assert all(one["hash"] == rows[one["number"]].hash.hex() for one in found)
    (intent,) = [one for one in found if one["action"] == "intent"]
    (given,) = [one for one in intent["disclosed"] if one["receiver"] == "foreign-affairs"]
    assert "passport.number" in given["fields"]
    assert given["purpose"] == "Issuing the visa"


async def test_the_entries_of_a_party_are_its_own_those_about_it_and_those_that_tell_it(site: Site) -> None:
    await issued(site)
    everything = entries(await lines(site))
    center, nic = entries(await lines(site, "?party=sc-01")), entries(await lines(site, "?party=nic"))
    assert {one["action"] for one in center} > {"intent"}
    assert all(one["actor"] == "sc-01" or one.get("message") or one.get("batch") for one in center)
    assert len(nic) == 1
    assert [one["receiver"] for one in nic[0]["disclosed"]].count("nic") == 1
    assert entries(await lines(site, "?party=sc-02")) == []
    assert len(everything) > len(center)


async def test_a_period_is_days_of_riyadh_both_included(site: Site) -> None:
    clock = site.world.clock
    days = []
    for seed, key in enumerate(("key-1", "key-2", "key-3")):
        days.append(clock.now().astimezone(RIYADH).date().isoformat())
        await issued(site, key=key, seed=20 + seed)
        clock.pass_by(days=2)

    async def issuances(query: str) -> int:
        return [one["action"] for one in entries(await lines(site, query))].count("intent")

    first, second, third = days
    assert await issuances("") == 3
    assert await issuances(f"?from={first}&until={first}") == 1
    assert await issuances(f"?from={second}") == 2
    assert await issuances(f"?until={second}") == 2
    assert await issuances(f"?from={first}&until={third}") == 3
    assert await issuances("?until=2020-01-01") == 0


async def test_days_that_are_none_are_refused(site: Site) -> None:
    token = site.operator_token("auditor-1")
    for query in ("?from=2026-13-01", "?until=yesterday", "?from=99999-01-01", "?until=9999-12-31"):
        answer = await site.get(f"{PATH}{query}", admin=True, token=token)
        assert (answer.status, answer.code) == (422, "request_invalid"), query


async def test_more_entries_than_a_page_holds_all_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.audit_entries._SPAN", 3)
    await issued(site, 4)
    last = await site.world.engine.ledger.audit_head()
    assert len(entries(await lines(site))) == last


async def test_a_person_s_entries_are_those_of_that_person(site: Site) -> None:
    batch, (first, second) = await issued(site, 2)
    (one, other) = await site.world.rows(batch)  # type: ignore[arg-type]
    found = entries(await lines(site, person=first))
    assert {entry.get("message") for entry in found} <= {one.id, None}
    assert {entry["action"] for entry in found} >= {"intent"}
    assert entries(await lines(site, person=second, party="sc-02")) == []
    assert entries(await lines(site, person=second, until="2020-01-01")) == []
    own = {entry.get("message") for entry in entries(await lines(site, person=second, party="nic"))}
    assert own == {other.id}


async def test_both_questions_are_entries_themselves(site: Site) -> None:
    batch, (application,) = await issued(site)
    await lines(site, "?party=sc-01&from=2026-11-01")
    await lines(site, person=application)
    by_party, by_person = await noted(site.world.engine.ledger, "audit_entries")
    assert (by_party.actor, (by_party.detail or {})["party"]) == ("auditor-1", "sc-01")
    (row,) = await site.world.rows(batch)  # type: ignore[arg-type]
    assert (by_person.actor, by_person.message_id) == ("auditor-1", row.id)
    assert by_person.note and site.world.engine.vault.read_note(by_person.note) == WHY["reason"]


async def test_an_operator_s_reason_is_shown_to_the_auditor(site: Site) -> None:
    batch = (await site.submit()).json["batch_id"]
    (row,) = await site.world.rows(batch)
    await site.admin_post(f"/v1/admin/messages/{row.id}/cancel", {"reason": "asked by the center"})
    (cancelled,) = [one for one in entries(await lines(site)) if one.get("reason")]
    assert (cancelled["actor"], cancelled["reason"]) == ("operator-1", "asked by the center")


async def test_nothing_that_a_message_says_stands_in_the_entries(site: Site) -> None:
    _, (application,) = await issued(site)
    text = json.dumps(await lines(site), ensure_ascii=False)
    for value in (
        application["passport"]["number"],
        *application["name"].values(),
        application["birth_date"],
    ):
        assert value not in text


async def test_a_person_needs_a_reason(site: Site) -> None:
    passport = {"number": "A1234567", "issuing_state": "UTO"}
    answer = await site.admin_post(PATH, {"passport": passport}, operator="auditor-1")
    assert (answer.status, answer.code) == (422, "request_invalid")
