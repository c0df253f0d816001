"""What is known at the first start: `reference.yaml` and `controls.yaml` as the ledger keeps them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from pydantic import BaseModel

from gateway.flows.visas import CONTROLS, plan_place
from gateway.ledger.books import Books, Quota
from gateway.ledger.port import Ledger
from gateway.ledger.records import ReferenceRecord
from gateway.settings import Reference, Settings
from schemas.hijri import season
from schemas.kinds.offers import PLANNED_MONTHS


async def load_initial(settings: Settings, ledger: Ledger, today: date) -> None:
    """Put the initial records and ceilings into the ledger; those that messages have replaced stand."""
    await ledger.put_reference(records(settings))
    ceilings = dict(_ceilings(settings.reference, season(today)))

    def publish(books: Books) -> None:
        for quota, ceiling in ceilings.items():
            if books.quota(quota) is None:
                books.set_ceiling(quota, ceiling)

    await ledger.work(publish)


def initial_differs(one: Settings, other: Settings) -> bool:
    """Whether two configurations begin with other records."""
    return (one.reference, one.controls) != (other.reference, other.controls)


def records(settings: Settings) -> list[ReferenceRecord]:
    """Licensees, centers, agents, missions, packages, groups and controls, with their file's version."""
    reference = settings.reference
    collections: dict[str, Iterable[BaseModel]] = {
        "licensee": reference.licensees,
        "service_center": reference.service_centers,
        "agent": reference.agents,
        "mission": reference.missions,
        "package": reference.packages,
        "group": reference.groups,
    }
    found = [
        _record(kind, reference.version, item.model_dump(mode="json"))
        for kind, items in collections.items()
        for item in items
    ]
    return [*found, *_serving(reference), _controls(settings)]


def _record(kind: str, version: str, facts: dict[str, Any]) -> ReferenceRecord:
    id = str(facts.get("id") or facts["number"])
    return ReferenceRecord(kind, id, version, facts, owner=facts.get("licensee", ""))


def _serving(reference: Reference) -> Iterator[ReferenceRecord]:
    """Which centers serve each licensee."""
    centers: dict[str, list[str]] = defaultdict(list)
    for center in reference.service_centers:
        for licensee in center.licensees:
            centers[licensee].append(center.id)
    for licensee, serving in centers.items():
        facts = {"centers": sorted(serving)}
        yield ReferenceRecord("serving", licensee, reference.version, facts, owner=licensee)


def _controls(settings: Settings) -> ReferenceRecord:
    kind, id = CONTROLS
    return ReferenceRecord(kind, id, settings.controls.version, settings.controls.model_dump(mode="json"))


def _ceilings(reference: Reference, year: int) -> Iterator[tuple[Quota, int]]:
    """Of each plan, for the season at hand and the next: a batch may be for either."""
    for plan in reference.plans:
        for season_of in (year, year + 1):
            for month in PLANNED_MONTHS:
                yield plan_place(plan.licensee, season_of, month, plan.country), plan.pilgrims_a_month
