"""How the queues on the broker are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class BrokerQueues(BaseModel):
    """`broker` of gateway.yaml. What holds here was fixed when the queues were first made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    #: What holds messages: `quorum`, replicated, on a cluster; `classic` on one node.
    queue_type: Literal["classic", "quorum"] = "classic"
