"""The wall clock jumps, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.clocks import JumpingClock, library
from tests.required import required

_LOOKS = """
import sys, time
for line in sys.stdin:
    time.sleep(0.01)
    print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), flush=True)
"""


@pytest.mark.processes
def test_a_process_sees_the_wall_clock_jump_and_the_boot_time_clock_go_on(tmp_path: Path) -> None:
    required("libfaketime", library())
    clock = JumpingClock(tmp_path / "offset")
    with subprocess.Popen(
        [sys.executable, "-c", _LOOKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **clock.env},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        seen = []
        for offset_s in (0, 3600, -3600):
            clock.jump_to(offset_s)
            process.stdin.write("\n")
            process.stdin.flush()
            seen.append([float(text) for text in process.stdout.readline().split()])
        process.stdin.close()
    walls, boots = zip(*seen, strict=True)
    assert walls[1] - walls[0] == pytest.approx(3600, abs=30)
    assert walls[2] - walls[0] == pytest.approx(-3600, abs=30)
    assert 0 < boots[2] - boots[0] < 30
