"""Gateways that are broken on purpose, to see that a row of the table would notice.

Each breaks one promise in the process that it is called in, before that process serves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.values import replace


def no_intent() -> None:
    """Calls go out without their intent being committed."""
    import gateway.pipeline.carry as carrying
    from gateway.pipeline.commit import Committed

    async def commit(journey: Any, steps: Any, engine: Any) -> Committed:
        return Committed(journey, engine.clock.boottime_s() + 60)

    carrying.commit = commit


def repeat_after_crash() -> None:
    """A lease that ends after an intent makes the message ready, as if nothing could have been sent."""
    import gateway.ledger.sql.sweeping as sweeping
    from gateway.states import State

    shift = sweeping._shift

    def ready(tx: Any, row: Any, to: State, *args: Any, **named: Any) -> None:
        if to is State.UNCERTAIN:
            to = State.READY
            tx.run("UPDATE effect SET state = 'free' WHERE message_id = ?", (row["id"],))
            tx.run("UPDATE message SET open_step = NULL WHERE id = ?", (row["id"],))
        shift(tx, row, to, *args, **named)

    sweeping._shift = ready


def answered_before_commit() -> None:
    """The 202 goes out while the commit behind it is still to come."""
    import gateway.pipeline.admit as admit

    accept = admit.accept
    later: set[Any] = set()

    async def at_leisure(*given: Any) -> None:
        async def do() -> None:
            await asyncio.sleep(0.5)
            await accept(*given)

        later.add(asyncio.create_task(do()))

    admit.accept = at_leisure


def late_send() -> None:
    """Nobody looks at the clock between the intent and the send."""
    import gateway.pipeline.carry as carrying

    commit = carrying.commit

    async def for_ever(journey: Any, steps: Any, engine: Any) -> Any:
        committed = await commit(journey, steps, engine)
        if hasattr(committed, "send_by_boottime_s"):
            return replace(committed, send_by_boottime_s=math.inf)
        return committed

    carrying.commit = for_ever


def commit_taken_for_done() -> None:
    """A COMMIT whose answer was lost counts as done; the server is not asked."""
    from gateway.ledger.postgresql.writer import PostgresWriter

    PostgresWriter._was_committed = lambda self, key: True  # type: ignore[method-assign]


def confirm_ignored() -> None:
    """What was handed to the connection counts as confirmed by the broker."""
    from gateway.bus import publisher
    from gateway.bus.confirms import Outcome

    send = publisher.Publisher._send

    def at_once(self: Any, *given: Any) -> Any:
        sent = send(self, *given)
        for event in sent.events:
            self._settled(sent, event, Outcome.CONFIRMED)
        return sent

    publisher.Publisher._send = at_once  # type: ignore[method-assign]


def marked_before_confirm() -> None:
    """The position of a receiver moves on before the broker has confirmed what stands before it."""
    from gateway.bus import publisher

    send, mark = publisher.Publisher._send, publisher.Publisher._mark

    def then_mark(self: Any, link: Any, connection: Any, channel: Any, receiver: Any) -> Any:
        sent = send(self, link, connection, channel, receiver)
        as_confirmed = replace(sent, confirmed={event.seq for event in sent.events})
        mark(self, link, connection, as_confirmed)
        return sent

    publisher.Publisher._send = then_mark  # type: ignore[method-assign]


def acknowledged_before_taken() -> None:
    """A command is acknowledged when it arrives, and taken afterwards."""
    from gateway.bus import consumer

    offer = consumer._Session._offer

    class _Once:
        def __init__(self, message: Any) -> None:
            self._message = message

        def __getattr__(self, name: str) -> Any:
            return (lambda: None) if name == "ack" else getattr(self._message, name)

    def early(self: Any, held: Any) -> None:
        held.message.ack()
        held.message = _Once(held.message)
        offer(self, held)

    consumer._Session._offer = early  # type: ignore[method-assign]


def refused_once_for_all() -> None:
    """What the ledger refused is not tried again: its message waits for the end of its lease."""
    from gateway.pipeline import inquire, settle

    async def once(commit: Any, *_: Any) -> Any:
        return await commit()

    settle.until_committed = inquire.until_committed = once  # type: ignore[assignment]


def circuit_never_opens() -> None:
    """Nobody notices that a partner fails: it is called as ever."""
    from gateway.pipeline.partner_guard import PartnerGuard

    PartnerGuard.count = lambda *_, **__: False  # type: ignore[method-assign]


def times_of_the_process() -> None:
    """On a database server too, leases and due times are measured by whatever clock a process has."""
    from gateway.ledger.postgresql.ledger import PostgresLedger

    PostgresLedger._time = lambda self, _: self._now()  # type: ignore[method-assign]


def statements_know_no_new_column() -> None:
    """A statement that was prepared before a newer version has changed its table just fails."""
    from psycopg import errors

    from gateway.ledger.postgresql import connection

    connection.CONFLICTS = tuple(  # type: ignore[misc]
        each for each in connection.CONFLICTS if each is not errors.FeatureNotSupported
    )


def served_as_if_whole() -> None:
    """A restored ledger goes on as if it had forgotten nothing."""
    from cli import gateway

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    gateway.stand_after_restore = nothing


#: What each is called in a row's `mutant`.
MUTANTS: Final[Mapping[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (
        no_intent,
        repeat_after_crash,
        answered_before_commit,
        late_send,
        commit_taken_for_done,
        confirm_ignored,
        marked_before_confirm,
        acknowledged_before_taken,
        refused_once_for_all,
        circuit_never_opens,
        times_of_the_process,
        statements_know_no_new_column,
        served_as_if_whole,
    )
}
