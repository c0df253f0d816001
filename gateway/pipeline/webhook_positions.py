"""How far each webhook has come, for those who deliver to it and for operators."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from gateway.clock import moment
from gateway.errors import Refused
from gateway.ledger.records import Position
from gateway.message import PartyId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.settings.parties import Webhook

#: Up to where notices were taken, failures since, and when it is tried again.
CHANNEL: Final = "webhook"
#: Its position is the time (microseconds) since when the receiver has taken nothing.
FAILING: Final = "webhook-failing"
#: Events are counted up to here, so that a look costs little.
_MOST_COUNTED: Final = 1_000


def gone_channel(webhook: Webhook) -> str:
    """Has a position once the receiver said that it is gone (410): of this configuration, not of the next."""
    given = f"{webhook.url} {webhook.secret_file} {webhook.allow_private}"
    return f"webhook-gone-{hashlib.sha256(given.encode()).hexdigest()[:16]}"


def webhooks(engine: Engine) -> Iterator[tuple[PartyId, Webhook]]:
    """Who is told."""
    for party in engine.settings.parties:
        if party.webhook is not None:
            yield PartyId(party.id), party.webhook


async def list_webhooks(engine: Engine) -> dict[str, Any]:
    """Every webhook: its position, failures, and when it is tried again."""
    return {"webhooks": [await _shown(party, webhook, engine) for party, webhook in webhooks(engine)]}


async def _shown(party: PartyId, webhook: Webhook, engine: Engine) -> dict[str, Any]:
    position = await engine.ledger.position(party, CHANNEL)
    gone = (await engine.ledger.position(party, gone_channel(webhook))).seq > 0
    since = (await engine.ledger.position(party, FAILING)).seq
    waiting = await engine.ledger.events(party, after=position.seq, limit=_MOST_COUNTED)
    return {
        "party": party,
        "url": webhook.url,
        "state": _state(position, gone),
        "cursor": str(position.seq),
        "waiting": len(waiting),
        "failures": position.failures,
        "failing_since": _time(since) if position.failures else None,
        "next_at": _time(position.next_at) if position.failures and not gone else None,
    }


def _state(position: Position, gone: bool) -> str:
    if gone:
        return "stopped"
    return "failing" if position.failures else "delivering"


async def replay(
    party: PartyId, from_cursor: str, operator: str, reason: str, engine: Engine
) -> dict[str, Any]:
    """Tell a party again of the event at this cursor and of all that follow, at once.

    A receiver that said it is gone is called again. Raises `Conflict` (`not_delivered_yet`), and `Refused`
    (`not_found`) for a party without a webhook.
    """
    webhook = dict(webhooks(engine)).get(party)
    if webhook is None:
        raise Refused("not_found", status=404)
    rewind = partial(
        engine.ledger.rewind, party, actor=operator, reason=engine.vault.note(reason), now=engine.now()
    )
    await rewind(CHANNEL, max(int(from_cursor) - 1, 0))
    if (await engine.ledger.position(party, gone_channel(webhook))).seq:
        await rewind(gone_channel(webhook), 0)
    log.info("operator", action="webhook_replay", party=party, operator=operator)
    engine.metrics.operator_actions.labels("webhook_replay").inc()
    return await _shown(party, webhook, engine)


def _time(value: int | None) -> str | None:
    return None if value is None else moment(value).isoformat(timespec="milliseconds")
