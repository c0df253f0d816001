"""What the values of a visa application must mean, alone and together.

`check_application` finds every fault of a line at once: first how it is built (`schemas.structure`), then
each rule below, over the fields that are well-formed. Limits that an authority sets come in
`ApplicationRules`; nothing of them is a constant here.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from schemas import hijri, mrz
from schemas.application import MAX_PHOTO_BYTES, BatchHeader, VisaApplication, leaves
from schemas.codes import table
from schemas.countries import from_mrz, is_known
from schemas.phones import is_phone
from schemas.structure import Location, examine, pointer, valid
from schemas.violation import Violation


@dataclass(frozen=True, slots=True)
class MahramRule:
    """Who must name a mahram: everyone of one of `sexes` who is younger than `below_age` at arrival."""

    sexes: frozenset[str] = frozenset({"F"})
    #: Completed years; None: at any age.
    below_age: int | None = None


@dataclass(frozen=True, slots=True)
class ApplicationRules:
    """The rules a line is judged by: the day, and what the control set says."""

    #: Business date in Riyadh.
    today: date
    #: How long a passport must still be valid after the day of arrival.
    passport_validity_months: int
    #: Whether `UTO`, the issuer of specimen documents, is a state. Tests only.
    specimen_issuers_allowed: bool = False
    #: None: nobody needs one.
    mahram_rule: MahramRule | None = None
    #: Days from arrival to departure; None: no limit.
    max_stay_days: int | None = None
    #: First and last day of arrival allowed; None: open.
    earliest_arrival: date | None = None
    latest_arrival: date | None = None


def check_application(raw: object, rules: ApplicationRules) -> dict[str, Any] | tuple[Violation, ...]:
    """The application in its canonical form, or every violation of it in the order of their pointers."""
    application = valid(VisaApplication, raw)
    faults = examine(VisaApplication, raw)[1] if application is None else {}
    line = _Line(raw, faults)
    violations = list(faults.values())
    for rule in RULES:
        for found in rule(line, rules):
            if not _said_already(found, faults):
                violations.append(found)
    if application is None or violations:
        return _in_order(violations)
    return application


def check_header(raw: object) -> BatchHeader | tuple[Violation, ...]:
    """The batch header, or every violation of it in the order of their pointers."""
    header, faults = examine(BatchHeader, raw)
    return _in_order(faults.values()) if header is None else header


def _said_already(found: Violation, faults: Mapping[Location, Violation]) -> bool:
    return any(found.pointer == fault.pointer for fault in faults.values())


def _in_order(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    return tuple(sorted(violations, key=lambda violation: (violation.pointer, violation.code)))


# --- a line as the rules see it ---------------------------------------------------------------------

_DATES: Final = (
    "passport.issue_date",
    "passport.expiry_date",
    "birth_date",
    "travel.arrival_date",
    "travel.departure_date",
)


#: The Hijri twin of each.
_TWINS: Final = tuple((path, f"{path}_hijri") for path in _DATES)
#: By record: the dotted path of each of its leaves.
_INSIDE: Final = {
    record: {
        path.removeprefix(f"{record}."): path
        for path, _ in leaves(VisaApplication)
        if path.startswith(f"{record}.")
    }
    for record in ("passport", "name", "mahram", "travel")
}


class _Line(dict[str, Any]):
    """Every leaf of one application that is as its model says, by dotted path, beside the records."""

    __slots__ = ("dates",)

    def __init__(self, raw: object, faults: Mapping[Location, Violation]) -> None:
        if isinstance(raw, dict) and () not in faults:
            super().__init__(raw)
            self._take_leaves()
        for location in faults:
            self.pop(".".join(part for part in location if isinstance(part, str)), None)
        #: The five dates by path; None for an absent one and one that no calendar has.
        self.dates = {path: _date(self.get(path)) for path in _DATES}

    def _take_leaves(self) -> None:
        for record, paths in _INSIDE.items():
            inner = self.get(record)
            if isinstance(inner, dict):
                for key, value in inner.items():
                    if key in paths:
                        self[paths[key]] = value


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _at(path: str, code: str, **params: str | int) -> Violation:
    return Violation(code, pointer(path.split(".")), params)


# --- single fields ----------------------------------------------------------------------------------

_CODED: Final = {
    "visa_type": "visa_types",
    "sex": "sexes",
    "marital_status": "marital_statuses",
    "passport.type": "passport_types",
    "mahram.relationship": "mahram_relationships",
}
_STATES: Final = ("passport.issuing_state", "nationality", "birth_country")
# RFC 5321: dot-atoms, and a domain of at least two labels whose last is not a number.
_EMAIL: Final = re.compile(
    r"(?=[^@]{1,64}@)[^@.]++(?:\.[^@.]++)*+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)++[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)


def _codes_stand_in_their_tables(line: _Line, _rules: ApplicationRules) -> Iterator[Violation]:
    for path, name in _CODED.items():
        value = line.get(path)
        if value is not None and value not in table(name):
            yield _at(path, "unknown_code", table=name)


def _states_are_known(line: _Line, rules: ApplicationRules) -> Iterator[Violation]:
    for path in _STATES:
        value = line.get(path)
        if value is not None and not is_known(value, specimens=rules.specimen_issuers_allowed):
            yield _at(path, "unknown_country")


def _contacts_can_be_reached(line: _Line, _rules: ApplicationRules) -> Iterator[Violation]:
    mobile, email = line.get("mobile"), line.get("email")
    if mobile is not None and not is_phone(mobile):
        yield _at("mobile", "invalid_phone")
    if email is not None and not _EMAIL.fullmatch(email):
        yield _at("email", "invalid_email")


def _dates_exist(line: _Line, _rules: ApplicationRules) -> Iterator[Violation]:
    for path, day in line.dates.items():
        if day is None and line.get(path) is not None:
            yield _at(path, "invalid_date")


def _hijri_twins_agree(line: _Line, _rules: ApplicationRules) -> Iterator[Violation]:
    for path, twin in _TWINS:
        day, stated = line.dates[path], line.get(twin)
        if day is None or stated is None:
            continue
        try:
            agree = hijri.agree(day, stated)
        except hijri.OutsideCalendarError:
            yield _at(twin, "hijri_out_of_range")
        else:
            if not agree:
                yield _at(twin, "date_mismatch")


def _photo_is_a_jpeg(line: _Line, _rules: ApplicationRules) -> Iterator[Violation]:
    """Looks at the first and last marker of the picture (ITU-T T.81, B.1.1.3) and at nothing between."""
    photo, digest = line.get("photo"), line.get("photo_sha256")
    if photo is None:
        return
    jpeg = _decoded(photo)
    if jpeg is None:
        yield _at("photo", "photo_not_base64")
        return
    if len(jpeg) > MAX_PHOTO_BYTES:
        yield _at("photo", "photo_too_large", limit=MAX_PHOTO_BYTES)
    if not (jpeg.startswith(b"\xff\xd8\xff") and jpeg.endswith(b"\xff\xd9")):
        yield _at("photo", "photo_not_jpeg")
    elif digest is not None and hashlib.sha256(jpeg).hexdigest() != digest:
        yield _at("photo_sha256", "photo_digest_mismatch")


def _decoded(text: str) -> bytes | None:
    """The bytes, unless `text` is not the one way to write them: the decoder alone lets padding run on."""
    try:
        decoded = base64.b64decode(text)
    except binascii.Error:
        return None
    return decoded if base64.b64encode(decoded).decode("ascii") == text else None


# --- dates in their order ---------------------------------------------------------------------------

_OLDEST_YEARS: Final = 130


def _life_is_in_order(line: _Line, rules: ApplicationRules) -> Iterator[Violation]:
    birth, issue = line.dates["birth_date"], line.dates["passport.issue_date"]
    if birth and birth >= rules.today:
        yield _at("birth_date", "birth_date_not_past")
    elif birth and rules.today.year - birth.year > _OLDEST_YEARS:
        yield _at("birth_date", "birth_date_too_early", limit=_OLDEST_YEARS)
    elif birth and issue and issue < birth:
        yield _at("passport.issue_date", "issued_before_birth")
    if issue and issue > rules.today:
        yield _at("passport.issue_date", "issue_date_in_future")


def _passport_lasts(line: _Line, rules: ApplicationRules) -> Iterator[Violation]:
    issue, expiry = line.dates["passport.issue_date"], line.dates["passport.expiry_date"]
    arrival = line.dates["travel.arrival_date"]
    if issue and expiry and expiry <= issue:
        yield _at("passport.expiry_date", "expiry_before_issue")
    elif arrival and expiry and expiry < months_after(arrival, rules.passport_validity_months):
        yield _at("passport.expiry_date", "passport_expiring", months=rules.passport_validity_months)


def _journey_is_in_order(line: _Line, rules: ApplicationRules) -> Iterator[Violation]:
    arrival, departure = line.dates["travel.arrival_date"], line.dates["travel.departure_date"]
    if arrival and arrival < rules.today:
        yield _at("travel.arrival_date", "arrival_in_past")
    elif arrival and rules.earliest_arrival and arrival < rules.earliest_arrival:
        yield _at("travel.arrival_date", "arrival_too_early", limit=rules.earliest_arrival.isoformat())
    elif arrival and rules.latest_arrival and arrival > rules.latest_arrival:
        yield _at("travel.arrival_date", "arrival_too_late", limit=rules.latest_arrival.isoformat())
    if arrival and departure and departure <= arrival:
        yield _at("travel.departure_date", "departure_before_arrival")
    elif arrival and departure and _is_too_long(departure - arrival, rules):
        yield _at("travel.departure_date", "stay_too_long", limit=rules.max_stay_days or 0)


def _is_too_long(stay: timedelta, rules: ApplicationRules) -> bool:
    return rules.max_stay_days is not None and stay.days > rules.max_stay_days


@lru_cache(1024)
def months_after(day: date, months: int) -> date:
    """The same day `months` later, or the last day of that month where it is shorter."""
    years, month = divmod(day.month - 1 + months, 12)
    year = min(day.year + years, date.max.year)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


# --- mahram -----------------------------------------------------------------------------------------


def _mahram_is_named(line: _Line, rules: ApplicationRules) -> Iterator[Violation]:
    mahram = line.get("mahram.reference")
    if mahram is not None and mahram == line.get("reference"):
        yield _at("mahram.reference", "mahram_is_self")
    elif rules.mahram_rule and line.get("mahram") is None and _needs_mahram(line, rules.mahram_rule):
        yield _at("mahram", "mahram_missing")


def _needs_mahram(line: _Line, rule: MahramRule) -> bool:
    birth, arrival = line.dates["birth_date"], line.dates["travel.arrival_date"]
    if line.get("sex") not in rule.sexes:
        return False
    if rule.below_age is None:
        return True
    return birth is not None and arrival is not None and age(birth, arrival) < rule.below_age


def age(birth: date, day: date) -> int:
    """Completed years on `day`."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


