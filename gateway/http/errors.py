"""What an error says about the request: provably not sent, or in doubt.

Before the first byte is written nothing can have been acted on, so every error is `Unavailable`; from then on
every error is `Uncertain`. The caller says which side it is on; the table only gives the error its name.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade

from gateway.errors import Unavailable, Uncertain


class Codes(NamedTuple):
    """The codes of one class of error, by when it comes."""

    before_sending: str
    after_sending: str


#: By class; a subclass without a line of its own reads as its nearest ancestor.
MEANINGS: Final[Mapping[type[BaseException], Codes]] = MappingProxyType(
    {
        # While connecting, or while waiting for the reply.
        OSError: Codes("not_connected", "connection_lost"),
        TimeoutError: Codes("connect_timeout", "reply_timeout"),
        socket.gaierror: Codes("name_not_resolved", "connection_lost"),
        socket.herror: Codes("name_not_resolved", "connection_lost"),
        ssl.SSLError: Codes("tls_failed", "connection_lost"),
        ssl.SSLCertVerificationError: Codes("certificate_refused", "connection_lost"),
        # An address that can't be one; a name that is too long for DNS is a UnicodeError.
        ValueError: Codes("address_invalid", "http_failed"),
        # What came is no reply to what was asked.
        HttpParserError: Codes("not_connected", "reply_not_http"),
        HttpParserUpgrade: Codes("not_connected", "reply_not_http"),
    }
)

#: What `HttpClient` catches of the libraries.
CAUGHT: Final = tuple(MEANINGS)


def meaning(error: BaseException, *, sent: bool) -> Unavailable | Uncertain:
    """The error in our terms. `sent`: a byte of the request may have left."""
    unknown = Codes("not_sent", "http_failed")
    codes = next((MEANINGS[cls] for cls in type(error).__mro__ if cls in MEANINGS), unknown)
    return Uncertain(codes.after_sending) if sent else Unavailable(codes.before_sending)
