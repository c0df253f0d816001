"""The departments and the committee over the ministry's broker: commands out, events from their own queues.

A command has no reply: what became of it is looked up as an operator would.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from cli.season.players import Answer, Operator, Party, Unexpected
from gateway.bus.department import Department, Event, PrivateKeys
from gateway.bus.keys import demo_encryption_key_path
from gateway.bus.link import Broker
from gateway.bus.topology import REJECTED
from gateway.bus.vacancy import in_use
from gateway.errors import Misconfigured
from gateway.web.tokens import demo_key_path

#: Longest wait for a command to be taken, or for an event to come.
_PATIENCE_S: Final = 30.0
_QUIET_S: Final = 0.2
_LOOK_AGAIN_S: Final = 0.01


@dataclass(slots=True)
class BusOffice:
    """A department on the bus. Reads past messages over HTTP, with the same key: a queue has no past."""

    department: Department
    over_http: Party
    operator: Operator
    broker: str = field(repr=False)
    #: Everything that came to its queue, in the order in which it came.
    came: list[Event] = field(default_factory=list)
    #: The newest message of each kind that it sent.
    _newest: dict[str, str] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: A connection is for one thread.
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "department"))

    @classmethod
    def of(cls, party: Party, operator: Operator, broker: str) -> BusOffice:
        """The party that speaks over HTTP otherwise, with its demo keys."""
        keys = PrivateKeys.load(
            demo_key_path(party.data, party.id), demo_encryption_key_path(party.data, party.id)
        )
        return cls(Department(_patient(broker), party.id, keys), party, operator, broker)

    @property
    def id(self) -> str:
        return self.over_http.id

    async def send(self, kind: str, /, **fields: Any) -> Answer:
        """One command, and the message that it became. Raises `Unexpected` unless it is taken."""
        body = {name: value for name, value in fields.items() if value is not None}
        async with self._one_at_a_time:
            await self._on_thread(lambda: self.department.send(kind, body))
            message_id = await self._taken(kind)
        return Answer(202, {"message_id": message_id})

    async def notifications(self) -> list[dict[str, Any]]:
        """What came since it read last, once everything is there that the gateway has for it.

        An event that comes again is dropped here, as a department must. Too few or too many are a fault
        that the season's checks find: they count what came.
        """
        expected = sum(tally["count"] for tally in meant_for({self.id}, await self.operator.census()))
        async with self._one_at_a_time:
            known = {event.id for event in self.came}
            before = len(self.came)
            await self._on_thread(lambda: self._read(expected))
            new = {event.id: event for event in self.came[before:] if event.id not in known}
        return [{"kind": event.kind, "data": event.data} for event in new.values()]

    async def get(self, path: str) -> Any:
        """A document, over HTTP."""
        return await self.over_http.get(path)

    async def close(self) -> None:
        """Leave the broker."""
        await self._on_thread(self.department.close)
        self._thread.shutdown()

    async def _taken(self, kind: str) -> str:
        after = f"&after={self._newest[kind]}" if kind in self._newest else ""
        path = f"/v1/admin/messages?kind={kind}&party={self.id}&limit=1000{after}"
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not (found := (await self.operator.get(path))["messages"]):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError as error:
            raise Unexpected(f"{self.id} {kind}: the command was not taken; see {REJECTED}") from error
        self._newest[kind] = str(found[-1]["id"])
        return self._newest[kind]

    def _read(self, expected: int) -> None:
        quiet_for = 0.0
        while quiet_for < _PATIENCE_S:
            before = len(self.came)
            self.came.extend(self.department.events(_QUIET_S))
            quiet_for = 0.0 if len(self.came) > before else quiet_for + _QUIET_S
            if len(self.came) >= expected:
                return

    async def _on_thread(self, work: Callable[[], object]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _patient(url: str) -> Broker:
    """Without heartbeats: between two acts nobody looks after the connection."""
    return Broker(url, heartbeat_s=0)


def check_vacant(url: str, receivers: Iterable[str]) -> None:
    """The season reads whole queues: it must not be let loose on those of others. Raises `Misconfigured`."""
    if not url.startswith(("amqp://", "amqps://")):
        raise Misconfigured(["--broker: give an address such as amqp://user:password@host:5672/season"])
    if busy := in_use(_patient(url), receivers):
        raise Misconfigured([f"--broker: in use ({', '.join(busy)}): give a virtual host of its own"])


async def none_set_aside(office: BusOffice) -> bool:
    """Whether the queue of rejected commands, which those who run the network read, is empty."""
    return REJECTED not in await asyncio.to_thread(in_use, _patient(office.broker), ())


def meant_for(receivers: Iterable[str], census: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """What the gateway's outbox holds for them, by kind."""
    wanted = set(receivers)
    return (tally for tally in census if tally["what"] == "event" and tally["detail"] in wanted)


def as_it_came(
    census: Iterable[Mapping[str, Any]], came: Mapping[str, Iterable[Event]]
) -> list[Mapping[str, Any]]:
    """The census, its events for these receivers counted on their queues and nowhere else."""
    counted = {receiver: Counter(event.kind for event in events) for receiver, events in came.items()}
    return [
        {**tally, "count": counted[tally["detail"]][tally["name"]]}
        if tally["what"] == "event" and tally["detail"] in counted
        else tally
        for tally in census
    ]
