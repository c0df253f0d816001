"""Is the process alive, and may work be sent to it?

Ready means: the ledger commits, and intake is open. A partner's or a broker's health never counts: messages
wait in the ledger for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Readiness:
    """What `/readyz` tells."""

    ledger: bool
    intake: bool
    #: How other things are, such as the broker. They never make it not ready.
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether batches can be taken now."""
        return self.ledger and self.intake

    def document(self) -> dict[str, str]:
        """For people and probes."""
        return {
            "status": "ready" if self.ready else "not_ready",
            "ledger": "writable" if self.ledger else "not_writable",
            "intake": "open" if self.intake else "closed",
            **self.details,
        }


async def readiness(
    ledger_commits: Callable[[], Awaitable[bool]], *, intake_open: bool, details: Mapping[str, str]
) -> Readiness:
    """Ask the ledger whether a write commits now (`Ledger.ready`)."""
    return Readiness(ledger=await ledger_commits(), intake=intake_open, details=details)
