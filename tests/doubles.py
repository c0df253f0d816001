"""Working doubles of the edges: a clock that is set, partners that answer by a script. The rest is real."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from adapters import foreign_affairs, interior, registries
from gateway.clock import micros
from gateway.message import (
    Absent,
    Answered,
    CallContext,
    Contested,
    Declined,
    Deferred,
    Exchange,
    Micros,
    Operation,
    Projection,
    StillProcessing,
    Verdict,
)
from gateway.ports import PreparedRequest
from gateway.values import replace


class ManualClock:
    """Time that passes when told to (`ports.Clock`)."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._boot = 1000.0

    def now(self) -> datetime:
        return self._now

    def now_us(self) -> Micros:
        return micros(self.now())

    def today(self) -> date:
        return self._now.date()

    def business_now(self) -> datetime:
        return self._now

    def boottime_s(self) -> float:
        return self._boot

    def pass_by(self, **duration: float) -> None:
        delta = timedelta(**duration)
        self._now += delta
        self._boot += delta.total_seconds()


Reply = Verdict | Exception | Callable[[PreparedRequest], Verdict]


@dataclass
class ScriptedPartner:
    """Answers each action with its script's next entry, the last one for ever (`ports.Partner`)."""

    scripts: dict[str, list[Reply]] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    #: When set, every call waits for it.
    gate: asyncio.Event | None = None

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> PreparedRequest:
        self.requests.append(values)
        return PreparedRequest(action, context.request_reference.encode(), context.message_id)

    async def send(self, request: PreparedRequest, *, send_by_boottime_s: float) -> Mapping[str, Any]:
        self.sent.append((request.action, request.body.decode()))
        if self.gate is not None:
            await self.gate.wait()
        script = self.scripts[request.action]
        reply = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(reply, Exception):
            raise reply
        return {"verdict": reply if not callable(reply) else reply(request)}

    async def close(self) -> None:
        return None

    def calls(self) -> dict[str, int]:
        counts: dict[str, int] = defaultdict(int)
        for action, _ in self.sent:
            counts[action] += 1
        return dict(counts)


ISSUED = Answered(
    {
        "visa_number": "6000000001",
        "valid_from": "2026-12-01",
        "valid_until": "2027-01-30",
        "stay_until": "2026-12-20",
    }
)


def issuing() -> Callable[[PreparedRequest], Verdict]:
    """Issues one visa after the other, the first with the number of `ISSUED`."""
    numbers = itertools.count(int(ISSUED.result["visa_number"]))

    def issue(_request: PreparedRequest) -> Verdict:
        return Answered({**ISSUED.result, "visa_number": str(next(numbers))})

    return issue


def _verdict(values: Mapping[str, Any], context: CallContext) -> Verdict:
    verdict = values["verdict"]
    kinds = Answered | Declined | Deferred | Contested | Absent | StillProcessing
    assert isinstance(verdict, kinds)
    return verdict


def exchange(action: str, *paths: str) -> Exchange:
    """An exchange that sends the projection's `paths` as they are."""

    def request(projection: Projection, context: CallContext) -> Mapping[str, Any]:
        return {path: projection[path] for path in paths}

    return Exchange(action, request, _verdict)


def scripted(operation: Operation) -> Operation:
    """The same step of an itinerary, whose partner answers by a script."""
    sent = tuple(sorted(operation.needs))
    return replace(operation, call=exchange(operation.call.action, *sent))


#: The visa's own steps, with short requests; the other partners' as they are but for their converters.
OPERATIONS = {
    operation.name: operation
    for operation in (
        *(scripted(operation) for operation in (*interior.OPERATIONS, *foreign_affairs.OPERATIONS)),
        *(scripted(operation) for operation in registries.OPERATIONS),
        Operation(
            "interior.security_clearance",
            "nic",
            repeatable=True,
            needs=frozenset({"passport.number"}),
            call=exchange("CheckClearance", "passport.number"),
            follow_up=exchange("InquireClearance"),
            result_valid_s=3600,
        ),
        Operation(
            "interior.passport_verification",
            "passports",
            repeatable=True,
            needs=frozenset({"passport.number"}),
            call=exchange("VerifyPassport", "passport.number"),
        ),
        Operation(
            "foreign_affairs.visa_issuance",
            "foreign-affairs",
            repeatable=False,
            needs=frozenset({"passport.number"}),
            call=exchange("IssueVisa", "passport.number"),
            inquiry=exchange("GetVisaStatus"),
        ),
        Operation(
            "foreign_affairs.visa_cancellation",
            "foreign-affairs",
            repeatable=False,
            needs=frozenset(),
            call=exchange("CancelVisa"),
            inquiry=exchange("GetVisaStatus"),
        ),
    )
}
