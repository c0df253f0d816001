"""A partner's reply, from bytes to values that can be trusted, or to the reason why they can't.

The order is fixed: status and content type, size (by the HTTP client), strict JSON, the model of that
action's reply, correlation, and only then values. Only what a partner defines as "nothing was done" is
`Unavailable`; everything else that is not a trustworthy answer is `Uncertain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError, create_model

from gateway.errors import Refused, Unavailable, Uncertain
from gateway.http import HttpReply
from gateway.rest.json_text import read
from gateway.rest.service import JSON, ErrorReply, Message, RestService

_OK: Final = 200
#: With these a partner may say that it did nothing.
_BUSY: Final = (429, 503)
_RESULT: Final = "result"

M = TypeVar("M", bound=BaseModel)


def reply_model(result: type[Message]) -> type[Message]:
    """The model of a whole good reply with that result."""
    return create_model(
        f"{result.__name__}Reply", __base__=Message, correlation_id=(str, ...), result=(result, ...)
    )


def read_reply(
    service: RestService, model: type[Message], correlation_id: str, reply: HttpReply
) -> Mapping[str, Any]:
    """The values of the reply: `result` or, for a business refusal, `service_error`. A null is left out.

    `model` is the `reply_model` of the action. Raises `Unavailable` for a definite error, and `Uncertain` for
    anything doubtful.
    """
    _check_http(reply)
    try:
        values = _values(model, reply, correlation_id)
    except Refused as error:
        raise _not_readable(reply, error) from error
    if reply.status == _OK and _RESULT in values:
        return values
    return _checked_error(service, values, reply.status)


def _check_http(reply: HttpReply) -> None:
    if 300 <= reply.status < 400:
        raise Uncertain("redirected")
    announced = _media_type(reply.headers.get("content-type", ""))
    if reply.status not in (_OK, *_BUSY) or (reply.status != _OK and announced != JSON):
        raise Uncertain(f"http_{reply.status}")
    if announced != JSON:
        raise Uncertain("reply_not_json")


def _media_type(content_type: str) -> str:
    """Without parameters; empty where they say that it is not UTF-8, or where there are two of them."""
    kind, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    return kind.strip().lower() if charset in ("", "charset=utf-8") else ""


def _values(model: type[Message], reply: HttpReply, correlation_id: str) -> dict[str, Any]:
    value = read(reply.body)
    is_error = isinstance(value, dict) and "service_error" in value
    values = _validated(ErrorReply if is_error else model, value).model_dump(exclude_none=True)
    if values.pop("correlation_id") != correlation_id:
        raise Refused("uncorrelated")
    return values


def _validated(model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # Where, and never what.
        place = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise Refused("schema_invalid", f"{place['type']} in {model.__name__}") from None


def _not_readable(reply: HttpReply, error: Refused) -> Uncertain:
    """An unreadable body with another status than success adds nothing to the status."""
    code = f"reply_{error.code}" if reply.status == _OK else f"http_{reply.status}"
    return Uncertain(code, error.detail)


def _checked_error(service: RestService, values: Mapping[str, Any], status: int) -> Mapping[str, Any]:
    error = values.get("service_error")
    if error is None:  # a result with 503: which of the two is meant?
        raise Uncertain(f"http_{status}")
    if error["error_type"] == "Business" and status == _OK:
        return values
    if error["error_type"] == "Technical" and error["code"] in service.definite_errors:
        raise Unavailable(f"technical_{error['code']}")
    raise Uncertain("technical_error")
