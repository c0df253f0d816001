"""Is this a message of its kind? All faults at once: how it is built, what its values mean, its rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from schemas.kinds.kind import KindSchema, Rule
from schemas.kinds.rules import meanings
from schemas.structure import FINDINGS, Finding, Location, examine, pointer
from schemas.violation import Violation

_CHOICE: Final = re.compile("'([^']+)'")


def check_kind(kind: KindSchema, fields: object) -> dict[str, Any] | tuple[Violation, ...]:
    """The canonical body, or every violation of it in the order of their pointers.

    The body is nested JSON values without absent fields, defaults filled in. Costs time in proportion to
    the size of `fields`.
    """
    record, faults = examine(kind.model, fields, KIND_FINDINGS)
    found = list(faults.values())
    if () not in faults:
        told = {fault.pointer for fault in found}
        sound = _sound(fields, faults)
        found += [fault for rule in rules_of(kind) for fault in rule.find(sound) if fault.pointer not in told]
    if record is None or found:
        return tuple(sorted(found, key=lambda fault: (fault.pointer, fault.code)))
    return record.model_dump(by_alias=True, exclude_none=True)


@cache
def rules_of(kind: KindSchema) -> tuple[Rule, ...]:
    """What the values of a kind must mean, alone and together."""
    return (*meanings(kind.model), *kind.rules)


def _sound(value: Any, faults: Mapping[Location, Violation], place: Location = ()) -> Any:
    """A copy in which every faulty value is None and an absent field has no name."""
    if place in faults:
        return None
    if isinstance(value, dict):
        return {
            name: _sound(inner, faults, (*place, name)) for name, inner in value.items() if inner is not None
        }
    if isinstance(value, list):
        return [_sound(item, faults, (*place, index)) for index, item in enumerate(value)]
    return value


def _not_one_of(_model: type[BaseModel], detail: ErrorDetails) -> Violation:
    place = pointer(detail["loc"])
    if not isinstance(detail["input"], str):
        return Violation("wrong_type", place, {"expected": "string"})
    if not detail["input"]:
        return Violation("field_empty", place)
    choices = ", ".join(_CHOICE.findall(detail["ctx"]["expected"]))
    return Violation("not_one_of", place, {"choices": choices})


def _wrong_type(expected: str) -> Finding:
    return lambda _model, detail: Violation("wrong_type", pointer(detail["loc"]), {"expected": expected})


#: What each error type of pydantic's is called in a message: numbers are numbers here, never texts.
KIND_FINDINGS: Final[Mapping[str, Finding]] = {
    **FINDINGS,
    "int_type": _wrong_type("integer"),
    "float_type": _wrong_type("number"),
    "bool_type": _wrong_type("boolean"),
    "finite_number": lambda _model, detail: Violation("number_not_allowed", pointer(detail["loc"])),
    "literal_error": _not_one_of,
}
