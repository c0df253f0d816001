"""One notice on the wire: its body, and the headers that prove who sent it (Standard Webhooks 1.0)."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.clock import moment
from gateway.ledger.records import StoredEvent


def body(event: StoredEvent) -> bytes:
    """What there is to fetch, by ids: never what it says."""
    names = {"cursor": str(event.seq), "kind": event.kind, "subject": event.subject}
    if event.sealed is None:
        # Of an event with data, the message that led to it may be somebody else's.
        names |= {"batch_id": event.batch_id or "", "message_id": event.message_id or ""}
    document = {
        "type": event.kind,
        "timestamp": moment(event.created_at).isoformat(timespec="milliseconds"),
        "data": {name: value for name, value in names.items() if value},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def headers(event: StoredEvent, content: bytes, secrets: Sequence[bytes], now: datetime) -> Mapping[str, str]:
    """The id stays the same however often an event is sent; the timestamp is that of this attempt."""
    timestamp = str(int(now.timestamp()))
    signed = f"{event.id}.{timestamp}.".encode() + content
    return {
        "Content-Type": "application/json",
        "webhook-id": event.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: bytes, signed: bytes) -> str:
    return "v1," + b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
