"""Reveal: what a message says of a person, to an operator who says why. Noted before it is shown."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.errors import Conflict, Refused
from gateway.ledger.journal import Entry
from gateway.ledger.vault import Shredded, Unsealable, payload_place
from gateway.message import MessageId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.policies.reveal import granted, reveal
from gateway.settings.access import Role
from schemas.violation import Violation


async def reveal_message(
    message_id: MessageId,
    operator: str,
    roles: tuple[Role, ...],
    reason: str,
    fields: Collection[str] | None,
    engine: Engine,
) -> dict[str, Any]:
    """The granted part of the message; of that only `fields`, where some are asked for.

    Raises `Refused`: `not_found`, `field_not_granted` (nothing of it is shown then), `retention_ended`; and
    `Conflict` (`not_readable`) for a message that does not open.
    """
    row = await engine.ledger.message(message_id)
    if row is None:
        raise Refused("not_found", status=404)
    policy = engine.settings.confidentiality
    grant = granted(policy, roles, row.kind)
    if grant is None:
        raise Refused("field_not_granted", status=403)
    if fields is not None and (denied := _denied(fields, grant.fields)):
        raise Refused("field_not_granted", violations=denied, status=403)
    try:
        key = engine.vault.data_key(row.id, row.data_key)
        body = engine.vault.open(key, row.sealed_payload, place=payload_place(row))
    except Shredded as gone:
        raise Refused("retention_ended", status=410) from gone
    except Unsealable as damaged:
        raise Conflict("not_readable") from damaged
    revealed = reveal(grant, operator, policy.version, body, fields)
    why = engine.vault.note(reason)
    entry = Entry(
        engine.now(), "reveal", operator, row.id, row.batch_id, note=why.sealed, commitment=why.commitment
    )
    await engine.ledger.note(entry, disclosed=[revealed.disclosure])
    log.info("operator", action="reveal", message_id=row.id, operator=operator)
    engine.metrics.operator_actions.labels("reveal").inc()
    return {
        "id": row.id,
        "kind": row.kind,
        "purpose": grant.purpose,
        "rule": policy.version,
        "fields": list(revealed.disclosure.fields),
        "revealed": dict(revealed.shown),
    }


def _denied(fields: Collection[str], allowed: Collection[str]) -> tuple[Violation, ...]:
    """By their places in the request: what was asked for is not echoed."""
    return tuple(
        Violation("field_not_granted", f"/fields/{n}") for n, path in enumerate(fields) if path not in allowed
    )
