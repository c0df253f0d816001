"""Error codes and their texts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas import catalogue
from schemas.violation import Violation

NAMED_IN_THE_CONTRACT = """\
unknown_field invalid_format mrz_check_digit mrz_mismatch passport_expiring unknown_country mahram_missing
duplicate_in_batch duplicate_application licensee_inactive center_not_licensed agent_contract_invalid
package_not_approved plan_exceeded overstay_limit window_closed date_mismatch idempotency_key_reused
batch_too_large encoding_not_utf8 refused answer_pending mission_capacity
"""


@pytest.mark.parametrize("code", NAMED_IN_THE_CONTRACT.split())
def test_every_code_of_the_contract_is_in_the_catalogue(code: str) -> None:
    assert code in catalogue.CODES


@pytest.mark.parametrize("code", catalogue.CODES)
def test_a_code_has_a_title_an_english_and_an_arabic_text(code: str) -> None:
    entry = catalogue.CODES[code]
    assert re.fullmatch("[a-z][a-z0-9_]*", code)
    assert entry.title and "{" not in entry.title
    assert re.search("[A-Za-z]{3}", entry.en) and not re.search("[\u0600-\u06ff]", entry.en)
    assert re.search("[\u0600-\u06ff]{3}", entry.ar)


@pytest.mark.parametrize("code", catalogue.CODES)
def test_both_languages_have_the_same_placeholders(code: str) -> None:
    entry = catalogue.CODES[code]
    assert entry.placeholders("en") == entry.placeholders("ar")


def test_no_code_stands_in_two_sections() -> None:
    lines = Path(catalogue.__file__).with_name("error_codes.yaml").read_text("utf-8").splitlines()
    codes = [line.strip(" :") for line in lines if re.fullmatch("  [a-z0-9_]+:", line)]
    assert len(codes) == len(set(codes)) == len(catalogue.CODES)


def test_params_fill_the_text_in_both_languages() -> None:
    violation = Violation("passport_expiring", "/passport/expiry_date", {"months": 6})
    assert "6 months" in catalogue.describe(violation, "en")
    assert "6 أشهر" in catalogue.describe(violation, "ar")


def test_a_param_that_nobody_knew_reads_as_a_question_mark() -> None:
    assert catalogue.text("too_long", "en") == "This is longer than ? characters."


def test_a_code_outside_the_catalogue_has_no_text() -> None:
    with pytest.raises(KeyError):
        catalogue.text("no_such_code", "en")
