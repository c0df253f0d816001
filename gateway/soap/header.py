"""Our header block: who sends what to whom, for whom, in answer to what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gateway.message import CallContext, new_id
from gateway.soap.contract import SoapService

#: Our own name on the network.
GATEWAY: Final = "umrah-gateway"
_VERSION: Final = "1"


def request_header(
    service: SoapService, action: str, message_id: str, context: CallContext, now: datetime
) -> dict[str, Any]:
    """Values of the `MessageHeader` of a call. `message_id` is the one that the reply must carry back."""
    return {
        "message_id": message_id,
        "kind": service.kinds[action],
        "version": _VERSION,
        "correlation_id": context.message_id,
        "sender": GATEWAY,
        "receiver": service.party,
        "sent_at": now.isoformat(timespec="milliseconds"),
        "on_behalf_of": {"licensee": context.batch.licensee, "agent": context.batch.agent},
        "season": context.batch.season,
        "classification": service.classification,
    }


def reply_header(request: Mapping[str, Any], party: str, now: datetime) -> dict[str, Any]:
    """Values of the `MessageHeader` that answers `request`."""
    return {
        **request,
        "message_id": new_id(),
        "correlation_id": request["message_id"],
        "sender": party,
        "receiver": request["sender"],
        "sent_at": now.isoformat(timespec="milliseconds"),
    }
