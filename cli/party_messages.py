"""Single messages and notifications on the command line, and the kinds of messages as people read them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli import output
from cli.outcome import WrongUsage
from schemas.kinds import KINDS, KindSchema, json_schema
from schemas.kinds.pages import field_rows
from schemas.kinds.xml_layout import to_xml

if TYPE_CHECKING:
    from cli.public_api import PartyApi

#: Larger ones are refused by the gateway; a wrong file is not sent to be found out.
_MAX_BYTES: Final = 1_048_576
_FOLLOW_S: Final = 30
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_CURSOR: Final = re.compile("[0-9]{1,18}")
#: Sent in another way.
_BATCHES: Final = frozenset({"visa.batch", "visa.application"})


# --- sending ----------------------------------------------------------------------------------------


def send_message(
    api: Callable[[], PartyApi], kind: str, file: str, key: str | None, *, as_json: bool
) -> None:
    """Send the file's content as that kind. Raises `WrongUsage` before anything is sent, `CommandError`."""
    _named(kind)
    if key is not None and not _KEY.fullmatch(key):
        raise WrongUsage("--key has 1 to 255 visible ASCII characters")
    body = _content(file)
    taken = api().message(kind, body, _media_type(file, body), key)
    if as_json:
        output.emit_json(taken)
        return
    output.line(output.plain(taken["message_id"]))
    output.note(f"{kind} was recorded before" if taken["duplicate"] else f"{kind} is recorded")


def _content(file: str) -> bytes:
    if file == "-":
        body = sys.stdin.buffer.read(_MAX_BYTES + 1)
    else:
        path = Path(file)
        if not path.is_file():
            raise WrongUsage(f"{file} is not a file")
        with path.open("rb") as opened:
            body = opened.read(_MAX_BYTES + 1)
    if not body:
        raise WrongUsage("there is nothing in it to send")
    if len(body) > _MAX_BYTES:
        raise WrongUsage(f"a message has {_MAX_BYTES} bytes at most")
    return body


def _media_type(file: str, body: bytes) -> str:
    """By the ending, else by the first character."""
    ending = Path(file).suffix.lower()
    if ending in (".json", ".xml"):
        return f"application/{ending[1:]}"
    return "application/xml" if body.lstrip().startswith(b"<") else "application/json"


def _named(kind: str) -> KindSchema:
    if kind in _BATCHES:
        raise WrongUsage("visa applications are sent in batches: use `send`")
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, 1)
        raise WrongUsage(
            "there is no such kind of message" + (f"; did you mean {near[0]}?" if near else ": see `kinds`")
        )
    return KINDS[kind]


# --- reading ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """Which notifications are wanted, and how."""

    cursor: str | None
    limit: int
    follow: bool
    confirm: bool


def show_notifications(api: PartyApi, reading: Reading, *, as_json: bool) -> None:
    """One page, or with `follow` all that come until the user ends it."""
    if reading.cursor is not None and not _CURSOR.fullmatch(reading.cursor):
        raise WrongUsage("a cursor is a number, as it was shown")
    page = api.notifications(reading.cursor, reading.limit)
    _show(page, reading, as_json=as_json)
    _confirm(api, page, reading)
    while reading.follow:
        page = api.notifications(page["cursor"], reading.limit, wait_s=_FOLLOW_S)
        _show(page, reading, as_json=as_json)
        _confirm(api, page, reading)


def _show(page: Mapping[str, Any], reading: Reading, *, as_json: bool) -> None:
    if as_json and not reading.follow:
        output.emit_json(page)
        return
    for event in page["notifications"]:
        output.line(json.dumps(event, ensure_ascii=False) if as_json else _one(event))
    sys.stdout.flush()
    if reading.follow:
        return
    if not page["notifications"]:
        output.note("nothing new")
    elif page["more"]:
        output.note(f"there may be more: go on with --cursor {page['cursor']}")


def _one(event: Mapping[str, Any]) -> str:
    """Its place, when, what, about what; then its data."""
    head = "  ".join(output.plain(event[name]) for name in ("cursor", "time", "kind", "subject"))
    return f"{head}\n    {output.plain(json.dumps(event['data'], ensure_ascii=False))}"


def _confirm(api: PartyApi, page: Mapping[str, Any], reading: Reading) -> None:
    """Only after it was shown: what is lost in between comes again."""
    if reading.confirm and page["notifications"]:
        api.confirm(page["cursor"])


# --- the kinds --------------------------------------------------------------------------------------


def show_kinds(*, example: bool, as_json: bool) -> None:
    """A table of all kinds."""
    if example:
        raise WrongUsage("an example of which KIND?")
    if as_json:
        output.emit_json({"kinds": [_facts(schema) for schema in KINDS.values()]})
        return
    rows = [
        [schema.kind, schema.title_en, _senders(schema), ", ".join(schema.key)] for schema in KINDS.values()
    ]
    output.table(("kind", "what it is", "sent by", "key"), rows)


def show_kind(kind: str, *, example: bool, xml: bool, as_json: bool) -> None:
    """One kind: what it says, its fields, an example."""
    schema = _named(kind)
    if xml and as_json:
        raise WrongUsage("--xml and --json exclude each other")
    text = to_xml(kind, schema.example) if xml else json.dumps(schema.example, ensure_ascii=False, indent=2)
    if example:
        output.line(text.rstrip("\n"))
    elif as_json:
        shown = {"example": dict(schema.example), "schema": json_schema(kind)}
        output.emit_json(_facts(schema) | shown)
    else:
        _describe(schema, text)


def _describe(schema: KindSchema, example: str) -> None:
    facts = _facts(schema)
    output.facts([(name.replace("_", " "), facts[name]) for name in ("kind", "title", "title_ar", "summary")])
    output.facts([("sent by", _senders(schema)), ("goes to", schema.goes_to), ("key", ", ".join(schema.key))])
    rows = [[cell.replace("`", "") for cell in row] for row in field_rows(schema.model)]
    output.table(("field", "form", "class", "meaning"), rows)
    output.line(example)


def _facts(schema: KindSchema) -> dict[str, Any]:
    return {
        "kind": schema.kind,
        "title": schema.title_en,
        "title_ar": schema.title_ar,
        "summary": schema.summary_en,
        "senders": sorted(schema.senders),
        "goes_to": schema.goes_to,
        "key": list(schema.key),
    }


def _senders(schema: KindSchema) -> str:
    return ", ".join(sorted(schema.senders)).replace("_", " ") or "the gateway"
