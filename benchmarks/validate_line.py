"""What it costs to judge one valid visa application, in µs and against `json.loads` of the same line.

python -m benchmarks.validate_line
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from timeit import repeat
from typing import Any

from schemas.hijri import to_hijri
from schemas.mrz import compose
from schemas.rules import ApplicationRules, check_application

_ROUNDS = 7
_CALLS = 2000
_RULES = ApplicationRules(today=date(2026, 5, 1), passport_validity_months=6)


def sample_line() -> dict[str, Any]:
    """A line that carries most of the optional fields: zone, Hijri twin, telephone and e-mail."""
    birth, expiry = date(1980, 2, 3), date(2031, 1, 31)
    zone = compose(
        issuing_state="IDN",
        family="Rahman",
        given="Ali Ahmad",
        number="A1234567",
        nationality="IDN",
        birth_date=birth,
        sex="M",
        expiry_date=expiry,
    )
    return {
        "reference": "A-000001",
        "visa_type": "umrah",
        "passport": {
            "number": "A1234567",
            "type": "P",
            "issuing_state": "IDN",
            "issue_date": "2021-02-01",
            "expiry_date": expiry.isoformat(),
            "expiry_date_hijri": to_hijri(expiry),
            "issue_place": "Jakarta",
            "mrz": list(zone),
        },
        "name": {"given": "Ali", "father": "Ahmad", "family": "Rahman"},
        "name_ar": {"given": "علي", "father": "أحمد", "family": "رحمن"},
        "birth_date": birth.isoformat(),
        "nationality": "IDN",
        "sex": "M",
        "marital_status": "married",
        "profession": "Engineer",
        "mobile": "+6281234567890",
        "email": "ali@example.com",
        "address": "Jalan Merdeka 1, Jakarta",
        "travel": {"arrival_date": "2026-06-01", "departure_date": "2026-06-15", "entry_port": "JED"},
    }


def microseconds(call: Callable[[], object]) -> float:
    """The best of several rounds: what is left when the machine does nothing else."""
    return min(repeat(call, number=_CALLS, repeat=_ROUNDS)) / _CALLS * 1e6


def main() -> None:
    line = sample_line()
    text = json.dumps(line, ensure_ascii=False)
    application = check_application(line, _RULES)
    if not isinstance(application, dict):
        raise SystemExit(f"the sample is not valid: {application}")
    parse = microseconds(lambda: json.loads(text))
    check = microseconds(lambda: check_application(line, _RULES))
    print(f"json.loads         {parse:7.1f} µs a line")
    print(f"check_application  {check:7.1f} µs a line, {check / parse:.1f} times json.loads")


if __name__ == "__main__":
    main()
