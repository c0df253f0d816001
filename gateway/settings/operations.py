"""The configuration against the catalogue of operations that the adapters offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from gateway.message import Operation
from gateway.settings.access_checks import operator_faults
from gateway.settings.confidentiality import Grant
from gateway.settings.document import Fault, Loc
from gateway.settings.draft import Draft
from gateway.settings.parties import Party
from gateway.settings.validation import suggestion
from schemas.confidentiality import Confidentiality

#: By kind of message, then by dotted path.
Classes = Mapping[str, Mapping[str, str]]

_CENTER: Final = "service_center"
#: Of results: a rejected line as it was submitted.
_GIVEN_BACK: Final = "application"
_PARTY_KINDS: Final[frozenset[str]] = frozenset(get_args(Party.model_fields["kind"].annotation))


@dataclass(frozen=True, slots=True)
class Subject:
    """What these checks look at."""

    draft: Draft
    operations: Mapping[str, Operation]
    #: By kind of message: the class of every field that such a message can have, by dotted path.
    classes: Classes
    #: By kind of event: the same of what is told of it.
    told: Classes
    #: The class of every field of a result, by dotted path.
    shown: Mapping[str, str]

    def fields_of(self, operation: str) -> Mapping[str, Confidentiality]:
        """The fields of the kinds that are routed through an operation, each under its highest class.

        Where no route names it, it may be meant for any kind: a mistake in a route is told there, once.
        """
        routed = [str(loc[1]) for loc, name in self.routed() if name == operation]
        routed = [kind for kind in routed if kind in self.classes]
        decisive = max if routed else min
        fields: dict[str, Confidentiality] = {}
        for kind in routed or self.classes:
            for path, name in self.classes[kind].items():
                found = Confidentiality(name)
                fields[path] = decisive(found, fields.get(path, found), key=lambda one: one.rank)
        return fields

    def routed(self) -> Iterator[tuple[Loc, str]]:
        """Each place in routes.yaml that names an operation, and the name."""
        itineraries = self.draft.routes.itineraries if self.draft.routes else {}
        for kind, route in itineraries.items():
            for n, stage in enumerate(route.stages):
                for m, name in enumerate(stage):
                    yield ("itineraries", kind, "stages", n, m), name

    def granted(self) -> Iterator[tuple[Loc, str, str, Grant]]:
        """Each need-to-know list: its place, destination, operation, and itself."""
        grants = self.draft.confidentiality.grants if self.draft.confidentiality else {}
        for destination, by_operation in grants.items():
            for operation, grant in by_operation.items():
                yield ("grants", destination, operation), destination, operation, grant

    def events(self) -> Iterator[tuple[Loc, str, str, Grant]]:
        """Each list of what is told of a kind of event: its place, receiver, kind, and itself."""
        events = self.draft.confidentiality.events if self.draft.confidentiality else {}
        for receiver, by_kind in events.items():
            for kind, grant in by_kind.items():
                yield ("events", receiver, kind), receiver, kind, grant

    def results(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each kind of receiver of results, and what it is shown."""
        yield from self.draft.confidentiality.results.items() if self.draft.confidentiality else ()


def routes_name_kinds(subject: Subject) -> Iterator[Fault]:
    """An itinerary of a kind of message that there is not."""
    for kind in subject.draft.routes.itineraries if subject.draft.routes else ():
        if kind not in subject.classes:
            text = f"unknown kind of message {kind!r}{suggestion(kind, subject.classes)}"
            yield subject.draft.key_fault("routes", ("itineraries", kind), text)


def routes_name_operations(subject: Subject) -> Iterator[Fault]:
    """A route that names an operation no adapter offers."""
    for loc, name in subject.routed():
        if name not in subject.operations:
            text = f"unknown operation {name!r}{suggestion(name, subject.operations)}"
            yield subject.draft.fault("routes", loc, text)


def routes_repeat_nothing(subject: Subject) -> Iterator[Fault]:
    """An operation twice in an itinerary, or beside one that must not be repeated.

    An intent names one step: what has an effect is called alone, after everything that may still refuse.
    """
    itineraries = subject.draft.routes.itineraries if subject.draft.routes else {}
    for kind, route in itineraries.items():
        met: set[str] = set()
        for n, stage in enumerate(route.stages):
            for m, name in enumerate(stage):
                loc = ("itineraries", kind, "stages", n, m)
                if name in met:
                    text = f"operation {name!r} stands twice in this itinerary"
                    yield subject.draft.fault("routes", loc, text)
                met.add(name)
                operation = subject.operations.get(name)
                if operation is not None and not operation.repeatable and len(stage) > 1:
                    text = f"operation {name!r} must not be repeated: it needs a stage of its own"
                    yield subject.draft.fault("routes", loc, text)


def routes_reach_destinations(subject: Subject) -> Iterator[Fault]:
    """A route through a destination that is not configured."""
    known = subject.draft.ids("destinations", "destinations")
    for loc, name in subject.routed():
        operation = subject.operations.get(name)
        if operation and known is not None and operation.destination not in known:
            text = f"operation {name!r} goes to {operation.destination!r}, which is not configured"
            yield subject.draft.fault("routes", loc, text)


