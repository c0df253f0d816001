"""The documentation of the kinds: `python -m schemas.kinds.pages` writes `docs/kinds/`.

A test holds the pages and the code together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas import catalogue
from schemas.application import record_in
from schemas.confidentiality import Confidentiality
from schemas.kinds.checking import rules_of
from schemas.kinds.kind import KindSchema
from schemas.kinds.record import Meaning, marks
from schemas.kinds.registry import GROUPS, KINDS
from schemas.kinds.xml_layout import NAMESPACE, named_root, to_xml
from schemas.shapes import Shape

FOLDER: Final = Path(__file__).parents[2] / "docs" / "kinds"
_SENDERS: Final = {
    "service_center": "a service center",
    "ministry": "the ministry",
    "committee": "the committee",
    "system": "another ministry's system",
}
_MEANINGS: Final = {
    Meaning.DAY: "date, `YYYY-MM-DD`",
    Meaning.MOMENT: "date and time with offset (RFC 3339)",
    Meaning.COUNTRY: "country, three letters",
    Meaning.AMOUNT: "amount as text",
}
_WORDS: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "number", str: "text"}


def pages() -> dict[str, str]:
    """Every page by the name of its file."""
    return {"README.md": _index(), **{f"{name}.md": _page(schema) for name, schema in KINDS.items()}}


def write(folder: Path = FOLDER) -> None:
    """Write every page, and take away those of kinds that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    written = pages()
    for old in folder.glob("*.md"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")


# --- the index --------------------------------------------------------------------------------------

_INTRODUCTION: Final = f"""\
# Kinds of messages

What parties send one another through the gateway, beside [visa batches](../message_life.md).
This folder is written by `python -m schemas.kinds.pages` from the models in `schemas/kinds`.

- A body is a JSON object. A JSON null stands for an absent field. Nothing is converted: a number in quotes
  is a fault. All faults of a body come back at once, each with a code and a JSON pointer (RFC 6901).
- A service center may write XML instead (namespace `{NAMESPACE}`): the root element is `message` with an
  attribute `kind`, or is named as the kind with hyphens for dots; fields are elements named as in JSON; a
  list is its element repeated; an absent field has no element.
- The key tells messages apart. The same key with the same content is a repetition and gets the first
  answer; with another content it is refused.
- The class of a field says how widely it may be known: public, restricted or secret.

"""


def _index() -> str:
    return _INTRODUCTION + "\n".join(_group(title, kinds) for title, kinds in GROUPS.items())


def _group(title: str, kinds: tuple[KindSchema, ...]) -> str:
    rows = [(f"[`{kind.kind}`]({kind.kind}.md)", kind.title_en, _senders(kind)) for kind in kinds]
    return f"## {title}\n\n{_table(('Kind', 'What it is', 'Sent by'), rows)}"


def _senders(kind: KindSchema) -> str:
    return " or ".join(words for party, words in _SENDERS.items() if party in kind.senders) or "the gateway"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (heads, tuple("--" for _ in heads), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


# --- the page of one kind ---------------------------------------------------------------------------


def _page(kind: KindSchema) -> str:
    parts = (
        f"# {kind.title_en} (`{kind.kind}`)\n\n{kind.title_ar}\n",
        f"{kind.summary_en}\n",
        _facts(kind),
        "## Fields\n",
        _table(("Field", "Form", "Class", "Meaning"), field_rows(kind.model)),
        _rules(kind),
        f"## Example\n\n```json\n{json.dumps(kind.example, indent=2, ensure_ascii=False)}\n```\n",
        _xml(kind),
        "## Error codes\n",
        _table(("Code", "Text"), [(f"`{code}`", catalogue.CODES[code].en) for code in error_codes(kind)]),
    )
    return "\n".join(part for part in parts if part)


def _facts(kind: KindSchema) -> str:
    key = ", ".join(f"`{name}`" for name in kind.key)
    return (
        f"- **Sent by** {_senders(kind)}\n- **Goes to** {kind.goes_to[0].lower()}{kind.goes_to[1:]}\n"
        f"- **Key** {key}\n- **Version** {kind.version}\n"
    )


def _rules(kind: KindSchema) -> str:
    return "".join(f"- {rule.says}.\n" for rule in kind.rules)


def _xml(kind: KindSchema) -> str:
    if "service_center" not in kind.senders:
        return ""
    document = to_xml(kind.kind, kind.example)
    root = named_root(kind.kind)
    return (
        f"The same in XML; the root may also be `{root}`, without the attribute:\n\n```xml\n{document}```\n"
    )


def field_rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, ...]]:
    """Name, form, class and meaning of every field, those of records inside too."""
    for attribute, field in model.model_fields.items():
        name = prefix + (field.alias or attribute)
        need = "" if field.is_required() else ", optional"
        record = record_in(field.annotation)
        told = "" if record else str(next(marks(field, Confidentiality)))
        yield f"`{name}`", _form(field, record) + need, told, field.description or ""
        if record:
            yield from field_rows(record, f"{name}{'[]' if _is_list(field) else ''}.")


