"""The initial reference records: `config/reference.yaml` as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from gateway.ledger.port import ReferenceRecord
from gateway.settings import Reference


def records(reference: Reference) -> list[ReferenceRecord]:
    """Every licensee, center, agent, mission, package and group, with the file's version."""
    collections: dict[str, Iterable[BaseModel]] = {
        "licensee": reference.licensees,
        "service_center": reference.service_centers,
        "agent": reference.agents,
        "mission": reference.missions,
        "package": reference.packages,
        "group": reference.groups,
    }
    return [
        ReferenceRecord(kind, _id(facts := item.model_dump(mode="json")), reference.version, facts)
        for kind, items in collections.items()
        for item in items
    ]


def _id(facts: dict[str, Any]) -> str:
    return str(facts.get("id") or facts["number"])
