"""What the steps of the pipeline work with. Put together once, in the composition root."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.flows import Office
from gateway.ledger.port import Ledger
from gateway.ledger.vault import Vault
from gateway.message import Micros, Operation, PartyId
from gateway.observe.metrics import Metrics
from gateway.pipeline.notary import Notary
from gateway.pipeline.pressure import Pressure
from gateway.pipeline.protection import Protection
from gateway.policies.confidentiality import NeedToKnow
from gateway.ports import Clock, Partner, WorkHints
from gateway.settings import Destination, Settings

Stages = tuple[tuple[Operation, ...], ...]


@dataclass(frozen=True, slots=True)
class Engine:
    """The gateway's parts, as the pipeline sees them. Immutable: a new configuration is a new engine."""

    settings: Settings
    ledger: Ledger
    vault: Vault
    clock: Clock
    hints: WorkHints
    metrics: Metrics
    need_to_know: NeedToKnow
    #: By operation name.
    operations: Mapping[str, Operation]
    #: By destination name.
    partners: Mapping[str, Partner]
    random: random.Random = field(default_factory=random.Random)
    #: Signs the audit log. None: nobody does, such as in tests of other things.
    notary: Notary | None = None
    #: Whether partners may be called now. The same for every configuration of a process.
    protection: Protection = field(default_factory=Protection)
    #: Whether anything new may be taken in now, the same for all too. None: always, such as in tests.
    pressure: Pressure | None = None
    _itineraries: Mapping[str, Stages] = field(init=False, repr=False)
    #: What flows work with beside the books.
    office: Office = field(init=False, repr=False)
    _versions: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # What is asked for with every message is put together once.
        object.__setattr__(self, "_itineraries", _itineraries(self.settings, self.operations))
        object.__setattr__(self, "_versions", _versions(self.settings))
        object.__setattr__(self, "office", _office(self))

    def now(self) -> Micros:
        """System time as the ledger keeps it."""
        return self.clock.now_us()

    @property
    def under_pressure(self) -> bool:
        """Whether nothing new is taken in at present."""
        return self.pressure is not None and bool(self.pressure.pressed)

    def refuse_under_pressure(self) -> None:
        """For what is new. Raises `pressure.IntakePaused`."""
        if self.pressure is not None:
            self.pressure.refuse()

    def stages(self, kind: str) -> Stages:
        """The itinerary of a kind of message."""
        return self._itineraries[kind]

    def carries(self, kind: str) -> bool:
        """Whether messages of this kind go through an itinerary after they were taken."""
        return kind in self._itineraries

    def destination(self, operation: Operation) -> Destination:
        """How the operation's partner is reached, and what it can be relied on for."""
        return self.settings.destinations[operation.destination]

    def versions(self) -> str:
        """The versions of everything that decides, for the record."""
        return self._versions


def _office(engine: Engine) -> Office:
    parties = {PartyId(party.id): party.kind for party in engine.settings.parties}
    return Office(engine.vault, engine.need_to_know, parties, engine.versions())


def _itineraries(settings: Settings, operations: Mapping[str, Operation]) -> Mapping[str, Stages]:
    return {
        kind: tuple(tuple(operations[name] for name in stage) for stage in route.stages)
        for kind, route in settings.routes.itineraries.items()
    }


def _versions(settings: Settings) -> str:
    return (
        f"schema=1;itinerary={settings.routes.version};policy={settings.confidentiality.version};"
        f"controls={settings.controls.version};reference={settings.reference.version}"
    )
