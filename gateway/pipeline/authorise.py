"""Authorise and gate: may this center send this, for this licensee and agent, to this mission, today?"""

from __future__ import annotations

from functools import partial

from gateway.errors import Refused
from gateway.flows import unauthorised
from gateway.flows.visas import closed_by
from gateway.message import BatchFacts, PartyId
from gateway.pipeline.engine import Engine
from schemas.violation import Violation

#: Where in the header the reason for a closed gate stands.
_POINTERS = {
    "licensee_unknown": "/licensee_id",
    "licensee_inactive": "/licensee_id",
    "center_not_licensed": "/licensee_id",
    "agent_not_served": "/agent_id",
    "agent_unknown": "/agent_id",
    "agent_contract_invalid": "/agent_id",
    "mission_unknown": "/mission_id",
    "mission_closed": "/mission_id",
    "package_not_approved": "/package_id",
    "group_of_another_licensee": "/group_number",
    "overstay_limit": "/licensee_id",
    "window_closed": "/season",
}


async def authorise(party: PartyId, facts: BatchFacts, engine: Engine, *, dry_run: bool = False) -> None:
    """Raises `Refused` (403) with the first condition that closes the gate for this batch."""
    code = await engine.ledger.look(partial(closed_by, party, facts))
    if code is not None:
        if not dry_run:
            await report_unauthorised(party, facts, code, engine)
        raise Refused(code, violations=(Violation(code, _POINTERS.get(code, "")),), status=403)


async def report_unauthorised(party: PartyId, facts: BatchFacts, code: str, engine: Engine) -> None:
    """Tell the ministry of a refusal that may be a phantom company or trade in groups.

    In a transaction of its own, before the center has its answer: the refusal itself writes nothing. Does
    nothing for other codes and other parties than centers.
    """
    if code not in unauthorised.CODES or engine.office.parties.get(party) != "service_center":
        return
    attempt = unauthorised.Attempt(party, facts.licensee, facts.agent, facts.group_number or "", code)
    await engine.ledger.work(lambda books: unauthorised.report(attempt, engine.office, books))
