"""What an application's values must mean."""

from __future__ import annotations

import base64
import hashlib
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.values import replace
from schemas.application import MAX_PHOTO_BYTES
from schemas.hijri import to_hijri
from schemas.mrz import check_digit, compose
from schemas.rules import MahramRule, age, check_application, months_after
from schemas.violation import Violation
from tests.schemas.applications import ABSENT, RULES, TODAY, application, faults, violations, without_mrz

JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 64 + b"\xff\xd9"


def test_a_valid_application_is_taken() -> None:
    assert isinstance(check_application(application(), RULES), dict)


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"visa_type": "tourist"}, "unknown_code", "/visa_type"),
        ({"sex": "Q"}, "unknown_code", "/sex"),
        ({"marital_status": "unsure"}, "unknown_code", "/marital_status"),
        ({"passport__type": "V"}, "unknown_code", "/passport/type"),
        ({"nationality": "ZZZ"}, "unknown_country", "/nationality"),
        ({"passport__issuing_state": "UTO"}, "unknown_country", "/passport/issuing_state"),
        ({"birth_country": "AAA"}, "unknown_country", "/birth_country"),
        ({"mobile": "+966999999999"}, "invalid_phone", "/mobile"),
        ({"birth_date": "1990-02-30"}, "invalid_date", "/birth_date"),
        ({"birth_date": "0000-01-01"}, "invalid_date", "/birth_date"),
        ({"birth_date": "2026-05-01"}, "birth_date_not_past", "/birth_date"),
        ({"birth_date": "1890-01-01"}, "birth_date_too_early", "/birth_date"),
        ({"passport__issue_date": "2026-05-02"}, "issue_date_in_future", "/passport/issue_date"),
        ({"passport__issue_date": "1980-01-01"}, "issued_before_birth", "/passport/issue_date"),
        ({"passport__expiry_date": "2021-02-01"}, "expiry_before_issue", "/passport/expiry_date"),
        ({"passport__expiry_date": "2026-11-30"}, "passport_expiring", "/passport/expiry_date"),
        ({"travel__arrival_date": "2026-04-30"}, "arrival_in_past", "/travel/arrival_date"),
        ({"travel__departure_date": "2026-06-01"}, "departure_before_arrival", "/travel/departure_date"),
        ({"birth_date_hijri": "1410-07-09"}, "date_mismatch", "/birth_date_hijri"),
        (
            {"birth_date": "1920-01-01", "birth_date_hijri": "1338-04-09"},
            "hijri_out_of_range",
            "/birth_date_hijri",
        ),
        (
            {"mahram__reference": "A-1", "mahram__relationship": "father"},
            "mahram_is_self",
            "/mahram/reference",
        ),
        (
            {"mahram__reference": "A-2", "mahram__relationship": "cousin"},
            "unknown_code",
            "/mahram/relationship",
        ),
    ],
)
def test_a_value_that_cannot_be_is_told_once_with_its_place(
    change: dict[str, Any], code: str, pointer: str
) -> None:
    assert faults(without_mrz(**change)) == [(code, pointer)]


@pytest.mark.parametrize(
    "change",
    [
        {"passport__expiry_date": "2026-12-01"},
        {"travel__arrival_date": "2026-05-01"},
        {"travel__departure_date": "2026-06-02"},
        {"passport__issue_date": "2026-05-01"},
        {"birth_date": "2026-04-30", "passport__issue_date": "2026-04-30"},
        {"nationality": "XXB", "passport__issuing_state": "DEU", "birth_country": ABSENT},
        {"passport__type": "PD"},
        {"sex": "X"},
        {"mahram__reference": "A-2", "mahram__relationship": "father"},
    ],
)
def test_the_last_value_that_is_still_right_is_taken(change: dict[str, Any]) -> None:
    assert faults(without_mrz(**change)) == []


@pytest.mark.parametrize(
    "email",
    [
        *("siti..a@example.com", ".siti@example.com", "siti.@example.com", "siti@example", "siti@-a.com"),
        *("siti@a-.com", "siti@example..com", "siti@example.c1-", "s" * 65 + "@example.com", "siti@1.2.3.4"),
    ],
)
def test_an_email_address_that_cannot_be_delivered_is_refused(email: str) -> None:
    assert [code for code, _ in faults(application(email=email))] == ["invalid_email"]


@pytest.mark.parametrize("email", ["s@e.io", "a.b+c_d@sub-1.example.co.id", "x@xn--mgberp4a5d4ar.xn--p1ai"])
def test_an_email_address_in_common_use_is_taken(email: str) -> None:
    assert faults(application(email=email)) == []


@pytest.mark.parametrize(
    "text", ["a@" + "a-" * 90 + "b", "a" * 64 + "@" + "a." * 90, "a." * 32 + "@" + "1." * 60]
)
def test_an_awkward_email_address_is_judged_without_backtracking(text: str) -> None:
    assert [pointer for _, pointer in faults(application(email=text))] == ["/email"]


