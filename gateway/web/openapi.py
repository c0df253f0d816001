"""The OpenAPI 3.1 document of the public listener, made from the code: models, states, codes, limits.

A test holds its paths and the router together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, get_args

from pydantic.json_schema import models_json_schema

from gateway.observe.exposition import gateway_version
from gateway.pipeline.intake import MAX_NAMED, Mode
from gateway.pipeline.report import MAX_LIMIT
from gateway.ports import ResultWriter
from gateway.states import PublicState
from gateway.web import openapi_messages, problems
from gateway.web.examples import EXAMPLES, example_batch, result_example
from gateway.web.openapi_parts import (
    JSON,
    PARAMETERS,
    REFERENCE,
    TIME,
    Schema,
    answer,
    header,
    list_of,
    object_of,
    operation,
    query,
    read,
    ref,
    refusals,
)
from schemas.application import MAX_PHOTO_BYTES, BatchHeader, VisaApplication

#: By media type: makes the writer of one document.
Writers = Mapping[str, Callable[[], ResultWriter]]


def document(base_url: str, today: date, writers: Writers) -> Schema:
    """The whole document. `today` is for the dates of the examples."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Umrah gateway",
            "version": gateway_version(),
            "description": _DESCRIPTION,
        },
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in _tags().items()],
        "paths": _paths(today, writers),
        "components": {
            "securitySchemes": {"token": _TOKEN},
            "schemas": _schemas(),
            "responses": {"problem": _problem_response()},
            "parameters": PARAMETERS,
        },
    }


_DESCRIPTION: Final = (
    "Visa batches in, one result a line out; the network's other messages in, notifications out. A 202 is "
    "given only after what was sent is durably recorded. Send the same again, under the same "
    "Idempotency-Key, whenever an answer was lost: it is taken once."
)
_TAGS: Final = {
    "Batches": "Submitting visa applications and fetching what became of each.",
    "Applications": "One application.",
    "Photos": "Pictures that lines name by their digest, so that a batch stays small.",
}
_ABOUT: Final = {
    "Audit log": "Proofs to keep: with them nobody can shorten or rewrite it unseen (docs/audit-log.md).",
    "Documents": "About this interface.",
}
_TOKEN: Final[Schema] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": (
        "Signed with the party's own key (EdDSA or ES256). Claims: iss = party, aud = umrah-gateway, iat, "
        "exp at most 5 minutes later, jti. On a POST or PUT a jti is taken once, except to repeat the same "
        "request under the same Idempotency-Key; a GET may use the token until it expires."
    ),
}


# --- paths ------------------------------------------------------------------------------------------


def _paths(today: date, writers: Writers) -> Schema:
    batch = "/v1/batches/{id}"
    return {
        "/v1/batches": {"post": _submit(today)},
        batch: {"get": read("batchStatus", "How far a batch has come", "BatchProgress")},
        f"{batch}/applications": {"get": _page()},
        f"{batch}/results": {"get": _results(writers)},
        f"{batch}/rejected": {"get": _rejected()},
        f"{batch}/confirm": {"post": _act("confirmBatch", _CONFIRM, "BatchStatus")},
        f"{batch}/cancel": {"post": _act("cancelBatch", _CANCEL, "BatchCancellation")},
        "/v1/applications/{id}/cancel": {
            "post": _act("cancelApplication", "Cancel one application", "Cancellation", "Applications")
        },
        "/v1/photos/{sha256}": {"put": _photo()},
        **openapi_messages.paths(),
        "/v1/checkpoint": {"get": _checkpoint()},
        "/openapi.json": {"get": _open("openapi", "This document", JSON)},
        "/docs": {"get": _open("docs", "This document for people", "text/html")},
        "/problems/{code}": {"get": _problem_page()},
    }


_REJECTED: Final = "The rejected lines as they were submitted, ready to mend and send again"
_CONFIRM: Final = "The results have been fetched: their retention begins"
_PHOTO_KEY: Final = "With it, the same token may come again for this photo when an answer was lost."
_CANCEL: Final = "Cancel every line that can still be cancelled"


