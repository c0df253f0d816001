"""Is a message built as its model says? Pydantic judges; its findings become our violations here.

Neither pydantic's texts nor any value of the message leave this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator, core_schema

from schemas.application import YEAR, leaves
from schemas.shapes import Shape
from schemas.violation import Violation

Location = tuple[str | int, ...]
Record = TypeVar("Record", bound=BaseModel)

#: More faults than this in one message are not listed one by one.
MAX_FAULTS: Final = 100

# A key that a party made up is shown back only when it reads like a field's name: it might hold a value.
_FIELD_NAME: Final = re.compile(r"(?=.{1,40}\Z)[A-Za-z_-]+[0-9]{0,2}")


def examine(
    model: type[Record], raw: object, findings: Mapping[str, Finding] | None = None
) -> tuple[Record | None, dict[Location, Violation]]:
    """The record, or every structural fault of `raw` by its location (a path of keys and list indices).

    `findings` names each of pydantic's error types; `FINDINGS` unless given. Costs time in proportion to
    the size of `raw`, and lists at most `MAX_FAULTS` faults: more become the single `too_many_faults`.
    """
    try:
        return model.model_validate(raw), {}
    except ValidationError as error:
        if error.error_count() > MAX_FAULTS:
            return None, {(): Violation("too_many_faults", "", {"limit": MAX_FAULTS})}
        details = error.errors(include_url=False)
    named = FINDINGS if findings is None else findings
    return None, {detail["loc"]: _violation(model, detail, named) for detail in details}


def valid(model: type[BaseModel], raw: object) -> dict[str, Any] | None:
    """The message in its canonical form, or None when it is not built as `model` says (`examine` tells why).

    Canonical are nested dicts in the order of the model, without absent fields.
    """
    try:
        return _without_absent(_validator(model).validate_python(raw))
    except ValidationError:
        return None


def _without_absent(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_absent(value) if isinstance(value, dict) else value
        for name, value in record.items()
        if value is not None
    }


@cache
def _validator(model: type[BaseModel]) -> SchemaValidator:
    """Judges as `model` does. What it makes are dicts: a record costs twice the time, and as much to undo."""
    return SchemaValidator(_of_dicts(model.__pydantic_core_schema__))


def _of_dicts(schema: Any) -> Any:
    """The same core schema with a dict in place of each record."""
    if isinstance(schema, list):
        return [_of_dicts(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "model":
        fields = {name: _key(field["schema"]) for name, field in schema["schema"]["fields"].items()}
        return core_schema.typed_dict_schema(fields, config=schema["config"])
    return {name: _of_dicts(part) for name, part in schema.items()}


def _key(schema: Any) -> core_schema.TypedDictField:
    """Of a record's field. The only default that we know is absence."""
    optional = schema["type"] == "default"
    return core_schema.typed_dict_field(
        _of_dicts(schema["schema"] if optional else schema), required=not optional
    )


def pointer(location: Sequence[str | int]) -> str:
    """The RFC 6901 pointer to a location."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


def _violation(model: type[BaseModel], detail: ErrorDetails, findings: Mapping[str, Finding]) -> Violation:
    is_null = detail["input"] is None and detail["loc"]
    if is_null and detail["type"] != "extra_forbidden":
        return Violation("field_missing", pointer(detail["loc"]))
    return findings[detail["type"]](model, detail)


#: Turns one error of pydantic's into a violation.
Finding = Callable[[type[BaseModel], ErrorDetails], Violation]


def _plain(code: str) -> Finding:
    return lambda _model, detail: Violation(code, pointer(detail["loc"]))


def _wrong_type(expected: str) -> Finding:
    return lambda _model, detail: Violation("wrong_type", pointer(detail["loc"]), {"expected": expected})


def _limit(code: str, key: str) -> Finding:
    return lambda _model, detail: Violation(code, pointer(detail["loc"]), {"limit": detail["ctx"][key]})


def _unknown_field(_model: type[BaseModel], detail: ErrorDetails) -> Violation:
    *parents, name = detail["loc"]
    shown = [*parents, name] if _FIELD_NAME.fullmatch(str(name)) else parents
    return Violation("unknown_field", pointer(shown))


def _too_short(model: type[BaseModel], detail: ErrorDetails) -> Violation:
    if not detail["input"]:
        return Violation("field_empty", pointer(detail["loc"]))
    if _shape_at(model, detail["loc"]).first_fault(detail["input"]) <= len(detail["input"]):
        return _invalid_format(model, detail)
    return _limit("too_short", "min_length")(model, detail)


def _invalid_format(model: type[BaseModel], detail: ErrorDetails) -> Violation:
    position = _shape_at(model, detail["loc"]).first_fault(detail["input"])
    return Violation("invalid_format", pointer(detail["loc"]), {"position": position})


def _no_unicode(model: type[BaseModel], detail: ErrorDetails) -> Violation:
    """A lone surrogate in a text; or in the name of a field: then the place is the record that has it."""
    if _path(detail["loc"]) not in shapes(model):
        return Violation("unknown_field", pointer(detail["loc"]))
    return _invalid_format(model, detail)


def _not_an_integer(model: type[BaseModel], detail: ErrorDetails) -> Violation:
    if isinstance(detail["input"], str):
        params = {"position": YEAR.first_fault(detail["input"])}
        return Violation("invalid_format", pointer(detail["loc"]), params)
    return _wrong_type("integer")(model, detail)


#: What each error type of pydantic's is called here. A test holds it complete for our models.
FINDINGS: Final[Mapping[str, Finding]] = {
    "missing": _plain("field_missing"),
    "extra_forbidden": _unknown_field,
    "invalid_key": _unknown_field,
    "model_type": _wrong_type("object"),
    "list_type": _wrong_type("array"),
    "string_type": _wrong_type("string"),
    "int_type": _not_an_integer,
    "bool_type": _wrong_type("boolean"),
    "string_pattern_mismatch": _invalid_format,
    "string_unicode": _no_unicode,
    "string_too_short": _too_short,
    "string_too_long": _limit("too_long", "max_length"),
    "too_short": _limit("too_few_items", "min_length"),
    "too_long": _limit("too_many_items", "max_length"),
    "greater_than_equal": _limit("too_small", "ge"),
    "less_than_equal": _limit("too_large", "le"),
}


def _shape_at(model: type[BaseModel], location: Location) -> Shape:
    return shapes(model)[_path(location)]


def _path(location: Location) -> str:
    return ".".join(part for part in location if isinstance(part, str))


@cache
def shapes(model: type[BaseModel]) -> Mapping[str, Shape]:
    """The shape of every text leaf, by dotted path; that of a list is its items'."""
    return {path: shape for path, field in leaves(model) for shape in _shapes_in(field)}


def _shapes_in(annotation: Any) -> Iterator[Shape]:
    for metadata in ("metadata", "__metadata__"):
        yield from (entry for entry in getattr(annotation, metadata, ()) if isinstance(entry, Shape))
    for part in (getattr(annotation, "annotation", None), *get_args(annotation)):
        if part is not None and not isinstance(part, Shape):
            yield from _shapes_in(part)
