"""The kinds of values that the configuration is made of.

Durations are seconds and say so in their key (`deadline_s`). Every number has an upper bound, so that a slip
of a zero is found by `check-config` and not at night. Collections are tuples and read-only mappings.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _with_a_port(url: str) -> str:
    try:
        _ = urlsplit(url).port
    except ValueError as error:  # it tells the value, which may hold a password
        raise ValueError("host or port of the address cannot be read") from error
    return url


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
LongSeconds = Annotated[float, Field(gt=0, le=90 * 86_400, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=1, le=3_650)]
Port = Annotated[int, Field(ge=0, le=65_535)]
#: An id that may become a metric label and part of a path.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Version = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
FieldPath = Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=120)]
#: No user, password, query or fragment: secrets never stand in a URL of ours.
Url = Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$", max_length=500)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
#: What the bus's own library reads as an address: found here and not by a bus that never connects.
BrokerUrl = Annotated[
    str, Field(pattern=r"^(memory://|amqps?://[^\s?#]*$)", max_length=500), AfterValidator(_with_a_port)
]
#: Relative to the directory of `gateway.yaml`, unless absolute.
FileName = Annotated[str, Field(min_length=1, max_length=500)]
#: The values of `schemas.confidentiality.Confidentiality` (عام، مقيد، سري، سري للغاية).
ClassName = Literal["public", "restricted", "secret", "top_secret"]


class Part(BaseModel):
    """A mapping in a file: nothing unknown, no silent conversion, unchangeable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
