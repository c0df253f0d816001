"""`controls.yaml`: the initial control set."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.settings.types import Days, Part, Version


class Mahram(Part):
    """Who must name a companion (محرم): applicants of `sex` younger than `below_age`, if `required`."""

    required: bool = False
    sex: Literal["M", "F"] = "F"
    #: Age in full years on the day of arrival; None: at any age.
    below_age: Annotated[int, Field(gt=0, le=120)] | None = None


class RequestWindow(Part):
    """Days, both included, on which applications are taken."""

    opens: date
    closes: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes < self.opens:
            raise ValueError("closes before it opens")
        return self


class OverstayLimits(Part):
    """How many pilgrims of a licensee or an agent may stay too long before the gate closes for them."""

    #: Overstays over arrivals, in the season; None: no such limit.
    max_ratio: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    max_count: Annotated[int, Field(gt=0, le=10_000_000)] | None = None
    #: A ratio says nothing of fewer arrivals than this.
    minimum_arrivals: Annotated[int, Field(gt=0, le=10_000_000)] = 1
    #: Days after `stay_until` before a stay counts as too long.
    grace_days: Annotated[int, Field(ge=0, le=90)] = 0


class Controls(Part):
    """`controls.yaml`: the initial control set, until the authorities publish another."""

    version: Version
    passport_validity_months: Annotated[int, Field(ge=0, le=60)]
    #: None: no limit of ours.
    max_stay_days: Annotated[int, Field(gt=0, le=366)] | None = None
    mahram: Mahram = Mahram()
    #: Empty: always open.
    request_windows: tuple[RequestWindow, ...] = ()
    #: Months that no part of an operational plan covers.
    unplanned_months: Literal["closed", "open", "quota"] = "closed"
    #: None: no limits.
    overstay: OverstayLimits | None = None
    #: Days after the due day on which a first, second … notice of an overstay is given.
    overstay_levels_days: Annotated[tuple[Days, ...], Field(min_length=1, max_length=20)] = (1, 7, 30)
    #: Passports of the specimen issuer UTO (ICAO 9303), for tests only.
    specimen_issuers_allowed: bool = False

    @model_validator(mode="after")
    def _levels_rise(self) -> Self:
        levels = self.overstay_levels_days
        if any(later <= earlier for earlier, later in pairwise(levels)):
            raise ValueError("overstay_levels_days must rise")
        return self
