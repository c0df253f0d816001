"""What Interior tells us: arrivals and departures, by Passports, over the service that we offer.

`contracts.md`, kinds `movement.arrival` and `movement.departure`. Values that come here are valid by the
schema, so a converter only renames and writes times as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.ports import InboundOperation
from gateway.soap import SoapService

ARRIVAL: Final = "movement.arrival"
DEPARTURE: Final = "movement.departure"
_SENDER: Final = "passports"
_OPTIONAL: Final = ("border_number", "carrier", "flight")

MOVEMENTS: Final = SoapService(
    wsdl="served/movements.wsdl",
    service="MovementsService",
    port="MovementsSoap11",
    party="umrah-gateway",
    kinds={"NotifyArrival": ARRIVAL, "NotifyDeparture": DEPARTURE},
)

#: What we offer to Interior, by the last part of the path.
SERVED: Final[Mapping[str, SoapService]] = {"movements": MOVEMENTS}


def movement(values: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `movement.arrival` or `movement.departure`."""
    given = {name: values[name] for name in _OPTIONAL if name in values}
    return {
        "event_id": values["event_id"],
        "visa_number": values["visa_number"],
        "at": values["at"].isoformat(),
        "port": values["port"],
        **given,
    }


INBOUND: Final = (
    InboundOperation(ARRIVAL, "NotifyArrival", "movements", _SENDER, movement, key=("event_id",)),
    InboundOperation(DEPARTURE, "NotifyDeparture", "movements", _SENDER, movement, key=("event_id",)),
)
