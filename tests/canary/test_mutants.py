"""Faults put into the gateway on purpose: each makes itself known. All in one small run, each told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.message import Disclosure
from gateway.observe.log import log
from gateway.observe.metrics import bound
from gateway.pipeline import prepare
from gateway.policies.confidentiality import NeedToKnow
from gateway.settings import Settings
from gateway.soap.partner import SoapPartner
from gateway.values import replace
from tests.canary.performance import Performed, perform
from tests.canary.play import one_visa

pytestmark = pytest.mark.processes


def _one_field_more(settings: Settings) -> Settings:
    """Licensing is granted the accounts of agents."""
    document = settings.confidentiality.model_dump()
    told = document["events"]["licensing"]["agent_contract.submission"]
    told["fields"] = (*told["fields"], "bank.account")
    policy = type(settings.confidentiality).model_validate(document)
    return settings.model_copy(update={"confidentiality": policy})


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    with pytest.MonkeyPatch.context() as patch:
        _log_a_name_and_label_with_a_passport(patch)
        _tell_passports_the_family_name(patch)
        _note_less_than_was_given(patch)
        folder = tmp_path_factory.mktemp("faulty")
        today = SystemClock().today()
        return asyncio.run(perform(folder, one_visa, today, change=_one_field_more, commands=False))


def _log_a_name_and_label_with_a_passport(patch: pytest.MonkeyPatch) -> None:
    right = prepare.prepare_exchange

    def leaking(journey: Any, operation: Any, exchange: Any, engine: Any) -> prepare.PreparedStep:
        if journey.message.kind == "visa.application":
            log.info("prepared", action="prepared", code=journey.body["name"]["family"])
            passport = journey.body["passport"]["number"]
            bound(engine.metrics.attempts, operation.destination, operation.name, passport).inc()
        return right(journey, operation, exchange, engine)

    patch.setattr(prepare, "prepare_exchange", leaking)


def _tell_passports_the_family_name(patch: pytest.MonkeyPatch) -> None:
    """On the wire, after everything that governs it: only a capture can see this."""
    kept: list[str] = []
    right_project, right_prepare = NeedToKnow.project, SoapPartner.prepare

    def project(self: NeedToKnow, name: str, destination: str, body: Any, batch: Any = None) -> Any:
        kept[:] = [body["name"]["family"]] if "name" in body else []
        return right_project(self, name, destination, body, batch)

    def prepared(self: SoapPartner, action: str, values: Mapping[str, Any], context: Any) -> Any:
        request = right_prepare(self, action, values, context)
        if action != "VerifyPassport" or not kept:
            return request
        comment = f"<!--{kept[0].encode().hex()}-->".encode()
        return replace(request, body=request.body + comment)

    patch.setattr(NeedToKnow, "project", project)
    patch.setattr(SoapPartner, "prepare", prepared)


def _note_less_than_was_given(patch: pytest.MonkeyPatch) -> None:
    right = NeedToKnow.disclosure

    def disclosure(self: NeedToKnow, name: str, *rest: Any) -> Disclosure:
        told = right(self, name, *rest)
        forgotten = "birth_date" if name == "interior.security_clearance" else ""
        return replace(told, fields=tuple(path for path in told.fields if path != forgotten))

    patch.setattr(NeedToKnow, "disclosure", disclosure)


def _told(performed: Performed) -> str:
    return "\n".join(map(str, performed.leaks))


def test_one_field_more_in_a_list_is_seen_by_whoever_got_it(faulty: Performed) -> None:
    assert "answer licensing agent_contract.submission: agent_contract.submission bank.account" in _told(
        faulty
    )


def test_a_name_in_a_log_line_is_seen(faulty: Performed) -> None:
    assert "log  every line: visa.application name.family" in _told(faulty)


def test_a_passport_in_a_label_is_seen(faulty: Performed) -> None:
    assert "metrics  /metrics: visa.application passport.mrz, visa.application passport.number" in _told(
        faulty
    )


def test_a_name_in_a_call_is_seen_however_it_is_written(faulty: Performed) -> None:
    assert "partner passports VerifyPassport: visa.application name.family" in _told(faulty)


def test_nothing_else_is_seen(faulty: Performed) -> None:
    assert len({(leak.channel, leak.receiver) for leak in faulty.leaks}) == 4


def test_a_journal_that_forgets_a_field_is_seen(faulty: Performed) -> None:
    assert faulty.disagreements
    for line in faulty.disagreements:
        assert "'interior.security_clearance') got birth_date, and the journal does not say so" in line
