"""The last look: the ledger against the evidence of those outside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.ledger.sql.rows import message as as_message
from gateway.pipeline.journey import open_steps
from gateway.states import Outcome, State
from tests.simulation import invariants
from tests.simulation.broker import WEBHOOKS
from tests.simulation.partner import Call

if TYPE_CHECKING:
    from tests.simulation.world import World

ISSUANCE = "foreign_affairs.visa_issuance"
#: An answer that a process read is in the ledger this long after, if both go on.
_WRITTEN_WITHIN_S = 12.0


def final_violations(world: World) -> None:
    """Tell the world of everything that does not agree."""
    invariants.check_books(world.database, world.violate)
    invariants.check_disclosures(world.network.reached, world.database, world.violate)
    _accepted(world)
    _issued(world)
    _notices(world)
    _answers(world)


def _accepted(world: World) -> None:
    """Every batch whose center got its receipt is there, with every line."""
    for receipt in world.parties.receipts:
        rows = world.database.rows(
            "SELECT state, lines, (SELECT count(*) FROM message WHERE batch_id = batch.id) AS n FROM batch"
            " WHERE id = ?",
            receipt.batch_id,
        )
        if not rows or rows[0]["state"] == "receiving" or rows[0]["n"] != receipt.counts["total"]:
            world.violate("accepted_and_lost", str(receipt.batch_id))


def _issued(world: World) -> None:
    """Issued in the ledger where the register has a visa that holds, and nowhere else; reviews are open."""
    for row in world.database.rows("SELECT * FROM message WHERE kind = ?", invariants.APPLICATION):
        reference = f"{row['id']}/visa_issuance"
        live = world.register.live(reference)
        issued = row["state"] == State.COMPLETED and row["outcome"] == Outcome.ISSUED
        if row["state"] == State.UNDER_REVIEW:
            continue
        if issued and live is None and not _cancellation_open(row["id"], world):
            world.violate("issued_here_not_there", reference)
        if live is not None and not issued:
            world.violate("issued_there_not_here", f"{reference} {row['state']}")
        if issued and live is not None and _number(row, world) not in _numbers(reference, world):
            world.violate("another_number", reference)


def _cancellation_open(id: str, world: World) -> bool:
    """Its visa may be cancelled there already: a person looks at what became of that."""
    found = world.database.rows(
        "SELECT 1 FROM message WHERE parent_id = ? AND kind = 'visa.cancellation' AND state = 'under_review'",
        id,
    )
    return bool(found)


def _numbers(reference: str, world: World) -> set[str]:
    """Several where it was issued twice, which is told by itself: the ledger knows one of them."""
    return {visa.number for visa in world.register.all_live(reference)}


def _number(row: Any, world: World) -> str | None:
    engine = world.processes[0].engine
    message = as_message(row)
    steps = open_steps(engine.vault, engine.vault.data_key(message.id, message.data_key), message)
    state = steps.get(ISSUANCE)
    return None if state is None or state.result is None else state.result.get("visa_number")


def _notices(world: World) -> None:
    """Whatever is meant for a center with a webhook came there, in order when it came first."""
    for party in WEBHOOKS:
        meant = [
            row["event_id"] or str(row["seq"])
            for row in world.database.rows(
                "SELECT seq, event_id FROM outbox WHERE receiver = ? ORDER BY seq", party
            )
        ]
        first = list(dict.fromkeys(world.receivers.taken[party]))
        if first != meant:
            missing = set(meant) - set(first)
            world.violate(
                "notice_lost" if missing else "notices_out_of_order", f"{party} {sorted(missing)[:3]}"
            )


def _answers(world: World) -> None:
    """An answer that a process read is kept, also when another had the message by then."""
    for reference, calls in world.register.calls.items():
        kept = sum(call.told_at is not None and _was_kept(call, world) for call in calls)
        (row,) = world.database.rows(
            "SELECT count(*) AS n FROM attempt WHERE message_id = ? AND step = ? AND kind = 'call'"
            " AND outcome NOT IN ('open', 'crashed')",
            reference.partition("/")[0],
            ISSUANCE,
        )
        if row["n"] < kept:
            world.violate("answer_thrown_away", f"{reference} {row['n']} of {kept}")


def _was_kept(call: Call, world: World) -> bool:
    """Whether the process lived, awake, with a ledger that wrote, until the answer had to be there."""
    assert call.told_at is not None
    owner: Any = call.owner
    until = call.told_at + _WRITTEN_WITHIN_S
    if owner is None or (owner.died_at is not None and owner.died_at < until):
        return False
    return not world.faults.hindered(owner, call.told_at, until)
