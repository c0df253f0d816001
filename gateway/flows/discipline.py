"""Investigations and penalties. A suspension closes the visa gate for everything not yet sent.

What the ministry says of a licensee's or agent's status, and what a penalty makes of it, are two things: the
worse of them is in force, and when the penalty has ended the first is again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.flows.activation import reconsider
from gateway.flows.authority import refused
from gateway.flows.desk import Desk
from gateway.flows.flow import Flow, newer
from gateway.message import Body, MessageId, PartyId
from gateway.values import replace

#: What a penalty makes of the status of whom it is on; other types are recorded only.
_IMPOSED: Final = {"suspension": "suspended", "revocation": "unlicensed"}
_WORSE: Final = ("active", "suspended", "unlicensed")
_PENALTY: Final = "penalty"
#: Penalties whose first or last day is still to come, while their owner is `_OPEN`.
_SUSPENSION: Final = "suspension"
_OPEN: Final = "open"

_Facts = Mapping[str, Any]


def investigation(body: Body, desk: Desk) -> None:
    """The licensee's centers learn that it exists and what must be handed in; nobody is told why."""
    id, licensee = body["investigation_id"], body["licensee_id"]
    newer(desk, "investigation", id, body["version"])
    facts = {
        "licensee": licensee,
        "agent": body.get("agent_id"),
        "due_date": body["due_date"],
        "status": "open",
    }
    desk.put("investigation", id, facts, version=body["version"], owner=licensee)
    desk.publish("investigation.opened", body, about=id, to=desk.centers_of(licensee))


def penalty(body: Body, desk: Desk) -> None:
    """A penalty, or a new version of it: in force at once when its first day has come."""
    id = body["penalty_id"]
    kind = "licensee" if "licensee_id" in body else "agent"
    who = body[f"{kind}_id"]
    if desk.fact(kind, who) is None:
        raise refused("record_unknown", f"/{kind}_id", status=422)
    newer(desk, _PENALTY, id, body["version"])
    before = desk.fact(_PENALTY, id)
    facts = {
        "on": kind,
        "id": who,
        "type": body["type"],
        "from": body["from_date"],
        "until": body.get("until_date"),
    }
    desk.put(_PENALTY, id, facts, version=body["version"], owner=f"{kind}/{who}")
    _watch(id, facts, desk)
    for on, whose in {(one["on"], one["id"]) for one in (before, facts) if one is not None}:
        _renew(on, whose, desk)
    desk.publish("penalty.issued", body, about=id, to=_centers(kind, who, desk))


def _centers(kind: str, id: str, desk: Desk) -> Iterable[PartyId]:
    """The centers that serve a licensee, or any licensee that an agent works for."""
    licensees = [id] if kind == "licensee" else (desk.fact("agent", id) or {}).get("licensees", ())
    return dict.fromkeys(center for licensee in licensees for center in desk.centers_of(licensee))


def _watch(id: str, facts: _Facts, desk: Desk) -> None:
    """Have a new day look at the penalty, as long as one may change it."""
    today = desk.books.today.isoformat()
    until = facts["until"]
    changes = facts["type"] in _IMPOSED and (facts["from"] > today or (until is not None and until >= today))
    known = desk.books.record(_SUSPENSION, id)
    if changes or (known is not None and known.owner == _OPEN):
        desk.put(_SUSPENSION, id, facts, version=0, owner=_OPEN if changes else "ended")


def lift_ended_penalties(desk: Desk) -> None:
    """What a new day brings: penalties end whose last day has passed; those begin whose first has come.

    Looks at open penalties only; again on the same day it changes nothing.
    """
    for record in desk.books.records(_SUSPENSION, owner=_OPEN):
        penalty = desk.books.record(_PENALTY, record.id)
        made_by = MessageId((penalty and penalty.message_id) or "")
        its = replace(desk, subject=replace(desk.subject, id=made_by))
        _renew(record.facts["on"], record.facts["id"], its)
        _watch(record.id, record.facts, its)


def _renew(kind: str, id: str, desk: Desk) -> None:
    record = desk.books.record(kind, id)
    if record is None:
        return
    own = {**record.facts, "status": record.facts.get("own_status", record.facts["status"])}
    facts = under_penalties(kind, id, own, desk)
    if facts == record.facts:
        return
    # Its version stays the ministry's own: the next status has to be newer than the last one, not than this.
    desk.put(kind, id, facts, version=record.version, owner=record.owner)
    if kind == "licensee":
        for activation in desk.books.records("activation", owner=id):
            reconsider(id, int(activation.id.rpartition("/")[2]), desk)


def under_penalties(kind: str, id: str, facts: _Facts, desk: Desk) -> dict[str, Any]:
    """The facts of a licensee or agent as they stand with the penalties in force today.

    `facts["status"]` is what the ministry says of it otherwise, kept as `own_status` until they have ended.
    """
    rest = {name: value for name, value in facts.items() if name != "own_status"}
    imposed = list(_imposed(kind, id, desk))
    if not imposed:
        return rest
    status = max([facts["status"], *imposed], key=_WORSE.index)
    return {**rest, "status": status, "own_status": facts["status"]}


def _imposed(kind: str, id: str, desk: Desk) -> Iterator[str]:
    today = desk.books.today.isoformat()
    for record in desk.books.records(_PENALTY, owner=f"{kind}/{id}"):
        found = record.facts
        begun = found["from"] <= today and (found["until"] is None or today <= found["until"])
        if begun and found["type"] in _IMPOSED:
            yield _IMPOSED[found["type"]]


FLOWS: Final = (
    Flow("investigation.opened", investigation),
    Flow("penalty.issued", penalty),
)