# --- dates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        "passport__issue_date",
        "passport__expiry_date",
        "birth_date",
        "travel__arrival_date",
        "travel__departure_date",
    ],
)
def test_every_date_has_a_hijri_twin_that_must_agree(field: str) -> None:
    raw = application()
    *parents, name = field.split("__")
    day = date.fromisoformat((raw[parents[0]] if parents else raw)[name])
    pointer = "/" + field.replace("__", "/") + "_hijri"
    assert faults(application(**{f"{field}_hijri": to_hijri(day)})) == []
    assert faults(application(**{f"{field}_hijri": "1439-02-30"})) == [("date_mismatch", pointer)]


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
        (date(2026, 5, 1), 0, date(2026, 5, 1)),
        (date(9999, 12, 31), 6, date(9999, 6, 30)),
    ],
)
def test_months_end_where_the_calendar_ends_them(day: date, months: int, later: date) -> None:
    assert months_after(day, months) == later


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(0, 36))
def test_a_later_month_is_never_more_than_a_month_off(day: date, months: int) -> None:
    later = months_after(day, months)
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == day.day or (later.day < day.day and (later.toordinal() + 1) and later.day >= 28)


def test_age_counts_completed_years() -> None:
    birth = date(1980, 6, 2)
    assert (age(birth, date(2026, 6, 1)), age(birth, date(2026, 6, 2))) == (45, 46)


def test_the_control_set_decides_on_the_window_and_the_length_of_stay() -> None:
    raw = application()
    assert violations(raw, replace(RULES, earliest_arrival=date(2026, 6, 2))) == (
        Violation("arrival_too_early", "/travel/arrival_date", {"limit": "2026-06-02"}),
    )
    assert violations(raw, replace(RULES, latest_arrival=date(2026, 5, 31))) == (
        Violation("arrival_too_late", "/travel/arrival_date", {"limit": "2026-05-31"}),
    )
    assert violations(raw, replace(RULES, max_stay_days=13)) == (
        Violation("stay_too_long", "/travel/departure_date", {"limit": 13}),
    )
    open_rules = replace(
        RULES, earliest_arrival=date(2026, 6, 1), latest_arrival=date(2026, 6, 1), max_stay_days=14
    )
    assert violations(raw, open_rules) == ()


def test_the_control_set_decides_how_long_a_passport_must_last() -> None:
    raw = without_mrz(passport__expiry_date="2026-11-30")
    assert violations(raw, replace(RULES, passport_validity_months=5)) == ()
    assert violations(raw) == (Violation("passport_expiring", "/passport/expiry_date", {"months": 6}),)


# --- mahram -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "change", "missing"),
    [
        (None, {}, False),
        (MahramRule(), {}, True),
        (MahramRule(), {"sex": "M"}, False),
        (MahramRule(below_age=45), {}, True),
        (MahramRule(below_age=45), {"birth_date": "1981-06-01"}, False),
        (MahramRule(below_age=45), {"birth_date": "1981-06-02"}, True),
        (
            MahramRule(sexes=frozenset({"M", "F"}), below_age=18),
            {"sex": "M", "birth_date": "2010-01-01"},
            True,
        ),
        (MahramRule(), {"mahram__reference": "A-2", "mahram__relationship": "father"}, False),
    ],
)
def test_a_mahram_is_asked_for_where_the_control_set_says(
    rule: MahramRule | None, change: dict[str, Any], missing: bool
) -> None:
    expected = [("mahram_missing", "/mahram")] if missing else []
    assert faults(without_mrz(**change), replace(RULES, mahram_rule=rule)) == expected


def test_a_malformed_mahram_is_not_missing_as_well() -> None:
    rules = replace(RULES, mahram_rule=MahramRule())
    assert faults(application(mahram="father"), rules) == [("wrong_type", "/mahram")]
    assert faults(application(mahram__reference="A-2"), rules) == [("field_missing", "/mahram/relationship")]


# --- machine readable zone --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"passport__number": "A1234568"}, "/passport/number"),
        ({"passport__issuing_state": "PAK"}, "/passport/issuing_state"),
        ({"passport__expiry_date": "2031-01-30"}, "/passport/expiry_date"),
        ({"nationality": "PAK"}, "/nationality"),
        ({"birth_date": "1990-02-04"}, "/birth_date"),
        ({"sex": "M"}, "/sex"),
        ({"sex": "X"}, "/sex"),
        ({"name__given": "Omar"}, "/name/given"),
        ({"name__family": "Omar"}, "/name/family"),
    ],
)
def test_the_field_that_the_zone_contradicts_is_pointed_at(change: dict[str, Any], pointer: str) -> None:
    assert faults(application(**change)) == [("mrz_mismatch", pointer)]


def test_the_arabic_name_is_never_held_against_the_zone() -> None:
    assert faults(application(name_ar__given="محمد", name_ar__family="علي")) == []


def zone(**changes: Any) -> list[str]:
    fields: dict[str, Any] = {
        "issuing_state": "IDN",
        "family": "Rahman",
        "given": "Siti",
        "number": "A1234567",
        "nationality": "IDN",
        "birth_date": date(1990, 2, 3),
        "sex": "F",
        "expiry_date": date(2031, 1, 31),
    }
    return list(compose(**(fields | changes)))


