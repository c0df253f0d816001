"""The messages of the network beside visa batches: one `KindSchema` a kind, and the check of a body."""

from schemas.kinds.kind import KindSchema, PartyKind, Rule
from schemas.kinds.registry import (
    GROUPS,
    KINDS,
    check,
    field_classes,
    json_schema,
    key_of,
    published_classes,
)

__all__ = [
    "GROUPS",
    "KINDS",
    "KindSchema",
    "PartyKind",
    "Rule",
    "check",
    "field_classes",
    "json_schema",
    "key_of",
    "published_classes",
]
