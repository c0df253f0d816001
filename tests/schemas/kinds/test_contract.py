"""What other parts rely on: which kinds there are, their fields, classes, keys and senders."""

from __future__ import annotations

from typing import Annotated

import pytest

from schemas.application import leaves, record_in
from schemas.confidentiality import Confidentiality
from schemas.kinds import KINDS, checking, field_classes, key_of, registry
from schemas.kinds.kind import NOBODY, KindSchema
from schemas.kinds.record import Record
from tests.schemas.kinds.bodies import is_list, named

#: A question mark behind a field that may be absent; `[]` behind a list.
FIELDS = """
licensee.status                 licensee_id version status name_en? name_ar? reason_code? effective_from?
service_center.registration     center_id version status conforms licensees[] agents[]?
group.registration              group_number version licensee_id agent_id? pilgrims?
controls.published              version passport_validity_months max_stay_days? mahram? mahram.required mahram.sex mahram.below_age? request_windows[]? request_windows[].opens request_windows[].closes unplanned_months overstay? overstay.max_ratio? overstay.max_count? overstay.minimum_arrivals? overstay.grace_days? overstay_levels_days[]?
licensee.activation_check       check_id version licensee_id season
licensee.activation             licensee_id season check_id revision active sources[] sources[].source sources[].standing sources[].valid_until? sources[].code?
readiness.report                report_id revision licensee_id season administrative_staff sites[] sites[].city sites[].address vehicles equipment[]? equipment[].item equipment[].count
package.submission              package_id revision licensee_id season title housing[] housing[].city housing[].name housing[].nights transport ground_services[]
package.decision                package_id revision decision reason_code?
plan.submission                 plan_id revision licensee_id season part quotas[] quotas[].month quotas[].country quotas[].pilgrims
plan.decision                   plan_id revision decision quotas[]? quotas[].month quotas[].country quotas[].pilgrims reason_code?
agent_contract.submission       contract_id version licensee_id agent_id agent_name country mission_id iata_number bank bank.code bank.account guarantee guarantee.number guarantee.amount guarantee.currency guarantee.expiry_date valid_from valid_until
agent_contract.attestation      contract_id version decision decided_at reference
agent_contract.decision         contract_id version licensee_id agent_id decision code?
movement.arrival                event_id visa_number border_number? at port carrier? flight?
movement.departure              event_id visa_number border_number? at port carrier? flight?
mission.capacity                mission_id version window window.opens window.closes ceiling
overstay.notice                 visa_number application_id licensee_id agent_id mission_id due_date level noticed_on
overstay.cleared                visa_number application_id licensee_id agent_id due_date departed_on
compliance.report               report_id revision licensee_id package_id? group_number? visited_at findings[] findings[].item findings[].complies findings[].note? visa_numbers[]?
inspection.report               report_id revision licensee_id package_id? group_number? visited_at findings[] findings[].item findings[].complies findings[].note? visa_numbers[]?
case.report                     case_id revision type licensee_id? visa_number? at place? description status
complaint.submission            complaint_id revision licensee_id visa_number? subject text at
violation.recorded              violation_id version licensee_id agent_id? code text at
committee.referral              case_id revision about subject_id licensee_id agent_id? code text at
committee.decision              case_id revision decision code? text?
investigation.opened            investigation_id version licensee_id agent_id? documents_due[] due_date grounds
penalty.issued                  penalty_id version licensee_id? agent_id? type from_date until_date? amount? grounds
unauthorised_activity.reported  event_id center_id licensee_id? agent_id? group_number? code at
visa_flow.report                period period.from period.until rows[] rows[].licensee_id rows[].mission_id rows[].day rows[].received rows[].issued rows[].refused rows[].rejected rows[].cancelled rows[].expired rows[].waiting
season.report                   season batches applications issued refused rejected cancelled expired inside departed overstayed countries[] countries[].country countries[].issued countries[].inside countries[].overstayed
"""  # noqa: E501

SENDERS = """
service_center          readiness.report package.submission plan.submission agent_contract.submission compliance.report
service_center+ministry case.report complaint.submission
ministry                licensee.status service_center.registration group.registration controls.published licensee.activation_check package.decision plan.decision inspection.report violation.recorded investigation.opened penalty.issued
committee               committee.decision
system                  agent_contract.attestation movement.arrival movement.departure mission.capacity
gateway                 licensee.activation agent_contract.decision overstay.notice overstay.cleared committee.referral unauthorised_activity.reported visa_flow.report season.report
"""  # noqa: E501

RECEIVERS = """
service_center          licensee.status service_center.registration group.registration controls.published package.decision plan.decision investigation.opened penalty.issued
service_center+ministry licensee.activation agent_contract.decision movement.arrival movement.departure overstay.cleared committee.decision
service_center+ministry+system overstay.notice
service_center+committee violation.recorded
ministry                readiness.report package.submission plan.submission mission.capacity compliance.report inspection.report case.report unauthorised_activity.reported visa_flow.report season.report
ministry+committee      complaint.submission
ministry+system         agent_contract.submission
committee               committee.referral
system                  licensee.activation_check
gateway                 agent_contract.attestation
"""  # noqa: E501

