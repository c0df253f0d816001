"""The order in which files are handed to the processes that share the tests."""

from __future__ import annotations

from typing import Final

import pytest

#: What takes longest comes first, so that nobody waits at the end for one file.
_FIRST: Final = (
    "tests/survival/",
    "tests/cli/test_backup.py",
    "tests/interop/",
    "tests/season/",
    "tests/cli/test_workers.py",
    "tests/bus/",
    "tests/simulation/",
    "tests/canary/",
    "tests/cli/",
    "tests/ledger/",
    "tests/hostile/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within a file the order stays."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    return next((place for place, start in enumerate(_FIRST) if nodeid.startswith(start)), len(_FIRST))
