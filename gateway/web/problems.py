"""Answers when something is wrong: `application/problem+json` (RFC 9457), in English or Arabic.

What is told comes from the catalogue of codes only: no value of a request, no text of an exception.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from gateway.errors import Conflict, LeaseLost, Refused, Unavailable
from gateway.pipeline.intake import AllOrNothing, Rejection
from gateway.pipeline.pressure import IntakePaused
from gateway.web.authentication import Unauthenticated
from gateway.web.negotiation import language
from schemas import catalogue
from schemas.violation import Violation

MEDIA_TYPE: Final = "application/problem+json"
#: How long a caller is asked to wait where nothing better is known.
RETRY_AFTER_S: Final = 5
#: Codes for what aiohttp itself refuses; any other client error is a `bad_request`.
_HTTP_CODES: Final = {
    404: "not_found",
    405: "method_not_allowed",
    413: "batch_too_large",
    415: "unsupported_media_type",
    431: "headers_too_large",
}
#: Where in a body a fault lies, when a violation's params tell.
_PLACES: Final = ("line", "row", "column")


class RateLimited(Refused):
    """429: too much at the same time."""

    def __init__(self, retry_after_s: int = RETRY_AFTER_S) -> None:
        told = Violation("rate_limited", "", {"seconds": retry_after_s})
        super().__init__("rate_limited", violations=(told,), status=429)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, before it is put into words."""

    status: int
    code: str
    #: For the placeholders of the text.
    params: Mapping[str, str | int] = field(default_factory=lambda: MappingProxyType({}))
    errors: tuple[dict[str, Any], ...] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def problem_of(error: Exception) -> Problem:
    """What an exception is told as. Whatever is not meant for callers is an `internal_error`."""
    match error:
        case Unauthenticated():
            return Problem(401, error.code, headers={"WWW-Authenticate": _challenge(error.code)})
        case Refused():
            return _refused(error)
        case LeaseLost():
            return Problem(409, "batch_in_progress", headers=_wait(RETRY_AFTER_S))
        case IntakePaused():
            return Problem(503, error.code, headers=_wait(error.retry_after_s))
        case Unavailable():
            return Problem(503, "intake_closed", headers=_wait(RETRY_AFTER_S))
        case web.HTTPMethodNotAllowed():
            allow = ", ".join(sorted(error.allowed_methods))
            return Problem(405, "method_not_allowed", headers={"Allow": allow})
        case web.HTTPClientError():
            return Problem(error.status, _HTTP_CODES.get(error.status, "bad_request"))
        case _:
            return Problem(500, "internal_error")


def _challenge(code: str) -> str:
    """RFC 6750, 3."""
    named = ', error="invalid_token"' if code.startswith("token_") else ""
    return f'Bearer realm="umrah-gateway"{named}'


def _refused(error: Refused) -> Problem:
    rejected = error.rejected if isinstance(error, AllOrNothing) else ()
    params = next((v.params for v in error.violations if v.code == error.code), {})
    retry_after_s = error.retry_after_s if isinstance(error, Conflict | RateLimited) else None
    return Problem(
        status=error.status,
        code=error.code,
        params=params,
        errors=(*(described(v) for v in error.violations), *rejected_lines(rejected)),
        headers={} if retry_after_s is None else _wait(retry_after_s),
    )


def _wait(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def rejected_lines(rejected: Iterable[Rejection]) -> Iterator[dict[str, Any]]:
    """Each fault of each rejected line, with its place."""
    for rejection in rejected:
        place = {"line": rejection.line, "row": rejection.row, "reference": rejection.reference}
        for violation in rejection.violations:
            yield described(violation, place)


def described(violation: Violation, place: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One entry of `errors`: place, pointer, code, and the text in both languages."""
    found = {name: violation.params[name] for name in _PLACES if name in violation.params}
    return {
        **found,
        **(place or {}),
        "pointer": violation.pointer,
        "code": violation.code,
        "detail": text(violation.code, "en", violation.params),
        "detail_ar": text(violation.code, "ar", violation.params),
    }


def text(code: str, wanted: catalogue.Language, params: Mapping[str, str | int]) -> str:
    """The catalogue's text. A code that is missing there must not turn a refusal into a failure."""
    return catalogue.text(code, wanted, params) if code in catalogue.CODES else code


def respond(problem: Problem, request_id: str, accept_language: str | None, base_url: str) -> web.Response:
    """The problem as an answer."""
    wanted = language(accept_language)
    document = {
        "type": f"{base_url}/problems/{problem.code}",
        "title": _title(problem.code),
        "status": problem.status,
        "detail": text(problem.code, wanted, problem.params),
        "code": problem.code,
        "request_id": request_id,
        "errors": problem.errors,
    }
    return web.Response(
        status=problem.status,
        body=json.dumps(document, ensure_ascii=False).encode(),
        content_type=MEDIA_TYPE,
        headers={**problem.headers, "Content-Language": wanted, "Vary": "Accept-Language"},
    )


def _title(code: str) -> str:
    return catalogue.CODES[code].title if code in catalogue.CODES else code


def is_fault(error: Exception) -> bool:
    """True for what is our own failure and belongs in the log with its place; a caller that left is none."""
    expected = (Refused, Unavailable, Unauthenticated, LeaseLost, web.HTTPClientError, ConnectionError)
    return not isinstance(error, expected)
