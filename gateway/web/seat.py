"""What one process of an installation serves, and on which sockets."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Which half of the work a process does."""

    ALL = "all"
    #: Listens to parties and operators, carries nothing.
    API = "api"
    #: Carries messages, listens to operators only.
    WORKER = "worker"

    @property
    def carries(self) -> bool:
        """Whether it claims messages."""
        return self is not Role.API


@dataclass(frozen=True, slots=True)
class Seat:
    """A process's place in its installation."""

    role: Role = Role.ALL
    #: The processes that were started together and share their listeners: `host:pid` of their supervisor.
    #: None: this process is alone.
    group: str | None = None
    #: Sockets that another process listens on for us; None: we take the configured address.
    public: socket.socket | None = None
    admin: socket.socket | None = None
    #: Where the processes of the group ask each other for help, to read and to write (`pipeline.hints`).
    hints: tuple[int, int] | None = None

    @property
    def shares_listeners(self) -> bool:
        """Whether somebody else goes on listening when this process ends."""
        return self.admin is not None


#: Everything in one process.
ALONE: Final = Seat()
