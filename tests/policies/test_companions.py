"""Whose mahram is in the batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.policies.companions import Companions


def alone(*lines: tuple[str, str | None]) -> list[str]:
    companions = Companions()
    for number, (reference, mahram) in enumerate(lines, start=1):
        companions.take(number, number, reference, mahram)
    return [companion.reference for companion in companions.without_mahram()]


def test_a_mahram_may_stand_before_or_after_who_names_him() -> None:
    assert alone(("A", "M"), ("M", None), ("B", "M")) == []


def test_who_names_nobody_of_the_batch_is_alone() -> None:
    assert alone(("A", "X"), ("M", None), ("B", "M")) == ["A"]


def test_who_names_someone_that_is_alone_is_alone_too() -> None:
    assert alone(("C", "B"), ("B", "A"), ("A", "X"), ("D", "M"), ("M", None)) == ["C", "B", "A"]


def test_two_who_name_each_other_are_both_in_the_batch() -> None:
    assert alone(("A", "B"), ("B", "A")) == []


def test_only_who_waits_for_a_mahram_is_remembered_with_a_place() -> None:
    companions = Companions()
    companions.take(1, 1, "M", None)
    for number in range(2, 100):
        companions.take(number, number, f"A{number}", "M")
    assert companions._waiting == {}


@given(st.dictionaries(st.integers(0, 12), st.none() | st.integers(0, 15), max_size=12), st.randoms())
def test_the_order_of_lines_never_matters(named: dict[int, int | None], random: object) -> None:
    lines = [(str(who), None if mahram is None else str(mahram)) for who, mahram in named.items()]
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(alone(*lines)) == sorted(alone(*shuffled)) == sorted(_by_definition(dict(lines)))


def _by_definition(named: dict[str, str | None]) -> list[str]:
    taken = set(named)
    while left := {who for who in taken if named[who] is not None and named[who] not in taken}:
        taken -= left
    return [who for who in named if who not in taken]
