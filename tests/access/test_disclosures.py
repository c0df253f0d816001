"""Who was given what of a person: every path by which something leaves, and the question itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.errors import Unavailable, Uncertain
from gateway.message import Answered, Deferred
from gateway.pipeline.day import new_day
from schemas.kinds import KINDS
from tests.access.journal import noted
from tests.flows.border import number_of, number_visas
from tests.web.site import CSV, JSON, XML, Site

REASON = "the person asks"
WHOSE = ("number", "issuing_state")


async def ask(site: Site, passport: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """As an auditor."""
    body = {"passport": {name: passport[name] for name in WHOSE}, "reason": REASON, **changes}
    answer = await site.admin_post("/v1/admin/disclosures", body, operator="auditor-1")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def told(found: Mapping[str, Any], receiver: str) -> list[tuple[str, tuple[str, ...]]]:
    """Operation and fields of everything that this one was given."""
    return [
        (one["operation"], tuple(one["fields"]))
        for one in found["disclosures"]
        if one["receiver"] == receiver
    ]


def receivers(found: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(one["receiver"], one["operation"]) for one in found["disclosures"] if one["receiver"]}


async def issued(
    site: Site, count: int = 1, key: str = "key-1", seed: int = 7
) -> tuple[str, list[dict[str, Any]]]:
    """A batch whose visas are issued; what was submitted of each person."""
    number_visas(site.world)
    batch = (await site.submit(site.batch(count, seed=seed), key=key)).json["batch_id"]
    await site.world.carry_until_rest()
    assert {row.outcome for row in await site.world.rows(batch)} == {"issued"}
    return batch, site.world.applications(count, seed)


async def visa_number(site: Site, batch: str, line: int = 0) -> str:
    rows = await site.world.rows(batch)  # type: ignore[arg-type]
    return await number_of(site.world, rows[line].id)


# --- partners ----------------------------------------------------------------------------------------------


async def test_each_partner_is_named_with_the_fields_it_was_given(site: Site) -> None:
    batch, (application, _) = await issued(site, 2)
    found = await ask(site, application["passport"])
    grants = site.world.engine.settings.confidentiality.grants
    for destination, operation in (
        ("nic", "interior.security_clearance"),
        ("passports", "interior.passport_verification"),
        ("foreign-affairs", "foreign_affairs.visa_issuance"),
    ):
        ((name, fields),) = told(found, destination)
        assert name == operation
        assert "passport.number" in fields
        assert set(fields) <= set(grants[destination][operation].fields)
        (one,) = [one for one in found["disclosures"] if one["receiver"] == destination]
        assert one["purpose"] == grants[destination][operation].purpose
        assert one["rule"] == site.world.engine.settings.confidentiality.version
        assert (one["batch_id"], one["lines"], one["certain"]) == (batch, [1], True)
    assert [(one["kind"], one["line"], one["state"]) for one in found["messages"]] == [
        ("visa.application", 1, "completed")
    ]
    assert found["under_way"] == []


async def test_nothing_of_the_person_stands_in_the_answer(site: Site) -> None:
    _, (application,) = await issued(site)
    text = json.dumps(await ask(site, application["passport"]), ensure_ascii=False)
    for value in (
        application["passport"]["number"],
        *application["name"].values(),
        application["birth_date"],
    ):
        assert value not in text


async def test_a_passport_is_found_however_it_is_written(site: Site) -> None:
    _, (application,) = await issued(site)
    number, state = (application["passport"][name] for name in WHOSE)
    first = (await ask(site, application["passport"]))["disclosures"]
    for other in (number.lower(), f"{number}<<", f"{number[:1].lower()}{number[1:]}<"):
        found = await ask(site, {"number": other, "issuing_state": state.lower()})
        assert found["disclosures"][: len(first)] == first, other


async def test_another_person_in_the_same_batch_is_not_mixed_in(site: Site) -> None:
    batch, (first, second) = await issued(site, 2)
    await site.get(f"/v1/batches/{batch}/applications?limit=1")
    assert ("sc-01", "results") in receivers(await ask(site, first["passport"]))
    assert ("sc-01", "results") not in receivers(await ask(site, second["passport"]))


async def test_a_call_that_was_repeated_is_there_each_time(site: Site) -> None:
    site.world.nic.scripts["CheckClearance"] = [
        Unavailable("technical_failure"), Uncertain("reply_timeout"), Answered({"cleared": True}),
    ]  # fmt: skip
    _, (application,) = await issued(site)
    given = told(await ask(site, application["passport"]), "nic")
    assert len(given) == 3
    assert len(set(given)) == 1


async def test_a_call_that_provably_never_left_gave_nothing(site: Site) -> None:
    site.world.nic.scripts["CheckClearance"] = [Unavailable("not_connected"), Answered({"cleared": True})]
    _, (application,) = await issued(site)
    assert len(told(await ask(site, application["passport"]), "nic")) == 1


async def test_an_inquiry_gives_what_its_question_says(site: Site) -> None:
    site.world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("reply_timeout")]
    batch = (await site.submit()).json["batch_id"]
    await site.world.carry_until_rest()
    (application,) = site.world.applications(1)
    found = await ask(site, application["passport"])
    actions = {one["action"] for one in found["disclosures"] if one["receiver"] == "foreign-affairs"}
    assert "intent" in actions and len(actions) > 1, actions
    assert (await site.world.rows(batch))[0].outcome == "issued"


async def test_a_question_asked_again_later_is_a_disclosure_of_its_own(site: Site) -> None:
    site.world.nic.scripts["CheckClearance"] = [
        Deferred("answer_pending", "REF-1"), Answered({"cleared": True})
    ]  # fmt: skip
    _, (application,) = await issued(site)
    assert len(told(await ask(site, application["passport"]), "nic")) == 2


async def test_an_intent_whose_call_is_open_is_uncertain_until_it_is_settled(site: Site) -> None:
    site.world.foreign_affairs.scripts["IssueVisa"] = [Uncertain("reply_timeout")]
    await site.submit()
    await site.world.carry_due()
    (application,) = site.world.applications(1)
    (call,) = [
        one
        for one in (await ask(site, application["passport"]))["disclosures"]
        if one["receiver"] == "foreign-affairs" and one["action"] == "intent"
    ]
    assert call["certain"] is False
    await site.world.carry_until_rest()
    found = await ask(site, application["passport"])
    assert all(one["certain"] for one in found["disclosures"])


async def test_what_is_being_carried_is_under_way(site: Site) -> None:
    batch = (await site.submit()).json["batch_id"]
    engine = site.world.engine
    await engine.ledger.sweep(now=engine.now(), release=10)
    lease = engine.now() + 60_000_000
    (claimed,) = await engine.ledger.claim("w", 10, now=engine.now(), lease_until=lease)  # type: ignore[arg-type]
    (application,) = site.world.applications(1)
    found = await ask(site, application["passport"])
    assert (found["under_way"], found["disclosures"]) == ([claimed.id], [])
    site.world.clock.pass_by(seconds=61)
    await engine.ledger.sweep(now=engine.now(), release=10)
    found = await ask(site, application["passport"])
    (lost,) = [one for one in found["disclosures"] if one["receiver"] is None]
    assert (lost["receiver"], lost["fields"], lost["certain"]) == (None, None, False)
    assert (lost["batch_id"], lost["lines"], lost["action"]) == (batch, [1], "lease_ended")


# --- results ----------------------------------------------------------------------------------------------


async def test_results_in_any_format_are_noted_before_they_are_given(site: Site) -> None:
    batch, (application,) = await issued(site)
    for count, accept in enumerate((JSON, CSV, XML, "application/x-ndjson"), start=1):
        answer = await site.get(f"/v1/batches/{batch}/results", headers={"Accept": accept})
        assert answer.status == 200
        given = told(await ask(site, application["passport"]), "sc-01")
        assert [operation for operation, _ in given] == ["results"] * count
        assert "visa.number" in given[-1][1]


async def test_pages_and_single_applications_are_noted_with_their_lines(site: Site) -> None:
    batch, applications = await issued(site, 3)
    await site.get(f"/v1/batches/{batch}/applications?limit=2")
    rows = await site.world.rows(batch)  # type: ignore[arg-type]
    await site.get(f"/v1/messages/{rows[2].id}")
    counts = [len(told(await ask(site, one["passport"]), "sc-01")) for one in applications]
    assert counts == [1, 1, 1]
    (page,) = [
        o for o in (await ask(site, applications[1]["passport"]))["disclosures"] if o["receiver"] == "sc-01"
    ]
    assert (page["message_id"], page["lines"], page["actor"]) == (None, [2], "sc-01")


async def test_rejected_lines_are_given_back_to_their_center_and_to_nobody_s_account_but_theirs(
    site: Site,
) -> None:
    good, bad = site.world.applications(2)
    batch = (await site.submit(site.batch([good, {**bad, "visa_type": "none"}]))).json["batch_id"]
    answer = await site.get(f"/v1/batches/{batch}/rejected")
    assert bad["passport"]["number"].encode() in answer.body
    assert [name for name, _ in told(await ask(site, bad["passport"]), "sc-01")] == ["rejected_lines"]
    assert told(await ask(site, good["passport"]), "sc-01") == []


# --- what names the visa ------------------------------------------------------------------------------------


async def test_movements_cases_complaints_and_what_the_committee_decides_are_found_by_the_visa(
    site: Site,
) -> None:
    batch, (application, other) = await issued(site, 2)
    number = await visa_number(site, batch)
    licensee = (await site.world.rows(batch))[0].facts.licensee  # type: ignore[arg-type]
    await _message(site, "passports", "movement.arrival", event_id="M-1", visa_number=number)
    await _message(site, "sc-01", "case.report", visa_number=number, licensee_id=licensee)
    await _message(site, "sc-01", "complaint.submission", visa_number=number, licensee_id=licensee)
    await _message(
        site, "sc-01", "compliance.report", visa_numbers=[number], licensee_id=licensee,
        package_id=None, group_number=None,
    )  # fmt: skip
    referrals = await site.get("/v1/notifications?cursor=0&limit=100", token=site.token("committee"))
    (case,) = [one["data"]["case_id"] for one in referrals.json["notifications"]]
    await _message(site, "committee", "committee.decision", case_id=case, revision=1, decision="upheld")
    found = await ask(site, application["passport"])
    assert {
        ("pilgrim-services", "movement.arrival"),
        ("sc-01", "movement.arrival"),
        ("pilgrim-services", "case.report"),
        ("pilgrim-services", "complaint.submission"),
        ("committee", "committee.referral"),
        ("licensing", "compliance.report"),
        ("pilgrim-services", "compliance.report"),
        ("pilgrim-services", "committee.decision"),
    } <= receivers(found)
    kinds = {one["kind"] for one in found["messages"]}
    assert kinds >= {"movement.arrival", "case.report", "complaint.submission", "committee.decision"}
    ((_, fields),) = [one for one in told(found, "pilgrim-services") if one[0] == "complaint.submission"]
    assert {"visa_number", "text"} <= set(fields)
    assert {name for _, name in receivers(await ask(site, other["passport"]))} == {
        "interior.security_clearance", "interior.passport_verification", "foreign_affairs.visa_issuance",
    }  # fmt: skip


async def _message(site: Site, party: str, kind: str, **changes: Any) -> None:
    """A system's comes over SOAP: here as its door hands it on."""
    body = {name: value for name, value in {**KINDS[kind].example, **changes}.items() if value is not None}
    if party == "passports":
        from gateway.message import PartyId
        from gateway.pipeline.take import Arrival, take

        await take(Arrival(PartyId(party), kind, body, "soap"), site.world.engine)
        return
    answer = await site.message(kind, body, party=party, headers={"Idempotency-Key": f"{kind}-1"})
    assert answer.status == 202, answer.body


