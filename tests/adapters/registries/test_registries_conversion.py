"""The registries' converters against golden files, and what they read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adapters.registries.messages import Guarantee, GuaranteeQuestion, LicenseeStanding
from adapters.registries.operations import (
    ACCOUNT,
    DUES,
    GUARANTEE,
    MEMBERSHIP,
    OPERATIONS,
    SOCIAL_INSURANCE,
)
from adapters.registries.services import SERVICES
from gateway.errors import Uncertain
from gateway.http import HttpReply
from gateway.message import Answered, Contested, Declined, FieldNotGranted, Operation, Projection, Verdict
from gateway.rest.reply import read_reply, reply_model
from schemas.kinds import KINDS
from tests.adapters.golden import paths_read
from tests.soap.partners import context

GOLDEN = Path(__file__).with_name("golden")
CHECK = {"check_id": "CHK-1", "version": 1, "licensee_id": "LIC-1001", "season": 1448}
CONTRACT = {
    "contract_id": "CTR-5001",
    "version": 1,
    "licensee_id": "LIC-1001",
    "agent_id": "AGT-2001",
    "agent_name": "Nusantara Pilgrim Travel",
    "country": "IDN",
    "iata_number": "15301234",
    "bank.code": "BNKIDNJA",
    "bank.account": "ID0012345678901234",
    "guarantee.number": "LG-2026_118/A",
    "guarantee.amount": "200000.00",
    "guarantee.currency": "SAR",
    "guarantee.expiry_date": "2027-06-30",
}


def body_of(operation: Operation) -> dict[str, Any]:
    return CHECK if operation in (SOCIAL_INSURANCE, DUES) else CONTRACT


def written(operation: Operation, body: dict[str, Any]) -> str:
    """The request as JSON, after it was found valid."""
    action = SERVICES[operation.destination].actions[operation.call.action]
    message = action.request.model_validate(operation.call.request(Projection(body), context()))
    return json.dumps(message.model_dump(exclude_none=True), indent=2, ensure_ascii=False) + "\n"


def verdict(operation: Operation, name: str) -> Verdict:
    """What a reply means, read as one that came over HTTP."""
    service = SERVICES[operation.destination]
    told = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    body = json.dumps({"correlation_id": "c-1", **told}).encode()
    model = reply_model(service.actions[operation.call.action].reply)
    reply = HttpReply(200, {"content-type": "application/json"}, body)
    return operation.call.reply(read_reply(service, model, "c-1", reply), context())


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("gosi_request", SOCIAL_INSURANCE),
        ("dues_request", DUES),
        ("membership_request", MEMBERSHIP),
        ("account_request", ACCOUNT),
        ("guarantee_request", GUARANTEE),
    ],
)
def test_requests_are_written_as_in_the_golden_files(name: str, operation: Operation) -> None:
    assert written(operation, body_of(operation)) == (GOLDEN / f"{name}.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "operation", "expected"),
    [
        ("standing_clear", SOCIAL_INSURANCE, Answered({"standing": "CLEAR", "valid_until": "2027-05-21"})),
        (
            "standing_block",
            SOCIAL_INSURANCE,
            Answered({"standing": "BLOCK", "valid_until": "2026-11-21", "code": "CERTIFICATE_EXPIRED"}),
        ),
        ("standing_clear", DUES, Answered({"standing": "CLEAR", "valid_until": "2027-05-21"})),
        ("standing_least", DUES, Answered({"standing": "BLOCK"})),
        ("membership_member", MEMBERSHIP, Answered({"status": "MEMBER", "valid_until": "2027-11-22"})),
        ("membership_suspended", MEMBERSHIP, Declined("IATA_INVALID", "iata_invalid")),
        ("membership_not_member", MEMBERSHIP, Declined("IATA_INVALID", "iata_invalid")),
        ("account_approved", ACCOUNT, Answered({"status": "APPROVED"})),
        ("account_not_approved", ACCOUNT, Declined("BANK_NOT_APPROVED", "bank_not_approved")),
        ("guarantee_held", GUARANTEE, Answered({"status": "HELD", "valid_until": "2027-06-30"})),
        ("guarantee_insufficient", GUARANTEE, Declined("GUARANTEE_MISSING", "guarantee_missing")),
        ("guarantee_expired", GUARANTEE, Declined("GUARANTEE_MISSING", "guarantee_missing")),
        ("guarantee_not_found", GUARANTEE, Declined("GUARANTEE_MISSING", "guarantee_missing")),
    ],
)
def test_replies_mean_what_the_contract_says(name: str, operation: Operation, expected: Verdict) -> None:
    assert verdict(operation, name) == expected


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_error_that_decides_nothing_is_left_to_a_person(operation: Operation) -> None:
    assert verdict(operation, "error_invalid_input") == Contested("INVALID_INPUT")
    assert verdict(operation, "error_other") == Contested("partner_code_unknown")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_unknown_status_is_never_taken_for_a_good_one(operation: Operation) -> None:
    values = {"result": {"status": "perhaps", "standing": "perhaps"}}
    try:
        end = operation.call.reply(values, context())
    except Uncertain:
        return
    assert isinstance(end, Declined)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_needs_are_exactly_what_is_read(operation: Operation) -> None:
    assert paths_read(operation.call, body_of(operation), context()) == operation.needs


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_field_that_is_not_granted_is_not_left_out_silently(operation: Operation) -> None:
    for path in operation.needs:
        fields = {name: value for name, value in body_of(operation).items() if name != path}
        with pytest.raises(FieldNotGranted):
            operation.call.request(Projection(fields), context())


def test_all_may_be_repeated_and_every_service_is_asked() -> None:
    assert all(operation.repeatable for operation in OPERATIONS)
    asked = {(operation.destination, operation.call.action) for operation in OPERATIONS}
    assert asked == {(name, action) for name, service in SERVICES.items() for action in service.actions}


def test_the_example_contract_of_the_schema_can_be_asked_about() -> None:
    example = KINDS["agent_contract.submission"].example
    flat = {
        path: value
        for name, field in example.items()
        for path, value in (
            {f"{name}.{inner}": one for inner, one in field.items()}.items()
            if isinstance(field, dict)
            else ((name, field),)
        )
    }
    for operation in (MEMBERSHIP, ACCOUNT, GUARANTEE):
        assert written(operation, flat)


@pytest.mark.parametrize("day", ["2027-02-30", "2027-2-3", "٢٠٢٧-٠٢-٠٣", "2027-02-03T00:00:00Z"])
def test_a_day_that_is_none_is_no_answer(day: str) -> None:
    with pytest.raises(ValidationError):
        LicenseeStanding.model_validate({"standing": "CLEAR", "valid_until": day})


@pytest.mark.parametrize("amount", ["1e9", "-1", "1.", ".5", "1,000", "١٠٠", "0" * 13, "1.0000"])
def test_an_amount_is_a_plain_decimal_text(amount: str) -> None:
    question = json.loads((GOLDEN / "guarantee_request.json").read_text("utf-8"))
    with pytest.raises(ValidationError):
        GuaranteeQuestion.model_validate({**question, "amount": amount})


@given(st.text())
def test_any_text_for_a_status_is_refused_or_known(text: str) -> None:
    known = {"HELD", "INSUFFICIENT", "EXPIRED", "NOT_FOUND"}
    try:
        assert Guarantee.model_validate({"status": text}).status in known
    except ValidationError:
        assert text not in known


def test_every_golden_file_is_used() -> None:
    source = Path(__file__).read_text("utf-8")
    assert [path.stem for path in GOLDEN.glob("*.json") if f'"{path.stem}"' not in source] == []
