"""Shapes of texts, and the position of what does not fit."""

from __future__ import annotations

import re
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from schemas.shapes import Part, Shape

DAY = Shape("[0-9]{4}", "-", "[0-9]{2}", "-", "[0-9]{2}")
FLIGHT = Shape("[A-Z]{2}", "[0-9]{1,4}")


class Record(BaseModel):
    day: Annotated[str, DAY] = "2026-01-01"
    flight: Annotated[str, FLIGHT] = "SV1"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("2026-1-1", 7),
        ("٢026-01-01", 1),
        ("20²6-01-01", 3),
        ("2026-01-0x", 10),
        ("2026-01-011", 11),
        ("2026-01", 8),
        ("", 1),
        ("2026-01-01\n", 11),
        ("2026\ud800", 5),
    ],
)
def test_the_first_character_out_of_place_is_found(text: str, position: int) -> None:
    assert DAY.first_fault(text) == position


def test_what_is_not_a_part_of_a_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="not a part"):
        Part.of("")


@given(st.text("AZ09-²٣\n", max_size=8))
def test_pydantic_takes_exactly_what_the_shape_describes(text: str) -> None:
    described = re.fullmatch("[A-Z]{2}[0-9]{1,4}", text) is not None
    try:
        Record(flight=text)
    except ValidationError:
        taken = False
    else:
        taken = True
    assert taken == described
    assert not described or FLIGHT.first_fault(text) == len(text) + 1


@given(st.from_regex(DAY.pattern.removesuffix("$") + r"\Z"), st.integers(0, 9))
def test_one_foreign_character_is_pointed_at(text: str, index: int) -> None:
    assert DAY.first_fault(text[:index] + "x" + text[index + 1 :]) == index + 1
