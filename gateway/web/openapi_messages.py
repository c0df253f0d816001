"""The part of the OpenAPI document that is about single messages, notifications and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from gateway.flows import FLOWS
from gateway.pipeline import notify
from gateway.web.messages import MAX_BYTES, MAX_WAIT_S
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
from gateway.web.reports import MOST_DAYS
from schemas.kinds import GROUPS, KINDS, KindSchema
from schemas.kinds.xml_layout import to_xml
from schemas.structure import MAX_FAULTS

_XML: Final = "application/xml"
_PARTIES: Final = {
    "service_center": "a service center",
    "ministry": "the ministry",
    "committee": "the committee",
    "system": "another ministry's system",
}
#: No messages: they only name what may be fetched.
_NAMES: Final = ("batch.completed", "visa.result")
_CURSOR: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_REASON: Final[Schema] = {
    "type": ["string", "null"],
    "description": "A code: why it waits, or why it was refused.",
}


def tags() -> dict[str, str]:
    """What the document tells of groups of calls."""
    groups = {
        _tag(title): f"Messages of one kind each. {_names(kinds)}."
        for title, kinds in GROUPS.items()
        if any(_sendable(kinds))
    }
    return groups | {
        "Messages": "What became of a message.",
        "Notifications": "Everything meant for a party, in order, until it says that it has it.",
        "Reports": "For the ministry's departments.",
    }


def paths() -> Schema:
    """Every call that is about messages. Each kind has a path of its own, since each has its own body."""
    sending = {
        f"/v1/messages/{schema.kind}": {"post": _send(_tag(title), schema)}
        for title, kinds in GROUPS.items()
        for schema in _sendable(kinds)
    }
    return {
        **sending,
        "/v1/messages/{id}": {"get": _state()},
        "/v1/notifications": {"get": _notifications()},
        "/v1/notifications/confirm": {"post": _confirm()},
        "/v1/reports/visa-flow": {"get": _visa_flow()},
        "/v1/reports/season": {"get": _season()},
    }


def _tag(title: str) -> str:
    return f"Messages: {title}"


def _sendable(kinds: tuple[KindSchema, ...]) -> Iterator[KindSchema]:
    return (schema for schema in kinds if schema.kind in FLOWS and not schema.outgoing)


def _names(kinds: tuple[KindSchema, ...]) -> str:
    return ", ".join(f"{schema.title_en} (`{schema.kind}`)" for schema in _sendable(kinds))


# --- sending ----------------------------------------------------------------------------------------


def _send(tag: str, schema: KindSchema) -> Schema:
    return {
        **operation(_operation_id(schema.kind), f"{schema.title_en} ({schema.title_ar})", tag),
        "description": _description(schema),
        "parameters": [
            {**PARAMETERS["key"], "required": False, "description": _OWN_KEY},
            header("Content-Encoding", {"type": "string", "enum": ["gzip", "identity"]}),
            {"$ref": "#/components/parameters/language"},
        ],
        "requestBody": {"required": True, "content": _body(schema)},
        "responses": {
            "200": answer("Recorded before: the first answer again.", "Taken"),
            "202": {**answer("Durably recorded.", "Taken"), "headers": _LOCATION},
            **refusals(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
        },
    }


_OWN_KEY: Final = (
    "A key of the sender's own, beside the key of the kind. It stands for the first message sent under it; "
    "with it, the same token may come again when an answer was lost."
)
_LOCATION: Final[Schema] = {
    "Location": {"description": "The message.", "schema": {"type": "string", "format": "uri-reference"}}
}


def _operation_id(kind: str) -> str:
    return "send" + "".join(word.title() for word in kind.replace(".", "_").split("_"))


def _description(schema: KindSchema) -> str:
    senders = " or ".join(words for party, words in _PARTIES.items() if party in schema.senders)
    key = ", ".join(f"`{name}`" for name in schema.key)
    return (
        f"{schema.summary_en} Sent by {senders}. Key: {key}; under the same key the same body gets the first "
        f"answer again, another one 409. At most {MAX_BYTES} bytes; at most {MAX_FAULTS} faults are told at "
        "once."
    )


def _body(schema: KindSchema) -> Schema:
    return {
        JSON: {"schema": ref(_component(schema.kind)), "example": dict(schema.example)},
        _XML: {"schema": {"type": "string"}, "example": to_xml(schema.kind, schema.example)},
    }


def _component(kind: str) -> str:
    return f"message.{kind}"


# --- what came of it --------------------------------------------------------------------------------


def _state() -> Schema:
    found = read(
        "message", "One message's or application's state, as its sender may see it", "Result", "Messages"
    )
    either = {"oneOf": [ref("MessageState"), ref("Result")]}
    found["responses"]["200"]["content"] = {JSON: {"schema": either}}
    found["responses"] |= refusals(410)
    return found


def _notifications() -> Schema:
    limit = {"type": "integer", "minimum": 1, "maximum": notify.MAX_LIMIT, "default": 100}
    wait = {"type": "integer", "minimum": 1, "maximum": MAX_WAIT_S}
    return {
        **operation("notifications", "What is meant for this party, in order", "Notifications"),
        "description": (
            "Begins after `cursor`, or after what was confirmed last. Everything stays until it is "
            "confirmed; what was confirmed can still be read by its cursor. Repetitions have the same `id`."
        ),
        "parameters": [
            query("cursor", _CURSOR, "The `cursor` of the page before."),
            query("limit", limit, "Notifications a page; large ones end it earlier."),
            query("wait", wait, "Seconds to wait for the next one when there is none."),
            {"$ref": "#/components/parameters/language"},
        ],
        "responses": {
            "200": answer("Perhaps none.", "Notifications"),
            **refusals(400, 401, 429, 503),
        },
    }


def _confirm() -> Schema:
    cursor = query("cursor", _CURSOR, "The last one that has arrived.")
    return {
        **operation("confirmNotifications", "Everything up to a cursor has arrived", "Notifications"),
        "description": "An earlier cursor changes nothing; one that was never given out is refused.",
        "parameters": [
            {**cursor, "required": True},
            {**PARAMETERS["key"], "required": False},
            {"$ref": "#/components/parameters/language"},
        ],
        "responses": {"200": answer("Confirmed.", "Confirmed"), **refusals(400, 401, 503)},
    }


def _visa_flow() -> Schema:
    day = {"type": "string", "format": "date"}
    return {
        **operation("visaFlow", "Visas by licensee, mission and business day", "Reports"),
        "description": f"At most {MOST_DAYS} days. For parties that are told of `visa_flow.report`.",
        "parameters": [
            query("from", day, "First day; `until` unless given."),
            query("until", day, "Last day; today unless given."),
            {"$ref": "#/components/parameters/language"},
        ],
        "responses": {"200": answer("Found.", "event.visa_flow.report"), **refusals(400, 401, 403, 503)},
    }


def _season() -> Schema:
    year = {"type": "integer", "minimum": 1, "maximum": 1500}
    return {
        **operation("season", "A season in numbers", "Reports"),
        "description": "For parties that are told of `season.report`.",
        "parameters": [
            query("season", year, "Hijri year; that of today unless given."),
            {"$ref": "#/components/parameters/language"},
        ],
        "responses": {"200": answer("Found.", "event.season.report"), **refusals(400, 401, 403, 503)},
    }


# --- schemas ----------------------------------------------------------------------------------------


def schemas() -> Schema:
    """The messages, from the models that check them; and what is told of them."""
    wanted: Any = [(model, "validation") for model in dict.fromkeys(_models())]
    found, document = models_json_schema(wanted, ref_template=REFERENCE)
    definitions: Schema = document["$defs"]
    named = {model: found[model, "validation"] for model, _ in wanted}
    sent = {
        _component(schema.kind): {
            **named[schema.model],
            "title": schema.title_en,
            "description": schema.summary_en,
        }
        for kinds in GROUPS.values()
        for schema in _sendable(kinds)
    }
    told = {
        f"event.{kind}": _told(schema, named[schema.published or schema.model], definitions)
        for kind, schema in KINDS.items()
    }
    return {**sent, **definitions, **told, **_answers()}


def _models() -> Iterator[Any]:
    for schema in KINDS.values():
        yield schema.model
        if schema.published is not None:
            yield schema.published


def _told(schema: KindSchema, form: Schema, definitions: Schema) -> Schema:
    about = f"{schema.title_en}: the fields of it that the receiver is granted. {schema.goes_to}"
    return {**_loosened(form, definitions), "title": f"Told: {schema.title_en}", "description": about}


def _loosened(schema: Any, definitions: Schema) -> Any:
    """The same form with nothing required, at any depth: a receiver gets the fields granted to it."""
    if isinstance(schema, list):
        return [_loosened(item, definitions) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return _loosened(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _loosened(value, definitions) for name, value in schema.items() if name != "required"}


def _answers() -> Schema:
    text: Schema = {"type": "string"}
    states = ["in_progress", "waiting", "under_review", "done", "refused", "rejected", "cancelled", "expired"]
    return {
        "Taken": object_of(
            message_id=text,
            kind={"type": "string"},
            duplicate={"type": "boolean", "description": "It was recorded before."},
        ),
        "MessageState": object_of(
            message_id=text,
            kind=text,
            state={"type": "string", "enum": ["accepted", *states]},
            reason=_REASON,
            received_at=TIME,
            updated_at=TIME,
        ),
        "Confirmed": object_of(confirmed={"type": "string", "description": "How far, now."}),
        "Notifications": object_of(
            notifications=list_of("Notification"),
            cursor={"type": "string", "description": "Where the next page begins."},
            confirmed={"type": "string", "description": "How far this party has confirmed."},
            more={"type": "boolean", "description": "There may be another page already."},
        ),
        "Notification": _notification(),
        "event.batch.completed": {
            **object_of(batch_id=text, revision={"type": "integer"}),
            "title": "Told: Batch completed",
            "description": "A batch came to its end, or a settled line of it changed: fetch its results.",
        },
        "event.visa.result": {
            **object_of(batch_id=text, application_id=text, revision={"type": "integer"}),
            "title": "Told: Result of an application",
            "description": "A line was settled, or settled anew: fetch its result.",
        },
    }


def _notification() -> Schema:
    text: Schema = {"type": "string"}
    kinds = (*_NAMES, *KINDS)
    shape = object_of(
        cursor={"type": "string", "description": "Its place among this party's notifications."},
        id={"type": "string", "description": "The same whenever and however it is told again."},
        kind={"type": "string", "enum": list(kinds)},
        subject={"type": "string", "description": "What it is about: an id."},
        time={"type": "string", "format": "date-time"},
        classification=text,
        data={"type": ["object", "null"], "description": "By kind: `event.KIND`. Null when it was damaged."},
    )
    return {**shape, "allOf": [_data_of(kind) for kind in kinds]}


def _data_of(kind: str) -> Schema:
    data = {"anyOf": [ref(f"event.{kind}"), {"type": "null"}]}
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": {"properties": {"data": data}},
    }
