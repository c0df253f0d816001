"""Prometheus' own tool, where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def promtool(*arguments: str | Path) -> str:
    """Its output. Fails the test where it finds a fault; skips it where there is no promtool."""
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("GATEWAY_REQUIRE_SERVICES") == "1":
            pytest.fail("promtool is not installed (make services)")
        pytest.skip("promtool is not installed (make services)")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told