async def test_an_overstay_is_told_to_passports_and_to_whom_it_concerns(site: Site) -> None:
    number_visas(site.world, "2026-12-20")
    batch = (await site.submit()).json["batch_id"]
    await site.world.carry_until_rest()
    number = await visa_number(site, batch)
    await _message(site, "passports", "movement.arrival", event_id="M-1", visa_number=number,
                   at="2026-12-02T12:00:00+03:00")  # fmt: skip
    site.world.clock.pass_by(days=40)
    await new_day(site.world.engine)
    await site.world.carry_until_rest()
    (application,) = site.world.applications(1)
    found = receivers(await ask(site, application["passport"]))
    assert ("passports", "interior.overstay_report") in found
    assert ("pilgrim-services", "overstay.notice") in found
    assert ("sc-01", "overstay.notice") in found


async def test_a_cancellation_is_found_by_its_application(site: Site) -> None:
    batch, (application,) = await issued(site)
    (row,) = await site.world.rows(batch)  # type: ignore[arg-type]
    answer = await site.post(f"/v1/applications/{row.id}/cancel")
    assert answer.status in (200, 202), answer.body
    await site.world.carry_until_rest()
    found = await ask(site, application["passport"])
    assert ("foreign-affairs", "foreign_affairs.visa_cancellation") in receivers(found)
    assert [one["kind"] for one in found["messages"]] == ["visa.application", "visa.cancellation"]


