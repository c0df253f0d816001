"""What can go wrong, in the four classes that decide what happens next.

    GatewayError
    ├── Refused         the message is wrong: answered, never retried
    │   └── Conflict    it contradicts something already recorded (idempotency key, state)
    ├── Unavailable     provably not done: retried later
    ├── Uncertain       sent, and the answer was lost or is unusable: inquired about, never repeated blindly
    ├── LeaseLost       another worker holds the message now; what this one learned is kept as evidence
    └── Misconfigured   stops the start

The class of an error, and whether its step is repeatable, decide the retry; a caller never does.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.violation import Violation


class GatewayError(Exception):
    """Anything this project raises on purpose.

    `code` is stable and listed in `schemas/error_codes.yaml` or in an adapter's fault table. Neither it
    nor the message text ever holds a value that came from a message.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Refused(GatewayError):
    """The message is wrong. `violations` name each place; `status` is the HTTP answer that fits."""

    def __init__(
        self, code: str, detail: str = "", *, violations: Sequence[Violation] = (), status: int = 422
    ) -> None:
        super().__init__(code, detail)
        self.violations = tuple(violations)
        self.status = status


class Conflict(Refused):
    """What is asked contradicts what is recorded. `retry_after_s` is set when waiting may help."""

    def __init__(self, code: str, detail: str = "", *, retry_after_s: int | None = None) -> None:
        super().__init__(code, detail, status=409)
        self.retry_after_s = retry_after_s


class Unavailable(GatewayError):
    """The effect provably did not happen (no connection was made, or a fault that the partner defines so)."""


class Uncertain(GatewayError):
    """The request may have been acted on, and no trustworthy answer came back.

    `answered` tells that a whole reply was read, though not one to be trusted: so nothing of the request is
    on its way any more.
    """

    def __init__(self, code: str, detail: str = "", *, answered: bool = False) -> None:
        super().__init__(code, detail)
        self.answered = answered


class LeaseLost(GatewayError):
    """The fencing token is no longer the message's own."""

    def __init__(self, message_id: str) -> None:
        super().__init__("lease_lost", message_id)


class Misconfigured(GatewayError):
    """A configuration fault. `faults` are lines of the form `file:line:column: text`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("misconfigured", "; ".join(faults))
        self.faults = tuple(faults)
