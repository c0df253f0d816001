"""The season's players, who put canaries wherever a message may hold one, and note what they stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pydantic import BaseModel

from cli.season.players import Answer, Office, Party
from cli.season.soap_caller import SoapCaller
from schemas.application import record_in
from schemas.kinds import KINDS
from schemas.kinds.record import marks
from schemas.shapes import Shape
from tests.canary.filling import (
    PLAYED,
    application,
    fill,
    leaves_of,
    sow_application,
    sow_body,
    sow_header,
    zone,
)
from tests.canary.marks import Garden, Source

#: Fields that would change what the network does, were they filled: left as the play has them.
LEFT: Final[Mapping[str, frozenset[str]]] = {
    "licensee.status": frozenset({"effective_from"}),
    "service_center.registration": frozenset({"agents"}),
    "group.registration": frozenset({"agent_id"}),
    "controls.published": frozenset(
        {"max_stay_days", "mahram", "request_windows", "overstay", "overstay_levels_days"}
    ),
    "plan.decision": frozenset({"quotas"}),
    "penalty.issued": frozenset({"agent_id", "licensee_id"}),
    "case.report": frozenset({"visa_number"}),
    "complaint.submission": frozenset({"visa_number"}),
    "compliance.report": frozenset({"visa_numbers"}),
    "inspection.report": frozenset({"visa_numbers"}),
}
#: What plans and partners go by stays the play's: where somebody is from and when they travel.
_ON_THE_WAY: Final = ("reference", "nationality", "birth_country", "sex", "mahram")
_JOURNEY: Final = ("arrival_date", "departure_date", "entry_port", "exit_port")
#: At least so long is a text that says something in words.
_PROSE: Final = 80
#: Texts that name something by what somebody else called it.
_NAMES: Final = frozenset({"reference"})


@dataclass(slots=True)
class Sown:
    """What was sent: the garden, every message's own name, and the fields that could hold no canary."""

    garden: Garden = field(default_factory=Garden)
    #: Our name of a message to the gateway's.
    ids: dict[str, str] = field(default_factory=dict)
    #: (kind, path) to the reason.
    without: dict[tuple[str, str], str] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    #: References of batches.
    batches: set[str] = field(default_factory=set)
    #: References of lines that are nobody else's, in any batch.
    labels: set[str] = field(default_factory=set)
    _count: int = 0
    _told: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)

    def body(self, kind: str, sender: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """A filled body, noted, and our name of the message. The same for what is told again."""
        told = json.dumps([kind, sender, given], sort_keys=True)
        if told not in self._told:
            self._told[told] = self._new_body(kind, sender, given)
        return self._told[told]

    def _new_body(self, kind: str, sender: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        kept = {**dict.fromkeys(LEFT.get(kind, ())), **_without_prose(KINDS[kind].model, given)}
        filled = fill(kind, kept, self.garden)
        self.without |= {(kind, path): reason for path, reason in filled.without.items()}
        self.without |= {(kind, path): PLAYED for path, value in kept.items() if value is None}
        self._count += 1
        self.kinds.add(kind)
        label = f"{sender} {kind} {self._count}"
        self._note_numbers(kind, filled.body)
        sow_body(kind, filled.body, self.garden, message=label, sender=sender)
        return filled.body, label

    def _note_numbers(self, kind: str, body: Mapping[str, Any]) -> None:
        """Numbers of the play's own that only one has: accounts, memberships."""
        for _, level, value in leaves_of(KINDS[kind].model, body):
            if level != "public" and isinstance(value, str) and any(len(run) > 6 for run in _runs(value)):
                self.garden.own(value)

    def learn_visa(self, number: str, message_id: str, sender: str) -> None:
        """Foreign Affairs issued a visa."""
        self.garden.own(number)
        source = Source("visa.result", "visa.number", "restricted", message_id, sender)
        self.garden.sow(number, source)


def _runs(text: str) -> list[str]:
    return "".join(letter if letter.isdigit() else " " for letter in text).split()


def _without_prose(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, without texts in words: those become canaries."""
    kept: dict[str, Any] = {}
    for name, value in given.items():
        declared = model.model_fields.get(name)
        inner = record_in(declared.annotation) if declared else None
        if inner is not None and isinstance(value, list):
            kept[name] = [_without_prose(inner, item) for item in value]
        elif inner is not None and isinstance(value, Mapping):
            kept[name] = _without_prose(inner, value)
        elif name in _NAMES or not _in_words(declared):
            kept[name] = value
    return kept


def _in_words(declared: Any) -> bool:
    shape = next(marks(declared, Shape), None) if declared is not None else None
    return shape is not None and shape.longest >= _PROSE


@dataclass(frozen=True, slots=True)
class MarkingParty(Party):
    """A center or an office over HTTP."""

    sown: Sown = field(default_factory=Sown)

    async def try_to_send(self, kind: str, /, **fields: Any) -> Answer:
        given = {name: value for name, value in fields.items() if value is not None}
        body, label = self.sown.body(kind, self.id, given)
        answer = await Party.try_to_send(self, kind, **body)
        if "message_id" in answer.body:
            self.sown.ids[label] = answer.body["message_id"]
        return answer

    async def submit(self, header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> Answer:
        reference = str(header["batch_reference"])
        marked = [self._person(line, reference) for line in lines]
        sow_header(header, self.sown.garden, message=reference, sender=self.id)
        return await Party.submit(self, header, marked)

    def _person(self, line: Mapping[str, Any], batch: str) -> Mapping[str, Any]:
        """Somebody else on the same journey, who is nothing but canaries."""
        garden, passport = self.sown.garden, line.get("passport", {})
        ending = str(passport.get("number", ""))[-2:]
        day = date.fromisoformat(line["travel"]["arrival_date"])
        marked = application(garden, today=day, ending=ending if re.fullmatch("[0-9]{2}", ending) else "10")
        marked |= {name: line[name] for name in _ON_THE_WAY if name in line}
        marked["passport"]["issuing_state"] = passport.get("issuing_state", "IDN")
        marked["travel"] |= {name: line["travel"][name] for name in _JOURNEY}
        for name in ("arrival_date", "departure_date"):
            marked["travel"].pop(f"{name}_hijri", None)
        marked["passport"]["mrz"] = zone(marked)
        sow_application(marked, garden, message=f"{batch}/{line['reference']}", sender=self.id)
        return marked


class MarkingOffice:
    """A department or the committee, over whatever it speaks."""

    def __init__(self, inner: Office, sown: Sown) -> None:
        self.inner = inner
        self._sown = sown

    @property
    def id(self) -> str:
        return self.inner.id

    async def send(self, kind: str, /, **fields: Any) -> Answer:
        given = {name: value for name, value in fields.items() if value is not None}
        body, label = self._sown.body(kind, self.id, given)
        answer = await self.inner.send(kind, **body)
        self._sown.ids[label] = answer.body["message_id"]
        return answer

    async def notifications(self) -> list[dict[str, Any]]:
        return await self.inner.notifications()

    async def get(self, path: str) -> Any:
        return await self.inner.get(path)


_KIND_OF: Final = {
    "NotifyArrival": "movement.arrival",
    "NotifyDeparture": "movement.departure",
    "PublishMissionCapacity": "mission.capacity",
    "NotifyAttestation": "agent_contract.attestation",
}
_DECISIONS: Final = {"ATTESTED": "attested", "REJECTED": "rejected"}


class MarkingCaller(SoapCaller):
    """A partner that tells the gateway something."""

    def __init__(self, sown: Sown, party: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sown = sown
        self._name = party

    async def call(self, service: str, action: str, values: Mapping[str, Any]) -> dict[str, str]:
        kind = _KIND_OF[action]
        given = dict(values)
        if "decision" in given:
            given["decision"] = _DECISIONS[given["decision"]]
        body, label = self._sown.body(kind, self._name, given)
        told = {name: body[name] for name in _IN_ORDER[action] if name in body}
        if "decision" in values:
            told["decision"] = values["decision"]
        answer = await super().call(service, action, told)
        if "message_id" in answer:
            self._sown.ids[label] = answer["message_id"]
        return answer


_MOVEMENT: Final = ("event_id", "visa_number", "border_number", "at", "port", "carrier", "flight")
_IN_ORDER: Final = {
    "NotifyArrival": _MOVEMENT,
    "NotifyDeparture": _MOVEMENT,
    "PublishMissionCapacity": ("mission_id", "version", "window", "ceiling"),
    "NotifyAttestation": ("contract_id", "version", "decision", "decided_at", "reference"),
}
