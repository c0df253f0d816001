"""How often the audit log is signed: the shape of `checkpoints` in `gateway.yaml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Checkpoints(BaseModel):
    """Signed checkpoints of the audit log (`gateway.ledger.checkpoints`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    #: Of system time, never of the business date. What was recorded later can be undone unseen, so: a minute.
    interval_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 30.0
