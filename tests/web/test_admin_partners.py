"""Partners on the admin listener: how they stand, who may pause them, and what machines are told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Unavailable
from tests.pipeline.outage import work_for
from tests.web.site import Site
from tests.web.test_admin import BECAUSE, _messages, _samples

FOREIGN = "/v1/admin/partners/foreign-affairs"


async def partner(site: Site, name: str = "foreign-affairs") -> dict[str, Any]:
    listed = await site.get("/v1/admin/partners", admin=True)
    return dict(next(one for one in listed.json["partners"] if one["name"] == name))


async def test_every_partner_that_is_configured_is_listed_before_anything_is_sent(site: Site) -> None:
    listed = await site.get("/v1/admin/partners", admin=True)
    assert [one["name"] for one in listed.json["partners"]] == [*site.world.engine.settings.destinations]
    shown = await partner(site)
    assert (shown["circuit"], shown["paused"], shown["waiting"]) == ("closed", None, 0)


async def test_a_pause_is_shown_with_who_until_when_and_why_and_is_ended(site: Site) -> None:
    paused = await site.admin_post(f"{FOREIGN}/pause", {**BECAUSE, "for_s": 7200})
    assert paused.status == 200
    shown = (await partner(site))["paused"]
    assert (shown["by"], shown["reason"]) == ("operator-1", BECAUSE["reason"])
    assert shown["until"] > shown["since"]
    (message,) = await _messages(site)
    await work_for(site.world, 2)
    assert (await partner(site))["waiting"] == 1
    why = (await site.get(f"/v1/admin/messages/{message}/why", admin=True)).json["why"]
    assert "foreign-affairs was paused by operator-1" in why
    resumed = await site.admin_post(f"{FOREIGN}/resume", BECAUSE)
    assert (resumed.status, resumed.json["paused"]) == (200, None)
    assert (await site.admin_post(f"{FOREIGN}/resume", BECAUSE)).code == "not_paused"
    await work_for(site.world, 3)
    shown = await partner(site)
    assert shown["waiting"] == 0


async def test_an_outage_is_shown_and_told_to_machines(site: Site) -> None:
    samples = await _samples(site)
    assert samples["gateway_circuit_state", "foreign-affairs", "closed"] == 1
    assert samples["gateway_circuit_state", "foreign-affairs", "open"] == 0
    assert samples["gateway_destination_paused", "foreign-affairs"] == 0
    site.world.foreign_affairs.scripts["IssueVisa"] = [Unavailable("not_connected")]
    message = (await _messages(site, 30))[0]
    await work_for(site.world, 20)
    shown = await partner(site)
    assert shown["circuit"] in ("open", "half_open")
    assert shown["waiting"] == 30
    assert shown["failed_probes"] >= 3
    assert shown["last_success_at"] is None
    why = (await site.get(f"/v1/admin/messages/{message}/why", admin=True)).json["why"]
    assert f"foreign-affairs has not been well since {shown['circuit_since']}" in why
    assert "is due at" in why
    samples = await _samples(site)
    assert samples["gateway_circuit_state", "foreign-affairs", "closed"] == 0
    assert samples["gateway_circuit_state", "foreign-affairs", shown["circuit"]] == 1
    assert (await partner(site, "nic"))["last_success_at"] is not None


async def test_a_pause_is_told_to_machines_until_it_ends(site: Site) -> None:
    await site.admin_post(f"{FOREIGN}/pause", {**BECAUSE, "for_s": 60})
    assert (await _samples(site))["gateway_destination_paused", "foreign-affairs"] == 1
    site.world.clock.pass_by(seconds=60)
    assert (await _samples(site))["gateway_destination_paused", "foreign-affairs"] == 0
    assert (await partner(site))["paused"] is None


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_a_partner_that_is_not_configured_is_not_found(site: Site, action: str) -> None:
    answer = await site.admin_post(f"/v1/admin/partners/nobody/{action}", BECAUSE)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("body", [{}, {"for_s": 60}, {**BECAUSE, "for_s": 0}, {**BECAUSE, "for_s": "2h"}])
async def test_nothing_is_paused_without_a_reason_or_for_no_time(site: Site, body: Any) -> None:
    answer = await site.admin_post(f"{FOREIGN}/pause", body)
    assert (answer.status, answer.code) == (422, "request_invalid")
    assert (await partner(site))["paused"] is None


async def test_a_paused_partner_is_told_to_the_center_in_its_own_words(site: Site) -> None:
    await site.admin_post(f"{FOREIGN}/pause", {**BECAUSE, "for_s": 7200})
    (message,) = await _messages(site)
    await work_for(site.world, 2)
    shown = await site.get(f"/v1/admin/messages/{message}", admin=True)
    assert (shown.json["state"], shown.json["code"]) == ("held", "destination_paused")
