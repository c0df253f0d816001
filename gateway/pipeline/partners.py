"""Partners as operators see them: how each stands, pausing one and letting it go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.clock import micros, moment
from gateway.errors import Refused
from gateway.ledger.journal import Entry
from gateway.ledger.partners import PartnerState, Pause
from gateway.ledger.port import Note
from gateway.ledger.vault import Unsealable
from gateway.message import Micros
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.policies.breaker import CircuitState
from gateway.policies.calendar import closed_until
from gateway.settings import Destination


async def list_partners(engine: Engine) -> dict[str, Any]:
    """Every destination that is configured."""
    known = {state.name: state for state in await engine.ledger.partners(now=engine.now())}
    put_off = await engine.ledger.put_off()
    return {
        "partners": [
            _shown(known.get(name) or PartnerState(name), policy, put_off, engine)
            for name, policy in engine.settings.destinations.items()
        ]
    }


async def pause(name: str, operator: str, reason: str, for_s: float | None, engine: Engine) -> dict[str, Any]:
    """Call it no more, until somebody resumes or the time is over. What is under way ends as it does.

    Raises `Refused` (`not_found`) for a destination that is not configured.
    """
    policy, now = _policy(name, engine), engine.now()
    why = engine.vault.note(reason)
    until = None if for_s is None else Micros(now + round(for_s * 1_000_000))
    detail = {"destination": name} | ({} if until is None else {"until": until})
    entry = _entry("pause", operator, why, detail, engine)
    state = await engine.ledger.pause_partner(name, Pause(operator, now, until, why.sealed), entry)
    return await _done("pause", state, policy, operator, engine)


async def resume(name: str, operator: str, reason: str, engine: Engine) -> dict[str, Any]:
    """Call it again. Raises `Refused` (`not_found`) and `Conflict` (`not_paused`)."""
    policy = _policy(name, engine)
    entry = _entry("resume", operator, engine.vault.note(reason), {"destination": name}, engine)
    state = await engine.ledger.resume_partner(name, entry)
    return await _done("resume", state, policy, operator, engine)


def _policy(name: str, engine: Engine) -> Destination:
    policy = engine.settings.destinations.get(name)
    if policy is None:
        raise Refused("not_found", status=404)
    return policy


def _entry(action: str, operator: str, why: Note, detail: Mapping[str, Any], engine: Engine) -> Entry:
    return Entry(engine.now(), action, operator, detail=detail, commitment=why.commitment, note=why.sealed)


async def _done(
    action: str, state: PartnerState, policy: Destination, operator: str, engine: Engine
) -> dict[str, Any]:
    """This process heeds it at once, the others at their next look."""
    engine.protection.guard(state.name).know(state)
    log.warning("operator", action=action, destination=state.name, operator=operator)
    engine.metrics.operator_actions.labels(action).inc()
    return _shown(state, policy, await engine.ledger.put_off(), engine)


def _shown(
    state: PartnerState, policy: Destination, put_off: Mapping[str, int], engine: Engine
) -> dict[str, Any]:
    circuit, now = state.circuit, engine.now()
    opens = closed_until(policy.calendar, engine.clock.now())
    return {
        "name": state.name,
        "circuit": circuit.state.value,
        "circuit_since": _time(circuit.since or None),
        "failed_probes": circuit.failures,
        "next_probe_at": _time(circuit.until) if circuit.state is CircuitState.OPEN else None,
        "paused": _pause(state.pause, now, engine),
        "closed_until": None if opens is None else _time(micros(opens)),
        "waiting": put_off.get(state.name, 0),
        "last_success_at": _time(state.last_success_at),
        "concurrency": policy.concurrency,
        "rate": None if policy.rate is None else policy.rate.model_dump(),
    }


def _pause(pause: Pause | None, now: Micros, engine: Engine) -> dict[str, Any] | None:
    if pause is None or not pause.in_force(now):
        return None
    return {
        "by": pause.by,
        "since": _time(pause.at),
        "until": _time(pause.until),
        "reason": _reason(pause, engine),
    }


def _reason(pause: Pause, engine: Engine) -> str | None:
    """None where it can't be read any more."""
    try:
        return None if pause.note is None else engine.vault.read_note(pause.note)
    except Unsealable:
        return None


def _time(at: Micros | None) -> str | None:
    return None if at is None else moment(at).isoformat(timespec="milliseconds")


async def why_put_off(name: str, engine: Engine) -> str | None:
    """What a message waits for that is put off for this partner, in a sentence for operators."""
    policy = engine.settings.destinations.get(name)
    known = {state.name: state for state in await engine.ledger.partners(now=engine.now())}
    return None if policy is None else _why(known.get(name) or PartnerState(name), policy, engine)


def _why(state: PartnerState, policy: Destination, engine: Engine) -> str:
    now = engine.now()
    pause, circuit = state.pause, state.circuit
    if pause is not None and pause.in_force(now):
        until = "somebody resumes it" if pause.until is None else f"{_time(pause.until)}, or it is resumed"
        return f"{state.name} was paused by {pause.by} at {_time(pause.at)}, until {until}"
    opens = closed_until(policy.calendar, engine.clock.now())
    if opens is not None:
        return f"{state.name} is closed by its calendar until {_time(micros(opens))}, which wakes what waits"
    if circuit.closed:
        return f"{state.name} takes calls, and what waits for it is woken a few at a time"
    return (
        f"{state.name} has not been well since {_time(circuit.since)} ({circuit.failures} probes failed); "
        f"the next call that may show that it is back is due at {_time(circuit.until)}, and wakes what waits"
    )