# --- machine readable zone --------------------------------------------------------------------------


def _mrz_is_sound(line: _Line, rules: ApplicationRules) -> Iterator[Violation]:
    """A zone with a wrong digit is misread: then it is not compared with the fields as well."""
    lines = line.get("passport.mrz")
    if lines is None:
        return
    if lines[0][0] != "P":
        yield Violation("mrz_not_a_passport", "/passport/mrz/0", {"position": 1})
        return
    wrong = [_wrong_digit(digit) for digit in mrz.wrong_check_digits(lines[1])]
    zone = mrz.parse(*lines)
    yield from wrong or (_at(path, "mrz_mismatch") for path in _contradicted(zone, line))
    if not is_known(from_mrz(zone.issuer), specimens=rules.specimen_issuers_allowed):
        yield Violation("unknown_country", "/passport/mrz/0", {})


def _wrong_digit(digit: mrz.CheckDigit) -> Violation:
    return Violation(
        "mrz_check_digit", "/passport/mrz/1", {"position": digit.position, "covers": digit.covers}
    )


def _contradicted(zone: mrz.Mrz, line: _Line) -> Iterator[str]:
    """The fields that say otherwise than the zone."""
    for path, value in _told_by(zone).items():
        stated = line.get(path)
        if stated is not None and stated != value:
            yield path
    for path, digits in (("birth_date", zone.birth), ("passport.expiry_date", zone.expiry)):
        if not _is_day(digits, line.get(path)):
            yield path
    yield from _contradicted_type(zone, line)
    yield from _contradicted_names(zone, line)


