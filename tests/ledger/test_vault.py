"""Sealing: what was sealed opens in its own place only, and nothing is readable without the key."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Misconfigured
from gateway.ledger.vault import Place, Unsealable, Vault, open_vault

PLACE = Place("sc-01", "m1", "payload", 1)
VAULT = Vault(os.urandom(32), os.urandom(32))


@given(st.dictionaries(st.text(), st.text() | st.none() | st.integers(), max_size=5))
def test_what_is_sealed_opens_again(value: dict[str, object]) -> None:
    key = VAULT.new_data_key("m1")
    again = VAULT.data_key("m1", key.wrapped)
    assert VAULT.open(again, VAULT.seal(key, value, place=PLACE), place=PLACE) == value


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
    key = VAULT.new_data_key("m1")
    with pytest.raises(Unsealable):
        VAULT.open(key, VAULT.seal(key, {"a": 1}, place=PLACE), place=other)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_is_found(position: int, change: int) -> None:
    key = VAULT.new_data_key("m1")
    sealed = bytearray(VAULT.seal(key, {"a": 1}, place=PLACE))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(Unsealable):
        VAULT.open(key, bytes(sealed), place=PLACE)


def test_a_data_key_belongs_to_one_message() -> None:
    with pytest.raises(Unsealable):
        VAULT.data_key("m2", VAULT.new_data_key("m1").wrapped)


def test_blind_indices_are_equal_within_a_season_and_differ_across_seasons_and_keys() -> None:
    index = VAULT.blind_index(1448, "A1", "IDN", "umrah")
    assert index == VAULT.blind_index(1448, "A1", "IDN", "umrah")
    others = {
        VAULT.blind_index(1449, "A1", "IDN", "umrah"),
        VAULT.blind_index(1448, "A1I", "DN", "umrah"),
        Vault(os.urandom(32), os.urandom(32)).blind_index(1448, "A1", "IDN", "umrah"),
    }
    assert index not in others
    assert len(others) == 3


def test_key_files_are_made_for_their_owner_alone_and_kept(tmp_path: Path) -> None:
    first = open_vault(tmp_path / "keys")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()}
    assert modes == {0o600}
    assert open_vault(tmp_path / "keys").key_id == first.key_id


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    open_vault(tmp_path)
    (tmp_path / "kek-1.key").chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        open_vault(tmp_path)
