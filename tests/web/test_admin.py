from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import Misconfigured, Unavailable
from gateway.message import Contested
from gateway.values import replace
from gateway.web.operators import OperatorTokens, ensure_operator_tokens, operators_directory
from tests.web.site import JSON, Site
from tests.web.test_switching import use

ACTIONS = [
    ("GET", "/v1/admin/messages"),
    ("GET", "/v1/admin/messages/1"),
    ("GET", "/v1/admin/messages/1/why"),
    ("POST", "/v1/admin/messages/1/retry"),
    ("POST", "/v1/admin/messages/1/cancel"),
    ("POST", "/v1/admin/messages/1/resolve"),
    ("POST", "/v1/admin/messages/1/resolve/confirm"),
    ("POST", "/v1/admin/retry"),
    ("POST", "/v1/admin/cancel"),
]
BECAUSE = {"reason": "asked by the center"}


async def _messages(site: Site, count: int = 1) -> list[str]:
    batch = (await site.submit(site.batch(count))).json["batch_id"]
    return [row.id for row in await site.world.rows(batch)]


async def _under_review(site: Site) -> str:
    """A message that a person must decide."""
    site.world.foreign_affairs.scripts["IssueVisa"] = [Contested("ALREADY_ISSUED")]
    (message,) = await _messages(site)
    await site.world.carry_until_rest()
    return message


async def _samples(site: Site) -> dict[tuple[str, ...], float]:
    answer = await site.get("/metrics", admin=True, token="")
    assert answer.status == 200
    families = text_string_to_metric_families(answer.body.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.mark.parametrize(("method", "path"), ACTIONS)
@pytest.mark.parametrize("token", ["", "guess", "operator-1"])
async def test_only_operators_get_in(site: Site, method: str, path: str, token: str) -> None:
    answer = await site.call(method, path, admin=True, token=token)
    assert (answer.status, answer.code) == (401, "unauthenticated")


async def test_a_party_s_token_is_no_operator_s(site: Site) -> None:
    answer = await site.get("/v1/admin/messages", admin=True, token=site.token("licensing"))
    assert answer.status == 401


async def test_the_public_listener_has_no_admin_routes(site: Site) -> None:
    for path in ("/metrics", "/readyz", "/livez", "/v1/admin/messages"):
        assert (await site.get(path, token=site.operator_token())).status == 404


async def test_messages_can_be_listed_by_what_they_have_in_common(site: Site) -> None:
    ids = await _messages(site, 3)
    first = await site.get("/v1/admin/messages?party=sc-01&limit=2", admin=True)
    assert [message["id"] for message in first.json["messages"]] == ids[:2]
    rest = await site.get(f"/v1/admin/messages?party=sc-01&after={first.json['next']}", admin=True)
    assert [message["id"] for message in rest.json["messages"]] == ids[2:]
    for query in ("party=sc-02", "state=held", "kind=visa.cancellation", "batch_id=x", "older_than_s=60"):
        assert (await site.get(f"/v1/admin/messages?{query}", admin=True)).json["messages"] == [], query
    site.world.clock.pass_by(seconds=61)
    old = await site.get("/v1/admin/messages?older_than_s=60&state=ready", admin=True)
    assert len(old.json["messages"]) == 3


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "older_than_s=-1", "order=asc", "party=a%20b"])
async def test_a_filter_that_is_not_understood_is_refused(site: Site, query: str) -> None:
    assert (await site.get(f"/v1/admin/messages?{query}", admin=True)).status == 400


async def test_a_message_shows_its_timeline_and_why_it_waits_and_nothing_personal(site: Site) -> None:
    application = site.world.applications(1)[0]
    (message,) = await _messages(site)
    await site.world.carry_until_rest()
    shown = await site.get(f"/v1/admin/messages/{message}", admin=True)
    assert next(entry["what"] for entry in shown.json["timeline"]) == "received"
    assert application["passport"]["number"].encode() not in shown.body
    why = await site.get(f"/v1/admin/messages/{message}/why", admin=True)
    assert "issued" in why.json["why"]
    assert (await site.get("/v1/admin/messages/nothing", admin=True)).code == "not_found"