def _is_list(field: FieldInfo) -> bool:
    return any(get_origin(part) is list for part in (field.annotation, *get_args(field.annotation)))


def _form(field: FieldInfo, record: type[BaseModel] | None) -> str:
    one = "object" if record else _leaf_form(field)
    if not _is_list(field):
        return one
    most = next(mark.max_length for mark in marks(field, MaxLen))
    least = next((mark.min_length for mark in marks(field, MinLen)), 0)
    return f"list of {least} to {most}: {one}"


def _leaf_form(field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    meaning = next(marks(field, Meaning), None)
    if meaning:
        return _MEANINGS[meaning]
    kind = next(kind for kind in _WORDS if kind in _types(field.annotation))
    shape = next(marks(field, Shape), None)
    if shape:
        return _pattern(shape) or f"text of {_span(shape.shortest, shape.longest)} characters"
    low, high = next((m.ge for m in marks(field, Ge)), None), next((m.le for m in marks(field, Le)), None)
    return _WORDS[kind] if low is None else f"{_WORDS[kind]}, {low} to {high}"


def _pattern(shape: Shape) -> str:
    """A code's form. That of a text for people isn't worth its regular expression."""
    parts = "".join(f"{part.characters}{_count(part.least, part.most)}" for part in shape.parts)
    return "" if "\\" in parts else f"text `{parts}`"


def _count(least: int, most: int) -> str:
    return "" if least == most == 1 else f"{{{least}}}" if least == most else f"{{{least},{most}}}"


def _span(least: int, most: int) -> str:
    return str(most) if least == most else f"{least} to {most}"


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for part in get_args(annotation) if (found := _choices(part))), ())


def _types(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and annotation is not NoneType:
        yield annotation
    for part in get_args(annotation):
        yield from _types(part)


# --- codes ------------------------------------------------------------------------------------------

#: Of any body.
_ALWAYS: Final = ("wrong_type", "field_missing", "unknown_field", "too_many_faults")


def error_codes(kind: KindSchema) -> tuple[str, ...]:
    """Every code that the check of a body of this kind can give, in alphabetical order."""
    codes = {*_ALWAYS, *(code for rule in rules_of(kind) for code in rule.codes)}
    codes.update(code for field in _all_fields(kind.model) for code in _codes_of(field))
    return tuple(sorted(codes))


def _all_fields(model: type[BaseModel]) -> Iterator[FieldInfo]:
    for field in model.model_fields.values():
        yield field
        record = record_in(field.annotation)
        if record:
            yield from _all_fields(record)


def _codes_of(field: FieldInfo) -> Iterator[str]:
    shape = next(marks(field, Shape), None)
    if shape:
        yield from ("field_empty", "invalid_format", "too_long")
        yield from ("too_short",) if shape.shortest > 1 else ()
    if _choices(field.annotation):
        yield from ("field_empty", "not_one_of")
    if any(marks(field, Ge)):
        yield from ("too_small", "too_large")
    if any(marks(field, MaxLen)):
        yield "too_many_items"
    if any(marks(field, MinLen)):
        yield "too_few_items"
    if float in _types(field.annotation):
        yield "number_not_allowed"


if __name__ == "__main__":
    write()
    sys.stderr.write(f"{len(KINDS)} kinds described in {FOLDER}\n")
