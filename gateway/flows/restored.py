"""What holds after the ledger was restored from a backup: nothing new is asked for before partners' lists of
the lost time were read, and no second visa for whoever appears in them.

A center's 202 for a batch that was lost with the time since the backup still stands, and it hands the batch
in again. Its messages get new ids, so the partner can't know them for the same. Its own list can tell: what
is in there and unknown to us belongs to a forgotten message, and a person decides on whoever applies again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from gateway.flows import visas
from gateway.flows.subjects import normalised
from gateway.ledger.books import FORGOTTEN, Books, ForgottenVisa, Quota
from gateway.ledger.records import GateClosed
from gateway.ledger.vault import Vault
from gateway.message import Body

#: A record by destination: which days' lists were read.
RESTORATION: Final = "restoration"
#: Held until the lists of the lost days were read.
PENDING: Final = "reconciliation_pending"
#: A passport is found here whatever season it was used in: the forgotten message's is not known.
_ANY_SEASON: Final = 0


def person_index(number: str, issuing_state: str, vault: Vault) -> bytes:
    """Of a passport, in no season."""
    return vault.blind_index(_ANY_SEASON, "forgotten", *normalised(number, issuing_state))


def applicant(body: Body, vault: Vault) -> bytes:
    """The person that an application is for."""
    passport = body["passport"]
    return person_index(passport["number"], passport["issuing_state"], vault)


def closed_by(destination: str, body: Body, vault: Vault, books: Books) -> GateClosed | None:
    """None when nothing that was forgotten speaks against asking for this applicant's visa.

    Whose it is matters after a restore only: no index of the person is made before.
    """
    facts = standing(destination, books)
    if facts is None:
        return None
    if open_days(facts):
        return GateClosed(PENDING)
    return GateClosed(FORGOTTEN) if books.forgotten_visas(applicant(body, vault)) else None


def standing(destination: str, books: Books) -> Mapping[str, Any] | None:
    """What is known of restores before which this partner was asked; None: there was none."""
    record = books.record(RESTORATION, destination)
    return None if record is None else record.facts


def open_days(facts: Mapping[str, Any]) -> list[str]:
    """Lost days whose list was not read yet."""
    return sorted(day for day, read in facts["days"].items() if not read)


def count_in(destination: str, request: visas.Request, books: Books) -> None:
    """A visa that was issued in the lost time takes its places, full or not: no intent of ours took them."""
    if standing(destination, books) is None:
        return
    planned = visas.plan_quota(request.facts, request.arrives_on, books)
    capacity = visas.capacity_quota(request.facts.mission, books)
    books.count_in(request.message_id, [quota for quota in (planned, capacity) if isinstance(quota, Quota)])


def begin(destination: str, restoration: int, days: Iterable[date], settled_at: int, books: Books) -> None:
    """The lists of these days are needed now.

    `settled_at`: from then on nothing that was forgotten can take effect any more.
    """
    before = standing(destination, books)
    still_open = {} if before is None else dict.fromkeys(open_days(before), False)
    facts = {"days": still_open | {day.isoformat(): False for day in days}, "settled_at": settled_at}
    books.put(RESTORATION, destination, facts, version=str(restoration))


def list_read(destination: str, day: date, found: Iterable[ForgottenVisa], books: Books) -> None:
    """A lost day's list was read to its end, with these visas in it of which we know nothing."""
    for visa in found:
        books.remember_forgotten(visa)
    record = books.record(RESTORATION, destination)
    if record is None or record.facts["days"].get(day.isoformat()) is not False:
        return
    facts = {**record.facts, "days": {**record.facts["days"], day.isoformat(): True}}
    books.put(RESTORATION, destination, facts, version=record.version)
