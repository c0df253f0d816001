from __future__ import annotations

from tests.web.conftest import site, world

__all__ = ["site", "world"]
