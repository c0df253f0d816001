"""What pilgrims get and need: whether service packages are kept to, and cases of pilgrims who need help."""

from __future__ import annotations

from typing import Any, Final

from gateway.flows.authority import acts_for, all_centers, licensed, own_group, own_name
from gateway.flows.desk import Desk
from gateway.flows.flow import Flow, newer
from gateway.flows.subjects import visa_index
from gateway.message import Body


def visit(body: Body, desk: Desk) -> None:
    """A center's or an inspector's report on a licensee, matched to its package and its pilgrims."""
    licensee, id = body["licensee_id"], own_name(desk, body["report_id"])
    acts_for(desk, licensee, body.get("agent_id"))
    own_group(desk, licensee, body.get("group_number"))
    newer(desk, "visit", id, body["revision"])
    matched = _matched(body, desk)
    facts = {
        "kind": desk.subject.kind,
        "licensee": licensee,
        "package": body.get("package_id"),
        "group": body.get("group_number"),
        "visited_at": body["visited_at"],
        "failed": sum(not finding["complies"] for finding in body["findings"]),
        **matched,
    }
    desk.put("visit", id, facts, version=body["revision"], owner=licensee)
    desk.publish(desk.subject.kind, {**body, **matched}, about=id)


def _matched(body: Body, desk: Desk) -> dict[str, Any]:
    """What of the report the gateway's own records bear out, of what it names."""
    found: dict[str, Any] = {}
    if "package_id" in body:
        found["package_known"] = _package_known(body["package_id"], body["licensee_id"], desk)
    if "visa_numbers" in body:
        found["pilgrims_matched"] = sum(
            _is_pilgrim_of(body["licensee_id"], number, desk) for number in body["visa_numbers"]
        )
    return found


def _package_known(package: str, licensee: str, desk: Desk) -> bool:
    """Whether it is this licensee's, and approved."""
    known = desk.fact("package", package)
    return known is not None and known["status"] == "approved" and known["licensee"] == licensee


def _is_pilgrim_of(licensee: str, visa_number: str, desk: Desk) -> bool:
    visa = desk.books.visa(visa_index(visa_number, desk.office.vault))
    return visa is not None and visa.facts.licensee == licensee


def case(body: Body, desk: Desk) -> None:
    """A pilgrim is lost, ill or stranded: for those who care for pilgrims, and for no center.

    A center may report a pilgrim whose licensee it doesn't know; one that it names must be its own.
    """
    licensee, id = body.get("licensee_id"), own_name(desk, body["case_id"])
    if licensee is None:
        licensed(desk)
    else:
        acts_for(desk, licensee, body.get("agent_id"))
    newer(desk, "case", id, body["revision"])
    # Not its type: that somebody is ill is told to nobody who reads the records.
    facts = {"licensee": licensee, "status": body["status"]}
    desk.put("case", id, facts, version=body["revision"], owner=licensee or "")
    desk.publish("case.report", body, about=id, without=all_centers(desk))


FLOWS: Final = (
    Flow("compliance.report", visit),
    Flow("inspection.report", visit),
    Flow("case.report", case),
)
