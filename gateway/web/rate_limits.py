"""How much each party may ask for: a token bucket of requests, and one of lines.

The buckets are this process's own: of several processes each allows the whole rate. A party is charged once
it is proven, so nobody can use up another's rate; before that, connections an address are what is limited.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.observe.metrics import Metrics, bound
from gateway.settings import Settings
from gateway.settings.transport import Rate
from gateway.web.problems import RateLimited

#: In the metric of what was refused: a request's kind of message is not known yet.
_ANY_KIND: Final = "any"
_BATCH: Final = "visa.batch"
_CODE: Final = "rate_limited"
#: Nobody is told to wait longer; who asks before that is told again.
_LONGEST_WAIT_S: Final = 3_600


@dataclass(slots=True)
class _Bucket:
    """What is left of a burst. Below zero: a debt that is waited for."""

    level: float
    at: float

    def fill(self, per_s: float, burst: float, now: float) -> None:
        self.level = min(burst, self.level + (now - self.at) * per_s)
        self.at = now


class RateLimits:
    """The buckets of every party. They outlive a change of the configuration."""

    def __init__(
        self, settings: Settings, metrics: Metrics, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic_s = monotonic_s
        self._metrics = metrics
        self._requests: defaultdict[str, _Bucket] = defaultdict(self._full)
        self._lines: defaultdict[str, _Bucket] = defaultdict(self._full)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go on with other rates; nobody's debt is forgotten."""
        self._rates = settings.gateway.rates
        self._kinds = {party.id: party.kind for party in settings.parties}

    def request(self, party: str) -> None:
        """Count one request. Raises `RateLimited`: then it costs nothing."""
        rate = self._rate(party)
        bucket = self._requests[party]
        bucket.fill(rate.requests_per_s, rate.requests_burst, self._monotonic_s())
        if bucket.level < 1:
            self._refuse(party, _ANY_KIND, (1 - bucket.level) / rate.requests_per_s)
        bucket.level -= 1

    def batch(self, party: str) -> None:
        """Before a batch is read. Raises `RateLimited` while lines of earlier ones are still waited for."""
        rate = self._rate(party)
        bucket = self._filled_with_lines(party, rate)
        if bucket.level < 0:
            self._refuse(party, _BATCH, -bucket.level / rate.lines_per_s)

    def lines(self, party: str, count: int) -> None:
        """After a batch was read: so many lines it had."""
        self._filled_with_lines(party, self._rate(party)).level -= count

    def _filled_with_lines(self, party: str, rate: Rate) -> _Bucket:
        bucket = self._lines[party]
        bucket.fill(rate.lines_per_s, rate.lines_burst, self._monotonic_s())
        return bucket

    def _full(self) -> _Bucket:
        return _Bucket(math.inf, self._monotonic_s())

    def _rate(self, party: str) -> Rate:
        rate: Rate = getattr(self._rates, self._kinds.get(party, "system"))
        return rate

    def _refuse(self, party: str, kind: str, wait_s: float) -> None:
        bound(self._metrics.rejected, party, kind, _CODE).inc()
        raise RateLimited(min(_LONGEST_WAIT_S, max(1, math.ceil(wait_s))))


RATE_LIMITS: Final = web.AppKey("rate_limits", RateLimits)


def count_request(request: web.Request, party: str) -> None:
    """Count a request of a proven party where its listener has limits. Raises `RateLimited`."""
    limits = request.config_dict.get(RATE_LIMITS)
    if limits is not None:
        limits.request(party)
