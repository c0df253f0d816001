"""The journal against the capture: what each partner was sent is what the journal says it was given."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.canary.capture import Capture, Item
from tests.canary.judge import operations_of
from tests.canary.players import Sown
from tests.canary.policy import Lists
from tests.canary.search import found_in

_BATCH: Final = "batch."
#: Whom a call is for may be named by its body too, so it is looked for where only the header, or what the
#: converter took of the batch, can stand.
_NAMED: Final = {
    "batch.licensee_id": re.compile(rb"on_behalf_of>\s*<(?:[\w-]+:)?licensee>[^<]"),
    "batch.agent_id": re.compile(
        rb"on_behalf_of>\s*<(?:[\w-]+:)?licensee>[^<]*</(?:[\w-]+:)?licensee>\s*<(?:[\w-]+:)?agent>[^<]"
    ),
    "batch.season": re.compile(rb"on_behalf_of>\s*<(?:[\w-]+:)?season>[0-9]{4}<"),
    "batch.mission_id": re.compile(rb"IssueVisa[\s>].*<(?:[\w-]+:)?mission>[^<]", re.DOTALL),
    "batch.group_number": re.compile(rb"IssueVisa[\s>].*<(?:[\w-]+:)?group_number>[^<]", re.DOTALL),
}
#: (message, destination, operation)
Given = dict[tuple[str, str, str], set[str]]


def disagreements(capture: Capture, database: Path, lists: Lists, sown: Sown) -> list[str]:
    """Fields that stand in a call and not in the journal, or in the journal and in no call."""
    really, noted = sent(capture, lists, sown), recorded(database, lists)
    comparable = _comparable(lists, sown)
    found = []
    for key in sorted({*really, *noted}):
        ours = {path for path in noted.get(key, set()) if (key[2], path) in comparable}
        theirs = really.get(key, set())
        found += [f"{key} got {path}, and the journal does not say so" for path in sorted(theirs - ours)]
        found += [f"{key} did not get {path}, and the journal says so" for path in sorted(ours - theirs)]
    return found


def sent(capture: Capture, lists: Lists, sown: Sown) -> Given:
    """By message and operation: the granted paths whose canaries stand in the calls that were captured."""
    found: Given = defaultdict(set)
    cancelling = {item.message_id for item in capture.of("partner") if item.what == "CancelVisa"}
    for item in capture.of("partner"):
        for operation in _asked(item, cancelling):
            found[item.message_id, item.receiver, operation] |= set(_paths(item, operation, lists, sown))
    return found


def _asked(item: Item, cancelling: set[str]) -> tuple[str, ...]:
    """The operation that a call belongs to. A status is asked of an issuance, or for a cancellation."""
    if item.what == "InquireClearance":
        return ("interior.security_clearance",)
    if item.what == "GetVisaStatus":
        which = "cancellation" if item.message_id in cancelling else "issuance"
        return (f"foreign_affairs.visa_{which}",)
    return operations_of(item)


def _paths(item: Item, operation: str, lists: Lists, sown: Sown) -> Iterator[str]:
    for token in found_in(item.body, sown.garden.sown):
        for source in sown.garden.sown[token]:
            path = lists.partner_path(item.receiver, operation, source)
            if path is not None and not path.startswith(_BATCH):
                yield path
    yield from (path for path, named in _NAMED.items() if named.search(item.body))


def recorded(database: Path, lists: Lists) -> Given:
    """By message and operation: what the journal says was given, read from its tables by themselves."""
    found: Given = defaultdict(set)
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        scopes = {
            id: (receiver, operation, json.loads(fields))
            for id, receiver, operation, fields in connection.execute(
                "SELECT id, receiver, operation, fields FROM scope"
            )
        }
        rows = connection.execute("SELECT message_id, detail FROM audit WHERE detail IS NOT NULL")
        for message_id, detail in rows:
            for id in json.loads(detail).get("disclosed", ()):
                receiver, operation, fields = scopes[id]
                if operation in lists.grants.get(receiver, {}):
                    found[message_id, receiver, operation] |= set(fields)
    finally:
        connection.close()
    return found


def _comparable(lists: Lists, sown: Sown) -> set[tuple[str, str]]:
    """(operation, path) of every granted field that canaries were sown for: the others can't be compared."""
    return {
        (operation, path)
        for sources in sown.garden.sown.values()
        for source in sources
        for destination, operations in lists.grants.items()
        for operation in operations
        if (path := lists.partner_path(destination, operation, source)) is not None
    } | {
        (operation, path)
        for operations in lists.grants.values()
        for operation, fields in operations.items()
        for path in fields
        if path in _NAMED
    }
