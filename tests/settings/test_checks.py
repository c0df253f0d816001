"""Faults between files and against the catalogue. Each check is also shown to be what finds its fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Misconfigured
from gateway.message import Operation
from gateway.settings import check_operations, checks, lint, load
from gateway.settings import operations as operation_checks
from gateway.values import replace
from tests.settings.sets import CLASSES, FILES, OPERATIONS, operation, place, write

Catalogue = dict[str, Operation]


def told(receiver: str, kind: str, fields: str) -> str:
    """A list of what one receiver is told of one kind of event, before the results."""
    grant = f"{{purpose: None, fields: [{fields}]}}"
    return f"events:\n  {receiver}:\n    {kind}: {grant}\nresults:"


#: check, what is broken (file: old, new), the place of the fault, its text, a changed catalogue
CASES: list[tuple[str, dict[str, Any], tuple[str, str], str, Catalogue]] = [
    (
        "parties_of_destinations",
        {"destinations": ("party: nic", "party: nick")},
        ("destinations", "nick"),
        "unknown party 'nick' (did you mean 'nic'?)",
        {},
    ),
    (
        "waiting_within_lease",
        {"destinations": ("    deadline_s: 15\n", "    deadline_s: 15\n    waiting: {longest_s: 16}\n")},
        ("destinations", "16}"),
        "longest_s is more than a quarter of carrying.lease_s (60 s)",
        {},
    ),
    (
        "destinations_of_grants",
        {"confidentiality": ("results:", "  nicc: {}\nresults:")},
        ("confidentiality", "nicc"),
        "unknown destination 'nicc' (did you mean 'nic'?)",
        {},
    ),
    (
        "centers_are_parties",
        {"reference": ("id: sc-01", "id: sc-02")},
        ("reference", "sc-02"),
        "unknown party 'sc-02' (did you mean 'sc-01'?)",
        {},
    ),
    (
        "licensees_exist",
        {"reference": ("{number: GRP-1, licensee: LIC-1}", "{number: GRP-1, licensee: LIC-9}")},
        ("reference", "LIC-9"),
        "unknown licensee 'LIC-9' (did you mean 'LIC-1'?)",
        {},
    ),
    (
        "licensees_exist",
        {"reference": ("status: active, licensees: [LIC-1]}", "status: active, licensees: [LIC-1, X]}")},
        ("reference", "X]"),
        "unknown licensee 'X'",
        {},
    ),
    (
        "repeated_ids",
        {"reference": FILES["reference"] + "  - {number: GRP-1 , licensee: LIC-1}\n"},
        ("reference", "GRP-1 "),
        "number 'GRP-1' is given twice",
        {},
    ),
    (
        "no_password_in_files",
        {"gateway": FILES["gateway"] + "database_url: postgresql+psycopg://gw:hunter2@db/umrah\n"},
        ("gateway", "postgresql"),
        "database_url holds a password: give it as GATEWAY_DATABASE_URL",
        {},
    ),
    (
        "routes_name_kinds",
        {"routes": ("visa.application:", "visa.aplication:")},
        ("routes", "visa.aplication"),
        "unknown kind of message 'visa.aplication' (did you mean 'visa.application'?)",
        {},
    ),
    (
        "routes_name_operations",
        {"routes": ("interior.issue", "interior.isue")},
        ("routes", "interior.isue"),
        "unknown operation 'interior.isue' (did you mean 'interior.issue'?)",
        {},
    ),
    (
        "routes_repeat_nothing",
        {"routes": ("[interior.issue]", "[interior.issue]\n      - [interior.clearance ]")},
        ("routes", "interior.clearance ]"),
        "operation 'interior.clearance' stands twice in this itinerary",
        {},
    ),
    (
        "routes_repeat_nothing",
        {
            "routes": (
                "[interior.clearance]\n      - [interior.issue]",
                "[interior.clearance, interior.issue]",
            )
        },
        ("routes", "interior.issue]"),
        "operation 'interior.issue' must not be repeated: it needs a stage of its own",
        {"interior.issue": operation("interior.issue", repeatable=False, inquiry="interior.issued")},
    ),
    (
        "routes_reach_destinations",
        {"confidentiality": ("    interior.issue:", "    interior.other:")},
        ("routes", "interior.issue"),
        "operation 'interior.issue' goes to 'moon', which is not configured",
        {
            "interior.issue": operation("interior.issue", destination="moon", needs=frozenset()),
            "interior.other": operation("interior.other"),
        },
    ),
    (
        "stages_fit_the_lease",
        {"gateway": ("lease_s: 60", "lease_s: 15")},
        ("gateway", "15"),
        "lease_s must be longer than the longest stage's deadline, 15 s",
        {},
    ),
    (
        "inquiries_exist",
        {},
        ("routes", "interior.issue"),
        "operation 'interior.issue' must not be repeated and has no inquiry, though inquiry is enabled",
        {"interior.issue": operation("interior.issue", repeatable=False)},
    ),
    (
        "grants_name_operations",
        {"confidentiality": ("results:", "    interior.isue: {purpose: None, fields: []}\nresults:")},
        ("confidentiality", "interior.isue"),
        "unknown operation 'interior.isue' (did you mean 'interior.issue'?)",
        {},
    ),
    (
        "grants_cover_needs",
        {"confidentiality": ("      fields: [passport.number]", "      fields: [birth_date]")},
        ("confidentiality", "[birth_date]"),
        "operation 'interior.issue' needs field 'passport.number', which is not granted",
        {},
    ),
    (
        "routed_operations_have_grants",
        {"routes": ("interior.issue", "interior.third")},
        ("routes", "interior.third"),
        "operation 'interior.third' has no need-to-know list under 'nic'",
        {"interior.third": operation("interior.third")},
    ),
    (
        "granted_fields_exist",
        {"confidentiality": ("- passport.number", "- passport.number\n        - passport.nummer")},
        ("confidentiality", "passport.nummer"),
        "unknown field 'passport.nummer' (did you mean 'passport.number'?)",
        {},
    ),
    (
        "granted_fields_exist",
        {"confidentiality": ("- passport.number", "- passport.number\n        - passport")},
        ("confidentiality", "passport\n"),
        "unknown field 'passport'",
        {},
    ),
    (
        "clearances_suffice",
        {"confidentiality": ("- passport.number", "- passport.number\n        - photo")},
        ("confidentiality", "photo"),
        "field 'photo' is secret, 'nic' is cleared for restricted",
        {},
    ),
    (
        "events_name_what_there_is",
        {"confidentiality": ("results:", told("service_centre", "licensee.status", "version"))},
        ("confidentiality", "service_centre"),
        "unknown party or kind of party 'service_centre' (did you mean 'service_center'?)",
        {},
    ),
    (
        "events_name_what_there_is",
        {"confidentiality": ("results:", told("sc-02", "licensee.status", "version"))},
        ("confidentiality", "sc-02"),
        "unknown party or kind of party 'sc-02' (did you mean 'sc-01'?)",
        {},
    ),
    (
        "events_name_what_there_is",
        {"confidentiality": ("results:", told("nic", "licensee.statuss", "version"))},
        ("confidentiality", "licensee.statuss"),
        "unknown kind of event 'licensee.statuss' (did you mean 'licensee.status'?)",
        {},
    ),
    (
        "events_name_what_there_is",
        {"confidentiality": ("results:", told("nic", "mission.capacity", "window.opens, window.closed"))},
        ("confidentiality", "window.closed"),
        "unknown field 'window.closed' (did you mean 'window.closes'?)",
        {},
    ),
    (
        "events_name_what_there_is",
        {"confidentiality": ("results:", told("nic", "mission.capacity", "window"))},
        ("confidentiality", "window]"),
        "unknown field 'window'",
        {},
    ),
    (
        "events_suit_clearances",
        {"confidentiality": ("results:", told("service_center", "case.report", "case_id, description"))},
        ("confidentiality", "description"),
        "field 'description' is secret, 'service_center' is cleared for restricted",
        {},
    ),
    (
        "events_suit_clearances",
        {"confidentiality": ("results:", told("sc-01", "licensee.activation", "sources.code"))},
        ("confidentiality", "sources.code"),
        "field 'sources.code' is secret, 'sc-01' is cleared for restricted",
        {},
    ),
    (
        "events_suit_clearances",
        {
            "parties": ("id: nic, kind: system,", "id: nic, kind: system, clearance: public,"),
            "confidentiality": ("results:", told("system", "case.report", "case_id, place")),
        },
        ("confidentiality", "place"),
        "field 'place' is restricted, 'system' is cleared for public",
        {},
    ),
    (
        "results_name_what_there_is",
        {"confidentiality": ("  service_center: [", "  service_centre: [")},
        ("confidentiality", "service_centre"),
        "unknown kind of party 'service_centre' (did you mean 'service_center'?)",
        {},
    ),
    (
        "results_name_what_there_is",
        {"confidentiality": ("[reference, state]", "[reference, stat]")},
        ("confidentiality", "stat]"),
        "unknown field 'stat' (did you mean 'state'?)",
        {},
    ),
    (
        "results_suit_clearances",
        {"parties": ("kind: service_center,", "kind: service_center, clearance: public,")},
        ("confidentiality", "reference"),
        "field 'reference' is restricted, 'service_center' is cleared for public",
        {},
    ),
    (
        "grants_cover_needs",
        {},
        ("confidentiality", "[passport.number]"),
        "operation 'interior.issue' needs field 'batch.season', which is not granted",
        {"interior.issue": replace(OPERATIONS["interior.issue"], context_needs=frozenset({"batch.season"}))},
    ),
]


@pytest.mark.parametrize(
    ("check", "broken", "at", "text", "catalogue"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)]
)
def test_a_fault_between_files_is_told_at_its_place_by_its_check_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    broken: dict[str, Any],
    at: tuple[str, str],
    text: str,
    catalogue: Catalogue,
) -> None:
    main = write(tmp_path, **broken)
    operations = OPERATIONS | catalogue
    found = lint(main, {}, operations, CLASSES)
    assert len(found) == 1
    assert found[0].startswith(f"{place(main, *at)}: {text}")

    for module in (checks, operation_checks):
        others = tuple(each for each in module.CHECKS if each.__name__ != check)
        monkeypatch.setattr(module, "CHECKS", others)
    assert lint(main, {}, operations, CLASSES) == []


def test_every_check_has_a_case() -> None:
    with_files = {"party_keys", "tls_keys", "webhook_secrets", "soap_security_files"}
    with_files |= {"authorities", "bound_certificates", "certificates_are_asked_for", "tls_is_used"}
    names = {check.__name__ for module in (checks, operation_checks) for check in module.CHECKS}
    assert names == {case[0] for case in CASES} | with_files


def test_what_the_gateway_adds_to_an_event_may_be_granted(tmp_path: Path) -> None:
    """`package_known` is in no report that is sent, only in what is told of one."""
    lists = told("ministry", "compliance.report", "report_id, findings.note, package_known")
    main = write(tmp_path, confidentiality=("results:", lists))
    assert lint(main, {}, OPERATIONS, CLASSES) == []


def test_a_department_may_be_told_what_is_secret(tmp_path: Path) -> None:
    main = write(tmp_path, confidentiality=("results:", told("nic", "case.report", "case_id, description")))
    assert lint(main, {}, OPERATIONS, CLASSES) == []


def test_a_file_of_parties_that_cannot_be_read_makes_no_receiver_unknown(tmp_path: Path) -> None:
    lists = told("sc-02", "licensee.status", "version")
    main = write(tmp_path, parties="parties: [", confidentiality=("results:", lists))
    assert not [fault for fault in lint(main, {}, OPERATIONS, CLASSES) if "sc-02" in fault]


def test_a_list_for_another_partners_operation_is_a_fault(tmp_path: Path) -> None:
    catalogue = OPERATIONS | {"far.away": operation("far.away", destination="moon")}
    lists = "    far.away: {purpose: None, fields: []}\nresults:"
    main = write(tmp_path, confidentiality=("results:", lists))
    assert lint(main, {}, catalogue, CLASSES) == [
        f"{place(main, 'confidentiality', 'far.away')}: operation 'far.away' goes to 'moon', not to 'nic'"
    ]


def test_a_field_of_another_kind_of_message_is_unknown_to_an_operation(tmp_path: Path) -> None:
    """`other_id` is a field, but no message that goes through this operation has it."""
    lists = ("- passport.number", "- passport.number\n        - other_id")
    main = write(tmp_path, confidentiality=lists)
    assert lint(main, {}, OPERATIONS, CLASSES) == [
        f"{place(main, 'confidentiality', 'other_id')}: unknown field 'other_id'"
    ]


def test_a_field_has_the_highest_class_of_the_kinds_that_go_through_an_operation(tmp_path: Path) -> None:
    both = FILES["routes"] + "  other.kind:\n    stages:\n      - [interior.issue]\n"
    main = write(tmp_path, routes=both)
    assert lint(main, {}, OPERATIONS, CLASSES) == [
        f"{place(main, 'confidentiality', 'passport.number]')}: "
        "field 'passport.number' is secret, 'nic' is cleared for restricted"
    ]


def test_an_operation_that_no_route_names_may_be_granted_any_messages_fields(tmp_path: Path) -> None:
    catalogue = OPERATIONS | {"far.away": operation("far.away", needs=frozenset({"other_id"}))}
    lists = "    far.away: {purpose: None, fields: [other_id, birth_date]}\nresults:"
    main = write(tmp_path, confidentiality=("results:", lists))
    assert lint(main, {}, catalogue, CLASSES) == []


def test_the_longest_operation_of_any_stage_decides_the_lease(tmp_path: Path) -> None:
    main = write(tmp_path, gateway=("lease_s: 60", "lease_s: 15.5"))
    assert lint(main, {}, OPERATIONS, CLASSES) == []


def test_a_partner_that_cannot_be_asked_needs_no_inquiry(tmp_path: Path) -> None:
    main = write(tmp_path, destinations=("enabled: true", "enabled: false"))
    catalogue = OPERATIONS | {"interior.issue": operation("interior.issue", repeatable=False)}
    assert lint(main, {}, catalogue, CLASSES) == []


def test_the_start_is_refused_when_the_catalogue_does_not_fit(tmp_path: Path) -> None:
    settings = load(write(tmp_path, routes=("interior.issue", "interior.isue")), {})
    with pytest.raises(Misconfigured) as refused:
        check_operations(settings, OPERATIONS, CLASSES)
    assert refused.value.faults == (
        f"{tmp_path}/routes.yaml:6:10: unknown operation 'interior.isue' (did you mean 'interior.issue'?)",
    )


def test_the_start_goes_on_when_the_catalogue_fits(tmp_path: Path) -> None:
    check_operations(load(write(tmp_path), {}), OPERATIONS, CLASSES)
