from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from kombu import Connection, Exchange
from kombu.transport.memory import Channel, Transport

from gateway.bus.bus import Bus
from gateway.bus.consumer import Intake
from gateway.bus.link import Broker
from gateway.message import PartyId
from tests.bus.broker import PrivateBroker
from tests.bus.doubles import NOW, Department, Desk, Keys, Noted, Outbox
from tests.required import required

RECEIVERS = ("licensing", "pilgrim-services", "committee")
QUEUES = ("umrah.commands", "umrah.commands.rejected", *(f"umrah.events.{each}" for each in RECEIVERS))


@dataclass
class Network:
    """A bus between a gateway of doubles and the ministry's departments."""

    url: str
    outbox: Outbox = field(default_factory=Outbox)
    desk: Desk = field(default_factory=Desk)
    noted: Noted = field(default_factory=Noted)
    keys: Keys = field(default_factory=lambda: Keys(*RECEIVERS))
    encryption: dict[str, OKPKey] = field(
        default_factory=lambda: {each: OKPKey.generate_key("X25519") for each in RECEIVERS}
    )
    buses: list[Bus] = field(default_factory=list)
    departments: list[Department] = field(default_factory=list)
    broker: Broker | None = None

    async def start(self, *, intake: Intake | None = None) -> Bus:
        """A running bus with both sides connected."""
        bus = self.make(intake=intake)
        await bus.start()
        # Connected twice: both directions, whichever is first.
        await self.noted.heard("connected", "publisher", True)
        await self.noted.heard("connected", "consumer", True)
        return bus

    def make(self, *, intake: Intake | None = None) -> Bus:
        publics = {
            PartyId(party): OKPKey.import_key(key.as_pem(private=False))
            for party, key in self.encryption.items()
        }
        bus = Bus(
            self.broker or Broker(self.url, first_retry_s=0.05, longest_retry_s=1.0, confirm_timeout_s=3.0),
            outgoing=self.outbox,
            receivers=publics,
            take=self.desk,
            keys=self.keys,
            intake=intake or Intake(kinds={"licensee.status": 1}, first_pause_s=0.02, max_bytes=100_000),
            now=lambda: NOW,
            watch=self.noted,
            idle_s=0.2,
        )
        self.buses.append(bus)
        return bus

    def department(self, party: str = "licensing") -> Department:
        department = Department(self.url, party, self.keys)
        self.departments.append(department)
        return department

    async def close(self) -> None:
        for department in self.departments:
            department.close()
        for bus in self.buses:
            assert await bus.stop()


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """One private broker for all the tests here."""
    required("RabbitMQ (rabbitmq-server)", PrivateBroker.script())
    broker = PrivateBroker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(params=["memory", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """Each test once in memory and once on the real broker."""
    if request.param == "memory":
        empty_memory()
        return "memory://"
    broker: PrivateBroker = request.getfixturevalue("rabbitmq")
    empty_broker(broker.url)
    return broker.url


@pytest.fixture
def rabbitmq_url(rabbitmq: PrivateBroker) -> str:
    """For what only a real broker does."""
    empty_broker(rabbitmq.url)
    return rabbitmq.url


@pytest.fixture
async def network(broker_url: str) -> AsyncIterator[Network]:
    made = Network(broker_url)
    yield made
    await made.close()


@pytest.fixture
async def real_network(rabbitmq_url: str) -> AsyncIterator[Network]:
    made = Network(rabbitmq_url)
    yield made
    await made.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def empty_memory() -> None:
    Channel.queues.clear()
    Transport.global_state.clear()


def empty_broker(url: str) -> None:
    """As on its first day."""
    with Connection(url) as connection:
        for name in QUEUES:
            with connection.channel() as channel:
                channel.queue_delete(name)
        for name in ("umrah.events", "umrah.commands"):
            with connection.channel() as channel:
                Exchange(name)(channel).delete()