@pytest.mark.parametrize("action", ["retry", "cancel"])
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"reason": ""},
        {"reason": 1},
        {"reason": "a\nb"},
        {"reason": "x" * 201},
        {"why": "a"},
        [],
        "x",
        None,
    ],
)
async def test_nothing_is_changed_without_a_reason(site: Site, action: str, document: Any) -> None:
    (message,) = await _messages(site)
    before = (await site.get(f"/v1/admin/messages/{message}", admin=True)).json
    answer = await site.admin_post(f"/v1/admin/messages/{message}/{action}", document)
    assert (answer.status, answer.code) == (422, "request_invalid")
    assert (await site.get(f"/v1/admin/messages/{message}", admin=True)).json == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_missing"),
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 60_000, "invalid_json"),
        (b'{"reason": "a", "reason": "b"}', "duplicate_key"),
        (b'{"reason": NaN}', "number_not_allowed"),
        (b" " * 70_000, "batch_too_large"),
    ],
)
async def test_a_body_that_is_no_sound_json_is_refused(site: Site, body: bytes, code: str) -> None:
    headers = {"Content-Type": JSON}
    answer = await site.post("/v1/admin/messages/1/retry", admin=True, headers=headers, data=body)
    assert answer.code == code


async def test_an_operator_s_cancellation_is_recorded_in_his_name(site: Site) -> None:
    (message,) = await _messages(site)
    answer = await site.admin_post(f"/v1/admin/messages/{message}/cancel", BECAUSE, operator="operator-2")
    assert (answer.status, answer.json["state"]) == (200, "cancelled")
    shown = (await site.get(f"/v1/admin/messages/{message}", admin=True)).json
    assert shown["timeline"][-1]["actor"].startswith("operator-2")
    assert (await _samples(site))["gateway_operator_actions_total", "cancel"] == 1


async def test_a_review_ends_when_a_second_operator_confirms(site: Site) -> None:
    message = await _under_review(site)
    path = f"/v1/admin/messages/{message}/resolve"
    decided = {"decision": "issued", "visa_number": "6000000009", **BECAUSE}
    assert (await site.admin_post(f"{path}/confirm", {})).code == "nothing_proposed"
    proposed = await site.admin_post(path, decided)
    assert (proposed.status, proposed.json["proposed"]["decision"]) == (200, "issued")
    assert (await site.admin_post(f"{path}/confirm", {})).code == "same_operator"
    confirmed = await site.admin_post(f"{path}/confirm", {}, operator="operator-2")
    assert (confirmed.status, confirmed.json["outcome"]) == (200, "issued")
    assert (await site.get(f"/v1/messages/{message}")).json["visa"]["number"] == "6000000009"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"decision": "issued", **BECAUSE}, "invalid_visa_number"),
        ({"decision": "issued", "visa_number": "12", **BECAUSE}, "invalid_visa_number"),
        ({"decision": "refused", "visa_number": "6000000009", **BECAUSE}, "invalid_visa_number"),
        ({"decision": "forget", **BECAUSE}, "invalid_decision"),
        ({"decision": "refused"}, "request_invalid"),
    ],
)
async def test_a_decision_that_makes_no_sense_is_refused(site: Site, document: Any, code: str) -> None:
    message = await _under_review(site)
    assert (await site.admin_post(f"/v1/admin/messages/{message}/resolve", document)).code == code


async def test_bulk_says_first_what_it_would_do(site: Site) -> None:
    await _messages(site, 3)
    bulk = {"filter": {"party": "sc-01", "state": "ready"}, **BECAUSE}
    would = await site.admin_post("/v1/admin/cancel", {**bulk, "dry_run": True})
    assert (would.json["matched"], len(would.json["sample"])) == (3, 3)
    assert (await site.get("/v1/admin/messages?state=cancelled", admin=True)).json["messages"] == []
    done = await site.admin_post("/v1/admin/cancel", bulk)
    assert (done.json["matched"], done.json["done"], done.json["failed"]) == (3, 3, [])
    cancelled = await site.get("/v1/admin/messages?state=cancelled", admin=True)
    assert len(cancelled.json["messages"]) == 3


async def test_bulk_names_what_could_not_be_done_and_goes_on(site: Site) -> None:
    ids = await _messages(site, 3)
    await site.admin_post(f"/v1/admin/messages/{ids[1]}/cancel", BECAUSE)
    done = await site.admin_post("/v1/admin/retry", {"filter": {"party": "sc-01"}, **BECAUSE})
    assert done.json["done"] == 2
    assert done.json["failed"] == [{"id": ids[1], "code": "already_settled"}]


