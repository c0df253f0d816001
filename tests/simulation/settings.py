"""The shipped configuration with waits that suit virtual time, for each class of partner."""

from __future__ import annotations

from functools import cache

from gateway.settings import Settings
from gateway.settings.destinations import DeferredWaits, Destination
from tests.pipeline.world import shipped_settings
from tests.simulation.partner import DEADLINE_S, FOREIGN, LONGEST_PROCESSING_S
from tests.simulation.plan import PartnerClass

LEASE_S = 30.0
SWEEP_S = 4.0
INTERVAL_S = 2.0
REVIEW_AFTER_S = 600.0


@cache
def settings_for(partner: PartnerClass) -> Settings:
    """One configuration a class: what the destinations promise differs, nothing else."""
    shipped = shipped_settings()
    destinations = {name: _destination(name, it, partner) for name, it in shipped.destinations.items()}
    carrying = shipped.gateway.carrying.model_copy(
        update={"lease_s": LEASE_S, "sweep_interval_s": SWEEP_S, "in_flight": 16, "claim_size": 8}
    )
    intake = shipped.gateway.intake.model_copy(update={"chunk_lines": 3, "lease_s": 20.0})
    gateway = shipped.gateway.model_copy(update={"carrying": carrying, "intake": intake})
    return shipped.model_copy(update={"destinations": destinations, "gateway": gateway})


def _destination(name: str, shipped: Destination, partner: PartnerClass) -> Destination:
    foreign = name == FOREIGN
    asked = foreign and partner != "neither"
    return shipped.model_copy(
        update={
            "deadline_s": DEADLINE_S,
            "longest_processing_s": LONGEST_PROCESSING_S,
            "retry": shipped.retry.model_copy(update={"first_s": 1.0, "ceiling_s": 20.0}),
            "deferred": DeferredWaits(answer_pending_s=5.0, mission_capacity_s=10.0),
            "inquiry": shipped.inquiry.model_copy(
                update={"enabled": asked, "interval_s": INTERVAL_S, "review_after_s": REVIEW_AFTER_S}
            ),
            "deduplicates": not foreign or partner == "deduplicates",
            "resend_when_absent": foreign and partner == "resends",
        }
    )
