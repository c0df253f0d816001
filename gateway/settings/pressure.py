"""Where intake stops before the machine is in danger: the shape of `pressure` in `gateway.yaml`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_Amount = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]


class _Part(BaseModel):
    """As `model.Part`, which stands above this module. Numbers may be written with or without a fraction."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Floor(_Part):
    """Of what must not run out. Between the two, it stays as it is."""

    stop_below: _Amount
    go_on_above: _Amount

    def pressed(self, value: float, before: bool) -> bool:
        """Whether intake has to stop for it, having stopped `before` or not."""
        return value < (self.go_on_above if before else self.stop_below)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.go_on_above <= self.stop_below:
            raise ValueError("go_on_above is not larger than stop_below")
        return self


class Ceiling(_Part):
    """Of what must not grow. Between the two, it stays as it is."""

    stop_above: _Amount
    go_on_below: _Amount

    def pressed(self, value: float, before: bool) -> bool:
        """Whether intake has to stop for it, having stopped `before` or not."""
        return value > (self.go_on_below if before else self.stop_above)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.go_on_below >= self.stop_above:
            raise ValueError("go_on_below is not smaller than stop_above")
        return self


class Pressure(_Part):
    """What is looked at, and how often. Null: that is not watched."""

    look_every_s: _Seconds = 1.0
    #: What a sender is told, at least; up to twice as much, so that not all come back at one moment.
    retry_after_s: Annotated[int, Field(ge=1, le=3_600)] = 5
    #: Bytes free where the database file is (SQLite). A half-received batch goes on down to half of it.
    disk_free: Floor | None = Floor(stop_below=200e6, go_on_above=400e6)
    #: Bytes that the database takes.
    database: Ceiling | None = None
    #: Bytes of memory that this process has.
    memory: Ceiling | None = Ceiling(stop_above=2e9, go_on_below=1.6e9)
    #: Seconds that a write waits for its commit.
    writer: Ceiling | None = Ceiling(stop_above=5.0, go_on_below=1.0)
    #: Messages that are not final.
    messages: Ceiling | None = None