def _told_by(zone: mrz.Mrz) -> dict[str, str]:
    return {
        "passport.number": zone.number,
        "passport.issuing_state": from_mrz(zone.issuer),
        "nationality": from_mrz(zone.nationality),
        "sex": "X" if zone.sex == "<" else zone.sex,
    }


def _is_day(digits: str, day: str | None) -> bool:
    """Whether YYMMDD may be `day`: unknown parts of a date are filler (Doc 9303-3, section 4.8)."""
    if day is None:
        return True
    stated = day[2:4] + day[5:7] + day[8:]
    return digits == stated or all(told in ("<", part) for told, part in zip(digits, stated, strict=True))


def _contradicted_type(zone: mrz.Mrz, line: _Line) -> Iterator[str]:
    """The second letter was the issuer's own choice until lately: only two known, different ones disagree."""
    stated, told = line.get("passport.type"), zone.document_code
    if stated and len(stated) == 2 and len(told) == 2 and told in table("passport_types") and stated != told:
        yield "passport.type"


def _contradicted_names(zone: mrz.Mrz, line: _Line) -> Iterator[str]:
    given, family = line.get("name.given"), line.get("name.family")
    if given is None or family is None:
        return
    between = tuple(filter(None, (line.get("name.father"), line.get("name.grandfather"))))
    for part in mrz.wrong_names(zone, given=given, family=family, between=between):
        yield f"name.{part}"


Rule = Callable[[_Line, ApplicationRules], Iterator[Violation]]

#: Every rule, each a generator of what it finds.
RULES: Final[tuple[Rule, ...]] = (
    _codes_stand_in_their_tables,
    _states_are_known,
    _contacts_can_be_reached,
    _dates_exist,
    _hijri_twins_agree,
    _photo_is_a_jpeg,
    _life_is_in_order,
    _passport_lasts,
    _journey_is_in_order,
    _mahram_is_named,
    _mrz_is_sound,
)