def _submit(today: date) -> Schema:
    mode = {"type": "string", "enum": list(get_args(Mode)), "default": "lines"}
    return {
        **operation("submitBatch", "Submit a batch", "Batches"),
        "description": (
            "In the default mode good lines go on while bad ones come back with row, field and reason. With "
            "`mode=all_or_nothing` one bad line refuses the batch. A repeated Idempotency-Key with the same "
            "decoded body, media type and mode gets the first answer again; with another one, 409."
        ),
        "parameters": [
            {"$ref": "#/components/parameters/key"},
            query("mode", mode, "Whether good lines are taken without the bad ones."),
            query("dry_run", {"type": "boolean", "default": False}, "Validate only; nothing is recorded."),
            header("Content-Encoding", {"type": "string", "enum": ["gzip", "identity"]}),
            {"$ref": "#/components/parameters/language"},
        ],
        "requestBody": {"required": True, "content": _batch_content(today)},
        "responses": {
            "200": answer("A dry run: what would have been answered.", "Receipt"),
            "202": {**answer("Durably recorded.", "Receipt"), "headers": _receipt_headers()},
            **refusals(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
        },
    }


def _photo() -> Schema:
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    kept = {"schema": {"type": "string", "format": "binary", "maxLength": MAX_PHOTO_BYTES}}
    return {
        **operation("putPhoto", "Put a photo, to be named by lines as `photo_sha256`", "Photos"),
        "description": (
            f"A whole JPEG of at most {MAX_PHOTO_BYTES} bytes, under the SHA-256 of its bytes. Putting it "
            "again changes nothing. A line that names a photo which was never put, and brings none, is "
            "rejected with `photo_unknown`."
        ),
        "parameters": [
            {
                "name": "sha256",
                "in": "path",
                "required": True,
                "description": "SHA-256 of the photo, in lower-case hexadecimal.",
                "schema": digest,
            },
            {**PARAMETERS["key"], "required": False, "description": _PHOTO_KEY},
            {"$ref": "#/components/parameters/language"},
        ],
        "requestBody": {"required": True, "content": {"image/jpeg": kept}},
        "responses": {
            "200": answer("It was put before.", "Photo"),
            "201": answer("Durably kept.", "Photo"),
            **refusals(400, 401, 403, 408, 413, 415, 422, 429, 503),
        },
    }


def _batch_content(today: date) -> Schema:
    schemas: Mapping[str, Schema] = {JSON: {"$ref": REFERENCE.format(model="VisaBatch")}}
    return {
        media: {"schema": schemas.get(media, {"type": "string"}), "example": example_batch(media, today)}
        for media in EXAMPLES
    }


def _receipt_headers() -> Schema:
    return {
        "Location": {"description": "The batch.", "schema": {"type": "string", "format": "uri"}},
        "Idempotency-Replayed": {
            "description": "`true` when this is an earlier answer given again.",
            "schema": {"type": "string", "enum": ["true"]},
        },
    }


def _page() -> Schema:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100}
    operation = read("batchApplications", "Lines of a batch, a page at a time", "Page")
    operation["parameters"] += [
        query("state", {"$ref": REFERENCE.format(model="State")}, "Only lines in this state."),
        query("cursor", {"type": "string"}, "The `next_cursor` of the page before."),
        query("limit", limit, "Lines a page."),
    ]
    operation["responses"] |= refusals(400, 410)
    return operation


def _results(writers: Writers) -> Schema:
    operation = read("batchResults", "All results of a batch, in the format that Accept asks for", "Results")
    operation["responses"]["200"]["content"] = {
        media: {
            "schema": {"$ref": REFERENCE.format(model="Results")} if media == JSON else {"type": "string"},
            "example": _results_example(media, writer()),
        }
        for media, writer in writers.items()
    }
    operation["responses"] |= refusals(406, 410)
    return operation


def _rejected() -> Schema:
    operation = read("rejectedLines", _REJECTED, "RejectedLines")
    operation["responses"] |= refusals(406, 410)
    return operation


def _results_example(media: str, writer: ResultWriter) -> Any:
    batch, result = result_example()
    text = (writer.head(batch) + writer.line(result) + writer.tail()).decode()
    return json.loads(text) if media == JSON else text


def _checkpoint() -> Schema:
    found = object_of(checkpoint=ref("Checkpoint"))
    return {
        **operation("checkpoint", "The latest signed checkpoint of the audit log", "Audit log"),
        "description": "It says how far the log has come, and nothing of what is in it. Keep it.",
        "responses": {
            "200": {"description": "Found.", "content": {JSON: {"schema": found}}},
            **refusals(401, 503),
        },
    }


def _problem_page() -> Schema:
    code = {**PARAMETERS["id"], "name": "code", "description": "A problem's `code`."}
    operation = _open("problem", "What a problem's code means, in English and Arabic", "text/html")
    return {**operation, "parameters": [code], "responses": operation["responses"] | refusals(404)}


def _act(name: str, summary: str, schema: str, tag: str = "Batches") -> Schema:
    operation = read(name, summary, schema, tag)
    optional = {**PARAMETERS["key"], "required": False}
    operation["parameters"].append(optional)
    operation["responses"]["200"]["description"] = "Done, or asked for."
    operation["responses"] |= refusals(409, 410)
    return operation


def _open(name: str, summary: str, media: str) -> Schema:
    answer = {"description": "Found.", "content": {media: {}}}
    return {**operation(name, summary, "Documents"), "security": [], "responses": {"200": answer}}


def _problem_response() -> Schema:
    schema = {"$ref": REFERENCE.format(model="Problem")}
    return {"description": "A problem (RFC 9457).", "content": {problems.MEDIA_TYPE: {"schema": schema}}}


# --- schemas ----------------------------------------------------------------------------------------


def _schemas() -> Schema:
    return {**_models(), **_answers(), **openapi_messages.schemas()}


def _tags() -> dict[str, str]:
    return _TAGS | openapi_messages.tags() | _ABOUT


