"""`version`: the gateway, Python and SQLite."""

from __future__ import annotations

import platform
import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from gateway.ledger.sqlite.connection import SQLITE_VERSION

NAME: Final = "umrah-gateway"
_PROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"


def versions() -> dict[str, str]:
    """By name."""
    return {NAME: gateway_version(), "python": platform.python_version(), "sqlite": SQLITE_VERSION}


def gateway_version() -> str:
    """As installed; in a checkout that is not installed, as its project file says."""
    try:
        return installed(NAME)
    except PackageNotFoundError:
        return str(tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["version"])
