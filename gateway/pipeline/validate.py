"""Validate: the schema and the rules of a line, all its faults at once, and duplicates inside the batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from gateway.errors import Refused
from gateway.flows.subjects import normalised, passport_index
from gateway.flows.visas import CONTROLS
from gateway.ledger.vault import Vault
from gateway.message import BatchFacts
from gateway.pipeline.engine import Engine
from gateway.pipeline.intake import CheckedLine, Tally
from gateway.ports import ReadHeader, ReadLine
from schemas.application import person_fields
from schemas.hijri import OutsideCalendarError
from schemas.hijri import season as season_of
from schemas.rules import ApplicationRules, MahramRule, check_application, check_header
from schemas.violation import Violation

_PASSPORT_NUMBER: Final = re.compile(r"[A-Za-z0-9<]{1,20}")
_ISSUING_STATE: Final = re.compile(r"[A-Za-z]{3}")


async def controls_in_force(engine: Engine) -> Mapping[str, Any]:
    """The control set, as the authorities published it last."""
    record = await engine.ledger.record(*CONTROLS)
    return engine.settings.controls.model_dump(mode="json") if record is None else record.facts


def rules_of(controls: Mapping[str, Any], today: date) -> ApplicationRules:
    """The limits of a control set, for lines received on `today`."""
    mahram = controls.get("mahram") or {"required": False}
    below_age = mahram.get("below_age")
    return ApplicationRules(
        today=today,
        passport_validity_months=controls["passport_validity_months"],
        specimen_issuers_allowed=controls.get("specimen_issuers_allowed", False),
        mahram_rule=MahramRule(frozenset({mahram["sex"]}), below_age) if mahram["required"] else None,
        max_stay_days=controls.get("max_stay_days"),
    )


def validate_header(header: ReadHeader) -> BatchFacts:
    """The batch's own facts. Raises `Refused` with every violation of the header."""
    checked = check_header(header.fields)
    if isinstance(checked, tuple):
        raise Refused("header_invalid", violations=checked, status=422)
    return BatchFacts(
        batch_reference=checked.batch_reference,
        licensee=checked.licensee_id,
        agent=checked.agent_id,
        mission=checked.mission_id,
        season=checked.season,
        package=checked.package_id,
        group_number=checked.group_number,
    )


def validate_line(line: ReadLine, rules: ApplicationRules) -> CheckedLine:
    """The line in canonical form, or with its violations."""
    if line.violation is not None or line.fields is None:
        found = line.violation or Violation("invalid_format")
        return CheckedLine(line.line, line.row, shown_reference(line.fields), line.fields, (found,))
    checked = check_application(line.fields, rules)
    if isinstance(checked, tuple):
        return CheckedLine(line.line, line.row, shown_reference(line.fields), line.fields, checked)
    return CheckedLine(
        line.line,
        line.row,
        checked["reference"],
        checked,
        person=person_fields(checked),
        arrival_date=checked["travel"]["arrival_date"],
    )


def shown_reference(fields: Any) -> str | None:
    """The line's own reference, when it has one that can be shown."""
    reference = fields.get("reference") if isinstance(fields, dict) else None
    shown = isinstance(reference, str) and 0 < len(reference) <= 64 and reference.isprintable()
    return reference if shown else None


def in_season(line: CheckedLine, season: int) -> CheckedLine:
    """The line, rejected when its pilgrim arrives in another season than its batch is for.

    A person may have one live application a season, and limits are kept by season: it can't be chosen freely.
    """
    if line.arrival_date is None or _season(line.arrival_date) == season:
        return line
    return rejected(line, Violation("season_unknown", "/travel/arrival_date"))


def _season(arrival_date: str) -> int | None:
    """None: the calendar doesn't reach that day, so it is in no season that a batch can be for."""
    try:
        return season_of(date.fromisoformat(arrival_date))
    except OutsideCalendarError:
        return None


def person_key(line: CheckedLine, season: int, vault: Vault) -> bytes | None:
    """The blind index of the person a line is for: passport, issuing state, visa type and season."""
    return None if line.person is None else vault.blind_index(season, *line.person)


def passport_key(line: CheckedLine, season: int, vault: Vault) -> bytes | None:
    """The blind index by which all that was ever said of a passport in a season is found.

    A rejected line is kept, and given back to its center, as it came: it has one where its passport reads.
    """
    named = line.person[:2] if line.person is not None else _passport(line.body)
    return None if named is None else passport_index(season, *named, vault)


def _passport(body: Any) -> tuple[str, str] | None:
    """Number and issuing state, normalised as those of a person are; None where they are no such thing."""
    passport = body.get("passport") if isinstance(body, Mapping) else None
    if not isinstance(passport, Mapping):
        return None
    number, state = passport.get("number"), passport.get("issuing_state")
    if not isinstance(number, str) or not isinstance(state, str):
        return None
    if not _PASSPORT_NUMBER.fullmatch(number) or not _ISSUING_STATE.fullmatch(state):
        return None
    return normalised(number, state)


def refuse_repeated(line: CheckedLine, person: bytes | None, tally: Tally) -> CheckedLine:
    """The line, rejected if its reference or its person stands in the batch already.

    Comes after all other rules: a line that they reject keeps neither from a later one.
    """
    if line.violations:
        return line
    found: list[Violation] = []
    if line.reference in tally.references:
        found.append(Violation("duplicate_in_batch", "/reference"))
    if person in tally.persons:
        found.append(Violation("duplicate_in_batch", "/passport/number"))
    if found:
        return rejected(line, *found)
    if line.reference is not None:
        tally.references.add(line.reference)
    if person is not None:
        tally.persons.add(person)
    return line


def rejected(line: CheckedLine, *violations: Violation) -> CheckedLine:
    """The line with violations found after its own validation."""
    return CheckedLine(line.line, line.row, line.reference, line.body, tuple(violations))
