"""A sealed value opens in its own place, at its own revision, nowhere else: all pairs of places are tried."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from itertools import permutations, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flows.desk import event_place
from gateway.ledger.key_files import KeyFiles
from gateway.ledger.vault import DataKey, Place, Unsealable, Vault

FOLDER = Path(tempfile.mkdtemp(prefix="keys-"))
atexit.register(shutil.rmtree, FOLDER)
VAULT = Vault(KeyFiles(FOLDER), lambda kind: f"{kind}-2026-11")

#: Every sort of place that the gateway seals something in, for any party and message.
COLUMNS = ("payload", "progress", "receipt", "event", "photo", "resolution", "late_answer", "note")
ids = st.from_regex(r"[0-9a-f-]{1,36}", fullmatch=True)
places = st.builds(
    Place,
    party=st.sampled_from(["sc-01", "sc-02", "gateway"]),
    message_id=ids,
    column=st.sampled_from(COLUMNS),
    revision=st.integers(1, 9),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(places, min_size=2, max_size=6, unique=True))
def test_of_all_pairs_of_places_none_opens_what_the_other_holds(made: list[Place]) -> None:
    """Even where one data key serves both: of one message, two columns or two revisions."""
    keys: dict[str, DataKey] = {}
    sealed = {}
    for place in made:
        key = keys.setdefault(place.message_id, VAULT.new_data_key(place.message_id, "visa"))
        sealed[place] = VAULT.seal(key, {"of": repr(place)}, place=place)
    for one, other in permutations(made, 2):
        for key in (keys[one.message_id], keys[other.message_id]):
            with pytest.raises(Unsealable):
                VAULT.open(key, sealed[one], place=other)
        assert VAULT.open(keys[one.message_id], sealed[one], place=one) == {"of": repr(one)}


def test_no_place_opens_what_a_neighbour_holds_that_differs_in_one_part_only() -> None:
    """Every pair of two parties, two messages, all columns and three revisions, under one data key."""
    key = VAULT.new_data_key("m", "visa")
    near = [Place(*parts) for parts in product(("sc-01", "sc-02"), ("m", "n"), COLUMNS, (1, 2, 3))]
    sealed = {place: VAULT.seal(key, {}, place=place) for place in near}
    opened = {(one, other) for one in near for other in near if _opens(key, sealed[one], other)}
    assert opened == {(place, place) for place in near}


def _opens(key: DataKey, sealed: bytes, place: Place) -> bool:
    try:
        VAULT.open(key, sealed, place=place)
    except Unsealable:
        return False
    return True


@settings(max_examples=100, deadline=None)
@given(st.lists(ids, min_size=2, max_size=5, unique=True))
def test_of_all_pairs_of_messages_none_takes_the_others_data_key(made: list[str]) -> None:
    wrapped = {id: VAULT.new_data_key(id, "visa").wrapped for id in made}
    for one, other in permutations(made, 2):
        with pytest.raises(Unsealable):
            VAULT.data_key(other, wrapped[one])


@given(st.integers(1, 40), st.integers(1, 40))
def test_an_older_revision_does_not_open_as_the_newest(first: int, second: int) -> None:
    key = VAULT.new_data_key("m", "visa")
    old = VAULT.seal(key, {"state": "refused"}, place=Place("sc-01", "m", "progress", first))
    newest = Place("sc-01", "m", "progress", second)
    if first == second:
        assert VAULT.open(key, old, place=newest)
    else:
        with pytest.raises(Unsealable):
            VAULT.open(key, old, place=newest)


@given(st.sampled_from(["visa", "others", "operators"]), st.sampled_from(["visa", "others", "operators"]))
def test_a_data_key_does_not_open_under_the_name_of_another_bucket(one: str, other: str) -> None:
    mine, theirs = VAULT.new_data_key("m", one).wrapped, VAULT.new_data_key("m", other).wrapped
    renamed = theirs[: 1 + theirs[0]] + mine[1 + mine[0] :]
    if one == other:
        assert VAULT.data_key("m", renamed)
    else:
        with pytest.raises(Unsealable):
            VAULT.data_key("m", renamed)


def test_places_that_would_read_the_same_with_their_parts_shifted_are_others() -> None:
    """The parts are bound with a separator between them, which no id of ours has."""
    first, second = event_place("sc-01", "e1"), Place("sc-01", "e1|event", "", 1)
    key = VAULT.new_data_key("e1", "visa")
    with pytest.raises(Unsealable):
        VAULT.open(key, VAULT.seal(key, {}, place=first), place=second)