async def test_a_person_of_several_batches_and_seasons_is_one(site: Site) -> None:
    (application,) = site.world.applications(1)
    site.world.foreign_affairs.scripts["IssueVisa"] = [Answered({})]
    batches = []
    for key in ("key-1", "key-2"):
        batches.append((await site.submit(key=key)).json["batch_id"])
        (row,) = await site.world.rows(batches[-1])
        await site.post(f"/v1/applications/{row.id}/cancel")
    found = await ask(site, application["passport"])
    assert [one["batch_id"] for one in found["messages"]] == batches


# --- operators ----------------------------------------------------------------------------------------------


async def test_a_reveal_is_a_disclosure_to_the_operator(site: Site) -> None:
    batch, (application,) = await issued(site)
    (row,) = await site.world.rows(batch)  # type: ignore[arg-type]
    await site.admin_post(f"/v1/admin/messages/{row.id}/reveal", {"reason": "why", "fields": ["name.given"]})
    found = await ask(site, application["passport"])
    assert told(found, "operator:operator-1") == [("reveal", ("name.given",))]


async def test_the_question_is_an_entry_itself_and_the_next_one_who_asks_sees_it(site: Site) -> None:
    batch, (application,) = await issued(site)
    assert ("operator:auditor-1", "disclosures") not in receivers(await ask(site, application["passport"]))
    assert told(await ask(site, application["passport"]), "operator:auditor-1") == [("disclosures", ())]
    entries = await noted(site.world.engine.ledger, "disclosures")
    (row,) = await site.world.rows(batch)  # type: ignore[arg-type]
    assert [(entry.actor, entry.message_id) for entry in entries] == [("auditor-1", row.id)] * 2
    vault = site.world.engine.vault
    assert all(entry.note and vault.read_note(entry.note) == REASON for entry in entries)


