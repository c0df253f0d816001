"""The processes of one `serve --workers N`: what a supervisor hands to each, and how it is read there."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields
from typing import Any, Final

from gateway.web.seat import Role, Seat

#: JSON, written by the supervisor for its own processes.
_MEMBERSHIP: Final = "GATEWAY_GROUP_MEMBERSHIP"
#: What was added to it since. A supervisor may have to start an earlier release, which takes no other names
#: than its own in the first variable, and no variable of its own prefix that it does not know.
_ADDITIONS: Final = "GROUP_MEMBERSHIP_ADDITIONS"
_ADDED: Final = ("hints_in", "hints_out")


@dataclass(frozen=True, slots=True)
class Membership:
    """A process's place in its group. Descriptors are open in that process."""

    #: `host:pid` of the supervisor.
    group: str
    role: Role
    #: A byte is written here once the process serves.
    ready: int
    #: Ends when the supervisor is gone: nobody would look after this process any more.
    lifeline: int
    public: int | None
    admin: int | None
    #: Of an embedded ledger: held open, the data directory stays locked while any process of the group lives.
    lock: int | None = None
    #: The two ends of the group's pipe of hints.
    hints_in: int | None = None
    hints_out: int | None = None

    def variables(self) -> Mapping[str, str]:
        """For the process's environment."""
        everything = {name: getattr(self, name) for name in _names()}
        added = {name: everything.pop(name) for name in _ADDED}
        return {_MEMBERSHIP: json.dumps(everything), _ADDITIONS: json.dumps(added)}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the process must be given, by the same numbers."""
        return tuple(fd for fd in self._all() if fd is not None)

    def _all(self) -> tuple[int | None, ...]:
        return (
            self.ready, self.lifeline, self.public, self.admin, self.lock, self.hints_in, self.hints_out
        )  # fmt: skip

    def seat(self) -> Seat:
        """With the group's listening sockets and its pipe."""
        public, admin = _socket(self.public), _socket(self.admin)
        return Seat(self.role, self.group, public, admin, _pipe(self.hints_in, self.hints_out))

    def tell_ready(self) -> None:
        """The supervisor may go on."""
        os.write(self.ready, b"1")
        os.close(self.ready)


def membership(environment: MutableMapping[str, str]) -> Membership | None:
    """What our supervisor gave us; None when we were started by somebody else. Taken out of `environment`."""
    text, additions = environment.pop(_MEMBERSHIP, None), environment.pop(_ADDITIONS, "{}")
    if text is None:
        return None
    given: dict[str, Any] = json.loads(text) | json.loads(additions)
    # A supervisor of a later release may give more; of an earlier one, all in the first variable.
    known = {name: value for name, value in given.items() if name in _names()}
    return Membership(**{**known, "role": Role(known["role"])})


def _names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Membership))


def _pipe(reads: int | None, writes: int | None) -> tuple[int, int] | None:
    if reads is None or writes is None:
        return None
    for descriptor in (reads, writes):
        os.set_inheritable(descriptor, False)
    return reads, writes


def _socket(descriptor: int | None) -> socket.socket | None:
    if descriptor is None:
        return None
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)