SECRET = {"case.report description", "investigation.opened grounds", "licensee.activation sources.code"}
RESTRICTED = """
licensee.status name_en, licensee.status name_ar, licensee.activation sources.standing,
licensee.activation sources.valid_until, readiness.report sites.address,
agent_contract.submission agent_name, agent_contract.submission iata_number,
agent_contract.submission bank.account, agent_contract.submission guarantee.number,
agent_contract.submission guarantee.amount, agent_contract.submission guarantee.currency,
agent_contract.submission guarantee.expiry_date,
movement.arrival visa_number, movement.arrival border_number, movement.arrival at, movement.arrival port,
movement.arrival carrier, movement.arrival flight,
movement.departure visa_number, movement.departure border_number, movement.departure at,
movement.departure port, movement.departure carrier, movement.departure flight,
overstay.notice visa_number, overstay.notice due_date,
overstay.cleared visa_number, overstay.cleared due_date, overstay.cleared departed_on,
compliance.report findings.note, compliance.report visa_numbers,
inspection.report findings.note, inspection.report visa_numbers,
case.report type, case.report visa_number, case.report at, case.report place,
complaint.submission visa_number, complaint.submission text, violation.recorded text,
committee.referral text, committee.decision text, investigation.opened documents_due,
penalty.issued amount, penalty.issued grounds
"""


def lines(table: str) -> dict[str, list[str]]:
    return {first: rest for first, *rest in (line.split() for line in table.strip().splitlines())}


def by_kind(table: str) -> dict[str, frozenset[str]]:
    return {
        kind: NOBODY if parties == "gateway" else frozenset(parties.split("+"))
        for parties, kinds in lines(table).items()
        for kind in kinds
    }


def listed(model: type[Record], prefix: str = "") -> list[str]:
    found = []
    for name, field in named(model):
        path = f"{prefix}{name}{'[]' if is_list(field) else ''}"
        found.append(path + ("" if field.is_required() else "?"))
        record = record_in(field.annotation)
        found += listed(record, f"{path}.") if record else []
    return found


def test_the_kinds_and_their_fields_are_those_of_the_contract() -> None:
    assert {name: listed(kind.model) for name, kind in KINDS.items()} == lines(FIELDS)


def test_each_kind_is_sent_by_those_of_the_contract_and_by_nobody_else() -> None:
    assert {name: kind.senders for name, kind in KINDS.items()} == by_kind(SENDERS)
    assert {name for name, kind in KINDS.items() if kind.outgoing} == set(lines(SENDERS)["gateway"])


def test_each_kind_is_told_to_those_of_the_contract() -> None:
    assert {name: kind.receivers for name, kind in KINDS.items()} == by_kind(RECEIVERS)


def test_every_leaf_has_its_class() -> None:
    restricted = {" ".join(entry.split()) for entry in RESTRICTED.split(",")}
    for name, kind in KINDS.items():
        classes = field_classes(name)
        assert classes.keys() == {path for path, _ in leaves(kind.model)}
        for path, told in classes.items():
            spot = f"{name} {path}"
            assert (told is Confidentiality.SECRET) == (spot in SECRET), spot
            assert (told is Confidentiality.RESTRICTED) == (spot in restricted), spot
            assert told is not Confidentiality.TOP_SECRET


def test_a_field_without_a_class_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unclassified(Record):
        known: Annotated[str, Confidentiality.PUBLIC]
        forgotten: str

    forgetful = KindSchema("x.y", Unclassified, "", "", "", (), NOBODY, NOBODY, "", {})
    monkeypatch.setattr(registry, "KINDS", {"x.y": forgetful})
    with pytest.raises(LookupError, match="forgotten"):
        field_classes.__wrapped__("x.y")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_key_is_made_of_required_fields(kind: KindSchema) -> None:
    needed = {path for path, field in leaves(kind.model) if field.is_required()}
    assert kind.key and set(kind.key) <= needed


def test_the_key_of_a_body_is_read_inside_its_records() -> None:
    assert key_of("mission.capacity", KINDS["mission.capacity"].example) == (
        "MSN-IDN-JKT",
        "2026-07-01",
        "2026-07-31",
        2,
    )
    assert key_of("visa_flow.report", KINDS["visa_flow.report"].example) == ("2026-07-01", "2026-07-01")


def test_a_package_that_was_approved_can_be_withdrawn_under_its_own_key() -> None:
    body = KINDS["package.decision"].example
    keys = {
        key_of("package.decision", {**body, "decision": decision}) for decision in ("approved", "withdrawn")
    }
    assert len(keys) == 2


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kind_is_described(kind: KindSchema) -> None:
    assert kind.version == 1
    assert kind.title_en and any("\u0600" <= letter <= "\u06ff" for letter in kind.title_ar)
    assert kind.summary_en.endswith(".") and kind.goes_to.endswith(".")
    assert all(rule.says and rule.codes for rule in checking.rules_of(kind))


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        registry.check("visa.unheard_of", {})
