"""What each kind of message means to the network: what it changes in the books, and whom it concerns.

One file a part of the work cycle. A flow runs inside the transaction that records its message
(`gateway.ledger.books`); it knows nothing of transports and formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.flows import (
    activation,
    capacity,
    conduct,
    contracts,
    discipline,
    licensing,
    movements,
    offers,
    services,
)
from gateway.flows.desk import Desk, Office, Subject
from gateway.flows.flow import Flow, Standing

#: By kind of message.
FLOWS: Final[Mapping[str, Flow]] = MappingProxyType(
    {
        flow.kind: flow
        for flow in (
            *licensing.FLOWS,
            *offers.FLOWS,
            *contracts.FLOWS,
            *activation.FLOWS,
            *services.FLOWS,
            *conduct.FLOWS,
            *discipline.FLOWS,
            *movements.FLOWS,
            *capacity.FLOWS,
        )
    }
)

__all__ = ["FLOWS", "Desk", "Flow", "Office", "Standing", "Subject"]
