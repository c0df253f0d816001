"""One fault found in a message: what, where, and never the value itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NO_PARAMS: Mapping[str, str | int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Violation:
    """A fault in one message.

    Text in English and Arabic comes from `schemas.catalogue` by `code`.
    """

    #: A key of `schemas/error_codes.yaml`.
    code: str
    #: RFC 6901 pointer inside the application (or the batch header); empty for the whole of it.
    pointer: str = ""
    #: Values for the text's placeholders: positions, limits, field names. Never personal data.
    params: Mapping[str, str | int] = field(default_factory=lambda: _NO_PARAMS)
