"""Sealing: what was sealed opens in its own place only, and nothing is readable without the key."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.key_files import KeyFiles
from gateway.ledger.keys import KeyGone
from gateway.ledger.vault import Place, Shredded, Unsealable, Vault, wrapping_key
from gateway.values import replace

PLACE = Place("sc-01", "m1", "payload", 1)
KIND = "visa.application"
FOLDER = Path(tempfile.mkdtemp(prefix="keys-"))
atexit.register(shutil.rmtree, FOLDER)


def made_in(folder: Path) -> Vault:
    return Vault(KeyFiles(folder), lambda kind: f"{kind.partition('.')[0]}-2026-11")


VAULT = made_in(FOLDER)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return made_in(tmp_path / "keys")


@given(st.dictionaries(st.text(), st.text() | st.none() | st.integers(), max_size=5))
def test_what_is_sealed_opens_again(value: dict[str, object]) -> None:
    key = VAULT.new_data_key("m1", KIND)
    again = VAULT.data_key("m1", key.wrapped)
    assert VAULT.open(again, VAULT.seal(key, value, place=PLACE), place=PLACE) == value


class ParsersText(str):
    """As a parser of XML gives it."""

    __slots__ = ()


def test_a_text_of_another_class_is_sealed_as_the_text_it_is() -> None:
    key = VAULT.new_data_key("m1", KIND)
    value = {"name": ParsersText("A"), "many": [ParsersText("B")]}
    assert VAULT.open(key, VAULT.seal(key, value, place=PLACE), place=PLACE) == {"name": "A", "many": ["B"]}


def test_what_json_does_not_have_is_not_sealed() -> None:
    with pytest.raises(TypeError, match="object is nothing that JSON has"):
        VAULT.seal(VAULT.new_data_key("m1", KIND), {"what": object()}, place=PLACE)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, party="sc-02"),
        replace(PLACE, message_id="m2"),
        replace(PLACE, column="progress"),
        replace(PLACE, revision=2),
    ],
)
def test_a_value_moved_to_another_place_does_not_open(other: Place) -> None:
    key = VAULT.new_data_key("m1", KIND)
    with pytest.raises(Unsealable):
        VAULT.open(key, VAULT.seal(key, {"a": 1}, place=PLACE), place=other)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_found(position: int, change: int) -> None:
    key = VAULT.new_data_key("m1", KIND)
    sealed = bytearray(VAULT.seal(key, {"a": 1}, place=PLACE))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(Unsealable):
        VAULT.open(key, bytes(sealed), place=PLACE)


def test_a_data_key_belongs_to_one_message() -> None:
    with pytest.raises(Unsealable):
        VAULT.data_key("m2", VAULT.new_data_key("m1", KIND).wrapped)


def test_blind_indices_are_equal_within_a_season_and_differ_across_seasons_and_keys(vault: Vault) -> None:
    index = VAULT.blind_index(1448, "A1", "IDN", "umrah")
    assert index == VAULT.blind_index(1448, "A1", "IDN", "umrah")
    others = {
        VAULT.blind_index(1449, "A1", "IDN", "umrah"),
        VAULT.blind_index(1448, "A1I", "DN", "umrah"),
        vault.blind_index(1448, "A1", "IDN", "umrah"),
    }
    assert index not in others
    assert len(others) == 3


def test_a_data_key_under_another_key_of_the_same_bucket_opens_what_was_sealed(vault: Vault) -> None:
    key = vault.new_data_key("m1", KIND)
    sealed = vault.seal(key, {"a": 1}, place=PLACE)
    vault.keys.rotate("visa-2026-11")
    anew = vault.rewrapped("m1", key.wrapped)
    assert (wrapping_key(key.wrapped), wrapping_key(anew)) == ("visa-2026-11.1", "visa-2026-11.2")
    assert vault.open(vault.data_key("m1", anew), sealed, place=PLACE) == {"a": 1}


def test_a_wrapped_key_that_claims_another_version_does_not_open(vault: Vault) -> None:
    key = vault.new_data_key("m1", KIND)
    vault.keys.rotate("visa-2026-11")
    with pytest.raises(Unsealable):
        vault.data_key("m1", key.wrapped.replace(b"visa-2026-11.1", b"visa-2026-11.2"))


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_of_a_wrapped_key_is_found(position: int, change: int) -> None:
    wrapped = bytearray(VAULT.new_data_key("m1", KIND).wrapped)
    wrapped[position % len(wrapped)] ^= change
    with pytest.raises(Unsealable):
        VAULT.data_key("m1", bytes(wrapped))


def test_nothing_of_a_destroyed_bucket_opens_and_nothing_more_is_sealed_in_it(vault: Vault) -> None:
    key = vault.new_data_key("m1", KIND)
    note = vault.note("phoned the mission")
    vault.keys.destroy(wrapping_key(key.wrapped))
    with pytest.raises(Shredded):
        vault.data_key("m1", key.wrapped)
    with pytest.raises(KeyGone):
        vault.new_data_key("m2", KIND)
    assert vault.read_note(note.sealed) == "phoned the mission"


def test_a_note_is_committed_to_and_says_nothing_of_itself(vault: Vault) -> None:
    first, second = vault.note("same"), vault.note("same")
    assert first.commitment != second.commitment
    assert b"same" not in first.sealed
