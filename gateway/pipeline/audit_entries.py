"""The journal for an auditor: entries by person, party and period, each with the policy in force at it.

Lines of JSON, in the order in which things happened. A line `configuration` names the digest of each
configuration file that is in force from that entry on; before it, a line `text` gives the text of each file
that was not given yet. An `entry` names its configuration by number. For the whole log with its proof of
integrity see `gateway.pipeline.audit_export`; hashes here are the same, so that each entry is found there.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from gateway.clock import RIYADH, micros, moment
from gateway.errors import Refused
from gateway.ledger.journal import Entry
from gateway.ledger.port import EntriesWanted, Involved, JournalRow
from gateway.ledger.vault import Unsealable
from gateway.message import Disclosure, Micros, PartyId
from gateway.pipeline.disclosures import Person, note_question
from gateway.pipeline.engine import Engine
from gateway.pipeline.persons import passport_indices
from schemas.violation import Violation

_ACTION: Final = "audit_entries"
#: Entries that are looked at together.
_SPAN: Final = 1_000
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def period(since: str | None, until: str | None, party: str | None, engine: Engine) -> EntriesWanted:
    """Days of Riyadh, both included; from the beginning and until today unless given.

    Raises `Refused` (`invalid_date`).
    """
    first = Micros(0) if since is None else _begins(_day(since, "/from"))
    today = engine.clock.now().astimezone(RIYADH).date()
    last = today if until is None else _day(until, "/until")
    return EntriesWanted(first, _begins(last + timedelta(days=1)), None if party is None else PartyId(party))


def _day(text: str, where: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.max
    if not 1970 <= found.year < 9999:
        raise Refused("request_invalid", violations=(Violation("invalid_date", where),), status=422)
    return found


def _begins(day: date) -> Micros:
    return micros(datetime.combine(day, time(), RIYADH))


async def by_party(wanted: EntriesWanted, operator: str, engine: Engine) -> AsyncIterator[bytes]:
    """Every entry of the period; of one party those that it did, that are about its messages, or tell it."""
    detail = {"party": wanted.party, "since": wanted.since, "until": wanted.until}
    last = await engine.ledger.audit_head()
    await engine.ledger.note(Entry(engine.now(), _ACTION, operator, detail=detail))
    engine.metrics.operator_actions.labels(_ACTION).inc()
    told = await _telling(engine)
    for after in range(0, last, _SPAN):
        rows = await engine.ledger.entries(wanted, after=after, span=min(_SPAN, last - after))
        async for line in told.lines(rows):
            yield line


async def by_person(
    wanted: EntriesWanted, person: Person, operator: str, reason: str, engine: Engine
) -> AsyncIterator[bytes]:
    """Every entry of the period about one person's messages, and about their batches as wholes."""
    indices = await passport_indices(person.passport, person.issuing_state, engine)
    involved: Sequence[Involved] = await engine.ledger.about(indices)
    rows = await engine.ledger.entries_about(indices, wanted)
    await note_question(_ACTION, involved, operator, reason, engine)
    told = await _telling(engine)
    async for line in told.lines(rows):
        yield line


async def _telling(engine: Engine) -> _Telling:
    return _Telling(engine, await engine.ledger.configurations(), await engine.ledger.policy_texts())


@dataclass(slots=True)
class _Telling:
    """Writes entries as lines, each text and configuration once, before the first entry under it."""

    engine: Engine
    configurations: Sequence[JournalRow]
    texts: Mapping[str, tuple[str, str]]
    _next: int = 0
    _in_force: JournalRow | None = None
    _told: JournalRow | None = None
    _given: set[str] = field(default_factory=set)

    async def lines(self, rows: Sequence[JournalRow]) -> AsyncIterator[bytes]:
        numbers = sorted({number for row in rows for number in row.scopes})
        scopes = await self.engine.ledger.scopes(numbers)
        for row in rows:
            self._come_to(row)
            for document in (*self._policy(), self._entry(row, scopes)):
                yield _to_json(document).encode() + b"\n"

    def _come_to(self, row: JournalRow) -> None:
        while self._next < len(self.configurations) and self.configurations[self._next].seq <= row.seq:
            self._in_force = self.configurations[self._next]
            self._next += 1

    def _policy(self) -> Iterator[dict[str, Any]]:
        now = self._in_force
        if now is None or now is self._told:
            return
        self._told = now
        files: Mapping[str, str] = (now.entry.detail or {}).get("files", {})
        for digest in files.values():
            if digest in self.texts and digest not in self._given:
                self._given.add(digest)
                name, text = self.texts[digest]
                yield {"type": "text", "digest": digest, "name": name, "text": text}
        yield {
            "type": "configuration",
            "configuration": now.seq,
            "at": _time(now.entry.at),
            "files": dict(files),
        }

    def _entry(self, row: JournalRow, scopes: Mapping[int, Disclosure]) -> dict[str, Any]:
        entry = row.entry
        given = [scopes[number] for number in row.scopes if number in scopes]
        other = {name: value for name, value in (entry.detail or {}).items() if name != "disclosed"}
        document = {
            "type": "entry",
            "chain": row.chain,
            "number": row.number,
            "hash": row.hash.hex(),
            "at": _time(entry.at),
            "action": entry.action,
            "actor": entry.actor,
            "message": entry.message_id,
            "batch": entry.batch_id,
            "from": entry.before,
            "to": entry.after,
            "code": entry.code,
            "records": entry.records,
            "detail": other or None,
            "disclosed": [_scope(one) for one in given] or None,
            "reason": self._reason(entry),
            "configuration": self._in_force.seq if self._in_force else None,
        }
        return {name: value for name, value in document.items() if value is not None}

    def _reason(self, entry: Entry) -> str | None:
        """What an operator gave as a reason; None where it can't be read any more."""
        try:
            return None if entry.note is None else self.engine.vault.read_note(entry.note)
        except Unsealable:
            return None


def _scope(given: Disclosure) -> dict[str, Any]:
    return {
        "receiver": given.receiver,
        "operation": given.operation,
        "fields": list(given.fields),
        "purpose": given.purpose,
        "rule": given.rule,
    }


def _time(at: Micros) -> str:
    return moment(at).isoformat(timespec="milliseconds")
