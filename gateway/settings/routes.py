"""`routes.yaml`: an itinerary for each kind of message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gateway.settings.types import Name, Part, Version


class Route(Part):
    """An itinerary: stages one after the other, the operations of a stage at the same time."""

    stages: Annotated[
        tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...],
        Field(min_length=1),
    ]


class Routes(Part):
    """`routes.yaml`: an itinerary for each kind of message."""

    version: Version
    itineraries: Mapping[Name, Route]
