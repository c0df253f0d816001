"""Every fault of docs/survival.md in short: nothing accepted is lost, no visa is issued twice.

What differs between engines is run on both: here on SQLite, and in `test_survival_on_servers.py`.
`make survive` runs the same rows with more of each, `make survive-long` with many.
"""

from __future__ import annotations

import pytest

from tests.survival.home import SQLITE
from tests.survival.table import Ground, shown_to_hold

pytestmark = pytest.mark.processes

#: What takes longest comes first: whoever is done with this file waits for nobody.
ROWS = (
    "kills",
    "partner-down-foreign-affairs",
    "partner-garbage-gosi",
    "frozen",
    "disk-full",
    "disk-io-error",
    "kills-shared-can-be-asked",
    "kills-can-be-asked",
    "kills-neither",
    "clock",
)


@pytest.mark.parametrize("name", ROWS)
def test_what_was_accepted_survives(ground: Ground, name: str) -> None:
    row = shown_to_hold(ground, name, SQLITE)
    if name == "kills-neither":
        assert row.other["under_review"] > 0
    if name.startswith("disk"):
        assert row.other["held_up"] > 0
