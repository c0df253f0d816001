"""The machine readable zone (ICAO Doc 9303)."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.mrz import Mrz, NotAnMrzError, check_digit, compose, parse, wrong_check_digits, wrong_names

SPECIMEN = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<"
COVERED = [*range(10), *range(13, 20), *range(21, 44)]
WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=8)
NAME = st.lists(WORD, min_size=1, max_size=2).map(" ".join)


def value(character: str) -> int:
    return ALPHABET.index(character) % 36


@st.composite
def zones(draw: st.DrawFn) -> dict[str, object]:
    """Arguments of `compose` whose name fits into its field."""
    return {
        "issuing_state": draw(st.sampled_from(["IDN", "PAK", "DEU", "EGY", "XXA"])),
        "family": draw(NAME),
        "given": draw(NAME),
        "number": draw(st.text(ALPHABET[:36], min_size=3, max_size=9)),
        "nationality": draw(st.sampled_from(["IDN", "DEU", "XXB"])),
        "birth_date": draw(st.dates(date(1930, 1, 1), date(2025, 1, 1))),
        "sex": draw(st.sampled_from("MFX")),
        "expiry_date": draw(st.dates(date(2026, 1, 1), date(2040, 1, 1))),
        "document_code": draw(st.sampled_from(["P", "PD"])),
        "optional": draw(st.text(ALPHABET[:36], max_size=14)),
    }


def test_the_specimen_of_the_standard_reads_as_printed() -> None:
    zone = parse(*SPECIMEN)
    assert zone == Mrz(
        document_code="P",
        issuer="UTO",
        primary="ERIKSSON",
        secondary="ANNA MARIA",
        name_may_be_cut=False,
        number="L898902C3",
        nationality="UTO",
        birth="740812",
        sex="F",
        expiry="120415",
        optional="ZE184226B",
    )
    assert list(wrong_check_digits(SPECIMEN[1])) == []


def test_the_specimen_is_composed_to_the_letter() -> None:
    composed = compose(
        issuing_state="UTO",
        family="Eriksson",
        given="Anna Maria",
        number="L898902C3",
        nationality="UTO",
        birth_date=date(1974, 8, 12),
        sex="F",
        expiry_date=date(2012, 4, 15),
        optional="ZE184226B",
    )
    assert composed == SPECIMEN


@pytest.mark.parametrize(("text", "digit"), [("520727", "3"), ("AB2134<<<", "5"), ("<<<<<<", "0")])
def test_check_digits_of_the_standards_examples(text: str, digit: str) -> None:
    assert check_digit(text) == digit


@given(zones())
def test_what_is_composed_is_read_back(arguments: dict[str, object]) -> None:
    line1, line2 = compose(**arguments)  # type: ignore[arg-type]
    zone = parse(line1, line2)
    assert list(wrong_check_digits(line2)) == []
    assert (zone.primary, zone.secondary) == (arguments["family"], arguments["given"])
    assert (zone.number, zone.optional) == (arguments["number"], arguments["optional"])
    assert zone.document_code == arguments["document_code"]
    assert zone.birth == f"{arguments['birth_date']:%y%m%d}"
    assert zone.expiry == f"{arguments['expiry_date']:%y%m%d}"
    assert zone.sex == str(arguments["sex"]).replace("X", "<")
    assert zone.issuer == str(arguments["issuing_state"]).replace("DEU", "D<<")
    assert wrong_names(zone, given=str(arguments["given"]), family=str(arguments["family"])) == ()


@given(zones(), st.sampled_from(COVERED), st.sampled_from(ALPHABET))
def test_a_changed_character_is_caught_wherever_the_scheme_can(
    arguments: dict[str, object], index: int, character: str
) -> None:
    """Modulo 10 cannot tell 0, A, K, U and the filler apart, nor 1, B, L, V, and so on."""
    _, line2 = compose(**arguments)  # type: ignore[arg-type]
    assume((value(line2[index]) - value(character)) % 10)
    changed = line2[:index] + character + line2[index + 1 :]
    assert list(wrong_check_digits(changed))


@pytest.mark.parametrize(
    ("index", "covers"),
    [(0, "number"), (13, "birth_date"), (21, "expiry_date"), (28, "optional")],
)
def test_the_digit_over_the_changed_part_is_named(index: int, covers: str) -> None:
    line2 = SPECIMEN[1]
    changed = line2[:index] + str((value(line2[index]) + 1) % 10) + line2[index + 1 :]
    assert [digit.covers for digit in wrong_check_digits(changed)] == [covers, "composite"]


@pytest.mark.parametrize("position", [10, 20, 28, 43, 44])
def test_a_letter_is_never_a_check_digit(position: int) -> None:
    line2 = SPECIMEN[1]
    same_value = "ABCDEFGHIJ"[int(line2[position - 1])]
    changed = line2[: position - 1] + same_value + line2[position:]
    assert position in [digit.position for digit in wrong_check_digits(changed)]


@pytest.mark.parametrize("position", [10, 20, 28, 44])
def test_filler_is_a_check_digit_over_optional_data_only(position: int) -> None:
    line2 = "L898902C36UTO7408122F1204159<<<<<<<<<<<<<<" + "<8"
    changed = line2[: position - 1] + "<" + line2[position:]
    assert position in [digit.position for digit in wrong_check_digits(changed)]


def test_marks_in_a_name_are_left_out_and_hyphens_become_filler() -> None:
    line1, _ = compose(
        issuing_state="IRL",
        family="O'Donnell-Smith",
        given="Mary Jane Jr.",
        number="A1234567",
        nationality="IRL",
        birth_date=date(1990, 1, 1),
        sex="F",
        expiry_date=date(2030, 1, 1),
    )
    assert line1 == "P<IRLODONNELL<SMITH<<MARY<JANE<JR<<<<<<<<<<<"


def test_the_digit_over_empty_optional_data_may_be_filler_or_zero() -> None:
    for digit in "<0":
        line2 = "L898902C36UTO7408122F1204159<<<<<<<<<<<<<<" + digit
        assert list(wrong_check_digits(line2 + check_digit(line2[:10] + line2[13:20] + line2[21:]))) == []


def test_the_digit_over_optional_data_may_not_be_filler() -> None:
    changed = SPECIMEN[1][:42] + "<" + SPECIMEN[1][43]
    assert [digit.position for digit in wrong_check_digits(changed)] == [43, 44]


@pytest.mark.parametrize("line", ["", "P<UTO", "p" + "<" * 43, "<" * 45, "²" + "<" * 43, "<" * 43 + "\n"])
def test_what_is_not_44_characters_of_the_alphabet_is_no_zone(line: str) -> None:
    with pytest.raises(NotAnMrzError):
        parse(line, SPECIMEN[1])
    with pytest.raises(NotAnMrzError):
        parse(SPECIMEN[0], line)


@pytest.mark.parametrize("number", ["TOOLONG4567", "lower"])
def test_a_value_that_does_not_fit_is_not_composed(number: str) -> None:
    with pytest.raises(NotAnMrzError):
        compose(
            issuing_state="IDN",
            family="A",
            given="B",
            number=number,
            nationality="IDN",
            birth_date=date(1990, 1, 1),
            sex="M",
            expiry_date=date(2030, 1, 1),
        )


def named(name_field: str) -> Mrz:
    return parse(f"P<IDN{name_field:<<39}", SPECIMEN[1])


@pytest.mark.parametrize(
    ("name_field", "given_name", "family", "between"),
    [
        ("RAHMAN<<ALI", "Ali", "Rahman", ()),
        ("RAHMAN<<ALI<AHMAD", "Ali", "Rahman", ("Ahmad",)),
        ("RAHMAN<<ALI<AHMAD<OMAR", "Ali", "Rahman", ("Ahmad", "Omar")),
        ("RAHMAN<<ALI", "Ali", "Rahman", ("Ahmad", "Omar")),
        ("ODONNELL<<MARY<JANE", "Mary-Jane", "O'Donnell", ()),
        ("O<DONNELL<<MARYJANE", "Mary Jane", "O'Donnell", ()),
        ("AL<RASHID<<ALI", "Ali", "Al-Rashid", ()),
        ("SUKARNO", "Sukarno", "Sukarno", ()),
        ("SITI<AMINAH", "Siti", "Aminah", ()),
        ("PAPANDROPOULOUS<<JONATHON<ALEXANDER<THE", "Jonathon Alexander Theodore", "Papandropoulous", ()),
        ("NILAVADHANANANDA<<CHAYAPA<DEJTHAMRONG<K", "Chayapa Dejthamrong Krasuang", "Nilavadhanananda", ()),
    ],
)
def test_a_name_may_stand_in_the_zone_as_issuers_write_it(
    name_field: str, given_name: str, family: str, between: tuple[str, ...]
) -> None:
    assert wrong_names(named(name_field), given=given_name, family=family, between=between) == ()


@pytest.mark.parametrize(
    ("name_field", "given_name", "family", "wrong"),
    [
        ("RAHMAN<<ALI", "Omar", "Rahman", ("given",)),
        ("RAHMAN<<ALI", "Ali", "Rahmani", ("family",)),
        ("RAHMAN<<ALI", "Al", "Rahman", ("given",)),
        ("RAHMAN<<ALI", "Rahman", "Ali", ("family", "given")),
        ("SUKARNO", "Ali", "Sukarno", ("family",)),
        ("PAPANDROPOULOUS<<JONATHON<ALEXANDER<THE", "Jonathon Omar Theodore", "Papandropoulous", ("given",)),
    ],
)
def test_another_name_is_told_apart(
    name_field: str, given_name: str, family: str, wrong: tuple[str, ...]
) -> None:
    assert wrong_names(named(name_field), given=given_name, family=family) == wrong


LONG_NAME = st.lists(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=6, max_size=15), min_size=2, max_size=4)


@given(LONG_NAME, LONG_NAME)
def test_a_name_that_is_too_long_is_cut_and_still_the_same(
    given_names: list[str], families: list[str]
) -> None:
    given_name, family = " ".join(given_names), " ".join(families)
    line1, line2 = compose(
        issuing_state="IDN",
        family=family,
        given=given_name,
        number="A1234567",
        nationality="IDN",
        birth_date=date(1990, 1, 1),
        sex="F",
        expiry_date=date(2030, 1, 1),
    )
    assert len(line1) == 44
    assert wrong_names(parse(line1, line2), given=given_name, family=family) == ()
