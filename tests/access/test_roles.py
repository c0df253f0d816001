"""The operators' side: each route with each role, with no token and with others' tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.errors import Unavailable
from gateway.message import Contested
from gateway.pipeline.engine import Engine
from gateway.settings.access import FIRST_OPERATORS, Role
from gateway.values import replace
from gateway.web import roles
from gateway.web.operators import operators_directory
from gateway.web.roles import OPEN, ROLES
from gateway.web.tokens import write_secret
from tests.access.journal import noted
from tests.web.site import JSON, Answer, Site
from tests.web.test_switching import use

#: By role, an operator who has it and no other.
NAMES: dict[Role, str] = {
    "viewer": "viewer-1", "operator": "operator-1", "auditor": "auditor-1", "administrator": "admin-1",
}  # fmt: skip
#: An answer of these is the guard's and nobody else's here.
SHUT = {401, 403}


def served(site: Site) -> Iterator[tuple[str, str]]:
    """Method and path of everything that the admin listener serves."""
    listening = site.host._admin
    assert listening is not None
    return ((route.method, route.path) for route in listening.switch.routes)


def with_operators(engine: Engine, operators: dict[str, tuple[Role, ...]]) -> Engine:
    gateway = engine.settings.gateway.model_copy(update={"operators": operators})
    return replace(engine, settings=engine.settings.model_copy(update={"gateway": gateway}))


def add_operator(site: Site, name: str) -> None:
    write_secret(operators_directory(site.data) / f"{name}.token", name.ljust(43, "x").encode())


@pytest.fixture
def staffed(site: Site) -> Site:
    """With an operator of each role, and one of none."""
    add_operator(site, "viewer-1")
    add_operator(site, "nobody-1")
    use(site, with_operators(site.world.engine, {**FIRST_OPERATORS, "viewer-1": ("viewer",)}))
    return site


async def ask(site: Site, route: tuple[str, str], token: str) -> Answer:
    """With a body that is no request of anything, so that what is let in changes nothing."""
    method, path = route
    path = re.sub(r"\{[a-z]+\}", "1", path)
    headers = {"Content-Type": JSON} if method != "GET" else {}
    data = b"{}" if method != "GET" else None
    return await site.call(method, path, admin=True, token=token, headers=headers, data=data)


def test_the_first_operators_have_one_role_each_and_somebody_has_what_is_needed() -> None:
    held = [role for held in FIRST_OPERATORS.values() for role in held]
    assert set(held) == set(get_args(Role)) - {"viewer"}
    assert all(len(held) == 1 for held in FIRST_OPERATORS.values())
    assert sum("operator" in held for held in FIRST_OPERATORS.values()) == 2


async def test_every_route_has_its_roles_and_every_line_its_route(site: Site) -> None:
    routes = set(served(site))
    assert {route for route in routes if route[1] not in OPEN} == set(ROLES)
    assert {path for _, path in routes} >= OPEN
    assert all(ROLES.values())
    assert {role for allowed in ROLES.values() for role in allowed} <= set(get_args(Role))


async def test_each_route_is_open_to_its_roles_and_to_no_other(staffed: Site) -> None:
    for route, allowed in ROLES.items():
        for role, name in NAMES.items():
            answer = await ask(staffed, route, staffed.operator_token(name))
            if role in allowed:
                assert answer.status not in SHUT, (route, role)
            else:
                assert (answer.status, answer.code) == (403, "role_missing"), (route, role)
        answer = await ask(staffed, route, staffed.operator_token("nobody-1"))
        assert (answer.status, answer.code) == (403, "role_missing"), route


async def test_without_an_operator_s_token_nobody_gets_in(staffed: Site) -> None:
    strangers = ["", "guess", "operator-1", "ü" * 43, staffed.token("licensing"), "x" * 5_000]
    for route in ROLES:
        for token in strangers:
            answer = await ask(staffed, route, token)
            assert (answer.status, answer.code) == (401, "unauthenticated"), (route, token[:9])
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_one_operator_s_token_under_another_s_name_is_only_who_it_is(staffed: Site) -> None:
    headers = {"X-Operator": "admin-1", "X-Forwarded-User": "auditor-1", "From": "operator-1"}
    token = staffed.operator_token("viewer-1")
    for method, path in (("POST", "/v1/admin/disclosures"), ("POST", "/v1/admin/cancel")):
        answer = await staffed.call(
            method, f"{path}?operator=admin-1", admin=True, token=token, headers=headers, data=b"{}"
        )
        assert (answer.status, answer.code) == (403, "role_missing")


async def test_two_authorizations_are_none(staffed: Site) -> None:
    head = "GET /v1/admin/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    both = [staffed.operator_token("operator-1"), staffed.operator_token("admin-1")]
    lines = "".join(f"Authorization: Bearer {token}\r\n" for token in both)
    assert (await staffed.raw(f"{head}{lines}\r\n".encode(), admin=True)).startswith(b"HTTP/1.1 400 ")


async def test_methods_and_paths_beside_the_table_lead_nowhere(staffed: Site) -> None:
    for name in NAMES.values():
        token = staffed.operator_token(name)
        for route in ROLES:
            for method in {"DELETE", "PATCH", "HEAD", "TRACE", "PUT"} - {route[0]}:
                answer = await ask(staffed, (method, route[1]), token)
                assert answer.status in (404, 405), (method, route)
    for path in (
        "/v1/admin",
        "/v1/admin/",
        "/v1/admin/messages/",
        "//v1/admin/messages",
        "/V1/ADMIN/messages",
    ):
        assert (await staffed.get(path, admin=True)).status == 404, path


async def test_a_route_without_a_line_is_shut_to_everybody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything: tuple[Role, ...] = get_args(Role)
    without = {route: held for route, held in ROLES.items() if route != ("GET", "/v1/admin/quotas")}
    monkeypatch.setattr(roles, "ROLES", without)
    use(site, with_operators(site.world.engine, {"operator-1": everything}))
    assert (await site.get("/v1/admin/quotas", admin=True)).code == "role_missing"
    assert (await site.get("/v1/admin/census", admin=True)).status == 200


async def test_who_has_two_roles_may_do_what_either_may(site: Site) -> None:
    use(site, with_operators(site.world.engine, {"operator-1": ("viewer", "auditor")}))
    assert (await site.admin_post("/v1/admin/disclosures", {})).code == "request_invalid"
    assert (await site.admin_post("/v1/admin/cancel", {})).code == "role_missing"


async def test_a_role_is_taken_back_by_the_configuration(site: Site) -> None:
    assert (await site.admin_post("/v1/admin/cancel", {})).code == "request_invalid"
    use(site, with_operators(site.world.engine, {"operator-1": ("viewer",)}))
    assert (await site.admin_post("/v1/admin/cancel", {})).code == "role_missing"
    assert (await site.get("/v1/admin/messages", admin=True)).status == 200


# --- refusals are noted ------------------------------------------------------------------------------------


async def refusals(site: Site) -> list[tuple[str, str | None, Any]]:
    found = await noted(site.world.engine.ledger, "refused")
    return [(entry.actor, entry.code, entry.detail) for entry in found]


async def test_a_refused_action_is_noted_with_who_and_which_route(site: Site) -> None:
    await site.admin_post("/v1/admin/disclosures", {"reason": "curious"})
    await site.get("/v1/admin/messages/A1234567/why", admin=True, token="n" * 43)
    assert await refusals(site) == [
        ("operator-1", "role_missing", {"route": "POST /v1/admin/disclosures"}),
        ("unknown", "unauthenticated", {"route": "GET /v1/admin/messages/{id}/why"}),
    ]


async def test_a_flood_of_refusals_is_an_entry_a_minute(site: Site) -> None:
    for n in range(40):
        await site.get("/v1/admin/census", admin=True, token=f"{n}".ljust(43, "x"))
    route = {"route": "GET /v1/admin/census"}
    assert await refusals(site) == [("unknown", "unauthenticated", route)]
    site.world.clock.pass_by(seconds=61)
    await site.get("/v1/admin/census", admin=True, token="")
    again = {**route, "unnoted_before": 39}
    assert (await refusals(site))[1:] == [("unknown", "unauthenticated", again)]


async def test_a_second_look_by_the_same_operator_is_a_refusal_that_is_noted(site: Site) -> None:
    site.world.foreign_affairs.scripts["IssueVisa"] = [Contested("ALREADY_ISSUED")]
    batch = (await site.submit()).json["batch_id"]
    await site.world.carry_until_rest()
    (row,) = await site.world.rows(batch)
    path = f"/v1/admin/messages/{row.id}/resolve"
    await site.admin_post(path, {"decision": "refused", "reason": "seen"})
    assert (await site.admin_post(f"{path}/confirm", {})).code == "same_operator"
    route = {"route": "POST /v1/admin/messages/{id}/resolve/confirm"}
    assert await refusals(site) == [("operator-1", "same_operator", route)]


class _Shut:
    """A ledger that takes no entry."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def note(self, *_args: Any, **_named: Any) -> None:
        raise Unavailable("ledger_unavailable")


async def test_a_refusal_stands_that_cannot_be_written_down(site: Site) -> None:
    use(site, replace(site.world.engine, ledger=_Shut(site.world.engine.ledger)))  # type: ignore[arg-type]
    assert (await site.admin_post("/v1/admin/disclosures", {})).status == 403
    assert (await site.get("/v1/admin/census", admin=True, token="")).status == 401


async def test_the_table_of_the_documentation_is_the_table(site: Site) -> None:
    text = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
    order: tuple[Role, ...] = get_args(Role)
    for (method, path), allowed in ROLES.items():
        marks = " | ".join("✓" if role in allowed else "" for role in order)
        assert f"| `{method} {path}` | {marks} |" in text, (method, path)
