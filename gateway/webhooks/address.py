"""Where a notice may go: names are resolved here, every address is checked, and a checked one connected to.

A center names the URL, so it must not lead the gateway into its own network (server-side request forgery).
Resolving, checking and connecting are one step: a name that gives another address a moment later (DNS
rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from gateway.errors import Unavailable
from gateway.http import HttpClient
from gateway.http.client import Origin
from gateway.http.connection import Connection
from gateway.ports import Clock

#: Host and port to the addresses that the name has now. Raises `OSError`.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

#: IPv6 addresses that stand for IPv4 ones: NAT64 (RFC 6052, 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
_EMBEDDING: Final = tuple(
    IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


async def system_addresses(host: str, port: int) -> Sequence[str]:
    """As the machine resolves names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(text: str) -> bool:
    """Whether an address is one of the open Internet. What can't be read is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return _is_global(mapped) if mapped else _is_global(address) and not _embeds(address)
    return _is_global(address)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    return address.is_global and not (special or address.is_private or address.is_link_local)


def _embeds(address: IPv6Address) -> bool:
    return any(address in network for network in _EMBEDDING)


class GuardedClient(HttpClient):
    """The HTTP client, connecting to checked addresses only. One a webhook: their rules differ."""

    def __init__(
        self,
        clock: Clock,
        *,
        idle_s: float,
        resolve: Resolve,
        allow_private: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(clock, idle_s=idle_s, tls=tls)
        self._resolve = resolve
        self._allow_private = allow_private

    async def connect(self, origin: Origin, timeout_s: float) -> Connection:
        """The name stays what the certificate is checked against."""
        async with asyncio.timeout(timeout_s):
            connection = await self._first_of(await self._checked(origin), origin)
        if not connection.is_usable():
            connection.abort()
            raise ConnectionAbortedError
        return connection

    async def _first_of(self, addresses: Sequence[str], origin: Origin) -> Connection:
        """The first that answers, in the order given: one family may not be routed from here."""
        try:
            return await self._to(addresses[0], origin)
        except ssl.SSLError:
            raise
        except OSError:
            if len(addresses) == 1:
                raise
            return await self._first_of(addresses[1:], origin)

    async def _to(self, address: str, origin: Origin) -> Connection:
        tls = self._tls_context() if origin.tls else None
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection, address, origin.port, ssl=tls, server_hostname=origin.host if tls else None
        )
        return connection

    async def _checked(self, origin: Origin) -> Sequence[str]:
        """Raises `Unavailable` (`address_not_allowed`) when any address of the name is not allowed."""
        addresses = await self._resolve(origin.host, origin.port)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise Unavailable("address_not_allowed")
        return addresses
