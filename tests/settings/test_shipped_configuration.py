"""The files in config/: without fault, and what the documents promise of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.settings import Settings, check_operations, demo_profile, load
from schemas.application import field_classes as application_classes
from schemas.kinds import field_classes, published_classes
from schemas.results import BATCH_CLASSES, EARLIER_CLASSES

OF_VISAS = {"visa.application": application_classes(), "visa.cancellation": {}}
MAIN = Path(__file__).parents[2] / "config" / "gateway.yaml"


@pytest.fixture(scope="module")
def shipped() -> Settings:
    return load(MAIN, {})


def test_the_listeners_and_partners_are_those_of_the_demonstration(shipped: Settings) -> None:
    assert (shipped.gateway.listeners.public.host, shipped.gateway.listeners.public.port) == (
        "127.0.0.1",
        8080,
    )
    assert (shipped.gateway.listeners.admin.host, shipped.gateway.listeners.admin.port) == ("127.0.0.1", 8081)
    assert {name: destination.url for name, destination in shipped.destinations.items()} == {
        "nic": "http://127.0.0.1:8090/nic",
        "passports": "http://127.0.0.1:8090/passports",
        "foreign-affairs": "http://127.0.0.1:8090/foreign-affairs",
        "gosi": "http://127.0.0.1:8090/gosi",
        "dues": "http://127.0.0.1:8090/dues",
        "iata": "http://127.0.0.1:8090/iata",
        "banks": "http://127.0.0.1:8090/banks",
    }


def test_the_demo_parties_are_there(shipped: Settings) -> None:
    centers = [party.id for party in shipped.parties if party.kind == "service_center"]
    assert centers == [f"sc-0{n}" for n in range(1, 6)]
    others = {"licensing", "pilgrim-services", "committee", "nic", "passports", "foreign-affairs"}
    others |= {"gosi", "dues", "iata", "banks"}
    assert {party.id for party in shipped.parties} == others | set(centers)
    assert shipped.party("sc-03") is not None
    assert shipped.party("sc-99") is None


@pytest.mark.parametrize("n", range(1, 6))
def test_each_center_can_send_what_the_sample_generator_makes_for_it(shipped: Settings, n: int) -> None:
    licensee = f"LIC-100{n}"
    reference = shipped.reference
    center = next(each for each in reference.service_centers if each.id == f"sc-0{n}")
    agent = next(each for each in reference.agents if each.id == f"AGT-200{n}")
    package = next(each for each in reference.packages if each.id == f"PKG-300{n}")
    group = next(each for each in reference.groups if each.number == f"GRP-400{n}")
    mission = next(each for each in reference.missions if each.id == "MSN-IDN-JKT")
    assert next(each.status for each in reference.licensees if each.id == licensee) == "active"
    assert center.status == agent.status == "active"
    assert licensee in center.licensees
    assert licensee in agent.licensees
    assert (package.status, package.licensee, group.licensee) == ("approved", licensee, licensee)
    assert mission.status == "open"


def test_some_licensees_may_not_send(shipped: Settings) -> None:
    statuses = {licensee.status for licensee in shipped.reference.licensees}
    assert statuses == {"active", "suspended", "unlicensed"}


def test_every_granted_field_exists_and_none_is_secret(shipped: Settings) -> None:
    granted = {
        name: grant for lists in shipped.confidentiality.grants.values() for name, grant in lists.items()
    }
    for kind, route in shipped.routes.itineraries.items():
        classes = OF_VISAS[kind] if kind in OF_VISAS else field_classes(kind)
        for operation in (name for stage in route.stages for name in stage):
            context = {**BATCH_CLASSES, **EARLIER_CLASSES.get(kind, {})}
            found = {str({**classes, **context}[path]) for path in granted[operation].fields}
            assert found <= {"public", "restricted"}


def test_every_party_is_told_only_fields_that_there_are_and_no_center_a_secret_one(shipped: Settings) -> None:
    for receiver, kinds in shipped.confidentiality.events.items():
        for kind, grant in kinds.items():
            found = {str(published_classes(kind)[path]) for path in grant.fields}
            assert receiver != "service_center" or found <= {"public", "restricted"}


def test_the_itineraries_are_those_of_the_kinds_that_partners_are_asked_about(shipped: Settings) -> None:
    itineraries = {
        kind: [set(stage) for stage in route.stages] for kind, route in shipped.routes.itineraries.items()
    }
    assert itineraries["licensee.activation_check"] == [
        {
            "interior.licensee_hold_nic",
            "interior.licensee_hold_passports",
            "registries.gosi_certificate",
            "registries.dues",
        }
    ]
    assert itineraries["agent_contract.submission"] == [
        {"registries.iata_membership", "registries.bank_account", "registries.bank_guarantee"},
        {"foreign_affairs.contract_attestation"},
    ]
    assert itineraries["overstay.notice"] == [{"interior.overstay_report"}]


def test_every_key_of_every_file_is_explained_or_plain() -> None:
    """Each file opens with a comment for its operator, and holds no secret."""
    for file in MAIN.parent.glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert not re.search(r"PRIVATE KEY|://[^/\s]*:[^/\s]*@", text)


def test_months_without_a_plan_are_closed_but_for_the_demonstration(shipped: Settings) -> None:
    assert shipped.controls.unplanned_months == "closed"
    assert demo_profile(shipped).controls.unplanned_months == "open"


def test_the_demonstration_waits_briefly_and_changes_nothing_else(shipped: Settings) -> None:
    demo = demo_profile(shipped)
    issuing = demo.destinations["foreign-affairs"]
    assert issuing.deadline_s == 5
    assert (issuing.longest_processing_s, issuing.inquiry.interval_s, issuing.inquiry.enabled) == (
        0.5,
        0.5,
        True,
    )
    assert issuing.retry.first_s == 0.2
    assert (issuing.deferred.answer_pending_s, issuing.deferred.mission_capacity_s) == (0.2, 0.2)
    assert issuing.url == shipped.destinations["foreign-affairs"].url
    assert (demo.gateway, demo.parties, demo.reference) == (
        shipped.gateway,
        shipped.parties,
        shipped.reference,
    )
    assert shipped.destinations["foreign-affairs"].deadline_s == 30


def test_what_is_granted_is_exactly_what_the_converters_read(shipped: Settings) -> None:
    from adapters.foreign_affairs.operations import OPERATIONS as FOREIGN_AFFAIRS
    from adapters.interior.operations import OPERATIONS as INTERIOR
    from adapters.registries.operations import OPERATIONS as REGISTRIES

    operations = {operation.name: operation for operation in (*INTERIOR, *FOREIGN_AFFAIRS, *REGISTRIES)}
    check_operations(shipped, operations)
    for name, operation in operations.items():
        granted = shipped.confidentiality.grants[operation.destination][name].fields
        assert set(granted) == operation.needs | operation.context_needs
