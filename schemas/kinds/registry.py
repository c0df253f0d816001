"""Every kind of message by its name, and what can be asked about one. Visa batches stand apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from schemas.application import leaves
from schemas.confidentiality import Confidentiality
from schemas.kinds import conduct, contracts, licensing, movements, offers, reports
from schemas.kinds.checking import check_kind
from schemas.kinds.kind import KindSchema
from schemas.kinds.record import Record, marks
from schemas.violation import Violation

#: The kinds of one part of the network's work, in the order of the documentation.
GROUPS: Final[Mapping[str, tuple[KindSchema, ...]]] = MappingProxyType(
    {
        "Licensees, centers and controls": licensing.KINDS,
        "Service packages and operational plans": offers.KINDS,
        "Contracts of agents abroad": contracts.KINDS,
        "Movements, missions and overstays": movements.KINDS,
        "Conduct": conduct.KINDS,
        "Reports": reports.KINDS,
    }
)

#: Every kind of message beside the visa batch, by name.
KINDS: Final[Mapping[str, KindSchema]] = MappingProxyType(
    {schema.kind: schema for group in GROUPS.values() for schema in group}
)


def check(kind: str, fields: object) -> dict[str, Any] | tuple[Violation, ...]:
    """The canonical body of a message, or every violation of it, in the order of their pointers.

    Raises `KeyError` for a kind that isn't in `KINDS`.
    """
    return check_kind(KINDS[kind], fields)


def key_of(kind: str, body: Mapping[str, Any]) -> tuple[str | int, ...]:
    """What tells a checked body from the sender's others of its kind: the values of the kind's key."""
    return tuple(_at(body, path) for path in KINDS[kind].key)


def _at(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body[name]
    return body


@cache
def field_classes(kind: str) -> Mapping[str, Confidentiality]:
    """The confidentiality class of every leaf of a kind, by dotted path; a list's are its items'.

    Raises `LookupError` for a leaf without exactly one class.
    """
    return MappingProxyType(dict(_classes(kind, KINDS[kind].model)))


@cache
def published_classes(kind: str) -> Mapping[str, Confidentiality]:
    """The same of what is told of a kind: with the fields that the gateway adds."""
    schema = KINDS[kind]
    return MappingProxyType(dict(_classes(kind, schema.published or schema.model)))


def _classes(kind: str, model: type[Record]) -> Iterator[tuple[str, Confidentiality]]:
    for path, field in leaves(model):
        found = list(marks(field, Confidentiality))
        if len(found) != 1:
            raise LookupError(f"{kind}: {path} needs exactly one confidentiality class")
        yield path, found[0]


def json_schema(kind: str, ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """The JSON Schema (2020-12) of a kind's body, its records under `$defs`."""
    schema = KINDS[kind]
    document = schema.model.model_json_schema(ref_template=ref_template)
    return {**document, "title": schema.title_en, "description": schema.summary_en}
