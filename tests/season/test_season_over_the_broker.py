"""The ministry over a real RabbitMQ, the ledger on a real PostgreSQL: the same flows, the same proof."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.season.invariants import all_came, came_once_in_order
from cli.season.run import Wanted
from gateway.bus.link import Broker
from gateway.bus.vacancy import in_use
from tests import postgresql
from tests.bus.broker import PrivateBroker
from tests.required import required
from tests.season.conftest import Played, play

pytestmark = pytest.mark.processes

#: The fewest with which a plan is too small for somebody: three a month for each licensee.
_FEWEST = 315
_OFFICES = ("licensing", "pilgrim-services", "committee")


@pytest.fixture(scope="module")
def over_the_broker(rabbitmq: PrivateBroker) -> Iterator[Played]:
    required("PostgreSQL", postgresql.available())
    with postgresql.server() as server:
        yield play(Wanted(_FEWEST, broker=rabbitmq.url, database=server.emptied()))


def test_every_flow_is_carried_with_the_ministry_on_the_bus(over_the_broker: Played) -> None:
    proof = over_the_broker.proof
    assert [found.row for found in proof.rows if not found.count] == []
    assert [what for what, held in proof.held if not held] == []
    checked = {what for what, _ in proof.held}
    assert {all_came((), {})[0], came_once_in_order({})[0], "no command was set aside"} <= checked


def test_it_says_what_it_runs_on(over_the_broker: Played) -> None:
    assert "PostgreSQL, RabbitMQ for the ministry" in over_the_broker.progress


def test_each_department_read_its_own_queue(over_the_broker: Played) -> None:
    came = over_the_broker.proof.came
    assert tuple(came) == _OFFICES
    assert all(came.values())
    assert "read from the ministry's queues: licensing " in over_the_broker.told


@pytest.mark.usefixtures("over_the_broker")
def test_no_queue_holds_anything_afterwards(rabbitmq: PrivateBroker) -> None:
    assert in_use(Broker(rabbitmq.url), _OFFICES) == []
