"""Takes connections from a listening socket: so many of one address, under the TLS context in force.

The event loop's own servers keep their TLS context for good and count nothing.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from typing import Final

from gateway.observe.log import log
from gateway.web.connection import Connection

_HANDSHAKE_S: Final = 10.0
#: Taken in one turn of the loop.
_AT_ONCE: Final = 64
#: Out of descriptors or memory: others have to end first.
_SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S: Final = 0.5
_NETWORK_BITS: Final = 64

#: Makes a connection; what it is given is called when the connection is over.
Connect = Callable[[Callable[[], None]], Connection]


class Acceptor:
    """One listening socket. Takes from `start` until `close`; connections outlive it."""

    def __init__(
        self,
        taken: socket.socket,
        connect: Connect,
        tls: ssl.SSLContext | None,
        *,
        most_per_address: int,
        on_refused: Callable[[], None],
    ) -> None:
        """`on_refused` is told of each connection over `most_per_address`; it is closed without a word."""
        self._socket = taken
        self._connect = connect
        #: For connections that come from now on, like the next. May be replaced at any time.
        self.tls = tls
        self.most_per_address = most_per_address
        self._on_refused = on_refused
        self._open: Counter[str] = Counter()
        self._welcoming: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Take connections."""
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._accept)

    def turn_away(self) -> None:
        """Take no more; handshakes under way may end."""
        if self._socket.fileno() == -1:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def close(self) -> None:
        """Take no more; who has not ended its handshake is let go."""
        self.turn_away()
        for welcome in self._welcoming:
            welcome.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                taken, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _SHORT_OF:
                    raise
                self._wait(error)
                return
            self._admit(taken, _address(str(peer[0])))

    def _wait(self, error: OSError) -> None:
        log.error("accept_failed", action="accept", error=type(error).__name__)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(_PAUSE_S, self._loop.add_reader, self._socket, self._accept)

    def _admit(self, taken: socket.socket, address: str) -> None:
        if self._open[address] >= self.most_per_address:
            taken.close()
            self._on_refused()
            return
        self._open[address] += 1
        taken.setblocking(False)
        welcome = self._loop.create_task(self._welcome(taken, address))
        self._welcoming.add(welcome)
        welcome.add_done_callback(self._welcoming.discard)

    async def _welcome(self, taken: socket.socket, address: str) -> None:
        """The handshake. Counted until the connection is over, whether it ever began or not."""
        counted = True

        def over() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._leave(address)

        try:
            await self._loop.connect_accepted_socket(
                lambda: self._connect(over),
                taken,
                ssl=self.tls,
                ssl_handshake_timeout=_HANDSHAKE_S if self.tls else None,
            )
        except BaseException as error:
            taken.close()
            over()
            if not isinstance(error, OSError):  # no handshake, or none in time: nobody to answer
                raise

    def _leave(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:  # whoever has left is not remembered
            del self._open[address]


def _address(host: str) -> str:
    """What counts as one: an IPv4 address, or the network that one IPv6 subscriber has (RFC 6177)."""
    if ":" not in host:
        return host
    bits = 128 - _NETWORK_BITS
    return str(IPv6Network((int(IPv6Address(host.partition("%")[0])) >> bits << bits, _NETWORK_BITS)))