async def test_bulk_takes_every_page_of_what_fits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.admin_messages._MOST", 2)
    await _messages(site, 5)
    done = await site.admin_post("/v1/admin/cancel", {"filter": {"state": "ready"}, **BECAUSE})
    assert (done.json["matched"], done.json["more"]) == (5, False)


@pytest.mark.parametrize("filter", [{}, {"state": None}])
async def test_bulk_never_means_everything(site: Site, filter: Any) -> None:
    answer = await site.admin_post("/v1/admin/cancel", {"filter": filter, **BECAUSE})
    assert (answer.status, answer.code) == (422, "filter_missing")


# --- metrics and health ------------------------------------------------------------------------------


async def test_the_gauges_are_read_from_the_ledger_at_each_scrape(site: Site) -> None:
    samples = await _samples(site)
    assert samples["gateway_uncertain", "foreign-affairs"] == 0
    assert samples["gateway_config_last_reload_successful",] == 1
    await _messages(site, 3)
    samples = await _samples(site)
    received_at = site.world.clock.now().timestamp()
    assert samples["gateway_messages", "visa.application", "ready"] == 3
    assert samples["gateway_oldest_message_timestamp_seconds", "visa.application", "ready"] == received_at
    assert samples["gateway_messages_received_total", "http", "visa.application", "sc-01"] == 3
    assert samples["gateway_audit_head_sequence",] > 0
    await site.world.carry_until_rest()
    assert ("gateway_messages", "visa.application", "ready") not in await _samples(site)
    assert any(name == "gateway_build_info" for name, *_ in samples)


async def test_no_label_holds_an_id(site: Site) -> None:
    ids = await _messages(site, 2)
    text = (await site.get("/metrics", admin=True)).body.decode()
    assert not any(message in text for message in ids)
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)


class _Failing:
    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def ready(self) -> bool:
        return False

    async def gauges(self) -> Any:
        raise Unavailable("ledger_unavailable")


async def test_health_is_about_this_process_and_its_ledger(site: Site) -> None:
    assert (await site.get("/livez", admin=True, token="")).status == 200
    ready = await site.get("/readyz", admin=True, token="")
    assert (ready.status, ready.json) == (200, {"status": "ready", "ledger": "writable", "intake": "open"})


async def test_a_ledger_that_does_not_commit_is_not_ready_and_claims_no_gauges(site: Site) -> None:
    use(site, _engine(site))
    ready = await site.get("/readyz", admin=True, token="")
    assert (ready.status, ready.json["ledger"]) == (503, "not_writable")
    assert (await site.get("/livez", admin=True, token="")).status == 200
    names = {name for name, *_ in await _samples(site)}
    assert "gateway_messages_received_total" in names or "gateway_build_info" in names
    assert "gateway_audit_head_sequence" not in names


def _engine(site: Site) -> Any:

    return replace(site.world.engine, ledger=_Failing(site.world.engine.ledger))


# --- operators' tokens -----------------------------------------------------------------------------


def test_tokens_are_made_at_the_first_start_only(tmp_path: Path) -> None:
    ensure_operator_tokens(tmp_path)
    files = sorted(operators_directory(tmp_path).glob("*.token"))
    assert [path.stem for path in files] == ["admin-1", "auditor-1", "operator-1", "operator-2"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    *others, first, second = (path.read_text().strip() for path in files)
    assert len({*others, first, second}) == 4
    files[-1].unlink()
    ensure_operator_tokens(tmp_path)
    tokens = OperatorTokens.load(tmp_path)
    assert (tokens.operator(first), tokens.operator(second)) == ("operator-1", None)


@pytest.mark.parametrize(
    ("name", "mode", "token"), [("a", 0o644, "x" * 40), ("b", 0o600, "short"), ("B C", 0o600, "x" * 40)]
)
def test_a_token_file_that_is_open_short_or_misnamed_stops_the_start(
    tmp_path: Path, name: str, mode: int, token: str
) -> None:
    directory = operators_directory(tmp_path)
    directory.mkdir(parents=True)
    path = directory / f"{name}.token"
    path.write_text(token)
    path.chmod(mode)
    with pytest.raises(Misconfigured):
        OperatorTokens.load(tmp_path)
