"""One document against its model: every fault with its place, and whatever part of it can still be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.settings.document import Document, Fault, Loc

M = TypeVar("M", bound=BaseModel)

#: Ours where pydantic's wording speaks of Python. The rest is pydantic's, which names no value.
_WORDING: Final = {
    "extra_forbidden": "unknown key {key!r}",
    "missing": "missing key {key!r}",
    "string_type": "{key} should be text (put it in quotes)",
    "int_type": "{key} should be a whole number",
    "float_type": "{key} should be a number",
    "bool_type": "{key} should be true or false",
    "tuple_type": "{key} should be a list",
    "model_type": "{key} should be a mapping",
    "model_attributes_type": "{key} should be a mapping",
    "mapping_type": "{key} should be a mapping",
    "date_type": "{key} should be a date, YYYY-MM-DD",
}
_PYDANTIC_PREFIXES: Final = ("Value error, ", "Input ")
#: Each round drops at least one faulty part; a file with more layers of faults is given up.
_ROUNDS: Final = 50


def suggestion(word: str, known: Iterable[str]) -> str:
    """`" (did you mean 'deadline_s'?)"`, or nothing if no known word is near."""
    near = get_close_matches(word, [one for one in known if isinstance(one, str)], n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def validate(model: type[M], document: Document) -> tuple[M | None, Document, list[Fault]]:
    """The document as a `model`, the places of what stands in that model, and all faults.

    With faults, the model is what is left after the faulty parts were dropped, so that other files can still
    be checked against it; None if nothing is left.
    """
    if document.data is None:
        return None, document, []
    try:
        return model.model_validate(document.data), document, []
    except ValidationError as error:
        faults = list(_faults(model, document, _errors(error)))
        return *_salvage(model, document), faults


def _errors(error: ValidationError) -> list[ErrorDetails]:
    """The user's mistakes. A default that depends on a faulty value is none of them."""
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    return [one for one in errors if one["type"] != "default_factory_not_called"]


def _faults(model: type[BaseModel], document: Document, errors: list[ErrorDetails]) -> Iterator[Fault]:
    guessed = {guess for error in errors if (guess := _guess(model, error))}
    for error in errors:
        loc = error["loc"]
        if error["type"] == "extra_forbidden":
            yield document.at_key(loc, _text(error) + suggestion(str(loc[-1]), _keys_at(model, loc[:-1])))
        elif error["type"] != "missing":
            yield document.at_value(loc, _text(error))
        elif loc not in guessed:
            # A missing key that a misspelt one was meant to be is one mistake, told once.
            yield document.at_key(loc[:-1], _text(error))


def _guess(model: type[BaseModel], error: ErrorDetails) -> Loc | None:
    """Where the key stands that an unknown one was probably meant to be."""
    if error["type"] != "extra_forbidden":
        return None
    loc = error["loc"]
    near = get_close_matches(str(loc[-1]), list(_keys_at(model, loc[:-1])), n=1, cutoff=0.6)
    return (*loc[:-1], near[0]) if near else None


def _text(error: ErrorDetails) -> str:
    loc = [step for step in error["loc"] if step != "[key]"]
    key = next((step for step in reversed(loc) if isinstance(step, str)), "the file")
    if wording := _WORDING.get(error["type"]):
        return wording.format(key=key)
    message = error["msg"]
    for prefix in _PYDANTIC_PREFIXES:
        message = message.removeprefix(prefix)
    return f"{key}: {message}"


def _keys_at(model: type[BaseModel], loc: Loc) -> Iterable[str]:
    """The keys that a mapping at `loc` may have."""
    kind: Any = model
    for step in loc:
        kind = _inside(_bare(kind), step)
    kind = _bare(kind)
    return kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else ()


def _inside(kind: Any, step: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields
        return fields[str(step)].annotation if str(step) in fields else None
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return arguments[0]
    return arguments[1] if len(arguments) == 2 else None


def _bare(kind: Any) -> Any:
    """Without `Annotated` and without `| None`."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _bare(next(part for part in get_args(kind) if part is not type(None)))
    return kind


def _salvage(model: type[M], document: Document) -> tuple[M | None, Document]:
    data = document.data
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(data), document
        except ValidationError as error:
            # Last first, so that dropping one item does not move another that is to be dropped.
            for culprit in sorted({_culprit(detail, data) for detail in _errors(error)}, reverse=True):
                data = _without(data, culprit)
                document = document.moved_up(culprit)
    return None, document


def _culprit(error: ErrorDetails, data: Any) -> Loc:
    """The part to drop: the faulty value, or the mapping that lacks a key."""
    loc: Loc = error["loc"][:-1] if error["type"] == "missing" else error["loc"]
    while loc and not _has(data, loc):
        loc = loc[:-1]
    return loc


def _has(data: Any, loc: Loc) -> bool:
    for step in loc:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _without(data: Any, loc: Loc) -> Any:
    """A copy of `data` that lacks what stands at `loc`."""
    if not loc:
        return None
    step, rest = loc[0], loc[1:]
    if isinstance(data, Mapping):
        return _mapping_without(data, step, rest)
    if isinstance(data, tuple) and isinstance(step, int):
        changed = (_without(data[step], rest),) if rest else ()
        return data[:step] + changed + data[step + 1 :]
    return data


def _mapping_without(data: Mapping[Any, Any], step: Any, rest: Loc) -> dict[Any, Any]:
    if rest:
        return {**data, step: _without(data[step], rest)}
    return {key: value for key, value in data.items() if key != step}
