"""One command off the wire: a CloudEvent of a proven sender, or a refusal that says what is wrong where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.bus.event import data_schema
from gateway.bus.strict_json import parse, refusal
from gateway.errors import Refused
from gateway.message import Body, PartyId

_MEDIA_TYPE: Final = re.compile(r'application/cloudevents\+json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_PLAIN_ENCODINGS: Final = frozenset({"", "utf-8", "utf8", "binary", "identity", "us-ascii"})
#: An id becomes the idempotency key, so it keeps to what such a key may be.
_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came off the queue; nothing of it was unpacked or believed."""

    body: bytes = field(repr=False)
    content_type: str
    content_encoding: str
    headers: Mapping[str, Any] = field(repr=False)
    #: The header by which kombu would unpack the body.
    compression: str | None = None
    #: False: nothing is known but the body.
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """What a party tells the gateway."""

    sender: PartyId
    kind: str
    body: Body = field(repr=False)
    #: The CloudEvents id.
    idempotency_key: str


def check_wrapping(delivery: Delivery, max_bytes: int) -> None:
    """Raise `Refused` unless the body is plain CloudEvents JSON of bearable size. Unpacks nothing."""
    if not delivery.readable:
        raise Refused("properties_unreadable")
    packed = delivery.content_encoding.strip().lower() not in _PLAIN_ENCODINGS
    if delivery.compression is not None or packed:
        raise Refused("compression_refused")
    if len(delivery.body) > max_bytes:
        raise refusal("body_too_large", limit=max_bytes)
    if not _MEDIA_TYPE.fullmatch(delivery.content_type.strip()):
        raise Refused("unsupported_media_type")


def read_command(body: bytes, sender: PartyId, kinds: Mapping[str, int]) -> Command:
    """The command in `body`; `kinds` tells the version of each kind that may come. Raises `Refused`."""
    event = parse(body)
    if not isinstance(event, dict):
        raise refusal("not_a_cloudevent")
    _check_attributes(event)
    kind = event["type"]
    if kind not in kinds:
        raise refusal("unknown_kind", "/type")
    if event.get("dataschema", data_schema(kind, kinds[kind])) != data_schema(kind, kinds[kind]):
        raise refusal("unknown_version", "/dataschema")
    return Command(sender, kind, event["data"], event["id"])


def _check_attributes(event: Mapping[str, Any]) -> None:
    """CloudEvents 1.0, 2.1 and 3.1. Extension attributes are anyone's and passed over."""
    sound = {
        "specversion": event.get("specversion") == "1.0",
        "id": _is_text(event.get("id")) and _ID.fullmatch(event["id"]) is not None,
        "source": _is_text(event.get("source")),
        "type": _is_text(event.get("type")),
        "dataschema": _is_text(event.get("dataschema", "none")),
        "datacontenttype": event.get("datacontenttype", "application/json") == "application/json",
        "data": isinstance(event.get("data"), dict),
    }
    for name, right in sound.items():
        if not right:
            raise refusal("not_a_cloudevent", f"/{name}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
