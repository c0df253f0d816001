from __future__ import annotations

from collections import Counter
from datetime import date
from math import gcd
from random import Random

import pytest

from adapters.service_centers import sample
from adapters.service_centers.sample import INVALID_KINDS, sample_batch
from adapters.service_centers.sample_people import ORIGINS
from schemas.phones import is_phone
from schemas.rules import ApplicationRules, MahramRule, check_application, check_header

TODAY = date(2026, 7, 1)
#: As strict as a control set is likely to be.
RULES = ApplicationRules(today=TODAY, passport_validity_months=6, mahram_rule=MahramRule(), max_stay_days=30)


def lines(count: int, seed: int = 1, **options: object) -> list[dict[str, object]]:
    return list(sample_batch(count, seed, TODAY, **options)[1])  # type: ignore[arg-type]


def number(application: dict[str, object]) -> str:
    passport = application["passport"]
    assert isinstance(passport, dict)
    return str(passport["number"])


@pytest.mark.parametrize("today", [TODAY, date(2028, 2, 29), date(2026, 12, 31), date(2027, 6, 6)])
def test_every_clean_line_is_valid(today: date) -> None:
    header, applications = sample_batch(500, 2, today, clean=True)
    rules = ApplicationRules(today, 6, mahram_rule=MahramRule(), max_stay_days=30)
    assert not isinstance(check_header(header), tuple)
    for application in applications:
        assert not isinstance(check_application(application, rules), tuple)
        assert number(application)[-2] != "9"


def test_a_seed_gives_the_same_batch_again() -> None:
    assert lines(120, 4) == lines(120, 4)
    assert lines(120, 4) != lines(120, 5)


def test_no_two_lines_of_any_center_share_a_passport() -> None:
    numbers = [
        number(line) for center in range(1, 6) for line in lines(2_000, center=f"sc-0{center}", clean=True)
    ]
    assert len(set(numbers)) == len(numbers)
    assert gcd(sample._STRIDE, sample._SERIALS) == 1


def test_the_header_names_the_centers_own_parties() -> None:
    header, _ = sample_batch(1, 1, TODAY, center="sc-03")
    assert header["licensee_id"] == "LIC-1003"
    assert (header["agent_id"], header["package_id"]) == ("AGT-2003", "PKG-3003")
    assert (header["group_number"], header["season"]) == ("GRP-4003", 1448)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 39, 40, 199, 200, 1_000, 3_000])
def test_outcomes_are_mixed_in_as_often_as_promised(count: int) -> None:
    applications = lines(count)
    endings = Counter(number(line)[-2:] for line in applications if number(line)[-2:-1] == "9")
    assert len(applications) == count
    assert endings["99"] == count // 200
    for ending in range(90, 99):
        assert endings[str(ending)] <= max(1, count // 100)
        assert endings[str(ending)] == max(1, count // 100) or count < 40


@pytest.mark.parametrize(("count", "wrong"), [(39, 0), (40, 1), (400, 9), (2_000, 20)])
def test_each_wrong_line_is_wrong_in_its_own_way(count: int, wrong: int) -> None:
    people: set[str] = set()
    found: Counter[str] = Counter()
    for line in lines(count, 6):
        verdict = check_application(line, RULES)
        if isinstance(verdict, tuple):
            assert len({violation.code for violation in verdict}) == 1
            found[verdict[0].code] += 1
        elif number(line) in people:
            found["duplicate_in_batch"] += 1
        people.add(number(line))
    assert found.total() == wrong
    assert found.keys() <= INVALID_KINDS.keys()
    assert len(found) == min(wrong, len(INVALID_KINDS))


def test_a_womans_mahram_is_an_earlier_line() -> None:
    seen: set[object] = set()
    for line in lines(300, clean=True):
        mahram = line.get("mahram")
        if line["sex"] == "F":
            assert isinstance(mahram, dict)
            assert mahram["reference"] in seen
        seen.add(line["reference"])


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda origin: origin.country)
def test_every_mobile_number_is_of_its_countrys_plan(origin: sample.Origin) -> None:
    random = Random(1)
    for _ in range(300):
        assert is_phone(origin.mobile_prefix + "".join(random.choices("0123456789", k=origin.mobile_digits)))
