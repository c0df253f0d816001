"""A command that was set aside: its body as it came, and in headers what was wrong where.

Headers hold codes, catalogue texts and pointers, never a value of the message. The body is not touched,
neither unpacked nor re-encoded, and goes as bytes, so that no reader's library interprets it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from gateway.bus.command import Delivery
from gateway.bus.confirms import Parcel
from gateway.bus.topology import REJECTED
from gateway.errors import Refused
from gateway.message import PartyId, new_id
from schemas.catalogue import CODES, LANGUAGES, describe
from schemas.violation import Violation

_MOST_REASONS: Final = 20
#: A property that a sender chose is repeated only when it looks like what belongs there.
_PROPERTY: Final = re.compile(r"[A-Za-z0-9!#$&^_.+/;=\" -]{1,100}")


def rejected_parcel(
    delivery: Delivery, sender: PartyId | None, refused: Refused, now: datetime, max_bytes: int
) -> Parcel:
    """What goes to `umrah.commands.rejected`. A body over `max_bytes` is left out; its digest stays."""
    whole = len(delivery.body) <= max_bytes
    return Parcel(
        message_id=new_id(),
        body=delivery.body if whole else b"",
        content_type="application/octet-stream",
        content_encoding="binary",
        exchange="",
        routing_key=REJECTED,
        headers={
            **_reason(refused),
            **_origin(delivery),
            **({"sender": sender} if sender is not None else {}),
            **({} if whole else {"body_left_out": True}),
            "rejected_at": now.isoformat(),
        },
    )


def _reason(refused: Refused) -> dict[str, Any]:
    whole = Violation(refused.code)
    first = refused.violations[0] if refused.violations else whole
    shown = first if first.code == refused.code else whole
    return {
        "reason_code": refused.code,
        "reason_text": _text(shown, "en"),
        "reason_text_ar": _text(shown, "ar"),
        "reason_pointer": first.pointer,
        "reasons": json.dumps(list(_each(refused)), ensure_ascii=False),
    }


def _each(refused: Refused) -> Iterator[dict[str, str]]:
    for violation in refused.violations[:_MOST_REASONS]:
        texts = {f"text_{language}": _text(violation, language) for language in LANGUAGES}
        yield {"code": violation.code, "pointer": violation.pointer, **texts}


def _text(violation: Violation, language: Any) -> str:
    known = violation if violation.code in CODES else Violation("refused")
    return describe(known, language)


def _origin(delivery: Delivery) -> dict[str, str]:
    given = {
        "original_content_type": delivery.content_type,
        "original_content_encoding": delivery.content_encoding,
        "original_compression": delivery.compression or "",
    }
    shown = {name: value for name, value in given.items() if _PROPERTY.fullmatch(value)}
    return {**shown, "body_sha256": hashlib.sha256(delivery.body).hexdigest()}
