"""What must hold: at every commit, and once the faults have ceased and time has run on until all is quiet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from gateway.ledger.journal import GENESIS, Head, link
from gateway.ledger.sql.auditing import journal_row
from gateway.message import Micros
from gateway.states import FINAL, MOVES, Outcome, State
from tests.simulation.ledger import Change, Database

Violate = Callable[[str, str], None]
_RESTING: Final = frozenset({State.ACCEPTED, State.READY, State.HELD, State.AWAITING})
_LEASED: Final = frozenset({State.CARRIED, State.INQUIRING})
_EFFECT_MOVES: Final = {("open", "done"), ("open", "free"), ("free", "open")}
#: Everything a batch's line may end as.
_ENDS: Final = FINAL | {State.UNDER_REVIEW}
APPLICATION: Final = "visa.application"


# --- at every commit ---------------------------------------------------------------------------------------


def check_commit(changes: Sequence[Change], now: Micros, longest_us: float, violate: Violate) -> None:
    """Every row that a commit changed came there by a legal move; no lease is longer than `longest_us`."""
    for change in changes:
        match change.table:
            case "message":
                _message(change, now, longest_us, violate)
            case "effect":
                _effect(change, violate)
            case "quota":
                _quota(change, violate)
    _batches(changes, violate)


def _message(change: Change, now: Micros, longest_us: float, violate: Violate) -> None:
    after, before = change.after, change.before
    to = State(after["state"])
    if to in _RESTING and after["open_step"] is not None:
        violate("rests_with_an_open_call", change.key)
    leased_anew = to in _LEASED and (before is None or before["lease_until"] != after["lease_until"])
    if leased_anew and after["lease_until"] - now > longest_us:
        violate("lease_too_long", change.key)
    if before is None:
        return
    came_from = State(before["state"])
    if to is not came_from:
        _move(change, came_from, to, violate)
    elif came_from in FINAL and before["outcome"] != after["outcome"]:
        violate("final_state_changed", change.key)
    if after["lease_token"] < before["lease_token"]:
        violate("token_went_back", change.key)


def _move(change: Change, came_from: State, to: State, violate: Violate) -> None:
    before, after = change.before or {}, change.after
    if to not in MOVES[came_from]:
        violate("illegal_move", f"{change.key} {came_from}->{to}")
    if came_from in FINAL and before["outcome"] != Outcome.ISSUED:
        violate("final_state_changed", change.key)
    if to in _LEASED and after["lease_token"] <= before["lease_token"]:
        violate("leased_without_a_new_token", change.key)


def _effect(change: Change, violate: Violate) -> None:
    before = None if change.before is None else change.before["state"]
    after = change.after["state"]
    if before is None and after != "open":
        violate("effect_made_otherwise_than_open", change.key)
    if before is not None and before != after and (before, after) not in _EFFECT_MOVES:
        violate("illegal_effect", f"{change.key} {before}->{after}")
    if before == after == "open" and change.before["token"] != change.after["token"]:
        violate("two_intents_open", change.key)
    if after == "open":
        _intent(change, violate)


def _intent(change: Change, violate: Violate) -> None:
    """The commit of an intent: by whom holds the lease, of whom nobody wants cancelled, with its place."""
    made, id = change.after, change.after["message_id"]
    if made["holder_state"] != State.CARRIED or made["open_step"] is None:
        violate("intent_of_a_message_at_rest", id)
    if made["holder_token"] != made["token"]:
        violate("intent_under_an_old_token", id)
    if made["kind"] == APPLICATION and made["cancel_requested_at"] is not None:
        violate("intent_although_cancelled", id)
    if made["kind"] == APPLICATION and not made["places"]:
        violate("intent_without_a_place", id)
    if made["kind"] == APPLICATION and '"status": "active"' not in made["licensee"]:
        violate("intent_for_a_suspended_licensee", id)


def _quota(change: Change, violate: Violate) -> None:
    before = 0 if change.before is None else change.before["taken"]
    if change.after["taken"] > before and change.after["taken"] > change.after["ceiling"]:
        violate("quota_exceeded", change.key)


def _batches(changes: Sequence[Change], violate: Violate) -> None:
    """A batch goes forward; a revision is one of its completion, or of a settled line that changed since."""
    order = ("receiving", "processing", "completed")
    first: dict[str, Change] = {}
    last: dict[str, Change] = {}
    for change in changes:
        if change.table == "batch":
            first.setdefault(change.key, change)
            last[change.key] = change
    for id, change in last.items():
        before, after = first[id].before, change.after
        if before is None:
            continue
        if order.index(after["state"]) < order.index(before["state"]):
            violate("batch_went_back", id)
        if after["revision"] - before["revision"] > (before["state"] == "completed"):
            violate("revision_without_a_change", id)


# --- at the end --------------------------------------------------------------------------------------------


def check_books(database: Database, violate: Violate) -> None:
    """What stands in the ledger at rest, by itself."""
    _check_ends(database, violate)
    _check_counts(database, violate)
    _check_quotas(database, violate)
    _check_told_once(database, violate)
    _check_chains(database, violate)


def _check_ends(database: Database, violate: Violate) -> None:
    for row in database.rows(
        "SELECT message.*, (SELECT group_concat(state) FROM effect WHERE message_id = message.id) AS effects"
        " FROM message"
    ):
        if row["state"] not in _ENDS:
            violate("never_ended", f"{row['id']} {row['state']} {row['code']}")
        effects = (row["effects"] or "").split(",")
        if row["state"] in FINAL and "open" in effects:
            violate("ended_with_an_open_intent", row["id"])
        if row["outcome"] == Outcome.ISSUED and "done" not in effects:
            violate("issued_without_an_intent", row["id"])
        if (
            row["state"] == State.COMPLETED
            and row["outcome"] == Outcome.ISSUED
            and row["cancel_requested_at"]
        ):
            _check_cancelled(row["id"], database, violate)


def _check_cancelled(id: str, database: Database, violate: Violate) -> None:
    """Issued although a cancellation was asked for: then a message of its own sees to it."""
    if not database.rows("SELECT 1 FROM message WHERE parent_id = ? AND kind = 'visa.cancellation'", id):
        violate("cancellation_forgotten", id)


def _check_counts(database: Database, violate: Violate) -> None:
    stands: dict[str, Counter[str]] = {}
    for row in database.rows("SELECT batch_id, public_state FROM message WHERE batch_id IS NOT NULL"):
        stands.setdefault(row["batch_id"], Counter())[row["public_state"]] += 1
    told: dict[str, Counter[str]] = {}
    for row in database.rows("SELECT * FROM batch_count WHERE n <> 0"):
        told.setdefault(row["batch_id"], Counter())[row["public_state"]] = row["n"]
    for row in database.rows("SELECT id, lines, state FROM batch"):
        if stands.get(row["id"], Counter()) != told.get(row["id"], Counter()):
            violate("counts_differ", f"{row['id']} {stands.get(row['id'])} {told.get(row['id'])}")
        if row["state"] == "processing":
            violate("batch_never_completed", row["id"])
        if row["state"] == "completed" and sum(stands.get(row["id"], {}).values()) != row["lines"]:
            violate("line_lost", row["id"])


def _check_quotas(database: Database, violate: Violate) -> None:
    taken = {
        (row["control"], row["scope"]): row["n"]
        for row in database.rows("SELECT control, scope, count(*) AS n FROM reservation GROUP BY 1, 2")
    }
    for row in database.rows("SELECT * FROM quota"):
        if row["taken"] != taken.get((row["control"], row["scope"]), 0):
            violate("places_differ", f"{row['control']}:{row['scope']}")
    for row in database.rows(
        "SELECT id FROM message WHERE kind = ? AND outcome = 'issued' AND state = 'completed'"
        " AND NOT EXISTS (SELECT 1 FROM reservation WHERE message_id = message.id)",
        APPLICATION,
    ):
        violate("issued_without_a_place", row["id"])
    for row in database.rows(
        "SELECT id FROM message WHERE state IN ('completed', 'cancelled', 'expired')"
        " AND NOT (state = 'completed' AND outcome IN ('issued', 'done'))"
        " AND EXISTS (SELECT 1 FROM reservation WHERE message_id = message.id)"
    ):
        violate("place_not_given_back", row["id"])


def _check_told_once(database: Database, violate: Violate) -> None:
    told: dict[str, list[int]] = {}
    for row in database.rows(
        "SELECT batch_id, revision FROM outbox WHERE kind = 'batch.completed' ORDER BY seq"
    ):
        told.setdefault(row["batch_id"], []).append(row["revision"])
    for row in database.rows("SELECT id, state, revision FROM batch WHERE state <> 'receiving'"):
        wanted = list(range(1, row["revision"] + 1)) if row["state"] == "completed" else []
        if told.get(row["id"], []) != wanted:
            violate("completion_not_told_once", f"{row['id']} {told.get(row['id'])} {wanted}")


def _check_chains(database: Database, violate: Violate) -> None:
    """Each writer's chain of hashes, from its first entry to the head that the ledger knows."""
    heads: dict[str, Head] = {}
    for row in database.rows("SELECT * FROM audit ORDER BY chain, number"):
        kept = journal_row(row)
        head = heads.get(kept.chain, Head(0, GENESIS))
        (linked,) = link(kept.chain, head, [kept.entry])
        if (linked.number, linked.hash) != (kept.number, kept.hash):
            violate("chain_broken", f"{kept.chain} {kept.number}")
            return
        heads[kept.chain] = Head(linked.number, linked.hash)
    for row in database.rows("SELECT * FROM chain"):
        if heads.get(row["name"]) != Head(row["number"], row["hash"]):
            violate("chain_shortened", row["name"])


def check_disclosures(reached: set[tuple[str, str, str]], database: Database, violate: Violate) -> None:
    """The journal names every partner that a request about a message reached.

    Where a worker died in the middle of a stage the end of its lease is what tells of it: "perhaps".
    """
    scopes = {
        row["id"]: (row["receiver"], row["operation"].rpartition(".")[2])
        for row in database.rows("SELECT id, receiver, operation FROM scope")
    }
    told: set[tuple[str, str, str]] = set()
    perhaps: set[str] = set()
    for row in database.rows("SELECT message_id, action, detail FROM audit WHERE message_id IS NOT NULL"):
        if row["action"] == "lease_ended":
            perhaps.add(row["message_id"])
        if row["detail"]:
            for number in json.loads(row["detail"]).get("disclosed", ()):
                told.add((row["message_id"], *scopes[number]))
    for missing in sorted(reached - told):
        if missing[0] not in perhaps:
            violate("disclosure_missing", " ".join(missing))
