"""The HTTP API of the service centers: batches in, receipts and results out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, get_args

from aiohttp import web

from gateway.errors import Refused, Unavailable
from gateway.message import BatchId, MessageId, PartyId
from gateway.pipeline import report, wishes
from gateway.pipeline.admit import admit
from gateway.pipeline.engine import Engine
from gateway.pipeline.intake import Mode, Receipt, Submission
from gateway.ports import BatchReader, ResultWriter
from gateway.states import PublicState
from gateway.web import query
from gateway.web.body import BodyLimits, check_headers, decoded
from gateway.web.caller import Door, idempotency_key
from gateway.web.checkpoints import latest_checkpoint
from gateway.web.middleware import expect_later
from gateway.web.negotiation import media_type
from gateway.web.places import Places
from gateway.web.problems import rejected_lines
from gateway.web.streaming import stream

Readers = Mapping[str, BatchReader]
#: By media type: makes the writer of one document.
Writers = Mapping[str, Callable[[], ResultWriter]]

_DEFAULT_PAGE: Final = 100


class Batches:
    """The handlers, and how many batches are being received right now."""

    def __init__(
        self,
        engine: Engine,
        door: Door,
        readers: Readers,
        writers: Writers,
        base_url: str,
        intake_open: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._door = door
        self._readers = readers
        self._writers = writers
        self._base_url = base_url
        self._intake_open = intake_open
        self._receiving = Places()

    def routes(self) -> list[web.RouteDef]:
        """Everything a center can call."""
        return [
            web.route("POST", "/v1/batches", self.submit, expect_handler=expect_later),
            web.route("GET", "/v1/batches/{id}", self.status, allow_head=False),
            web.route("GET", "/v1/batches/{id}/applications", self.page, allow_head=False),
            web.route("GET", "/v1/batches/{id}/results", self.results, allow_head=False),
            web.route("GET", "/v1/batches/{id}/rejected", self.rejected, allow_head=False),
            web.route("POST", "/v1/batches/{id}/confirm", self.confirm),
            web.route("POST", "/v1/batches/{id}/cancel", self.cancel),
            web.route("POST", "/v1/applications/{id}/cancel", self.cancel_application),
        ]

    # in

    async def submit(self, request: web.Request) -> web.Response:
        """Who, then what the headers say, then the body: nothing is read for a request that is refused."""
        credential = self._door.center(request)
        key = idempotency_key(request, required=True) or ""
        given = query.parameters(request, "mode", "dry_run")
        media = self._media_type(request)
        limits = self._limits()
        check_headers(request, limits)
        self._door.may_send_batch(credential.party_id)
        async with self._place(credential.party_id):
            await self._door.use(credential, request, key)
            submission = Submission(
                party=credential.party_id,
                idempotency_key=key,
                media_type=media,
                mode=_mode(given),
                dry_run=query.flag(given, "dry_run"),
                reader=self._readers[media],
                body=decoded(request, limits),
            )
            receipt = await admit(submission, self._engine)
        self._door.count_lines(credential.party_id, receipt.counts.get("total", 0))
        return self._receipt(receipt)

    def _media_type(self, request: web.Request) -> str:
        media = request.content_type
        if media not in self._readers:
            raise Refused("unsupported_media_type", status=415)
        if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
            raise Refused("encoding_not_utf8", status=415)
        return media

    def _limits(self) -> BodyLimits:
        intake = self._engine.settings.gateway.intake
        return BodyLimits(intake.max_batch_bytes, intake.header_timeout_s, intake.body_timeout_s)

    def _place(self, party: PartyId) -> AbstractAsyncContextManager[None]:
        """A place for a batch being received. Raises `Unavailable`, and `RateLimited` once it is entered."""
        if not self._intake_open():
            raise Unavailable("intake_closed")
        self._engine.refuse_under_pressure()
        intake = self._engine.settings.gateway.intake
        return self._receiving.soon(party, intake.max_concurrent_batches, intake.wait_for_place_s)

    def _receipt(self, receipt: Receipt) -> web.Response:
        document = {
            "batch_id": receipt.batch_id,
            "state": "validated" if receipt.dry_run else "processing",
            "counts": dict(receipt.counts),
            "rejected": list(map(self._engine.need_to_know.rejection, rejected_lines(receipt.rejected))),
            "more_rejected": receipt.more_rejected,
            "checkpoint": latest_checkpoint(self._engine),
        }
        if receipt.batch_id is None:
            return _json(document)
        headers = {"Location": f"{self._base_url}/v1/batches/{receipt.batch_id}"}
        if receipt.replayed:
            headers["Idempotency-Replayed"] = "true"
        return _json(document, status=202, headers=headers)

    # out

    async def status(self, request: web.Request) -> web.Response:
        party = self._door.center(request).party_id
        query.parameters(request)
        found = await report.batch_status(party, BatchId(query.path_id(request)), self._engine)
        return _json({**found, "checkpoint": latest_checkpoint(self._engine)})

    async def page(self, request: web.Request) -> web.Response:
        party = self._door.center(request).party_id
        given = query.parameters(request, "state", "cursor", "limit")
        page = await report.page(
            party,
            BatchId(query.path_id(request)),
            self._engine,
            state=query.choice(given, "state", PublicState),
            cursor=given.get("cursor"),
            limit=query.number(given, "limit", _DEFAULT_PAGE, most=report.MAX_LIMIT),
        )
        return _json(page)

    async def results(self, request: web.Request) -> web.StreamResponse:
        """Every line's result, written while it is read from the ledger."""
        party = self._door.center(request).party_id
        query.parameters(request)
        batch_id = BatchId(query.path_id(request))
        media = media_type(request.headers.get("Accept"), tuple(self._writers))
        if media is None:
            raise Refused("not_acceptable", status=406)
        batch = await report.readable_batch(party, batch_id, self._engine)
        results = report.results(party, batch_id, self._engine)
        return await stream(request, media, _document(self._writers[media](), batch, results))

    async def rejected(self, request: web.Request) -> web.StreamResponse:
        """The rejected lines as they were submitted, with what is wrong with each."""
        party = self._door.center(request).party_id
        query.parameters(request)
        batch_id = BatchId(query.path_id(request))
        if media_type(request.headers.get("Accept"), ("application/json",)) is None:
            raise Refused("not_acceptable", status=406)
        batch = await report.readable_batch(party, batch_id, self._engine)
        lines = report.rejected(party, batch_id, self._engine)
        return await stream(request, "application/json", _rejected_document(batch, lines))

    # what a center asks to be done

    async def confirm(self, request: web.Request) -> web.Response:
        party = await self._changing(request)
        return _json(await wishes.confirm_batch(party, BatchId(query.path_id(request)), self._engine))

    async def cancel(self, request: web.Request) -> web.Response:
        party = await self._changing(request)
        return _json(await wishes.cancel_batch(party, BatchId(query.path_id(request)), self._engine))

    async def cancel_application(self, request: web.Request) -> web.Response:
        party = await self._changing(request)
        asked = await wishes.cancel_application(party, MessageId(query.path_id(request)), self._engine)
        return _json(asked)

    async def _changing(self, request: web.Request) -> Any:
        query.parameters(request)
        return await self._door.center_once(request, idempotency_key(request, required=False))


def _mode(given: Mapping[str, str]) -> Mode:
    wanted = given.get("mode", "lines")
    for mode in get_args(Mode):
        if wanted == mode:
            return mode  # type: ignore[no-any-return]
    raise Refused("mode_unknown", status=400)


def _json(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = json.dumps(document, ensure_ascii=False).encode()
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


async def _document(
    writer: ResultWriter, batch: Mapping[str, Any], results: AsyncIterator[Mapping[str, Any]]
) -> AsyncIterator[bytes]:
    yield writer.head(batch)
    async for result in results:
        yield writer.line(result)
    yield writer.tail()


async def _rejected_document(
    batch: Mapping[str, Any], lines: AsyncIterator[Mapping[str, Any]]
) -> AsyncIterator[bytes]:
    yield b'{"batch":' + json.dumps(batch, ensure_ascii=False).encode() + b',"rejected":['
    separator = b"\n"
    async for line in lines:
        yield separator + json.dumps(line, ensure_ascii=False).encode()
        separator = b",\n"
    yield b"\n]}\n"
