"""How a partner is protected, and everybody else from it: parts of a destination in `destinations.yaml`."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Day = Literal["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]
_Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
#: Such as `2026-11-25T22:00`, in Riyadh.
_Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]$")]


class _Part(BaseModel):
    """As `model.Part`, which stands above this module."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Breaker(_Part):
    """When a partner is not called for a while because it fails (`gateway.policies.breaker`)."""

    #: Results that are looked at, of one process.
    window_s: _Seconds = 10.0
    #: Fewer results say nothing. So many failures in a row open it, whatever went before.
    minimum_calls: Annotated[int, Field(ge=1, le=10_000)] = 10
    failure_ratio: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.5
    #: How long it stays open the first time; twice as long after each probe that fails, up to the ceiling.
    open_s: _Seconds = 1.0
    ceiling_s: _Seconds = 15.0
    #: A probe without an answer after this long is taken for failed, and another may be sent.
    probe_s: _Seconds = 10.0

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.ceiling_s < self.open_s:
            raise ValueError("ceiling_s is smaller than open_s")
        return self


class Waiting(_Part):
    """Messages of one process that wait for one of the `concurrency` places; what comes beyond is held."""

    places: Annotated[int, Field(ge=0, le=100_000)] = 64
    #: And no longer than this. Much less than `carrying.lease_s`; `check-config` compares.
    longest_s: _Seconds = 2.0


class RetryBudget(_Part):
    """Of one process: repeated calls are at most this share of first ones, and a few besides."""

    share: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.2
    #: So many are free, or a partner that is seldom called could never be called again.
    floor_per_s: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = 3.0
    window_s: _Seconds = 10.0


class CallRate(_Part):
    """What all processes together may call."""

    calls_per_s: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
    #: Calls at once after a quiet time.
    burst: Annotated[int, Field(ge=1, le=100_000)]


class ClosedHours(_Part):
    """Every week, on these days. An end that is not after the beginning is of the next day."""

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)]
    begins: Annotated[_Clock, Field(alias="from")]
    ends: Annotated[_Clock, Field(alias="to")]

    def times(self) -> tuple[time, time]:
        """Both, of the wall clock in Riyadh."""
        return time.fromisoformat(self.begins), time.fromisoformat(self.ends)


class ClosedOnce(_Part):
    """Announced maintenance."""

    begins: Annotated[_Moment, Field(alias="from")]
    ends: Annotated[_Moment, Field(alias="to")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        begins, ends = self.times()
        if ends <= begins:
            raise ValueError("to is not after from")
        return self

    def times(self) -> tuple[datetime, datetime]:
        """Both, without a zone: of the wall clock in Riyadh."""
        return datetime.fromisoformat(self.begins), datetime.fromisoformat(self.ends)


class Calendar(_Part):
    """When a partner is closed, by the real time in Riyadh."""

    weekly: tuple[ClosedHours, ...] = ()
    once: tuple[ClosedOnce, ...] = ()