def _models() -> Schema:
    """The request, from the models that check it."""
    wanted: Any = [(VisaApplication, "validation"), (BatchHeader, "validation")]
    _, found = models_json_schema(wanted, ref_template=REFERENCE)
    models: Schema = found["$defs"]
    header = models.pop("BatchHeader")
    lines = {"type": "array", "minItems": 1, "items": {"$ref": REFERENCE.format(model="VisaApplication")}}
    batch = {
        **header,
        "title": "VisaBatch",
        "description": "A batch: what it says of all its lines, then the lines. The order matters.",
        "properties": {**header["properties"], "applications": lines},
        "required": [*header["required"], "applications"],
    }
    return {"VisaBatch": batch, **models}


def _answers() -> Schema:
    text: Schema = {"type": "string"}
    maybe: Schema = {"type": ["string", "null"]}
    count: Schema = {"type": "integer", "minimum": 0}
    fault = object_of(
        pointer={**text, "description": "RFC 6901, inside the application or the batch header."},
        code={**text, "description": "Stable. `/problems/{code}` explains it."},
        detail={**text, "description": "English."},
        detail_ar={**text, "description": "Arabic."},
    )
    document = {**text, "description": "JSON. The signature is over these very bytes (UTF-8)."}
    signed = object_of(document=document, signature={**text, "pattern": "^[0-9a-f]{128}$"})
    checkpoint: Schema = {
        "oneOf": [signed, {"type": "null"}],
        "description": "The audit log's latest signed checkpoint: keep it with the receipt. null: none yet.",
    }
    place: Schema = {
        "line": {"type": "integer", "description": "Counts applications from 1, in every format."},
        "row": {"type": ["integer", "null"], "description": "The place in the file, where lines are rows."},
        "reference": maybe,
    }
    status = {
        "batch_id": text,
        "batch_reference": maybe,
        **dict.fromkeys(("licensee_id", "agent_id", "mission_id", "package_id", "group_number"), maybe),
        "season": {"type": "integer", "description": "Hijri year."},
        "state": {"type": "string", "enum": ["receiving", "processing", "completed"]},
        "revision": {"type": "integer", "description": "Raised when a settled line changes."},
        "counts": {"$ref": REFERENCE.format(model="Counts")},
        **dict.fromkeys(("received_at", "accepted_at", "completed_at", "confirmed_at"), TIME),
    }
    visa = object_of(number=text, valid_from=maybe, valid_until=maybe, stay_until=maybe)
    result: Schema = {
        "line": {"type": ["integer", "null"]},
        "reference": maybe,
        "application_id": text,
        "state": {"$ref": REFERENCE.format(model="State")},
        "visa": {"oneOf": [visa, {"type": "null"}]},
        "reason": {**maybe, "description": "A code: why it waits, or why it was refused."},
        "expected_at": TIME,
        "errors": list_of("Fault"),
        "updated_at": TIME,
    }
    fault_in_line = {"allOf": [{"$ref": REFERENCE.format(model="Fault")}, {"properties": place}]}
    named = {"type": "array", "maxItems": MAX_NAMED, "items": ref("LineFault")}
    return {
        "State": {"type": "string", "enum": [state.value for state in PublicState]},
        "Counts": {
            "type": "object",
            "additionalProperties": count,
            "examples": [{"total": 2, "accepted": 2}],
        },
        "Fault": fault,
        "LineFault": fault_in_line,
        "Receipt": object_of(
            batch_id=maybe,
            state={"type": "string", "enum": ["processing", "validated"]},
            counts=ref("Counts"),
            rejected={**named, "description": "An entry for each fault of each of the first rejected lines."},
            more_rejected={"type": "boolean", "description": "More lines were rejected than are named."},
            checkpoint=ref("Checkpoint"),
        ),
        "Checkpoint": checkpoint,
        "BatchProgress": object_of(**status, checkpoint=ref("Checkpoint")),
        "BatchStatus": object_of(**status),
        "BatchCancellation": object_of(**status, cancellations=count),
        "Result": {"type": "object", "properties": result},
        "Cancellation": {"type": "object", "properties": {**result, "cancel_requested": {"type": "boolean"}}},
        "Page": object_of(applications=list_of("Result"), next_cursor=maybe),
        "Results": object_of(batch=ref("BatchStatus"), results=list_of("Result")),
        "RejectedLines": object_of(batch=ref("BatchStatus"), rejected=list_of("RejectedLine")),
        "RejectedLine": object_of(
            line=place["line"], row=place["row"], errors=list_of("Fault"), application={"type": "object"}
        ),
        "Photo": object_of(sha256=text, size_bytes=count),
        "Problem": object_of(
            type={"type": "string", "format": "uri"},
            title=text,
            status={"type": "integer"},
            detail={**text, "description": "In the language of Accept-Language."},
            code=text,
            request_id={**text, "description": "Also in X-Request-Id: name it when you ask for help."},
            errors=list_of("LineFault"),
        ),
    }
