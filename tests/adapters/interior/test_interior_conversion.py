"""Interior's converters against golden files, and what they read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from adapters.interior import convert
from adapters.interior.operations import (
    LICENSEE_HOLD_NIC,
    LICENSEE_HOLD_PASSPORTS,
    OPERATIONS,
    OVERSTAY_REPORT,
    PASSPORT_VERIFICATION,
    SECURITY_CLEARANCE,
)
from adapters.interior.services import NIC, PASSPORTS, SERVICES
from gateway.errors import Refused, Uncertain
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
HOLD, OVERSTAY = LICENSEE_HOLD_NIC.call, OVERSTAY_REPORT.call

#: Every path of each kind of body that an operation may be granted.
CHECKED = {"check_id": "CHK-1", "version": 1, "licensee_id": "LIC-1001", "season": 1448}
NOTICE = {"visa_number": "6012345678", "due_date": "2026-07-30", "level": 1, "noticed_on": "2026-08-01"}
BLOCK = {"standing": "BLOCK", "valid_until": "2027-02-20", "code": "SECURITY_HOLD"}


def body_of(operation: Operation) -> dict[str, Any]:
    if operation in (LICENSEE_HOLD_NIC, LICENSEE_HOLD_PASSPORTS):
        return dict(CHECKED)
    return dict(NOTICE) if operation is OVERSTAY_REPORT else dict(APPLICATION)


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
    ("name", "contract", "exchange", "body"),
    [
        ("hold_nic_request", CLEARANCE, HOLD, CHECKED),
        ("hold_passports_request", VERIFICATION, LICENSEE_HOLD_PASSPORTS.call, CHECKED),
        ("overstay_request", VERIFICATION, OVERSTAY, NOTICE),
    ],
)
def test_requests_about_licensees_and_overstays_are_written_as_in_the_golden_files(
    name: str, contract: Contract, exchange: Exchange, body: dict[str, Any]
) -> None:
    text = written(contract, exchange, Projection(body), context())
    assert text == (GOLDEN / f"{name}.xml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "exchange", "expected"),
    [
        ("hold_clear", HOLD, Answered({"standing": "CLEAR", "valid_until": "2027-02-20"})),
        ("hold_block", HOLD, Answered(BLOCK)),
        ("hold_licensee_unknown", HOLD, Contested("LICENSEE_UNKNOWN")),
        ("hold_other_error", HOLD, Contested("partner_code_unknown")),
        (
            "overstay_acknowledged",
            OVERSTAY,
            Answered({"status": "ACKNOWLEDGED", "reference": "OVS-000001"}),
        ),
        ("overstay_visa_unknown", OVERSTAY, Contested("VISA_UNKNOWN")),
        ("overstay_other_error", OVERSTAY, Contested("partner_code_unknown")),
    ],
)
def test_replies_about_licensees_and_overstays_mean_what_the_contract_says(
    name: str, exchange: Exchange, expected: Verdict
) -> None:
    """A BLOCK is an answer, not a refusal: it must not end the other sources' questions."""
    if exchange is OVERSTAY:
        assert verdict(VERIFICATION, exchange, GOLDEN / f"{name}.xml", context()) == expected
        return
    for who, contract in (("nic", CLEARANCE), ("passports", VERIFICATION)):
        reply = GOLDEN / f"{name.replace('hold', f'hold_{who}')}.xml"
        assert verdict(contract, exchange, reply, context()) == expected


@pytest.mark.parametrize(
    ("exchange", "result"),
    [
        (HOLD, {"standing": "UNKNOWN", "valid_until": date(2027, 2, 20)}),
        (OVERSTAY, {"status": "REFUSED", "reference": "r"}),
    ],
)
def test_an_unknown_standing_or_receipt_is_never_taken_for_a_good_one(
    exchange: Exchange, result: dict[str, Any]
) -> None:
    with pytest.raises(Uncertain):
        exchange.reply({"result": result}, context())


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("<standing>CLEAR</standing>", "<standing>PERHAPS</standing>"),
        ("<standing>CLEAR</standing>", ""),
        ("<valid_until>2027-02-20</valid_until>", ""),
        ("2027-02-20", "2027-02-30"),
        ("2027-02-20", "20270-02-20"),
    ],
)
def test_a_hold_outside_the_contract_is_refused_by_the_schema(text: str, changed: str) -> None:
    reply = (GOLDEN / "hold_nic_clear.xml").read_text("utf-8")
    assert text in reply
    with pytest.raises(Refused):
        verdict(CLEARANCE, HOLD, reply.replace(text, changed), context())


def test_a_border_number_may_be_told_with_an_overstay() -> None:
    values = convert.overstay_request(Projection(NOTICE), context()) | {"border_number": "3012345678"}
    request = VERIFICATION.actions["ReportOverstay"].request
    VERIFICATION.check(etree.fromstring(request.write(values)))


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
    assert paths_read(operation.call, body_of(operation), context()) == operation.needs


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
