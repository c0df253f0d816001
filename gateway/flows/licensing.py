"""Who may take part: licensees, service centers, groups, controls, and what a licensee has made ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.flows.activation import reconsider
from gateway.flows.desk import Desk
from gateway.flows.discipline import under_penalties
from gateway.flows.flow import Flow, newer
from gateway.flows.overstays import judge_all
from gateway.flows.visas import CONTROLS
from gateway.message import Body, MessageId, PartyId
from gateway.values import replace

#: A status that begins on a later day; its owner tells whether that day is still to come.
_COMING, _OPEN, _BEGUN = "coming_status", "open", "begun"
#: What the record keeps of a status, in clear: no names, for nothing asks for them.
_STANDING = ("status", "reason_code")


def licensee_status(body: Body, desk: Desk) -> None:
    """A licensee's standing. A suspension closes the visa gate for everything not yet sent.

    One that is effective from a later day begins then, unless a newer one has come meanwhile.
    """
    id = body["licensee_id"]
    newer(desk, "licensee", id, body["version"])
    newer(desk, _COMING, id, body["version"])
    if body.get("effective_from", "") > desk.books.today.isoformat():
        kept = _named(body, "licensee_id", "version", "effective_from", *_STANDING)
        desk.put(_COMING, id, kept, version=body["version"], owner=_OPEN)
    else:
        _begin_status(body, desk)
    desk.publish("licensee.status", body, about=id, to=desk.centers_of(id))


def begin_statuses(desk: Desk) -> None:
    """On a new day: statuses whose day has come. Made by the message that told of them."""
    today = desk.books.today.isoformat()
    for coming in desk.books.records(_COMING, owner=_OPEN):
        if coming.facts["effective_from"] > today:
            continue
        its = replace(desk, subject=replace(desk.subject, id=MessageId(coming.message_id or "")))
        licensee = desk.books.record("licensee", coming.id)
        if licensee is None or licensee.message_id is None or int(licensee.version) < int(coming.version):
            _begin_status(coming.facts, its)
        its.put(_COMING, coming.id, coming.facts, version=coming.version, owner=_BEGUN)


def _begin_status(body: Body, desk: Desk) -> None:
    id = body["licensee_id"]
    # One that is not known from the configuration must be activated before it can ask for visas.
    known = desk.fact("licensee", id) or {"needs_activation": True}
    said = {**known, **_named(body, *_STANDING), "id": id}
    facts = under_penalties("licensee", id, said, desk)
    desk.put("licensee", id, facts, version=body["version"], owner=id)
    for activation in desk.books.records("activation", owner=id):
        reconsider(id, int(activation.id.rpartition("/")[2]), desk)


def _named(body: Body, *names: str) -> dict[str, object]:
    return {name: body[name] for name in names if name in body}


def service_center(body: Body, desk: Desk) -> None:
    """A center and whom it serves. One that does not meet the specifications can't submit."""
    id = body["center_id"]
    newer(desk, "service_center", id, body["version"])
    before = _served(desk.fact("service_center", id))
    status = body["status"] if body["conforms"] else "unlicensed"
    facts = {"id": id, "status": status, **_named(body, "licensees", "agents", "conforms")}
    desk.put("service_center", id, facts, version=body["version"])
    serve(desk, id, before=before, after=_served(facts))
    desk.publish("service_center.registration", body, about=id, to=[PartyId(id)])


def _served(facts: Mapping[str, Any] | None) -> Sequence[str]:
    """Whose news a center is told: one that lost its licence, of nobody."""
    return () if facts is None or facts["status"] == "unlicensed" else facts["licensees"]


def serve(desk: Desk, center: str, *, before: Sequence[str], after: Sequence[str]) -> None:
    """Keep, licensee by licensee, which centers serve it."""
    served, wanted = set(before), set(after)
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
