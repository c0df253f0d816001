"""A partner's reply, from bytes to values that can be trusted, or to the reason why they can't.

The order is fixed: status and content type, size (by the HTTP client), well-formedness, envelope, signature
where one was agreed, faults, schema, the one expected element, correlation, and only then values. Only what a
partner defines as "nothing was done" is `Unavailable`; everything else that is not a trustworthy answer is
`Uncertain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Refused, Unavailable, Uncertain
from gateway.http import HttpReply
from gateway.ports import PreparedRequest
from gateway.soap.codec import Values
from gateway.soap.contract import Action, Contract
from gateway.soap.envelope import TYPES, Envelope, dialect_of, fault_code, media_type, whole_text
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity
from gateway.soap.shapes import Shapes
from gateway.xml import Element, Limits, parse

_OK: Final = 200
#: A fault comes with 500 (SOAP 1.1, section 6.2), in SOAP 1.2 also with 400 (part 2, table 20).
_FAULT: Final = (400, 500)
_CORRELATION: Final = f"{{{TYPES}}}correlation_id"


def read_reply(
    contract: Contract,
    request: PreparedRequest,
    reply: HttpReply,
    max_bytes: int,
    security: MessageSecurity = UNPROTECTED,
    shapes: Shapes | None = None,
) -> Mapping[str, Any]:
    """The values of the reply's element: `result` or, for a business refusal, `service_error`.

    `shapes`: of earlier replies of this partner, where it does not sign them. Raises `Unavailable` for a
    definite fault or technical error, and `Uncertain` for anything doubtful.
    """
    _check_http(contract, reply)
    values = None
    if shapes is not None and reply.status == _OK and len(reply.body) <= max_bytes:
        values = shapes.read(request.action, reply.body, request.correlation_id)
    if values is None:
        values = _read(contract, request, reply, max_bytes, security, shapes)
    return _checked_error(contract, values)


def _read(
    contract: Contract,
    request: PreparedRequest,
    reply: HttpReply,
    max_bytes: int,
    security: MessageSecurity,
    shapes: Shapes | None,
) -> Values:
    """In the long way."""
    action = contract.actions[request.action]
    try:
        envelope = _envelope(contract, reply.body, max_bytes, security)
        if envelope.fault:
            raise _fault(contract, envelope, request.correlation_id, reply.status, security)
        if reply.status != _OK:
            raise Uncertain(f"http_{reply.status}")
        values = _values(contract, action, envelope, request.correlation_id)
    except Refused as error:
        raise Uncertain(f"reply_{error.code}", error.detail) from error
    if shapes is not None:
        shapes.keep(action.name, reply.body, envelope, (contract.header, action.reply), values)
    return values


def _check_http(contract: Contract, reply: HttpReply) -> None:
    if 300 <= reply.status < 400:
        raise Uncertain("redirected")
    announced = media_type(reply.headers.get("content-type", ""))
    if reply.status not in (_OK, *_FAULT) or (
        reply.status != _OK and announced != contract.dialect.media_type
    ):
        raise Uncertain(f"http_{reply.status}")
    if announced != contract.dialect.media_type:
        raise Uncertain("reply_not_soap")


def _envelope(contract: Contract, body: bytes, max_bytes: int, security: MessageSecurity) -> Envelope:
    root = parse(body, Limits(max_bytes=max_bytes))
    if dialect_of(root) not in (None, contract.dialect):
        raise Refused("wrong_version")
    envelope = security.open(root)
    if envelope.not_understood(security.understood):
        raise Refused("not_understood")
    return envelope


def _fault(
    contract: Contract, envelope: Envelope, correlation_id: str, status: int, security: MessageSecurity
) -> Unavailable | Uncertain:
    """What a `soap:Fault` means. One that names another message, or comes with success, means nothing.

    A signed one must name ours: without a header it may be the answer to an earlier message, sent again by
    somebody else.
    """
    headers = envelope.message_headers
    named = [_text(header, _CORRELATION) for header in headers]
    ours = named == [correlation_id] if headers else not security.proves
    code = fault_code(envelope)
    if status in _FAULT and ours and code in contract.service.definite_faults:
        return Unavailable(f"fault_{code}")
    return Uncertain("fault" if ours else "reply_uncorrelated")


def _values(contract: Contract, action: Action, envelope: Envelope, correlation_id: str) -> dict[str, Any]:
    header = envelope.message_header
    if header is None:
        raise Refused("header_missing")
    contract.check(header)
    contract.check(envelope.content)
    if envelope.content.tag != action.reply.tag:
        raise Refused("unexpected")
    if _text(header, _CORRELATION) != correlation_id:
        raise Refused("uncorrelated")
    return action.reply.read(envelope.content)


def _text(parent: Element, tag: str) -> str | None:
    child = next(parent.iterchildren(tag), None)  # `find` goes through a parser of paths
    return None if child is None else whole_text(child)


def _checked_error(contract: Contract, values: dict[str, Any]) -> dict[str, Any]:
    error = values.get("service_error")
    if error is None or error["error_type"] == "Business":
        return values
    told_beside = any(value is not None for name, value in values.items() if name != "service_error")
    if error["code"] in contract.service.definite_faults and not told_beside:
        raise Unavailable(f"technical_{error['code']}")
    raise Uncertain("technical_error")
