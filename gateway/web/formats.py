"""The formats in which parties write and read: adapters fill them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.ports import BatchReader, ResultWriter

#: Bytes of one message, and its kind, into its fields. Raises `Refused`.
MessageReader = Callable[[bytes, str], Any]


@dataclass(frozen=True, slots=True)
class Formats:
    """By media type."""

    batches: Mapping[str, BatchReader]
    #: Makes the writer of one document.
    results: Mapping[str, Callable[[], ResultWriter]]
    messages: Mapping[str, MessageReader]