@pytest.mark.parametrize(("position", "covers"), [(10, "number"), (20, "birth_date"), (28, "expiry_date")])
def test_a_wrong_check_digit_is_named_and_nothing_is_compared(position: int, covers: str) -> None:
    line1, line2 = zone()
    wrong = str((int(line2[position - 1]) + 1) % 10)
    broken = line2[: position - 1] + wrong + line2[position:]
    found = violations(application(passport__mrz=[line1, broken], sex="M"))
    expected = Violation("mrz_check_digit", "/passport/mrz/1", {"position": position, "covers": covers})
    assert expected in found
    assert {violation.code for violation in found} == {"mrz_check_digit"}


def test_an_unknown_part_of_a_birth_date_agrees_with_any() -> None:
    line1, line2 = zone()
    unknown = line2[:13] + "90<<<<" + "0" + line2[20:43]
    unknown = unknown[:19] + check_digit("90<<<<") + unknown[20:]
    unknown += check_digit(unknown[:10] + unknown[13:20] + unknown[21:43])
    assert faults(application(passport__mrz=[line1, unknown])) == []
    mismatch = application(passport__mrz=[line1, unknown], birth_date="1991-02-03")
    assert faults(mismatch) == [("mrz_mismatch", "/birth_date")]


def test_a_german_passport_is_deu_in_the_fields_and_d_in_the_zone() -> None:
    german = zone(issuing_state="DEU", nationality="DEU")
    assert german[0].startswith("P<D<<")
    raw = application(passport__mrz=german, passport__issuing_state="DEU", nationality="DEU")
    assert faults(raw) == []


def test_an_unspecified_sex_is_filler_in_the_zone() -> None:
    assert faults(application(passport__mrz=zone(sex="X"), sex="X")) == []


def test_a_specimen_passes_only_where_specimens_are_allowed() -> None:
    specimen = application(
        passport__mrz=zone(issuing_state="UTO", nationality="UTO"),
        passport__issuing_state="UTO",
        nationality="UTO",
    )
    assert {code for code, _ in faults(specimen)} == {"unknown_country"}
    assert [pointer for _, pointer in faults(specimen)] == [
        "/nationality",
        "/passport/issuing_state",
        "/passport/mrz/0",
    ]
    assert faults(specimen, replace(RULES, specimen_issuers_allowed=True)) == []


def test_the_zone_of_another_document_is_not_a_passports() -> None:
    line1, line2 = zone()
    assert faults(application(passport__mrz=["V" + line1[1:], line2])) == [
        ("mrz_not_a_passport", "/passport/mrz/0")
    ]


@pytest.mark.parametrize(
    ("stated", "told", "agree"),
    [("PD", "PD", True), ("PD", "PO", False), ("P", "PD", True), ("PD", "P", True), ("PD", "PN", True)],
)
def test_second_letters_of_a_passport_type_disagree_only_when_both_are_known(
    stated: str, told: str, agree: bool
) -> None:
    raw = application(passport__type=stated, passport__mrz=zone(document_code=told))
    assert faults(raw) == ([] if agree else [("mrz_mismatch", "/passport/type")])


# --- photo ------------------------------------------------------------------------------------------


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def test_a_photo_and_its_digest_are_taken() -> None:
    digest = hashlib.sha256(JPEG).hexdigest()
    assert faults(application(photo=encoded(JPEG), photo_sha256=digest)) == []
    assert faults(application(photo_sha256=digest)) == []


@pytest.mark.parametrize(
    ("photo", "code"),
    [
        (encoded(b"GIF89a" + JPEG), "photo_not_jpeg"),
        (encoded(JPEG[:-2]), "photo_not_jpeg"),
        (encoded(JPEG)[:-2] + "=", "photo_not_base64"),
        ("AAAAA", "photo_not_base64"),
        (encoded(JPEG + b"\xff\xd9") + "==", "photo_not_base64"),
        ("AAAA=AAA", "invalid_format"),
        ("AA AA", "invalid_format"),
        (encoded(b"\xff\xd8\xff" + b"\x00" * (MAX_PHOTO_BYTES - 4) + b"\xff\xd9"), "photo_too_large"),
        ("A" * (MAX_PHOTO_BYTES * 2), "too_long"),
    ],
)
def test_what_is_no_small_jpeg_is_told(photo: str, code: str) -> None:
    assert faults(application(photo=photo)) == [(code, "/photo")]


def test_the_largest_photo_is_taken() -> None:
    largest = b"\xff\xd8\xff" + b"\x00" * (MAX_PHOTO_BYTES - 5) + b"\xff\xd9"
    assert faults(application(photo=encoded(largest))) == []


def test_a_digest_of_another_photo_is_told() -> None:
    raw = application(photo=encoded(JPEG), photo_sha256="0" * 64)
    assert faults(raw) == [("photo_digest_mismatch", "/photo_sha256")]


def test_the_day_decides_and_is_given_not_read() -> None:
    assert faults(application(), replace(RULES, today=date(2027, 1, 1))) == [
        ("arrival_in_past", "/travel/arrival_date")
    ]
    assert RULES.today == TODAY
