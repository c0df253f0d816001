"""The contract of the bus as an AsyncAPI 3 document, made from the kinds' own models.

Every `$ref` points into `components`; the records of a kind are named after it, since two kinds may each have
a record of the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from gateway.bus.event import CONTENT_TYPE, ENCRYPTION, KEY_WRAPPING, SOURCE, data_schema
from gateway.bus.port import KindDescription
from gateway.bus.topology import COMMANDS, EVENTS, REJECTED, events_queue_name
from gateway.message import PartyId

_SCHEMAS: Final = "#/components/schemas/"
_QUEUE: Final = {"durable": True, "exclusive": False, "autoDelete": False}


def document(
    kinds: Mapping[str, KindDescription], receivers: Mapping[PartyId, str], version: str
) -> dict[str, Any]:
    """The whole document. `receivers` are the parties with a queue, each with its kind of party."""
    commands = [kind for kind in kinds.values() if set(kind.senders) & set(receivers.values())]
    told = {party: list(_told(kinds.values(), role)) for party, role in receivers.items()}
    events = {kind.kind: kind for each in told.values() for kind in each}
    return {
        "asyncapi": "3.0.0",
        "info": _info(version),
        "defaultContentType": CONTENT_TYPE,
        "servers": {"ministry": _server()},
        "channels": {
            **_channels(commands),
            **{f"events.{party}": _events(party, told[party]) for party in told},
        },
        "operations": {**_operations(), **{f"tell.{party}": _tell(party) for party in told}},
        "components": {
            "securitySchemes": {"broker": {"type": "userPassword"}},
            "messages": dict(_messages(commands, events.values())),
            "schemas": dict(_schemas({**{kind.kind: kind for kind in commands}, **events}.values())),
        },
    }


def _told(kinds: Iterable[KindDescription], role: str) -> Iterator[KindDescription]:
    return (kind for kind in kinds if role in kind.receivers)


def _info(version: str) -> dict[str, Any]:
    text = (
        "What the gateway tells the departments of the ministry and the committee, and what they tell it. "
        "Messages are CloudEvents 1.0 in structured JSON. The sender of a command is proven by a token over "
        "the hash of its body; restricted and secret data of an event is encrypted to its receiver."
    )
    return {
        "title": "Umrah gateway: the ministry's network",
        "version": version,
        "description": text,
        "license": {"name": "Apache-2.0"},
    }


def _server() -> dict[str, Any]:
    return {
        "host": "broker.example:5671",
        "protocol": "amqps",
        "protocolVersion": "0.9.1",
        "description": "RabbitMQ 3.10 or newer, of the ministry.",
        "security": [{"$ref": "#/components/securitySchemes/broker"}],
    }


def _queue(address: str, description: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"amqp": {"is": "queue", "queue": {"name": address, **_QUEUE}}},
    }


def _channels(commands: Iterable[KindDescription]) -> dict[str, Any]:
    names = [f"{kind.kind}.command" for kind in commands]
    return {
        "commands": _queue(COMMANDS, "What parties tell the gateway.", names),
        "rejected": _queue(REJECTED, "Commands that could not be taken, with the reason.", ["rejected"]),
    }


def _events(party: PartyId, kinds: Iterable[KindDescription]) -> dict[str, Any]:
    text = f"What the gateway tells {party}: its own copies, from the topic exchange {EVENTS}, keyed by kind."
    return _queue(events_queue_name(party), text, [f"{kind.kind}.event" for kind in kinds])


def _operations() -> dict[str, Any]:
    return {
        "take": {"action": "receive", "channel": {"$ref": "#/channels/commands"}},
        "setAside": {"action": "send", "channel": {"$ref": "#/channels/rejected"}},
    }


def _tell(party: PartyId) -> dict[str, Any]:
    return {"action": "send", "channel": {"$ref": f"#/channels/events.{party}"}}


def _messages(
    commands: Iterable[KindDescription], events: Iterable[KindDescription]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in commands:
        yield f"{kind.kind}.command", _message(kind, _command_payload(kind), _ref("command.headers"))
    for kind in events:
        yield f"{kind.kind}.event", _message(kind, _event_payload(kind), _ref("event.headers"))
    yield "rejected", _rejected()


def _message(kind: KindDescription, payload: dict[str, Any], headers: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": kind.kind,
        "title": kind.title_en,
        "summary": kind.title_ar,
        "contentType": CONTENT_TYPE,
        "headers": headers,
        "payload": payload,
        "bindings": {"amqp": {"contentEncoding": "utf-8", "messageType": kind.kind}},
    }


def _rejected() -> dict[str, Any]:
    return {
        "name": "rejected",
        "title": "A command that could not be taken",
        "contentType": "application/octet-stream",
        "headers": _ref("rejected.headers"),
        "payload": {"description": "The body as it came, untouched."},
    }


def _command_payload(kind: KindDescription) -> dict[str, Any]:
    example = {
        "specversion": "1.0",
        "id": "01939b5e-7c3a-7000-8000-000000000001",
        "source": "urn:umrah:party:licensing",
        "type": kind.kind,
        "datacontenttype": "application/json",
        "dataschema": data_schema(kind.kind, kind.version),
        "data": dict(kind.example),
    }
    return {
        "allOf": [_ref("cloudevent")],
        "properties": {**_typed(kind), "data": _ref(kind.kind)},
        "examples": [example],
    }


def _event_payload(kind: KindDescription) -> dict[str, Any]:
    data = {"oneOf": [_ref(f"{kind.kind}.told"), _ref("encrypted")]}
    source = {"type": "string", "const": SOURCE}
    return {
        "allOf": [_ref("cloudevent")],
        "required": ["classification", "sequence", "dataschema", "time"],
        "properties": {**_typed(kind), "source": source, "data": data},
    }


def _typed(kind: KindDescription) -> dict[str, Any]:
    return {
        "type": {"type": "string", "const": kind.kind},
        "dataschema": {"type": "string", "const": data_schema(kind.kind, kind.version)},
    }


def _schemas(kinds: Iterable[KindDescription]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _ENVELOPE.items()
    for kind in kinds:
        yield from _model_schemas(kind.kind, kind.model)
        told = _model_schemas(f"{kind.kind}.told", getattr(kind, "published", None) or kind.model)
        yield from ((name, _promising_nothing(schema)) for name, schema in told)


def _promising_nothing(schema: dict[str, Any]) -> dict[str, Any]:
    """Each receiver is told the fields that it is granted, so none of them is sure to be there."""
    return {name: value for name, value in schema.items() if name != "required"}


def _model_schemas(name: str, model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = model.model_json_schema(ref_template=f"{_SCHEMAS}{name}.{{model}}")
    for record, its_schema in schema.pop("$defs", {}).items():
        yield f"{name}.{record}", its_schema
    yield name, schema


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"{_SCHEMAS}{name}"}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_ENVELOPE: Final[Mapping[str, dict[str, Any]]] = {
    "cloudevent": {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"type": "string", "const": "1.0"},
            "id": _text(
                "The same in every repetition. Of a command: unique among its sender's.", minLength=1
            ),
            "source": _text("Who made it. Of a command: not relied on; the token tells.", minLength=1),
            "type": _text("The kind of message.", minLength=1),
            "subject": _text("What it is about: an id of class public."),
            "time": _text("When it happened.", format="date-time"),
            "datacontenttype": _text("", enum=["application/json", "application/jose"]),
            "dataschema": _text("Kind and version of the data."),
            "classification": _text(
                "The highest class in the data.", enum=["public", "restricted", "secret"]
            ),
            "correlationid": _text("What it belongs to."),
            "sequence": _text("Its place among the receiver's events; sorts as text.", pattern="^[0-9]{20}$"),
        },
    },
    "encrypted": _text(
        f"JWE, compact: the JSON of the data, {KEY_WRAPPING} and {ENCRYPTION}, to the receiver's key.",
        pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){4}$",
    ),
    "command.headers": {
        "type": "object",
        "required": ["authorization"],
        "properties": {
            "authorization": _text(
                "Bearer and a JWT: iss, aud, iat, sha256 (base64url SHA-256 of the body)."
            ),
        },
    },
    "event.headers": {"type": "object"},
    "rejected.headers": {
        "type": "object",
        "required": ["reason_code", "reason_text", "reason_text_ar", "reason_pointer", "rejected_at"],
        "properties": {
            "reason_code": _text("Stable code of the refusal."),
            "reason_text": _text("In English."),
            "reason_text_ar": _text("In Arabic."),
            "reason_pointer": _text("Where in the CloudEvent (RFC 6901); empty: the whole."),
            "reasons": _text("Every fault, as JSON: code, pointer, text_en, text_ar."),
            "sender": _text("The party, if it proved itself."),
            "rejected_at": _text("", format="date-time"),
            "body_sha256": _text("Of the body as it came, in hex."),
        },
    },
}
