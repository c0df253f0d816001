"""The partner systems: a register that issues visas, two that are only asked, and the network in between.

Foreign Affairs comes in three classes: it deduplicates by our reference, it can be asked what became of a
request, or neither. The register knows everything that ever left the gateway for it, so its evidence decides
what the ledger only believes. What a call goes through (`Fate`) is chosen by the seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Final

from gateway.errors import Unavailable, Uncertain
from gateway.message import CallContext
from gateway.ports import Clock, PreparedRequest
from schemas.hijri import to_hijri
from tests.simulation.loop import OWNER, Owner, VirtualLoop

FOREIGN: Final = "foreign-affairs"
#: How long a request may be on its way, and in the register's hands: what the settings promise of it.
DEADLINE_S: Final = 5.0
LONGEST_PROCESSING_S: Final = 10.0


def _pair(day: date) -> dict[str, Any]:
    return {"gregorian": day, "hijri": to_hijri(day)}


_DATES: Final = {
    "valid_from": _pair(date(2026, 12, 1)),
    "valid_until": _pair(date(2027, 1, 30)),
    "stay_until": _pair(date(2027, 2, 20)),
}


@dataclass(slots=True, eq=False)
class Call:
    """One request for a visa, from the moment its bytes left the gateway."""

    reference: str
    sent_at: float
    owner: Owner | None
    #: May still have its effect.
    pending: bool = True
    #: It issued a visa, or found the one it had issued under this reference.
    had_effect: bool = False
    #: The gateway's process read a whole answer at this moment, and which.
    told_at: float | None = None
    #: The answer says for certain that nothing was done: it may be made again.
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Visa:
    reference: str
    person: str
    number: str


@dataclass
class Register:
    """What Foreign Affairs has done: the evidence."""

    deduplicates: bool
    #: Proven absence is enough to send again.
    may_be_repeated: bool
    checks_persons: bool
    #: Told what must never happen.
    violate: Callable[[str, str], None]
    #: How the ledger has the intent under a reference.
    intent: Callable[[str], str | None]
    visas: dict[str, list[Visa]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    #: References that two operators decided to send again, with the number of calls made until then.
    sent_again: dict[str, int] = field(default_factory=dict)
    _full: set[str] = field(default_factory=set)
    _live: dict[str, str] = field(default_factory=dict)
    _issued: int = 0

    def leaves(self, call: Call) -> None:
        """A request's bytes leave the gateway. A repeat needs a register that recognises it."""
        earlier = self.calls.setdefault(call.reference, [])
        if self.intent(call.reference) != "open":
            self.violate("sent_without_an_intent", call.reference)
        if not self.deduplicates and any(before.pending or before.had_effect for before in earlier):
            self.violate("repeated_while_it_may_be_done", call.reference)
        since = self.sent_again.get(call.reference, 0)
        if not self.may_be_repeated and any(not before.denied for before in earlier[since:]):
            self.violate("repeated_after_doubt", call.reference)
        earlier.append(call)

    def issue(self, call: Call, person: str) -> Mapping[str, Any]:
        """Decide on a request, which ends it."""
        call.pending = False
        mine = self.visas.get(call.reference)
        if mine and self.deduplicates:
            call.had_effect = True
            return {"result": self._shown(mine[0])}
        trait = int(person[-2:])
        if 10 <= trait < 14:
            self.refused.add(call.reference)
            return {"service_error": {"code": "NOT_ELIGIBLE"}}
        if 14 <= trait < 20 and call.reference not in self._full:
            self._full.add(call.reference)
            return {"service_error": {"code": "MISSION_CAPACITY_EXCEEDED"}}
        live = self._live.get(person)
        if live is not None and self.checks_persons:
            under = next(visa for visas in self.visas.values() for visa in visas if visa.number == live)
            issued = {"request_reference": under.reference, "visa": self._shown(under)}
            return {"service_error": {"code": "ALREADY_ISSUED"}, "issued_under": issued}
        return {"result": self._shown(self._issue(call, person, twice=live is not None or bool(mine)))}

    def _issue(self, call: Call, person: str, *, twice: bool) -> Visa:
        self._issued += 1
        visa = Visa(call.reference, person, f"{6_000_000_000 + self._issued}")
        call.had_effect = True
        self.visas.setdefault(call.reference, []).append(visa)
        if twice:
            self.violate("issued_twice", call.reference)
        self._live[person] = visa.number
        return visa

    def _shown(self, visa: Visa) -> dict[str, Any]:
        return {"request_reference": visa.reference, "visa_number": visa.number, **_DATES}

    def status(self, reference: str) -> Mapping[str, Any]:
        """What became of a request, as far as it has come here."""
        visas = self.visas.get(reference)
        if not visas:
            found = {"refused": "NOT_ELIGIBLE"} if reference in self.refused else {"absent": ""}
        elif visas[0].number in self.cancelled:
            found = {"cancelled": visas[0].number}
        else:
            found = {"issued": self._shown(visas[0])}
        return {"result": {"request_reference": reference, **found}}

    def cancel(self, reference: str, number: str) -> Mapping[str, Any]:
        for visa in self.visas.get(reference, ()):
            if visa.number == number:
                self.cancelled.add(number)
                if self._live.get(visa.person) == number:
                    del self._live[visa.person]
        return {"result": {"request_reference": reference, "cancelled": number}}

    def live(self, reference: str) -> Visa | None:
        """The visa under that reference that holds."""
        return next(iter(self.all_live(reference)), None)

    def all_live(self, reference: str) -> Sequence[Visa]:
        """More than one where it was issued twice."""
        return [one for one in self.visas.get(reference, ()) if one.number not in self.cancelled]

    def may_still_act(self, reference: str) -> bool:
        """Whether a request under that reference is on its way or in hand."""
        return any(call.pending for call in self.calls.get(reference, ()))


