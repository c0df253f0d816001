"""Foreign Affairs' converters against golden files, and what they read."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.foreign_affairs import convert
from adapters.foreign_affairs.operations import (
    CONTRACT_ATTESTATION,
    OPERATIONS,
    VISA_CANCELLATION,
    VISA_ISSUANCE,
)
from adapters.foreign_affairs.services import SERVICES, VISAS
from gateway.errors import Refused, Uncertain
from gateway.message import (
    Absent,
    Answered,
    CallContext,
    Contested,
    Declined,
    Deferred,
    Exchange,
    Projection,
    StillProcessing,
    Verdict,
)
from gateway.soap import load_contract
from tests.adapters.golden import paths_read, verdict, written
from tests.soap.partners import APPLICATION, MESSAGE, application, context

GOLDEN = Path(__file__).with_name("golden")
CONTRACT = load_contract(VISAS)
ISSUE, STATUS = VISA_ISSUANCE.call, VISA_ISSUANCE.inquiry
CANCEL, CANCELLED = VISA_CANCELLATION.call, VISA_CANCELLATION.inquiry
assert STATUS is not None
assert CANCELLED is not None
ATTEST = CONTRACT_ATTESTATION.call

CONTRACT_BODY = {
    "contract_id": "CTR-5001",
    "version": 2,
    "licensee_id": "LIC-1001",
    "agent_id": "AGT-2001",
    "agent_name": "Nusantara & Sons وكالة نوسانتارا",
    "country": "IDN",
    "mission_id": "MSN-IDN-JKT",
    "iata_number": "15301234",
    "valid_from": "2026-06-17",
    "valid_until": "2027-06-05",
}

ISSUING = context()
CANCELLING = context(
    f"{MESSAGE}/visa_cancellation",
    earlier={
        "foreign_affairs.visa_issuance": {
            "visa_number": "6000000001",
            "request_reference": ISSUING.request_reference,
        }
    },
)
VISA = Answered(
    {
        "visa_number": "6000000001",
        "valid_from": "2026-11-20",
        "valid_until": "2027-01-19",
        "stay_until": "2026-12-30",
    }
)
LEAST = application(name_ar__given=None, name_ar__family=None, birth_country=None, travel__entry_port=None)


@pytest.mark.parametrize(
    ("name", "exchange", "projection", "call_context"),
    [
        ("issuance_request", ISSUE, application(), ISSUING),
        ("issuance_request_least", ISSUE, LEAST, ISSUING),
        ("status_request", STATUS, application(), ISSUING),
        ("attestation_request", ATTEST, Projection(CONTRACT_BODY), ISSUING),
        ("cancellation_request", CANCEL, Projection({}), CANCELLING),
        ("cancellation_status_request", CANCELLED, Projection({}), CANCELLING),
    ],
)
def test_requests_are_written_as_in_the_golden_files(
    name: str, exchange: Exchange, projection: Projection, call_context: CallContext
) -> None:
    text = written(CONTRACT, exchange, projection, call_context)
    assert text == (GOLDEN / f"{name}.xml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "exchange", "expected"),
    [
        ("issuance_issued", ISSUE, VISA),
        ("issuance_mission_capacity_exceeded", ISSUE, Deferred("mission_capacity")),
        ("issuance_visa_refused", ISSUE, Declined("VISA_REFUSED", "refused")),
        ("issuance_invalid_input", ISSUE, Contested("INVALID_INPUT")),
        ("issuance_person_ambiguous", ISSUE, Contested("PERSON_AMBIGUOUS")),
        ("issuance_date_mismatch", ISSUE, Contested("DATE_MISMATCH")),
        ("issuance_already_ours", ISSUE, VISA),
        ("issuance_already_another", ISSUE, Contested("ALREADY_ISSUED")),
        ("issuance_already_issued", ISSUE, Contested("ALREADY_ISSUED")),
        ("status_issued", STATUS, VISA),
        ("status_cancelled", STATUS, Contested("CANCELLED")),
        ("status_refused", STATUS, Declined("VISA_REFUSED", "refused")),
        ("status_processing", STATUS, StillProcessing()),
        ("status_absent", STATUS, Absent()),
        ("status_not_answered", STATUS, StillProcessing()),
        (
            "attestation_received",
            ATTEST,
            Answered({"status": "RECEIVED", "reference": "ATT-2026-0093"}),
        ),
        ("attestation_rejected", ATTEST, Declined("REJECTED_BY_MISSION", "rejected_by_mission")),
        ("attestation_mission_unknown", ATTEST, Contested("MISSION_UNKNOWN")),
        ("attestation_other_error", ATTEST, Contested("partner_code_unknown")),
        ("cancellation_done", CANCEL, Answered({"visa_number": "6000000001"})),
        ("cancellation_cancel_after_entry", CANCEL, Declined("CANCEL_AFTER_ENTRY", "not_cancellable")),
        ("cancellation_invalid_input", CANCEL, Contested("INVALID_INPUT")),
        ("status_cancelled", CANCELLED, Answered({"visa_number": "6000000001"})),
        ("status_cancelled_another", CANCELLED, Contested("ANOTHER_VISA")),
        ("status_issued", CANCELLED, Absent()),
        ("status_processing", CANCELLED, StillProcessing()),
        ("status_absent", CANCELLED, Contested("VISA_UNKNOWN")),
        ("status_not_answered", CANCELLED, StillProcessing()),
    ],
)
def test_replies_mean_what_the_contract_says(name: str, exchange: Exchange, expected: Verdict) -> None:
    call_context = CANCELLING if exchange in (CANCEL, CANCELLED) else ISSUING
    assert verdict(CONTRACT, exchange, GOLDEN / f"{name}.xml", call_context) == expected


@pytest.mark.parametrize(
    ("name", "exchange"),
    [
        ("issuance_already_ours_without_visa", ISSUE),
        ("issuance_already_ours_with_another_visa", ISSUE),
        ("status_of_another", STATUS),
        ("status_of_another", CANCELLED),
        ("cancellation_of_another", CANCEL),
        ("attestation_of_another", ATTEST),
    ],
)
def test_an_answer_about_another_request_decides_nothing(name: str, exchange: Exchange) -> None:
    call_context = CANCELLING if exchange in (CANCEL, CANCELLED) else ISSUING
    with pytest.raises(Uncertain):
        verdict(CONTRACT, exchange, GOLDEN / f"{name}.xml", call_context)


def test_every_golden_reply_is_used() -> None:
    source = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [path.stem for path in GOLDEN.glob("*.xml") if f'"{path.stem}"' not in source] == []


def test_needs_are_exactly_what_is_read() -> None:
    assert paths_read(ISSUE, APPLICATION, ISSUING) == VISA_ISSUANCE.needs
    assert paths_read(STATUS, {}, ISSUING) == set()
    assert paths_read(CANCEL, {}, CANCELLING) == VISA_CANCELLATION.needs == set()
    assert paths_read(CANCELLED, {}, CANCELLING) == set()
    assert paths_read(ATTEST, CONTRACT_BODY, ISSUING) == CONTRACT_ATTESTATION.needs


def test_what_must_not_be_repeated_can_be_asked_about() -> None:
    must_not = [one for one in OPERATIONS if not one.repeatable]
    assert must_not == [VISA_ISSUANCE, VISA_CANCELLATION]
    assert all(one.inquiry is not None for one in must_not)


def test_a_pilgrim_born_before_the_hijri_table_can_be_given_a_visa() -> None:
    values = convert.issuance_request(application(birth_date="1919-05-01"), ISSUING)
    assert values["birth_date"] == "1919-05-01"


def test_a_journey_outside_the_hijri_table_is_a_conversion_fault() -> None:
    with pytest.raises(Refused, match="conversion_failed"):
        convert.issuance_request(application(travel__arrival_date="2099-01-01"), ISSUING)


def test_a_contract_outside_the_hijri_table_is_a_conversion_fault() -> None:
    with pytest.raises(Refused, match="conversion_failed"):
        convert.attestation_request(Projection({**CONTRACT_BODY, "valid_until": "2099-01-01"}), ISSUING)


def test_an_unknown_receipt_is_never_taken_for_a_good_one() -> None:
    receipt = {"request_reference": ISSUING.request_reference, "status": "ATTESTED", "reference": "r"}
    with pytest.raises(Uncertain):
        ATTEST.reply({"result": receipt}, ISSUING)


def test_every_service_has_its_contract_and_every_action_a_kind() -> None:
    assert set(CONTRACT.actions) == set(VISAS.kinds)
    assert {operation.destination for operation in OPERATIONS} == set(SERVICES)
