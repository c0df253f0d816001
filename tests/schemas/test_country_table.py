"""The table of states and issuers."""

from __future__ import annotations

from collections import Counter

import phonenumbers
import pytest

from schemas.countries import Kind, countries, from_mrz, is_known, to_mrz

ICAO = """EUE GBD GBN GBO GBP GBS RKS UNO UNA UNK XXA XXB XXC XXX XBA XIM XCC XCE XCO XEC XPO XES XOM XDC"""


def test_iso_3166_1_is_whole_and_nothing_stands_twice() -> None:
    iso = [entry for entry in countries().values() if entry.kind is Kind.ISO]
    assert len(iso) == 249
    assert max(Counter(entry.alpha2 for entry in iso).values()) == 1


def test_every_region_with_a_numbering_plan_is_a_country() -> None:
    known = {entry.alpha2 for entry in countries().values()}
    # Ascension, Kosovo and Tristan da Cunha have plans of their own and no ISO entry.
    assert set(phonenumbers.SUPPORTED_REGIONS) - known == {"AC", "XK", "TA"}


@pytest.mark.parametrize("code", ICAO.split())
def test_codes_that_only_icao_knows_are_known(code: str) -> None:
    assert is_known(code)
    assert countries()[code].kind is Kind.ICAO


def test_every_entry_has_both_names_and_a_code_of_its_kind() -> None:
    for code, entry in countries().items():
        assert len(code) == 3 and code.isascii() and code.isupper()
        assert entry.en and any("\u0621" <= letter <= "\u064a" for letter in entry.ar)
        assert (entry.alpha2 is not None) == (entry.kind is Kind.ISO)


def test_the_specimen_state_is_known_only_where_specimens_are_allowed() -> None:
    assert not is_known("UTO")
    assert is_known("UTO", specimens=True)


def test_germany_is_one_letter_in_a_machine_readable_zone() -> None:
    assert (from_mrz("D<<"), to_mrz("DEU")) == ("DEU", "D<<")
    assert (from_mrz("IDN"), to_mrz("IDN")) == ("IDN", "IDN")
    assert not is_known("D<<")
