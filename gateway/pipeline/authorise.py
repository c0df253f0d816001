"""Authorise and gate: may this center send this, for this licensee and agent, to this mission, today?"""

from __future__ import annotations

from datetime import date

from gateway.errors import Refused
from gateway.message import BatchFacts, PartyId
from gateway.pipeline.engine import Engine
from schemas.violation import Violation

#: Where in the header the reason for a closed gate stands.
_POINTERS = {
    "licensee_unknown": "/licensee_id",
    "licensee_inactive": "/licensee_id",
    "center_not_licensed": "/licensee_id",
    "agent_unknown": "/agent_id",
    "agent_contract_invalid": "/agent_id",
    "mission_unknown": "/mission_id",
    "mission_closed": "/mission_id",
    "package_not_approved": "/package_id",
    "group_of_another_licensee": "/group_number",
    "window_closed": "/season",
}


async def authorise(party: PartyId, facts: BatchFacts, engine: Engine) -> None:
    """Raises `Refused` (403) with the first condition that closes the gate for this batch."""
    code = await engine.ledger.closed_by(party, facts, now=engine.now()) or _window(engine)
    if code is not None:
        raise Refused(code, violations=(Violation(code, _POINTERS.get(code, "")),), status=403)


def _window(engine: Engine) -> str | None:
    windows = engine.settings.controls.request_windows
    today: date = engine.clock.today()
    if not windows or any(window.opens <= today <= window.closes for window in windows):
        return None
    return "window_closed"