def stages_fit_the_lease(subject: Subject) -> Iterator[Fault]:
    """A lease that could end while its worker still waits for a partner."""
    gateway = subject.draft.gateway
    longest = max((_deadline(subject, name) for _, name in subject.routed()), default=0.0)
    if gateway and gateway.carrying.lease_s <= longest:
        text = f"lease_s must be longer than the longest stage's deadline, {longest:g} s"
        yield subject.draft.fault("gateway", ("carrying", "lease_s"), text)


def _deadline(subject: Subject, name: str) -> float:
    # Operations of one stage run at the same time: the longest of them is the stage's.
    operation = subject.operations.get(name)
    destination = subject.draft.destinations.get(operation.destination) if operation else None
    return destination.deadline_s if destination else 0.0


def inquiries_exist(subject: Subject) -> Iterator[Fault]:
    """A call that must not be repeated, to a partner said to be askable, without a question to ask."""
    for loc, name in subject.routed():
        operation = subject.operations.get(name)
        if operation is None or operation.repeatable or operation.inquiry:
            continue
        destination = subject.draft.destinations.get(operation.destination)
        if destination and destination.inquiry.enabled:
            text = f"operation {name!r} must not be repeated and has no inquiry, though inquiry is enabled"
            yield subject.draft.fault("routes", loc, text)


def grants_name_operations(subject: Subject) -> Iterator[Fault]:
    """A need-to-know list for an operation that is unknown or goes elsewhere."""
    for loc, destination, name, _ in subject.granted():
        operation = subject.operations.get(name)
        if operation is None:
            text = f"unknown operation {name!r}{suggestion(name, subject.operations)}"
            yield subject.draft.key_fault("confidentiality", loc, text)
        elif operation.destination != destination:
            text = f"operation {name!r} goes to {operation.destination!r}, not to {destination!r}"
            yield subject.draft.key_fault("confidentiality", loc, text)


def grants_cover_needs(subject: Subject) -> Iterator[Fault]:
    """A need-to-know list without a field that the converter reads: it would fail on every message."""
    for loc, destination, name, grant in subject.granted():
        operation = subject.operations.get(name)
        if operation is None or operation.destination != destination:
            continue
        for path in sorted((operation.needs | operation.context_needs) - set(grant.fields)):
            text = f"operation {name!r} needs field {path!r}, which is not granted"
            yield subject.draft.fault("confidentiality", (*loc, "fields"), text)


def routed_operations_have_grants(subject: Subject) -> Iterator[Fault]:
    """An operation of a route without any need-to-know list."""
    document = subject.draft.documents.get("confidentiality")
    if subject.draft.confidentiality is None or document is None:
        return
    for loc, name in subject.routed():
        operation = subject.operations.get(name)
        needs = operation.needs | operation.context_needs if operation else ()
        if operation and needs and document.get("grants", operation.destination, name) is None:
            text = f"operation {name!r} has no need-to-know list under {operation.destination!r}"
            yield subject.draft.fault("routes", loc, text)


def granted_fields_exist(subject: Subject) -> Iterator[Fault]:
    """A granted field that no message of that operation has."""
    for loc, _, operation, grant in subject.granted():
        fields = subject.fields_of(operation)
        for n, path in enumerate(grant.fields):
            if path not in fields:
                text = f"unknown field {path!r}{suggestion(path, fields)}"
                yield subject.draft.fault("confidentiality", (*loc, "fields", n), text)


def clearances_suffice(subject: Subject) -> Iterator[Fault]:
    """A field granted to a destination that is not cleared for its class."""
    for loc, name, operation, grant in subject.granted():
        destination = subject.draft.destinations.get(name)
        if destination is None:
            continue
        fields = subject.fields_of(operation)
        for n, path in enumerate(grant.fields):
            field_class = fields.get(path, Confidentiality.PUBLIC)
            if not Confidentiality(destination.clearance).permits(field_class):
                text = f"field {path!r} is {field_class}, {name!r} is cleared for {destination.clearance}"
                yield subject.draft.fault("confidentiality", (*loc, "fields", n), text)


def events_name_what_there_is(subject: Subject) -> Iterator[Fault]:
    """A list of what is told for a party, a kind of event, or a field that there is not.

    Such a list grants nothing, and nobody would notice before the event is missed.
    """
    yield from _unknown_receivers(subject)
    for loc, _, kind, grant in subject.events():
        if kind not in subject.told:
            text = f"unknown kind of event {kind!r}{suggestion(kind, subject.told)}"
            yield subject.draft.key_fault("confidentiality", loc, text)
            continue
        fields = subject.told[kind]
        for n, path in enumerate(grant.fields):
            if path not in fields:
                text = f"unknown field {path!r}{suggestion(path, fields)}"
                yield subject.draft.fault("confidentiality", (*loc, "fields", n), text)


