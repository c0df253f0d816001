"""One party's notices: read from the outbox in order, delivered one by one, each marked before the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import Unavailable, Uncertain
from gateway.http import HttpClient
from gateway.ledger.port import Position, StoredEvent
from gateway.message import Micros, PartyId
from gateway.observe.log import log
from gateway.pipeline.engine import Engine
from gateway.pipeline.notify import CONFIRMED
from gateway.pipeline.webhook_positions import CHANNEL, FAILING, gone_channel
from gateway.settings.parties import Webhook
from gateway.webhooks import notice
from gateway.webhooks.schedule import Attempt, Result, follow

_PAGE: Final = 100
#: For one notice, connecting included.
DEADLINE_S: Final = 10.0
_CONNECT_S: Final = 3.0
#: Of an answer, which only has to have a status.
_MAX_REPLY_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers to one webhook. `round` is called again and again, by one task at a time."""

    engine: Engine
    party: PartyId
    webhook: Webhook
    secrets: Sequence[bytes]
    client: HttpClient
    #: Asked between two notices.
    stopping: Callable[[], bool]

    async def round(self) -> int:
        """Deliver what is due until nothing is left or one fails; how many were taken.

        A crash after a delivery and before its mark leaves it to be delivered again, under the same id.
        """
        if (await self._position(gone_channel(self.webhook))).seq:
            return 0
        position = await self._begun()
        taken = 0
        while self._is_due(position) and (page := await self._page(position)):
            for event in page:
                result, after = await self._deliver(event, position)
                moved = await self.engine.ledger.mark(self.party, CHANNEL, after, after=position.seq)
                taken += result is Result.DELIVERED
                if not moved or self.stopping() or result in (Result.FAILED, Result.GONE):
                    return taken  # rewound meanwhile: the next round begins there
                position = after
        return taken

    async def _begun(self) -> Position:
        """Where the party stands; what it fetched and confirmed before it had a webhook is not told again."""
        position = await self._position(CHANNEL)
        if position != Position():
            return position
        confirmed = Position((await self._position(CONFIRMED)).seq)
        if confirmed.seq:
            await self.engine.ledger.mark(self.party, CHANNEL, confirmed, after=0)
        return confirmed

    async def _position(self, channel: str) -> Position:
        return await self.engine.ledger.position(self.party, channel)

    def _is_due(self, position: Position) -> bool:
        return position.next_at is None or position.next_at <= self.engine.now()

    async def _page(self, position: Position) -> Sequence[StoredEvent]:
        return await self.engine.ledger.events(self.party, after=position.seq, limit=_PAGE)

    async def _deliver(self, event: StoredEvent, before: Position) -> tuple[Result, Position]:
        attempt = await self._attempt(event)
        result, after = follow(
            attempt,
            event,
            before,
            now=self.engine.now(),
            failing_since=await self._failing_since(attempt, before),
            random=self.engine.random,
        )
        if result is Result.GONE:
            await self.engine.ledger.mark(self.party, gone_channel(self.webhook), Position(1))
        self._tell(result, attempt, before)
        return result, after

    async def _attempt(self, event: StoredEvent) -> Attempt:
        """One POST. Redirects are not followed: their status is an answer like any other."""
        engine = self.engine
        content = notice.body(event)
        try:
            reply = await self.client.post(
                self.webhook.url,
                notice.headers(event, content, self.secrets, engine.clock.now()),
                content,
                deadline_s=DEADLINE_S,
                connect_timeout_s=_CONNECT_S,
                max_reply_bytes=_MAX_REPLY_BYTES,
                send_by_boottime_s=engine.clock.boottime_s() + DEADLINE_S,
            )
        except (Unavailable, Uncertain) as error:
            return Attempt(code=error.code)
        return Attempt(status=reply.status)

    async def _failing_since(self, attempt: Attempt, before: Position) -> Micros:
        """Since when nothing was taken; noted at the first failure after something was."""
        now = self.engine.now()
        if before.failures:
            return Micros((await self._position(FAILING)).seq)
        if not attempt.is_taken:
            await self.engine.ledger.mark(self.party, FAILING, Position(now))
        return now

    def _tell(self, result: Result, attempt: Attempt, before: Position) -> None:
        self.engine.metrics.webhooks.labels(self.party, result).inc()
        if result is Result.DELIVERED:
            return
        log.warning(
            "webhook",
            action=f"webhook_{result}",
            party=self.party,
            attempt=before.failures + 1,
            status=attempt.status,
            code=attempt.code or None,
        )
