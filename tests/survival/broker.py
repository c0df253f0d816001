"""RabbitMQ killed and connections reset while commands and events pass; judged by what each side kept.

What was told is what the ledger's outbox holds, read over HTTP; what arrived is what a department saw.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from gateway.bus.topology import EVENTS
from tests.faults.proxy import FaultProxy, Weather
from tests.survival.center import Center
from tests.survival.department import (
    KIND,
    RECEIVERS,
    Listener,
    Sender,
    aside,
    inspection,
    keys_of,
    settled,
    until,
)
from tests.survival.home import Home, Servers
from tests.survival.row import Row, judge

_PAGE: Final = 1000
#: A leader that died is followed within its lease.
_REACHED_WITHIN_S: Final = 16
#: For a connection, and for the next event.
_COMES_WITHIN_S: Final = 30
#: Numbers of inspections that no sender uses.
_OVER_HTTP: Final = 900_000


@dataclass
class BrokerFaults:
    """Everybody reaches the broker through `proxy`."""

    home: Home
    center: Center
    servers: Servers
    proxy: FaultProxy
    commands: int
    seed: int = 1
    #: Points at which a gateway that talks to the broker dies, one after each kill of the broker.
    points: tuple[str, ...] = ("before_mark", "before_ack", "after_take")
    #: How often events are published that never arrive, before the connection breaks.
    publishes: int = 3
    #: What has not arrived when nothing has for so long (more than a reconnection takes) does not arrive.
    still_s: float = 12
    #: Broker's outages during which a batch was accepted and came to its end.
    went_on: int = 0
    died: list[str] = field(default_factory=list)

    def run(self, kills: int, resets: int, *, seconds: float | None = None) -> Row:
        self._random = random.Random(self.seed)
        began = time.monotonic()
        for number in range(self.home.gateways):
            self.home.start(number)
        url = self.servers.rabbitmq.url.replace(f":{self.servers.rabbitmq.port}", f":{self.proxy.port}")
        sender = Sender(url, keys_of(RECEIVERS[0], self.home.data), self.commands)
        listeners = [Listener(url, party, keys_of(party, self.home.data)) for party in RECEIVERS]
        threads = [aside(listener.run) for listener in listeners]
        self._lose_publishes(listeners)
        threads.insert(0, aside(sender.run))
        done = self._break_things(kills, resets, began, seconds)
        sender.enough.set()
        if seconds is not None:
            sender.stopping.set()
        threads[0].join(600)
        row = self._judge(sender, listeners, done, began)
        for listener in listeners:
            listener.stopping.set()
        for thread in threads:
            thread.join(20)
        return row

    def _lose_publishes(self, listeners: list[Listener]) -> None:
        """Events are published, never arrive, and then the connection breaks."""
        for number in range(self.publishes):
            before = _arrived(listeners)
            self._inspect(2 * number)
            until(lambda before=before: _arrived(listeners) > before, _COMES_WITHIN_S)  # type: ignore[misc]
            self.proxy.swallowed.clear()
            self.proxy.weather = Weather(drop_to_server=True)
            self._inspect(2 * number + 1)
            until(lambda: self.proxy.swallowed.count(EVENTS.encode()) >= len(RECEIVERS), _COMES_WITHIN_S)
            self.proxy.reset()
            self.proxy.clear()

    def _inspect(self, number: int) -> None:
        """A command that does not come through the broker."""
        desk, body = Center(self.home, party=RECEIVERS[0]), inspection(_OVER_HTTP + number)
        content = {"Content-Type": "application/json"}
        if desk.request("POST", f"/v1/messages/{KIND}", json.dumps(body).encode(), content).status >= 300:
            raise AssertionError("an inspection was not taken")

    def _break_things(self, kills: int, resets: int, began: float, seconds: float | None) -> int:
        """Resets all the time, a kill of the broker and one of a gateway in between. How often."""
        each = max(1, resets // max(1, kills))
        for done in range(kills):
            if seconds is not None and time.monotonic() - began > seconds:
                return done
            for number in range(each):
                self._reset(lost=number % 2 == 0)
            self._outage()
            self._die_at(self.points[done % len(self.points)])
        return kills

    def _reset(self, *, lost: bool) -> None:
        """Every connection is reset; with `lost`, what was said shortly before never arrived either."""
        time.sleep(self._random.uniform(0.05, 0.4))
        if lost:
            self.proxy.weather = Weather(drop_to_server=True)
            time.sleep(self._random.uniform(0.0, 0.05))
        self.proxy.reset()
        self.proxy.clear()

    def _outage(self) -> None:
        self.servers.rabbitmq.kill()
        self.went_on += self._a_batch_goes_through()
        self.servers.rabbitmq.start()

    def _a_batch_goes_through(self) -> bool:
        before = set(self.center.receipts.values())
        if not self.center.submit():
            return False
        new = set(self.center.receipts.values()) - before
        return until(lambda: not self.center.open_batches(new), 10)

    def _die_at(self, point: str) -> None:
        """All gateways go; the first starts anew, alone, and dies at a point of the bus; then all run on.

        Alone, because one of several talks to the broker, and another would go on talking.
        """
        for number in range(self.home.gateways):
            self.home.end(number)
        process = self.home.start(0, point)
        if process.ended_within(_REACHED_WITHIN_S):
            self.died.append(point)
        self.home.kill(0)
        for number in range(self.home.gateways):
            self.home.start(number)

    # the judge

    def _judge(self, sender: Sender, listeners: list[Listener], kills: int, began: float) -> Row:
        told = {
            listener.party: self._told(listener, len(sender.confirmed) + 2 * self.publishes)
            for listener in listeners
        }
        missing = sum(len(told[listener.party].keys() - listener.seen.keys()) for listener in listeners)
        taken = {event["data"]["report_id"] for event in told[RECEIVERS[0]].values()}
        untaken = len(set(sender.confirmed) - taken)
        twice = sum(
            len(events) - len({one["data"]["report_id"] for one in events.values()})
            for events in told.values()
        )
        broken = [
            f"{listener.party} saw events out of order"
            for listener in listeners
            if list(listener.seen) != [id for id in told[listener.party] if id in listener.seen]
        ]
        broken += [f"{twice} commands taken twice"] if twice else []
        broken += (
            [f"{kills - self.went_on} outages held up intake or carrying"] if kills > self.went_on else []
        )
        row = judge(
            self.center,
            "RabbitMQ killed, connections to it reset",
            kills,
            broken=broken,
            resets=self.proxy.resets,
            publishes_lost=self.publishes,
            commands=len(sender.confirmed),
            commands_repeated=sender.repeated,
            commands_lost=untaken,
            events=sum(len(events) for events in told.values()),
            events_repeated=sum(listener.repeated for listener in listeners),
            events_lost=missing,
            outages_gone_through=self.went_on,
            gateway_died_at={point: self.died.count(point) for point in self.points},
            seconds=round(time.monotonic() - began),
        )
        row.lost += missing + untaken
        return row

    def _told(self, listener: Listener, commands: int) -> dict[str, dict[str, Any]]:
        """Every event of the outbox for this department, once it is complete and has arrived, or won't."""
        outbox = Outbox(Center(self.home, party=listener.party))
        settled(lambda: len(outbox.read()) >= commands, lambda: len(outbox.events), self.still_s)
        settled(
            lambda: outbox.events.keys() <= listener.seen.keys(), lambda: len(listener.seen), self.still_s
        )
        return outbox.read()


def _arrived(listeners: list[Listener]) -> int:
    """Events that each of them has seen."""
    return min(len(listener.seen) for listener in listeners)


@dataclass
class Outbox:
    """What the ledger holds for a party, by id and in order; each `read` goes on where the last one ended."""

    reader: Center
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    _cursor: str = "0"

    def read(self) -> dict[str, dict[str, Any]]:
        while True:
            query = urlencode({"cursor": self._cursor, "limit": _PAGE})
            answer = self.reader.request("GET", f"/v1/notifications?{query}")
            if answer.status != 200:
                time.sleep(0.1)
                continue
            page = answer.body["notifications"]
            self.events |= {one["id"]: one for one in page if one["kind"] == KIND}
            self._cursor = answer.body["cursor"]
            if len(page) < _PAGE:
                return self.events
