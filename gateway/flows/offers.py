"""What licensees offer: service packages and operational plans, submitted, decided, and given their quota."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Conflict
from gateway.flows.activation import reconsider
from gateway.flows.authority import acts_for, refused
from gateway.flows.desk import Desk
from gateway.flows.flow import Flow, newer
from gateway.flows.visas import plan_place
from gateway.message import Body, PartyId

_Quotas = list[Mapping[str, Any]]


def package_submission(body: Body, desk: Desk) -> None:
    """A package can't be used before it is approved; a new revision of an approved one stands beside it."""
    id, licensee = body["package_id"], body["licensee_id"]
    acts_for(desk, licensee)
    _owned(desk, "package", id, body)
    newer(desk, "package", id, body["revision"])
    known = desk.fact("package", id) or {}
    facts = {
        "id": id,
        "licensee": licensee,
        "season": body["season"],
        "status": known.get("status", "submitted"),
        "submitted_by": desk.subject.party,
    }
    desk.put("package", id, facts, version=body["revision"], owner=licensee)
    desk.publish("package.submission", body, about=id)


def package_decision(body: Body, desk: Desk) -> None:
    """Only an approved package can be used in an application; a withdrawn one closes the gate at once."""
    id = body["package_id"]
    known = _submitted(desk, "package", id, body["revision"], "/package_id")
    stands = body["decision"] == "refused" and known["status"] == "approved"  # its earlier revision does
    status = known["status"] if stands else body["decision"]
    facts = {**known, "status": status, "reason_code": body.get("reason_code")}
    desk.put("package", id, facts, version=body["revision"], owner=known["licensee"])
    desk.publish("package.decision", body, about=id, to=_submitter(known))
    reconsider(known["licensee"], known.get("season", 0), desk)


def plan_submission(body: Body, desk: Desk) -> None:
    """One part of a licensee's plan. What was approved before goes on until this one is decided on."""
    id, licensee = body["plan_id"], body["licensee_id"]
    acts_for(desk, licensee)
    _owned(desk, "plan", id, body)
    newer(desk, "plan", id, body["revision"])
    known = desk.fact("plan", id) or {}
    facts = {
        "id": id,
        "licensee": licensee,
        "season": body["season"],
        "part": body["part"],
        "status": known.get("status", "submitted"),
        "asked": body["quotas"],
        "approved": known.get("approved", []),
        "submitted_by": desk.subject.party,
    }
    desk.put("plan", id, facts, version=body["revision"], owner=licensee)
    desk.publish("plan.submission", body, about=id)


def plan_decision(body: Body, desk: Desk) -> None:
    """An approved plan gives its licensee places, by month and country; who waited for them goes on."""
    id = body["plan_id"]
    known = _submitted(desk, "plan", id, body["revision"], "/plan_id")
    approved = body["decision"] == "approved"
    quotas = list(body.get("quotas") or known["asked"]) if approved else known["approved"]
    status = body["decision"] if approved or known["status"] != "approved" else known["status"]
    facts = {**known, "status": status, "approved": quotas, "reason_code": body.get("reason_code")}
    desk.put("plan", id, facts, version=body["revision"], owner=known["licensee"])
    if approved:
        _give_places(known, quotas, desk)
    desk.publish("plan.decision", body, about=id, to=_submitter(known))
    reconsider(known["licensee"], known["season"], desk)


def _give_places(known: Mapping[str, Any], quotas: _Quotas, desk: Desk) -> None:
    """The ceilings as approved; what an earlier revision had and this one has not is closed."""
    licensee, season = known["licensee"], known["season"]
    ceilings = {(quota["month"], quota["country"]): 0 for quota in known["approved"]}
    ceilings |= {(quota["month"], quota["country"]): quota["pilgrims"] for quota in quotas}
    for (month, country), pilgrims in ceilings.items():
        desk.books.set_ceiling(plan_place(licensee, season, month, country), pilgrims)


def _owned(desk: Desk, kind: str, id: str, body: Body) -> None:
    """Another licensee's package or plan can't be replaced, nor does the answer tell that there is one.

    What was approved holds for its season and part: a new revision can't carry it to another one.
    """
    known = desk.fact(kind, id)
    if known is None:
        return
    if known["licensee"] != body["licensee_id"]:
        raise refused("record_unknown", f"/{kind}_id")
    for name in ("season", "part"):
        if known.get(name, body.get(name)) != body.get(name):
            raise refused("record_unknown", f"/{name}", status=422)


def _submitted(desk: Desk, kind: str, id: str, revision: int, pointer: str) -> Mapping[str, Any]:
    """What is decided on, as it was submitted last."""
    record = desk.books.record(kind, id)
    if record is None:
        raise refused("record_unknown", pointer, status=422)
    if record.version != str(revision):
        raise Conflict("stale_version")
    return record.facts


def _submitter(facts: Mapping[str, Any]) -> list[PartyId]:
    center = facts.get("submitted_by")
    return [] if center is None else [PartyId(center)]


FLOWS: Final = (
    Flow("package.submission", package_submission),
    Flow("package.decision", package_decision),
    Flow("plan.submission", plan_submission),
    Flow("plan.decision", plan_decision),
)
