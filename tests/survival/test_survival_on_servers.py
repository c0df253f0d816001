"""The same as `test_survival.py` on PostgreSQL and RabbitMQ: two gateways, and what only they have."""

from __future__ import annotations

import pytest

from tests.survival.home import SERVERS
from tests.survival.table import Ground, shown_to_hold

pytestmark = pytest.mark.processes

#: What takes longest comes first.
ROWS = ("broker", "kills", "rolling", "database", "frozen", "disk-full")


@pytest.mark.parametrize("name", ROWS)
def test_what_was_accepted_survives(ground: Ground, name: str) -> None:
    shown_to_hold(ground, name, SERVERS)
