"""The bodies of messages beside the visa batch, in JSON and in XML, as the same nested values.

Here it is only found out whether a body can be read at all, and its first fault refuses it. What its
fields must be is for `schemas.kinds.check`, which names every fault at once.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel

from adapters.service_centers.push_parser import refusal, refusal_for
from adapters.service_centers.strict_json import JsonError, StrictDecoder, step_into
from gateway.xml import Element, Limits, parse
from schemas.kinds import KindSchema
from schemas.kinds.xml_layout import NAMESPACE, ROOT, named_root

#: What one message may cost; the largest, a plan with 1,500 quotas, has some 6,000 elements.
MESSAGE_LIMITS: Final = Limits(max_bytes=1_048_576, max_depth=8, max_elements=20_000, max_attributes=8)

_TAG: Final = f"{{{NAMESPACE}}}"
_SCHEMA_LOCATION: Final = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
_SPACE: Final = " \t\r\n"
#: As JSON writes them; more digits than any field allows stay a text.
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,20})?")
_BOOLEANS: Final = {"true": True, "false": False}


def read_json(body: bytes, limits: Limits = MESSAGE_LIMITS) -> Mapping[str, Any]:
    """The members of the object that `body` is. Raises `Refused` with the place of the first fault."""
    _check_size(body, limits)
    if body.startswith(codecs.BOM_UTF8):
        raise refusal("byte_order_mark")
    try:
        value = StrictDecoder().decode(body)
    except JsonError as fault:
        raise refusal_for(fault.violation) from fault
    if not isinstance(value, dict):
        raise refusal("wrong_type", expected="object")
    return value


def read_xml(body: bytes, kind: KindSchema, limits: Limits = MESSAGE_LIMITS) -> Mapping[str, Any]:
    """The fields of the document that `body` is; see `schemas.kinds.xml_layout`.

    XML knows only text: what reads like the number or boolean that its field wants becomes one, and
    what doesn't stays a text for the check to refuse. Raises `Refused` with the first fault's place.
    """
    _check_size(body, limits)
    root = parse(body, limits)
    _check_root(root, kind)
    return _fields(root, kind.model, "")


def _check_size(body: bytes, limits: Limits) -> None:
    if len(body) > limits.max_bytes:
        raise refusal("body_too_large", status=413, limit=limits.max_bytes)


def _check_root(root: Element, kind: KindSchema) -> None:
    """The root says which kind it is: by its attribute, by its name, or by both alike."""
    tag, attributes = str(root.tag), dict(root.attrib)
    attributes.pop(_SCHEMA_LOCATION, None)
    told = attributes.pop("kind", None)
    if not tag.startswith(_TAG) or attributes:
        raise refusal("invalid_xml", row=root.sourceline or 1)
    name = tag.removeprefix(_TAG)
    by_name, by_attribute = name == named_root(kind.kind), told == kind.kind
    if not ((by_name and told is None) or (by_attribute and (by_name or name == ROOT))):
        raise refusal("kind_mismatch")


# --- elements to fields -----------------------------------------------------------------------------


def _fields(record: Element, model: type[BaseModel] | None, pointer: str) -> dict[str, Any]:
    known = _forms(model) if model else {}
    fields: dict[str, Any] = {}
    for child in record:
        name = _name(child, pointer)
        form = known.get(name)
        if form is not None and form.repeats:
            items = fields.setdefault(name, [])
            items.append(_value(child, form, step_into(step_into(pointer, name), len(items))))
        elif name in fields:
            raise refusal("duplicate_key", step_into(pointer, name), row=child.sourceline or 1)
        else:
            fields[name] = _value(child, form, step_into(pointer, name))
    _only_space_between(record, pointer)
    return fields


def _name(child: Element, pointer: str) -> str:
    if not isinstance(child.tag, str):  # a comment or processing instruction
        raise refusal("invalid_xml", pointer, row=child.sourceline or 1)
    name = child.tag.removeprefix(_TAG)
    if name == child.tag or child.attrib:
        raise refusal("unknown_field", step_into(pointer, name), row=child.sourceline or 1)
    return name


def _value(element: Element, form: _Form | None, pointer: str) -> Any:
    """A record, a text or what the text says. What no field is known for keeps the form it came in."""
    text, record = element.text or "", form.model if form else None
    if len(element) or (record and not text.strip(_SPACE)):
        return _fields(element, record, pointer)
    return form.read(text) if form else text


def _only_space_between(record: Element, pointer: str) -> None:
    texts = (record.text, *(child.tail for child in record))
    if any(text and text.strip(_SPACE) for text in texts):
        raise refusal("invalid_xml", pointer, row=record.sourceline or 1)


# --- what the model wants ---------------------------------------------------------------------------


class _Form:
    """What one field's element becomes."""

    __slots__ = ("model", "read", "repeats")

    def __init__(self, annotation: Any) -> None:
        types = frozenset(_types(annotation))
        #: The element may be repeated.
        self.repeats = list in types
        #: The record that it is.
        self.model = next((kind for kind in types if issubclass(kind, BaseModel)), None)
        #: What its text becomes.
        self.read = next((_READERS[kind] for kind in types if kind in _READERS), _as_it_is)


@cache
def _forms(model: type[BaseModel]) -> Mapping[str, _Form]:
    return {field.alias or name: _Form(field.annotation) for name, field in model.model_fields.items()}


def _types(annotation: Any) -> Iterator[type]:
    """Every class that an annotation is built of."""
    for part in (annotation, get_origin(annotation)):
        if isinstance(part, type):
            yield part
    for inner in get_args(annotation):
        yield from _types(inner)


def _integer(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _number(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) else text


def _boolean(text: str) -> bool | str:
    return _BOOLEANS.get(text, text)


def _as_it_is(text: str) -> str:
    return text


_READERS: Final[Mapping[type, Callable[[str], Any]]] = {int: _integer, float: _number, bool: _boolean}
