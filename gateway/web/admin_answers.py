"""How the admin listener answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web


def as_json(document: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """The document, whatever its language, as it is."""
    body = json.dumps(document, ensure_ascii=False).encode()
    return web.Response(status=status, body=body, content_type="application/json")
