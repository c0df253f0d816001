"""What a test needs beside Python: it skips without it, and fails where everything must be there."""

from __future__ import annotations

import os

import pytest


def required(what: str, found: object) -> None:
    """Skip without `what`; fail where everything must be there."""
    if found:
        return
    if os.environ.get("GATEWAY_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is not installed (make services)")
    pytest.skip(f"{what} is not installed (make services)")
