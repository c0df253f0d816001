"""Whether what protects partners fits the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.settings.document import Fault
from gateway.settings.draft import Draft

#: Of the message's lease, for waiting before a stage; the rest is for the stage.
_SHARE: Final = 0.25


def waiting_within_lease(draft: Draft) -> Iterator[Fault]:
    """A message that waits for a place so long that its lease may end meanwhile."""
    if draft.gateway is None:
        return
    lease_s = draft.gateway.carrying.lease_s
    for name, destination in draft.destinations.items():
        if destination.waiting.longest_s > _SHARE * lease_s:
            text = f"longest_s is more than a quarter of carrying.lease_s ({lease_s:g} s)"
            yield draft.fault("destinations", ("destinations", name, "waiting", "longest_s"), text)
