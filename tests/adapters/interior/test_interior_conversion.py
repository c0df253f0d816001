"""Interior's converters against golden files, and what they read."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from adapters.interior import convert
from adapters.interior.operations import OPERATIONS, PASSPORT_VERIFICATION, SECURITY_CLEARANCE
from adapters.interior.services import NIC, PASSPORTS, SERVICES
from gateway.errors import Uncertain
from gateway.message import (
    Answered,
    Contested,
    Declined,
    Deferred,
    Exchange,
    FieldNotGranted,
    Operation,
    Projection,
    Verdict,
)
from gateway.soap import Contract, load_contract
from tests.adapters.golden import paths_read, verdict, written
from tests.soap.partners import APPLICATION, application, context

GOLDEN = Path(__file__).with_name("golden")
CLEARANCE, VERIFICATION = load_contract(NIC), load_contract(PASSPORTS)
CHECK, INQUIRE = SECURITY_CLEARANCE.call, SECURITY_CLEARANCE.follow_up
VERIFY = PASSPORT_VERIFICATION.call
assert INQUIRE is not None
NOT_ACCEPTED = "passport_not_accepted"


@pytest.mark.parametrize(
    ("name", "contract", "exchange"),
    [
        ("clearance_request", CLEARANCE, CHECK),
        ("clearance_inquiry", CLEARANCE, INQUIRE),
        ("verification_request", VERIFICATION, VERIFY),
    ],
)
def test_requests_are_written_as_in_the_golden_files(
    name: str, contract: Contract, exchange: Exchange
) -> None:
    text = written(contract, exchange, application(), context(partner_reference="NIC-7f3a"))
    assert text == (GOLDEN / f"{name}.xml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "exchange", "expected"),
    [
        ("clearance_clear", CHECK, Answered({"status": "CLEAR"})),
        ("clearance_hit", CHECK, Declined("HIT", "refused")),
        ("clearance_pending", CHECK, Deferred("answer_pending", "NIC-7f3a")),
        ("clearance_inquiry_clear", INQUIRE, Answered({"status": "CLEAR"})),
        ("clearance_person_ambiguous", CHECK, Contested("PERSON_AMBIGUOUS")),
        ("clearance_invalid_input", CHECK, Contested("INVALID_INPUT")),
        ("verification_valid", VERIFY, Answered({"status": "VALID"})),
        ("verification_lost", VERIFY, Declined("LOST", NOT_ACCEPTED)),
        ("verification_banned", VERIFY, Declined("BANNED", NOT_ACCEPTED)),
        ("verification_already_inside", VERIFY, Declined("ALREADY_INSIDE", NOT_ACCEPTED)),
        ("verification_not_found", VERIFY, Declined("NOT_FOUND", NOT_ACCEPTED)),
        ("verification_invalid_input", VERIFY, Contested("INVALID_INPUT")),
    ],
)
def test_replies_mean_what_the_contract_says(name: str, exchange: Exchange, expected: Verdict) -> None:
    contract = VERIFICATION if exchange is VERIFY else CLEARANCE
    assert verdict(contract, exchange, GOLDEN / f"{name}.xml", context()) == expected


def test_a_center_never_learns_why_a_clearance_was_refused() -> None:
    end = verdict(CLEARANCE, CHECK, GOLDEN / "clearance_hit.xml", context())
    assert isinstance(end, Declined)
    assert end.public_code == "refused"


@pytest.mark.parametrize("exchange", [CHECK, VERIFY])
def test_an_unknown_status_is_never_taken_for_a_good_one(exchange: Exchange) -> None:
    with pytest.raises(Uncertain):
        exchange.reply({"result": {"status": "clear", "reference": "r"}}, context())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_needs_are_exactly_what_is_read(operation: Operation) -> None:
    assert paths_read(operation.call, APPLICATION, context()) == operation.needs


def test_a_follow_up_sends_nothing_of_the_person() -> None:
    assert paths_read(INQUIRE, {}, context(partner_reference="r")) == set()


def test_a_field_that_is_not_granted_is_not_left_out_silently() -> None:
    fields = {path: value for path, value in APPLICATION.items() if path != "birth_date"}
    with pytest.raises(FieldNotGranted):
        convert.clearance_request(Projection(fields), context())


def test_every_service_has_its_contract_and_every_action_a_kind() -> None:
    for service in SERVICES.values():
        assert set(load_contract(service).actions) == set(service.kinds)
    assert {operation.destination for operation in OPERATIONS} == set(SERVICES)


@given(
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ' .-", max_size=59),
    st.dates(date(1000, 1, 1), date(2999, 12, 31)),
)
def test_what_is_written_can_be_read_back(name: str, day: date) -> None:
    """Any name that the schema allows, any day that it allows."""
    if not 1000 <= day.year <= 2999:
        return
    values = convert.clearance_request(
        application(name__given=f"A{name}", birth_date=day.isoformat()), context()
    )
    request = CLEARANCE.actions["CheckClearance"].request

    element = etree.fromstring(request.write(values))
    CLEARANCE.check(element)
    read = request.read(element)["person"]
    assert (read["name"]["given"], read["birth_date"]) == (f"A{name}", day)
