"""One event on the wire: CloudEvents 1.0, structured JSON.

Restricted and secret data travels as a JWE (RFC 7516) to the receiver's key, so that neither the broker nor
whoever runs it can read it. The attributes around it stay readable: they route, and hold no personal data.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from joserfc import jwe
from joserfc.jwe import JWERegistry

from gateway.bus.keys import EncryptionKey
from gateway.bus.port import OutgoingEvent
from schemas.confidentiality import Confidentiality

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
SOURCE: Final = "urn:umrah:gateway"
KEY_WRAPPING: Final = "ECDH-ES+A256KW"
ENCRYPTION: Final = "A256GCM"
_REGISTRY: Final = JWERegistry(algorithms=[KEY_WRAPPING, ENCRYPTION])


def encode_event(event: OutgoingEvent, key: EncryptionKey) -> bytes:
    """The body of the AMQP message. Raises `ValueError` for a class or data that has no JSON form."""
    return json.dumps(
        {**_attributes(event), **_data(event, key)}, ensure_ascii=False, allow_nan=False
    ).encode()


def data_schema(kind: str, version: int) -> str:
    """The name of a kind's schema: the attribute `dataschema`, both ways."""
    return f"urn:umrah:kind:{kind}:v{version}"


def binding(event_id: str, receiver: str) -> str:
    """The JWE's `apv`: ties the data to its event and receiver, so that it can't be put under another."""
    return urlsafe_b64encode(f"{receiver}/{event_id}".encode()).rstrip(b"=").decode()


def _attributes(event: OutgoingEvent) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": SOURCE,
        "type": event.kind,
        "subject": event.subject,
        "time": event.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "dataschema": data_schema(event.kind, event.version),
        "classification": event.classification,
        # The extension wants text that sorts in order.
        "sequence": f"{event.seq:020d}",
    }
    if event.correlation_id is not None:
        attributes["correlationid"] = event.correlation_id
    return attributes


def _data(event: OutgoingEvent, key: EncryptionKey) -> Mapping[str, Any]:
    # A class that is not known is no reason to send in clear: this raises.
    if Confidentiality(event.classification) is Confidentiality.PUBLIC:
        return {"datacontenttype": "application/json", "data": event.data}
    return {"datacontenttype": "application/jose", "data": _sealed(event, key)}


def _sealed(event: OutgoingEvent, key: EncryptionKey) -> str:
    header = {
        "alg": KEY_WRAPPING,
        "enc": ENCRYPTION,
        "cty": "application/json",
        "kid": key.thumbprint(),
        "apv": binding(event.id, event.receiver),
    }
    plain = json.dumps(event.data, ensure_ascii=False, allow_nan=False).encode()
    return jwe.encrypt_compact(header, plain, key, registry=_REGISTRY)
