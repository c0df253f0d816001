from __future__ import annotations

import asyncio

import pytest

from gateway.clock import SystemClock
from tests.canary.performance import Performed, perform
from tests.canary.play import small


@pytest.fixture(scope="session")
def performed(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    """The small play, once for all the tests here."""
    folder = tmp_path_factory.mktemp("canary")
    return asyncio.run(perform(folder, small, SystemClock().today()))
