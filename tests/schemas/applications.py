"""A valid application to change one thing in."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

from schemas.mrz import compose
from schemas.rules import ApplicationRules, check_application
from schemas.violation import Violation

TODAY = date(2026, 5, 1)
RULES = ApplicationRules(today=TODAY, passport_validity_months=6)
ABSENT = object()

_MRZ = compose(
    issuing_state="IDN",
    family="Rahman",
    given="Siti Ahmad",
    number="A1234567",
    nationality="IDN",
    birth_date=date(1990, 2, 3),
    sex="F",
    expiry_date=date(2031, 1, 31),
)

_VALID: dict[str, Any] = {
    "reference": "A-1",
    "visa_type": "umrah",
    "passport": {
        "number": "A1234567",
        "type": "P",
        "issuing_state": "IDN",
        "issue_date": "2021-02-01",
        "expiry_date": "2031-01-31",
        "mrz": list(_MRZ),
    },
    "name": {"given": "Siti", "father": "Ahmad", "family": "Rahman"},
    "name_ar": {"given": "ستي", "family": "رحمن"},
    "birth_date": "1990-02-03",
    "birth_country": "IDN",
    "nationality": "IDN",
    "sex": "F",
    "marital_status": "married",
    "mobile": "+6281234567890",
    "email": "siti@example.com",
    "travel": {"arrival_date": "2026-06-01", "departure_date": "2026-06-15"},
}


def application(**changes: Any) -> dict[str, Any]:
    """The valid application with leaves changed: `passport__number="B1"`; `ABSENT` takes a field out."""
    raw = copy.deepcopy(_VALID)
    for path, value in changes.items():
        *parents, name = path.split("__")
        record = raw
        for parent in parents:
            record = record.setdefault(parent, {})
        if value is ABSENT:
            record.pop(name, None)
        else:
            record[name] = value
    return raw


def without_mrz(**changes: Any) -> dict[str, Any]:
    """As `application`, with no machine readable zone that a change would contradict."""
    return application(passport__mrz=ABSENT, **changes)


def violations(raw: object, rules: ApplicationRules = RULES) -> tuple[Violation, ...]:
    """What is wrong with `raw`; empty when it is taken."""
    found = check_application(raw, rules)
    return () if isinstance(found, dict) else found


def faults(raw: object, rules: ApplicationRules = RULES) -> list[tuple[str, str]]:
    """Code and pointer of everything wrong with `raw`."""
    return [(violation.code, violation.pointer) for violation in violations(raw, rules)]
