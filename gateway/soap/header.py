"""Our header block: who sends what to whom, for whom, in answer to what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from lxml import etree

from gateway.errors import Refused
from gateway.message import BatchFacts, CallContext, MessageId, new_id
from gateway.soap.contract import Contract, SoapService

#: Our own name on the network.
GATEWAY: Final = "umrah-gateway"
_VERSION: Final = "1"
#: What a call's header block says of the batch or message that it is made for, as need-to-know lists name it.
HEADER_FIELDS: Final = frozenset({"batch.licensee_id", "batch.agent_id", "batch.season"})
#: `MessageId` of the schema.
_ID: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
#: Stand in a template for what differs in every message.
_ANY_ID: Final = "00000000-0000-7000-8000-000000000001"
_ANY_SERVED: Final = MessageId("00000000-0000-7000-8000-000000000002")
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_TEMPLATES: Final = 4096


class RequestHeaders:
    """Writes the header blocks of our calls to one service.

    Most of a header is the same for all that an agent asks for through a licensee: that part is written, and
    checked against the schema, once. What differs has one form, which is checked each time.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._template = lru_cache(maxsize=_TEMPLATES)(self._checked_template)

    def write(self, action: str, message_id: str, context: CallContext, now: datetime) -> str:
        """The `MessageHeader` as XML text; `now` is aware. Raises `Refused` when it can't be a valid one."""
        batch = context.batch
        template = self._template(action, batch.licensee, batch.agent, batch.season)
        served = context.message_id
        if now.tzinfo is None or not _ID(message_id) or not _ID(served):
            raise Refused("schema_invalid", "MessageHeader")
        start, middle, late, end = template
        return f"{start}{message_id}{middle}{served}{late}{_written(now)}{end}"

    def _checked_template(
        self, action: str, licensee: str, agent: str, season: int
    ) -> tuple[str, str, str, str]:
        batch = BatchFacts("", licensee, agent, "", season)
        context = CallContext(_ANY_SERVED, "", batch)
        values = request_header(self._contract.service, action, _ANY_ID, context, _ANY_TIME)
        text = self._contract.header.write(values)
        self._contract.check(etree.fromstring(text.encode()))
        pieces = re.split("|".join(map(re.escape, (_ANY_ID, _ANY_SERVED, _written(_ANY_TIME)))), text)
        if len(pieces) != 4:
            raise Refused("schema_invalid", "MessageHeader")
        start, middle, late, end = pieces
        return start, middle, late, end


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
        "sent_at": _written(now),
        "on_behalf_of": {"licensee": context.batch.licensee, "agent": context.batch.agent or None},
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
        "sent_at": _written(now),
    }


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