def _unknown_receivers(subject: Subject) -> Iterator[Fault]:
    parties = subject.draft.ids("parties", "parties", "id")
    if parties is None or subject.draft.confidentiality is None:
        return
    # Sorted, so that of two equally near the same one is suggested each time. A faulty id may be no text.
    known = sorted(_PARTY_KINDS.union(id for id in parties if isinstance(id, str)))
    for receiver in subject.draft.confidentiality.events:
        if receiver not in known:
            text = f"unknown party or kind of party {receiver!r}{suggestion(receiver, known)}"
            yield subject.draft.key_fault("confidentiality", ("events", receiver), text)


def events_suit_clearances(subject: Subject) -> Iterator[Fault]:
    """A field that a party, or every party of a kind, would be told without being cleared for its class."""
    for loc, receiver, kind, grant in subject.events():
        fields = subject.told.get(kind, {})
        cleared = _clearance(subject, receiver)
        for n, path in enumerate(grant.fields):
            field_class = Confidentiality(fields.get(path, Confidentiality.PUBLIC))
            if not cleared.permits(field_class):
                text = f"field {path!r} is {field_class}, {receiver!r} is cleared for {cleared}"
                yield subject.draft.fault("confidentiality", (*loc, "fields", n), text)


def results_name_what_there_is(subject: Subject) -> Iterator[Fault]:
    """A list of what is shown of results for a kind of party, or with a field, that there is not."""
    for receiver, fields in subject.results():
        if receiver not in _PARTY_KINDS:
            text = f"unknown kind of party {receiver!r}{suggestion(receiver, sorted(_PARTY_KINDS))}"
            yield subject.draft.key_fault("confidentiality", ("results", receiver), text)
        for n, path in enumerate(fields):
            if path not in subject.shown:
                text = f"unknown field {path!r}{suggestion(path, subject.shown)}"
                yield subject.draft.fault("confidentiality", ("results", receiver, n), text)


def results_suit_clearances(subject: Subject) -> Iterator[Fault]:
    """A field of a result that parties of a kind would be shown without being cleared for its class."""
    for receiver, fields in subject.results():
        cleared = _clearance(subject, receiver)
        for n, path in enumerate(fields):
            field_class = Confidentiality(subject.shown.get(path, Confidentiality.PUBLIC))
            # A line that its own center gets back tells it nothing.
            if path != _GIVEN_BACK and not cleared.permits(field_class):
                text = f"field {path!r} is {field_class}, {receiver!r} is cleared for {cleared}"
                yield subject.draft.fault("confidentiality", ("results", receiver, n), text)


def _clearance(subject: Subject, receiver: str) -> Confidentiality:
    """A party's own, or the lowest of the parties of a kind."""
    parties = [party for party in subject.draft.parties if receiver in (party.id, party.kind)]
    own = [party for party in parties if party.id == receiver]
    found = [Confidentiality(party.cleared) for party in own or parties]
    unless = Confidentiality.RESTRICTED if receiver == _CENTER else Confidentiality.SECRET
    return min(found, key=lambda one: one.rank, default=unless)


Check = Callable[[Subject], Iterator[Fault]]
CHECKS: tuple[Check, ...] = (
    routes_name_kinds,
    routes_name_operations,
    routes_repeat_nothing,
    routes_reach_destinations,
    stages_fit_the_lease,
    inquiries_exist,
    grants_name_operations,
    grants_cover_needs,
    routed_operations_have_grants,
    granted_fields_exist,
    clearances_suffice,
    events_name_what_there_is,
    events_suit_clearances,
    results_name_what_there_is,
    results_suit_clearances,
)


def faults(draft: Draft, operations: Mapping[str, Operation], classes: Classes | None = None) -> list[Fault]:
    """All faults against the catalogue. `classes` are those of our schemas unless given."""
    of_kinds = _classes() if classes is None else classes
    subject = Subject(draft, operations, _with_context(of_kinds), _told(), _shown())
    found = [fault for check in CHECKS for fault in check(subject)]
    return [*found, *operator_faults(draft, of_kinds)]


def _classes() -> Classes:
    # Late: all the schemas are not needed to read settings.
    from schemas.application import field_classes as application_classes
    from schemas.kinds import KINDS, field_classes

    # A cancellation names its application, and has no fields of its own.
    of_visas = {"visa.application": application_classes(), "visa.cancellation": {}}
    return {**of_visas, **{kind: field_classes(kind) for kind in KINDS}}


def _with_context(classes: Classes) -> Classes:
    """With what a call may say beside the message's own fields."""
    from schemas.results import BATCH_CLASSES, EARLIER_CLASSES

    return {
        kind: {**fields, **BATCH_CLASSES, **EARLIER_CLASSES.get(kind, {})} for kind, fields in classes.items()
    }


def _told() -> Classes:
    from schemas.kinds import KINDS, published_classes

    return {kind: published_classes(kind) for kind in KINDS}


def _shown() -> Mapping[str, str]:
    from schemas.results import RESULT_CLASSES

    return RESULT_CLASSES
