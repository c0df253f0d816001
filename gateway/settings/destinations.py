"""`destinations.yaml`: partners' systems, as they are reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.settings.protection import Breaker, Calendar, CallRate, RetryBudget, Waiting
from gateway.settings.soap_security import DestinationSecurity
from gateway.settings.transport import ClientTls
from gateway.settings.types import ClassName, LongSeconds, Name, Part, Seconds, Url


class Retry(Part):
    """How calls that provably had no effect are repeated (`gateway.policies.retry`)."""

    first_s: Seconds = 2.0
    ceiling_s: LongSeconds = 300.0
    factor: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 2.0
    #: Since the first attempt. None: never.
    give_up_after_s: LongSeconds | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.ceiling_s < self.first_s:
            raise ValueError("ceiling_s is smaller than first_s")
        return self


class DeferredWaits(Part):
    """How soon a partner that said "not now" is asked again, by the reason it gave."""

    answer_pending_s: LongSeconds = 60.0
    mission_capacity_s: LongSeconds = 900.0


class Inquiry(Part):
    """How it is found out what became of a call whose answer was lost."""

    #: False: the partner cannot be asked, and such a call goes to a person.
    enabled: bool = False
    interval_s: LongSeconds = 60.0
    #: Still undecided this long after the call: to a person.
    review_after_s: LongSeconds = 86_400.0


class Destination(Part):
    """A partner's system, as it is reached and what it can be relied on for."""

    party: Name
    url: Url
    #: The highest class of a field that may be sent there.
    clearance: ClassName
    #: For one whole call, waiting for a free connection included.
    deadline_s: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]
    connect_timeout_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 3.0
    #: Calls at the same time from one process.
    concurrency: Annotated[int, Field(gt=0, le=10_000)] = 32
    #: For one of those places.
    waiting: Waiting = Waiting()
    #: Calls of all processes together; None: as many as the places allow.
    rate: CallRate | None = None
    breaker: Breaker = Breaker()
    retry_budget: RetryBudget = RetryBudget()
    #: When it is closed.
    calendar: Calendar = Calendar()
    #: A request may still take effect this long after it was sent; "absent" means nothing before that.
    longest_processing_s: LongSeconds
    retry: Retry = Retry()
    deferred: DeferredWaits = DeferredWaits()
    inquiry: Inquiry = Inquiry()
    #: Replays what it issued for the same `request_reference` instead of issuing again.
    deduplicates: bool = False
    #: What is proven absent is sent again although the partner does not deduplicate.
    resend_when_absent: bool = False
    #: An unused connection is closed after this long: less than the partner's own limit.
    idle_s: Seconds = 15.0
    tls: ClientTls | None = None
    #: WS-Security, for a partner that speaks SOAP.
    soap_security: DestinationSecurity = DestinationSecurity()

    @model_validator(mode="after")
    def _connects_in_time(self) -> Self:
        if self.connect_timeout_s > self.deadline_s:
            raise ValueError("connect_timeout_s is longer than deadline_s")
        return self


class Destinations(Part):
    """`destinations.yaml`."""

    destinations: Mapping[Name, Destination]
