"""Variations of the settings for a purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.settings.destinations import DeferredWaits, Destination
from gateway.settings.model import Settings
from gateway.settings.soap_security import DemoKeys, DestinationSecurity

_DEADLINE_S: Final = 5.0
_INQUIRY_S: Final = 0.5
_BACKOFF_S: Final = 0.2
_CEILING_S: Final = 2.0
#: Both kinds of key are shown.
_SIGNING: Final[Mapping[str, DemoKeys]] = {"nic": "rsa", "passports": "ecdsa", "foreign-affairs": "ecdsa"}


def demo_profile(settings: Settings) -> Settings:
    """The same settings with short waits, for simulated partners: a batch settles in seconds."""
    destinations = {name: _hasty(destination) for name, destination in settings.destinations.items()}
    controls = settings.controls.model_copy(update={"unplanned_months": "open"})
    return settings.model_copy(update={"destinations": destinations, "controls": controls})


def signed_profile(settings: Settings) -> Settings:
    """The same settings, with signed messages between the gateway and the partners that speak SOAP."""
    destinations = {
        name: destination.model_copy(
            update={"soap_security": DestinationSecurity(policy="signature", demo_keys=_SIGNING[name])}
        )
        if name in _SIGNING
        else destination
        for name, destination in settings.destinations.items()
    }
    return settings.model_copy(update={"destinations": destinations})


def _hasty(destination: Destination) -> Destination:
    retry = destination.retry.model_copy(update={"first_s": _BACKOFF_S, "ceiling_s": _CEILING_S})
    return destination.model_copy(
        update={
            "deadline_s": min(destination.deadline_s, _DEADLINE_S),
            "longest_processing_s": _INQUIRY_S,
            "retry": retry,
            "deferred": DeferredWaits(answer_pending_s=_BACKOFF_S, mission_capacity_s=_BACKOFF_S),
            "inquiry": destination.inquiry.model_copy(update={"interval_s": _INQUIRY_S}),
        }
    )