@dataclass
class Weather:
    """How the network and the partners do: `roughness` is the part of calls that meet with something."""

    random: Random
    roughness: float
    #: By destination: until when nobody answers the door, and until when it swallows what it is told.
    down_until: dict[str, float] = field(default_factory=dict)
    silent_until: dict[str, float] = field(default_factory=dict)

    def fate(self, destination: str, now: float) -> str:
        if now < self.down_until.get(destination, 0.0):
            return "refused"
        if now < self.silent_until.get(destination, 0.0):
            return self.random.choice(("lost_before", "lost_after"))
        if self.random.random() >= self.roughness:
            return "well"
        return self.random.choice(_FATES)


#: What may happen to a call, beside that it goes well.
_FATES: Final = (
    "refused",  # no connection: provably not done
    "busy",  # a fault that the contract lists as definite: not done
    "dropped_before",  # the connection drops before the request is acted on
    "dropped_after",  # … after
    "lost_before",  # swallowed: nothing is done, nothing is said
    "lost_after",  # done, and nothing is said
    "late",  # takes as long as is promised at most: the effect comes after we gave up
    "garbage_before",  # 503, or HTML: a whole reply that can't be trusted; nothing was done
    "garbage_after",  # … and it was done
)


class Network:
    """All partner systems of one run."""

    def __init__(
        self,
        loop: VirtualLoop,
        register: Register,
        weather: Weather,
        noted: Callable[..., None],
    ) -> None:
        self.loop = loop
        self.register = register
        self.weather = weather
        self.noted = noted
        #: (message, destination, operation) of each request that reached a partner.
        self.reached: set[tuple[str, str, str]] = set()
        self._pending: dict[str, int] = {}

    def handle(self, request: Request, call: Call | None) -> Mapping[str, Any]:
        """The partner acts on a request and answers."""
        self.reached.add((request.message_id, request.destination, request.operation))
        values = request.values
        match request.action:
            case "IssueVisa":
                assert call is not None
                passport = values["passport"]
                return self.register.issue(call, f"{passport['issuing_state']}/{passport['number']}")
            case "GetVisaStatus":
                return self.register.status(values["request_reference"])
            case "CancelVisa":
                return self.register.cancel(values["request_reference"], values["visa_number"])
            case "CheckClearance":
                return self._clear(values["person"]["passport_number"], request)
            case "InquireClearance":
                return self._clear(values["reference"].partition("/")[2], request)
            case _:
                lost = int(values["passport_number"][-2:]) in (8, 9)
                return {"result": {"status": "LOST" if lost else "VALID"}}

    def _clear(self, passport: str, request: Request) -> Mapping[str, Any]:
        trait = int(passport[-2:])
        if trait < 4:
            return {"result": {"status": "HIT"}}
        asked = self._pending[passport] = self._pending.get(passport, 0) + 1
        if trait < 8 and asked <= 2:
            return {"result": {"status": "PENDING", "reference": f"nic/{passport}"}}
        return {"result": {"status": "CLEAR"}}


