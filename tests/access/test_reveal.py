"""Reveal: what an operator may see of a person, and that each look is in the journal before the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli.bootstrap import OPERATIONS
from gateway.errors import Unavailable
from gateway.settings import lint
from gateway.states import Outcome
from gateway.values import replace
from tests.access.journal import noted
from tests.access.test_roles import with_operators
from tests.web.site import Site
from tests.web.test_switching import use

CONFIG = Path(__file__).parents[2] / "config"
WHY = {"reason": "the mission asks which one it is"}


def granted(role: str, kind: str = "visa.application") -> list[str]:
    """From the file itself."""
    policy = YAML(typ="safe").load((CONFIG / "confidentiality.yaml").read_text(encoding="utf-8"))
    fields: list[str] = policy["operators"][role][kind]["fields"]
    return fields


async def _message(site: Site) -> tuple[str, dict[str, Any]]:
    application = site.world.applications(1)[0]
    batch = (await site.submit()).json["batch_id"]
    (row,) = await site.world.rows(batch)
    return row.id, application


def leaves(document: Any, above: str = "") -> dict[str, Any]:
    """Dotted paths and values."""
    if not isinstance(document, dict):
        return {above.rstrip("."): document}
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= leaves(value, f"{above}{name}.")
    return found


@pytest.mark.parametrize("name", ["operator-1", "auditor-1"])
async def test_an_operator_sees_what_the_list_of_the_role_grants_and_no_more(site: Site, name: str) -> None:
    message, application = await _message(site)
    answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", WHY, operator=name)
    assert answer.status == 200
    shown = leaves(answer.json["revealed"])
    role = name.removesuffix("-1")
    assert set(shown) <= set(granted(role))
    assert shown["passport.number"] == application["passport"]["number"]
    assert answer.json["fields"] == [path for path in granted(role) if shown.get(path) is not None]
    everything = leaves(application)
    assert set(everything) - set(granted(role)), "everything is granted: this proves nothing"
    known = {str(value) for value in shown.values()}
    for path, value in everything.items():
        if path not in shown and isinstance(value, str) and len(value) > 5 and value not in known:
            assert value.encode() not in answer.body, path


async def test_each_look_is_noted_with_its_fields_purpose_rule_and_reason(site: Site) -> None:
    message, _ = await _message(site)
    asked = {**WHY, "fields": ["passport.number", "name.family"]}
    answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", asked)
    assert set(leaves(answer.json["revealed"])) == set(asked["fields"])
    ledger = site.world.engine.ledger
    (entry,) = await noted(ledger, "reveal")
    assert (entry.actor, entry.message_id) == ("operator-1", message)
    assert entry.note is not None and site.world.engine.vault.read_note(entry.note) == WHY["reason"]
    scopes = await ledger.scopes((entry.detail or {})["disclosed"])
    (given,) = scopes.values()
    assert (given.receiver, given.operation) == ("operator:operator-1", "reveal")
    assert set(given.fields) == set(asked["fields"])
    assert (given.purpose, given.rule) == (answer.json["purpose"], answer.json["rule"])
    samples = site.world.engine.metrics.registry.get_sample_value(
        "gateway_operator_actions_total", {"action": "reveal"}
    )
    assert samples == 1


class _TakesNoEntry:
    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def note(self, *_args: Any, **_named: Any) -> None:
        raise Unavailable("ledger_unavailable")


async def test_nothing_is_shown_that_could_not_be_noted(site: Site) -> None:
    message, application = await _message(site)
    use(site, replace(site.world.engine, ledger=_TakesNoEntry(site.world.engine.ledger)))
    answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", WHY)
    assert answer.status == 503
    assert application["passport"]["number"].encode() not in answer.body


async def test_a_field_that_is_not_granted_shows_nothing_at_all_and_is_noted(site: Site) -> None:
    message, application = await _message(site)
    denied = (["address"], ["passport.number", "email"], ["passport"], ["photo"], ["no.such"])
    for fields in denied:
        answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", {**WHY, "fields": fields})
        assert (answer.status, answer.code) == (403, "field_not_granted"), fields
        assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/fields/{len(fields) - 1}"]
        assert application["passport"]["number"].encode() not in answer.body
    assert await noted(site.world.engine.ledger, "reveal") == []
    (refused,) = await noted(site.world.engine.ledger, "refused")
    assert (refused.actor, refused.code) == ("operator-1", "field_not_granted")


async def test_a_kind_without_a_list_is_not_revealed(site: Site) -> None:
    taken = await site.message("licensee.status", _status(site), party="licensing")
    message = taken.json["message_id"]
    answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", WHY)
    assert (answer.status, answer.code) == (403, "field_not_granted")


def _status(_site: Site) -> dict[str, Any]:
    from schemas.kinds import KINDS

    return dict(KINDS["licensee.status"].example)


UNSOUND: list[Any] = [
    {},
    {"reason": ""},
    {"reason": "a\nb"},
    {"fields": ["name.family"]},
    {**WHY, "fields": []},
    {**WHY, "fields": "name.family"},
    {**WHY, "fields": ["x" * 121]},
    {**WHY, "fields": ["name.family"] * 101},
    {**WHY, "purpose": "x"},
]


async def test_nothing_is_revealed_without_a_sound_reason(site: Site) -> None:
    message, _ = await _message(site)
    for document in UNSOUND:
        answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", document)
        assert (answer.status, answer.code) == (422, "request_invalid"), document
    assert await noted(site.world.engine.ledger, "reveal") == []


async def test_an_id_that_is_none_is_not_found(site: Site) -> None:
    answer = await site.admin_post("/v1/admin/messages/nothing/reveal", WHY)
    assert (answer.status, answer.code) == (404, "not_found")


async def test_who_has_two_roles_reveals_by_the_first_that_has_a_list(site: Site) -> None:
    message, _ = await _message(site)
    use(site, with_operators(site.world.engine, {"operator-1": ("administrator", "auditor", "operator")}))
    answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", WHY)
    assert set(leaves(answer.json["revealed"])) > set(granted("operator")) - {"reference"}


async def test_a_damaged_message_is_told_plainly(site: Site, tmp_path: Path) -> None:
    import sqlite3

    message, _ = await _message(site)
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("UPDATE message SET sealed_payload = zeroblob(64) WHERE id = ?", (message,))
    answer = await site.admin_post(f"/v1/admin/messages/{message}/reveal", WHY)
    assert (answer.status, answer.code) == (409, "not_readable")
    assert await noted(site.world.engine.ledger, "reveal") == []


async def test_a_line_that_was_rejected_is_revealed_by_the_same_list(site: Site) -> None:
    (application,) = site.world.applications(1)
    body = site.batch([{**application, "visa_type": "none"}])
    batch = (await site.submit(body)).json["batch_id"]
    (row,) = await site.world.rows(batch)
    assert row.outcome is Outcome.REJECTED
    answer = await site.admin_post(f"/v1/admin/messages/{row.id}/reveal", WHY)
    assert set(leaves(answer.json["revealed"])) <= set(granted("operator"))


async def test_lists_and_timelines_hold_nothing_personal_and_need_no_reason(site: Site) -> None:
    message, application = await _message(site)
    await site.world.carry_until_rest()
    personal = [
        value
        for path, value in leaves(application).items()
        if isinstance(value, str)
        and len(value) > 5
        and path.split(".")[0] in ("passport", "name", "name_ar", "address", "email", "mobile")
    ]
    for path in (
        "messages",
        f"messages/{message}",
        f"messages/{message}/why",
        "census",
        "quotas",
        "webhooks",
    ):
        answer = await site.get(f"/v1/admin/{path}", admin=True)
        assert answer.status == 200
        assert not [value for value in personal if value.encode() in answer.body], path
    assert await noted(site.world.engine.ledger, "reveal") == []


# --- the lists are checked at the start --------------------------------------------------------------------


def _faults(tmp_path: Path, old: str, new: str) -> list[str]:
    import shutil

    folder = tmp_path / "config"
    shutil.copytree(CONFIG, folder)
    path = folder / "confidentiality.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return lint(folder / "gateway.yaml", {}, OPERATIONS)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("passport.number, passport.issuing_state, name.given, name.family, nationality,\n",
         "passport.number, passport.issuing_stat, name.given, name.family, nationality,\n",
         "unknown field 'passport.issuing_stat'"),
        ("[reference, passport.number, passport.issuing_state, name.given,",
         "[photo, passport.number, passport.issuing_state, name.given,",
         "field 'photo' is secret, the role 'operator' is cleared for restricted"),
        ("operators:\n\n  operator:\n", "operators:\n\n  administrator:\n",
         "field 'reference' is restricted, the role 'administrator' is cleared for public"),
        ("operators:\n\n  operator:\n    visa.application:\n",
         "operators:\n\n  operator:\n    visa.applicaton:\n",
         "unknown kind of message 'visa.applicaton'"),
        ("operators:\n\n  operator:\n", "operators:\n\n  king:\n", "king"),
    ],
)  # fmt: skip
def test_a_list_that_names_what_there_is_not_or_too_much_stops_the_start(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    faults = _faults(tmp_path, old, new)
    assert len([one for one in faults if fault in one]) >= 1, faults
    assert all("confidentiality.yaml:" in one for one in faults)


def test_the_shipped_lists_have_no_fault() -> None:
    assert lint(CONFIG / "gateway.yaml", {}, OPERATIONS) == []
    assert json.dumps(granted("operator")) != json.dumps(granted("auditor"))
