from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One installation for all rows: each must leave it as good as it was."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is read from /proc, which only Linux has")
    # A machine that runs other tests meanwhile is given more time for a partner's call.
    made = Site(Path(tmp_path_factory.mktemp("hostile")), deadline_s=2.0)
    try:
        made.start()
        yield made
    finally:
        made.stop()
