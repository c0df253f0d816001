"""How a command ends: the exit codes, and the error that says why it could not do what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    #: Wrong usage or configuration.
    USAGE = 2
    PARTLY_REJECTED = 3
    TIMED_OUT = 4
    INTERRUPTED = 130


class CommandError(Exception):
    """A command can't do what was asked, for a reason that its user understands.

    `hint` says what to do about it; `problem` is the gateway's own answer (RFC 9457), where there was one.
    """

    exit_code = ExitCode.FAILED

    def __init__(
        self,
        message: str,
        *,
        code: str = "failed",
        hint: str = "",
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.problem = dict(problem or {})

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        hint = {"hint": self.hint} if self.hint else {}
        return {"code": self.code, "message": self.message, **hint, **self.problem}


class WrongUsage(CommandError):
    """What was typed can't be meant so."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str) -> None:
        super().__init__(message, code="usage")


class Unreachable(CommandError):
    """No gateway answered. What was asked may or may not have been done."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="unreachable", hint=hint)