@dataclass(frozen=True, slots=True)
class Request:
    """What a partner is asked, and for which message."""

    destination: str
    action: str
    message_id: str
    #: The operation's own part of its name: `visa_issuance`.
    operation: str
    reference: str
    values: Mapping[str, Any]


class SimulatedPartner:
    """See `gateway.ports.Partner`: one process's way to one destination."""

    def __init__(self, destination: str, network: Network, clock: Clock, random: Random) -> None:
        self._destination = destination
        self._network = network
        self._clock = clock
        self._random = random

    def prepare(self, action: str, values: Mapping[str, Any], context: CallContext) -> PreparedRequest:
        operation = context.request_reference.rpartition("/")[2]
        request = Request(
            self._destination, action, context.message_id, operation, context.request_reference, values
        )
        return PreparedRequest(action, request, context.message_id)  # type: ignore[arg-type]

    async def send(self, request: PreparedRequest, *, send_by_boottime_s: float) -> Mapping[str, Any]:
        asked: Request = request.body  # type: ignore[assignment]
        network = self._network
        fate = network.weather.fate(self._destination, network.loop.time())
        await asyncio.sleep(self._random.random() * 0.01)  # connecting
        if fate == "refused":
            raise Unavailable("not_connected")
        if self._clock.boottime_s() > send_by_boottime_s:
            raise Unavailable("send_by_passed")
        # From here on nothing waits until the bytes have left.
        answer, call = self._leave(asked, fate)
        try:
            async with asyncio.timeout(DEADLINE_S):
                values = await answer
        except TimeoutError:
            network.noted("timeout", asked.message_id, asked.action)
            raise Uncertain("reply_timeout") from None
        except Unavailable:
            if call is not None:
                call.denied = True
            raise
        network.noted("answer", asked.message_id, asked.action)
        if call is not None:
            call.told_at, call.denied = network.loop.time(), not call.had_effect
        return values

    async def close(self) -> None:
        return None

    def _leave(self, asked: Request, fate: str) -> tuple[asyncio.Future[Any], Call | None]:
        network, loop = self._network, self._network.loop
        network.noted("send", asked.message_id, asked.action, fate)
        answer: asyncio.Future[Any] = loop.create_future()
        call = None
        if asked.action == "IssueVisa":
            call = Call(asked.reference, loop.time(), OWNER.get())
            network.register.leaves(call)
            network.noted("issue", asked.message_id)
        token = OWNER.set(None)
        try:
            loop.call_later(self._until_decided(fate), self._decide, asked, call, fate, answer)
        finally:
            OWNER.reset(token)
        return answer, call

    def _until_decided(self, fate: str) -> float:
        if fate == "late":
            # On its way for a whole deadline, then in their hands for as long as they ever take.
            return self._random.uniform(0.75, 1.0) * (DEADLINE_S + LONGEST_PROCESSING_S)
        return 0.001 + self._random.random() ** 3 * 2.0

    def _decide(self, asked: Request, call: Call | None, fate: str, answer: asyncio.Future[Any]) -> None:
        """In the partner's world: the request arrives, or never does, and something comes back."""
        network = self._network
        if fate == "busy" or fate.endswith("_before"):
            if call is not None:
                call.pending = False
            values = None
        else:
            values = network.handle(asked, call)
            network.noted("act", asked.message_id, asked.action)
        if answer.done():
            return
        if fate == "busy":
            answer.set_exception(Unavailable("fault_TOO_MANY_REQUESTS"))
        elif fate.startswith("dropped"):
            answer.set_exception(Uncertain("connection_lost"))
        elif fate.startswith("garbage"):
            answer.set_exception(Uncertain("reply_unreadable", answered=True))
        elif not fate.startswith("lost"):
            answer.set_result(values)
