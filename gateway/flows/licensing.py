"""Who may take part: licensees, service centers, groups, controls, and what a licensee has made ready."""

from __future__ import annotations

from typing import Final

from gateway.flows.activation import reconsider
from gateway.flows.desk import Desk
from gateway.flows.discipline import under_penalties
from gateway.flows.flow import Flow, newer
from gateway.flows.overstays import judge_all
from gateway.flows.visas import CONTROLS
from gateway.message import Body, PartyId


def licensee_status(body: Body, desk: Desk) -> None:
    """A licensee's standing. A suspension closes the visa gate for everything not yet sent."""
    id = body["licensee_id"]
    newer(desk, "licensee", id, body["version"])
    # One that is not known from the configuration must be activated before it can ask for visas.
    known = desk.fact("licensee", id) or {"needs_activation": True}
    said = {**known, **_named(body, "name_en", "name_ar", "status", "reason_code"), "id": id}
    facts = under_penalties("licensee", id, said, desk)
    desk.put("licensee", id, facts, version=body["version"], owner=id)
    desk.publish("licensee.status", body, about=id, to=desk.centers_of(id))
    for activation in desk.books.records("activation", owner=id):
        reconsider(id, int(activation.id.rpartition("/")[2]), desk)


def _named(body: Body, *names: str) -> dict[str, object]:
    return {name: body[name] for name in names if name in body}


def service_center(body: Body, desk: Desk) -> None:
    """A center and whom it serves. One that does not meet the specifications can't submit."""
    id = body["center_id"]
    newer(desk, "service_center", id, body["version"])
    before = (desk.fact("service_center", id) or {}).get("licensees", ())
    status = body["status"] if body["conforms"] else "unlicensed"
    facts = {"id": id, "status": status, **_named(body, "licensees", "agents", "conforms")}
    desk.put("service_center", id, facts, version=body["version"])
    serve(desk, id, before=before, after=body["licensees"])
    desk.publish("service_center.registration", body, about=id, to=[PartyId(id)])


def serve(desk: Desk, center: str, *, before: object, after: object) -> None:
    """Keep, licensee by licensee, which centers serve it."""
    served, wanted = set(before or ()), set(after or ())  # type: ignore[call-overload]
    for licensee in sorted(served ^ wanted):
        centers = set((desk.fact("serving", licensee) or {"centers": ()})["centers"])
        centers = centers | {center} if licensee in wanted else centers - {center}
        desk.put("serving", licensee, {"centers": sorted(centers)}, version=0, owner=licensee)


def group(body: Body, desk: Desk) -> None:
    """A group of pilgrims, registered to one licensee: used by another, it is refused and reported."""
    number = body["group_number"]
    newer(desk, "group", number, body["version"])
    facts = {"number": number, "licensee": body["licensee_id"], "agent": body.get("agent_id")}
    desk.put("group", number, facts, version=body["version"], owner=body["licensee_id"])
    desk.publish("group.registration", body, about=number, to=desk.centers_of(body["licensee_id"]))


def controls(body: Body, desk: Desk) -> None:
    """The control set, as a whole. What waits for another rule is looked at again."""
    kind, id = CONTROLS
    newer(desk, kind, id, body["version"])
    kept = _named(desk.fact(kind, id) or {}, "specimen_issuers_allowed")
    desk.put(kind, id, {**kept, **body}, version=body["version"])
    centers = [party for party, sort in desk.office.parties.items() if sort == "service_center"]
    desk.publish("controls.published", body, about=f"{kind}/{body['version']}", to=centers)
    judge_all(desk)


FLOWS: Final = (
    Flow("controls.published", controls),
    Flow("licensee.status", licensee_status),
    Flow("service_center.registration", service_center),
    Flow("group.registration", group),
)
