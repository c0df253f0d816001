"""What a REST service is, as data: a further one is a description like these and a converter.

A call is a POST of one JSON object. Two headers go along: `Idempotency-Key`, our reference for what is asked
for, the same in every repetition; and `X-Correlation-Id`, a new one for every request. The reply is

    {"correlation_id": …, "result": {…}}            or
    {"correlation_id": …, "service_error": {"error_type": "Business" | "Technical", "code": …, …}}

A business refusal is a normal answer with status 200. A technical error comes with 503 or 429.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict

from schemas.shapes import Shape

JSON: Final = "application/json"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
CORRELATION_ID: Final = "X-Correlation-Id"

ErrorCode = Annotated[str, Shape("[A-Z]", "[A-Z0-9_]{0,63}")]
_Text = Annotated[str, Shape(r"[^\x00-\x1f\x7f]{0,500}")]
_Id = Annotated[str, Shape(r"[\x21-\x7e]{1,64}")]


class Message(BaseModel):
    """One JSON object of a contract: nothing unknown, nothing converted, no value in an error's text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class ServiceError(Message):
    """A refusal (Business) or a failure (Technical)."""

    error_type: Literal["Business", "Technical"]
    code: ErrorCode
    text_en: _Text = ""
    text_ar: _Text = ""


class ErrorReply(Message):
    """A reply that carries no result."""

    correlation_id: _Id
    service_error: ServiceError


@dataclass(frozen=True, slots=True)
class RestAction:
    """One thing that can be asked of a service."""

    #: Below the service's base path, beginning with a slash.
    path: str
    request: type[Message]
    #: Of `result`.
    reply: type[Message]


@dataclass(frozen=True, slots=True)
class RestService:
    """A partner's service: where it stands, what can be asked of it, and which errors of it are definite."""

    #: Who runs it.
    party: str
    #: Below the destination's URL: empty, or beginning with a slash.
    base_path: str
    #: By name, as an `Exchange` has it.
    actions: Mapping[str, RestAction]
    #: Codes of technical errors that say for certain that nothing was done. Agree on each with the partner;
    #: every other one is uncertain.
    definite_errors: frozenset[str] = frozenset()