async def test_a_question_about_nobody_known_is_noted_too_and_tells_nothing_of_whom(site: Site) -> None:
    found = await ask(site, {"number": "Q9999999", "issuing_state": "UTO"})
    assert found == {"messages": [], "disclosures": [], "under_way": []}
    (entry,) = await noted(site.world.engine.ledger, "disclosures")
    assert (entry.message_id, (entry.detail or {})["found"]) == (None, 0)
    assert "Q9999999" not in json.dumps(entry.detail)


UNSOUND: list[Any] = [
    {},
    {"passport": {"number": "A1", "issuing_state": "UTO"}},
    {"passport": {"number": "A1"}, "reason": REASON},
    {"passport": {"number": "A 1", "issuing_state": "UTO"}, "reason": REASON},
    {"passport": {"number": "A" * 21, "issuing_state": "UTO"}, "reason": REASON},
    {"passport": {"number": "A1", "issuing_state": "UTOPIA"}, "reason": REASON},
    {"passport": "A1234567", "reason": REASON},
    {"passport": {"number": "A1", "issuing_state": "UTO"}, "reason": "a\u202eb"},
]


async def test_nothing_is_told_without_a_sound_question_and_reason(site: Site) -> None:
    for document in UNSOUND:
        answer = await site.admin_post("/v1/admin/disclosures", document, operator="auditor-1")
        assert (answer.status, answer.code) == (422, "request_invalid"), document
        assert b"A1234567" not in answer.body
    assert await noted(site.world.engine.ledger, "disclosures") == []


async def test_a_season_whose_key_was_destroyed_is_passed_over(site: Site) -> None:
    batch, (application,) = await issued(site)
    (row,) = await site.world.rows(batch)  # type: ignore[arg-type]
    site.world.engine.vault.keys.destroy_index(row.facts.season)
    assert (await ask(site, application["passport"]))["messages"] == []
