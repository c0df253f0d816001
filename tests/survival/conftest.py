from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.survival.table import Ground


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """Servers and the process that gateways are forked off, for all the tests here."""
    with Ground() as ready:
        yield ready
