"""What other parts rely on: field names, their classes, their columns, and who a person is."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel

from schemas import application as model
from schemas.application import (
    VisaApplication,
    field_classes,
    leaf_paths,
    leaves,
    person_fields,
)
from schemas.confidentiality import Confidentiality
from schemas.rules import check_application
from tests.schemas.applications import RULES, application

CONTRACT = """
reference visa_type birth_date birth_date_hijri birth_place birth_country nationality sex marital_status
profession mobile email address photo photo_sha256 disclosures
passport.number passport.type passport.issuing_state passport.issue_date passport.issue_date_hijri
passport.expiry_date passport.expiry_date_hijri passport.issue_place passport.mrz
name.given name.father name.grandfather name.family
name_ar.given name_ar.father name_ar.grandfather name_ar.family
mahram.reference mahram.relationship
travel.arrival_date travel.arrival_date_hijri travel.departure_date travel.departure_date_hijri
travel.entry_port travel.exit_port travel.carrier travel.flight
"""


def test_the_fields_are_those_of_the_contract() -> None:
    assert set(field_classes()) == set(CONTRACT.split())


def test_photo_and_disclosures_are_secret_and_only_the_visa_type_is_public() -> None:
    by_class: dict[Confidentiality, set[str]] = {}
    for path, field_class in field_classes().items():
        by_class.setdefault(field_class, set()).add(path)
    assert by_class.pop(Confidentiality.SECRET) == {"photo", "photo_sha256", "disclosures"}
    assert by_class.pop(Confidentiality.PUBLIC) == {"visa_type"}
    assert set(by_class) == {Confidentiality.RESTRICTED}


def test_a_field_without_a_class_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unclassified(BaseModel):
        known: Annotated[str, Confidentiality.PUBLIC]
        forgotten: str

    monkeypatch.setattr(model, "VisaApplication", Unclassified)
    with pytest.raises(LookupError, match="forgotten"):
        field_classes.__wrapped__()


def test_lists_have_a_column_for_each_slot() -> None:
    paths = leaf_paths()
    assert len(paths) == len(set(paths))
    assert [path for path in paths if path.startswith("passport.mrz")] == ["passport.mrz.1", "passport.mrz.2"]
    assert [path for path in paths if path.startswith("disclosures")][-1] == "disclosures.10"
    assert {path for path in paths if not path[-1].isdigit()} <= set(field_classes())
    assert paths[0] == "reference"


def test_every_leaf_says_nothing_of_values_in_its_model() -> None:
    assert all(field.alias is None for _, field in leaves(VisaApplication))


@pytest.mark.parametrize(
    ("clearance", "may_have"),
    [
        ("public", ["public"]),
        ("restricted", ["public", "restricted"]),
        ("secret", ["public", "restricted", "secret"]),
        ("top_secret", ["public", "restricted", "secret", "top_secret"]),
    ],
)
def test_a_clearance_permits_its_own_class_and_wider_ones(clearance: str, may_have: list[str]) -> None:
    permitted = [entry for entry in Confidentiality if Confidentiality(clearance).permits(entry)]
    assert permitted == may_have


def test_a_person_is_passport_issuer_and_visa_type() -> None:
    taken = check_application(application(), RULES)
    assert isinstance(taken, dict)
    assert person_fields(taken) == ("A1234567", "IDN", "umrah")


def test_canonical_holds_what_came_and_no_absent_field() -> None:
    raw = application()
    assert check_application(raw, RULES) == raw
