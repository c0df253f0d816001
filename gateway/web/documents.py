"""What the gateway says about itself: `/openapi.json`, `/docs`, and a page for each problem code."""

from __future__ import annotations

import json
from datetime import date

from aiohttp import web

from gateway.errors import Refused
from gateway.web import openapi
from gateway.web.docs_page import POLICY, docs_page, problem_page
from gateway.web.openapi import Writers
from schemas import catalogue


class Documents:
    """Open to everyone. The two documents are rendered once, before the first request."""

    def __init__(self, base_url: str, today: date, writers: Writers) -> None:
        document = openapi.document(base_url, today, writers)
        self._openapi = json.dumps(document, ensure_ascii=False, indent=1).encode()
        self._docs = docs_page(document).encode()

    def routes(self) -> list[web.RouteDef]:
        """All three."""
        return [
            web.route("GET", "/openapi.json", self.openapi, allow_head=False),
            web.route("GET", "/docs", self.docs, allow_head=False),
            web.route("GET", "/problems/{code}", self.problem, allow_head=False),
        ]

    async def openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")

    async def docs(self, _request: web.Request) -> web.Response:
        return _page(self._docs)

    async def problem(self, request: web.Request) -> web.Response:
        entry = catalogue.CODES.get(request.match_info["code"])
        if entry is None:
            raise Refused("not_found", status=404)
        return _page(problem_page(entry).encode())


def _page(body: bytes) -> web.Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)
