"""What an error says about the request: provably not sent, or in doubt.

Before the first byte is written nothing can have been acted on, so every error is `Unavailable`; from then on
every error is `Uncertain`. The caller says which side it is on; the table only gives the error its name.

One exception: a partner that refuses our certificate. With TLS 1.3 its verdict comes after our side of the
handshake, so the request may be on its way already. But it is the partner's handshake that fails then, and
nothing that came after it is read (RFC 8446, 4.4.2.4 and 6.2): `Unavailable`. A verdict that is lost on its
way, in a reset connection, leaves the call in doubt like any other; and so does one on a connection that has
answered before, where the handshake is long over and the request may have been read.
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

#: By OpenSSL's verdict (X509_V_ERR_…) on a partner's certificate; of all others: `certificate_refused`.
VERDICTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        9: "certificate_expired",  # not valid yet
        10: "certificate_expired",
        18: "certificate_untrusted",  # signed by itself
        19: "certificate_untrusted",
        20: "certificate_untrusted",
        21: "certificate_untrusted",
        62: "certificate_wrong_name",
        64: "certificate_wrong_name",  # an IP address
    }
)

#: Alerts (RFC 8446, 6.2) by which a partner says in its handshake that our certificate will not do.
OUR_CERTIFICATE_REFUSED: Final = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    }
)

#: What `HttpClient` catches of the libraries.
CAUGHT: Final = tuple(MEANINGS)


def meaning(error: BaseException, *, sent: bool, proven: bool = False) -> Unavailable | Uncertain:
    """The error in our terms.

    `sent`: a byte of the request may have left. `proven`: the connection has brought a reply before.
    """
    if refuses_our_certificate(error) and not proven:
        return Unavailable("own_certificate_refused")
    if isinstance(error, ssl.SSLCertVerificationError) and not sent:
        return Unavailable(VERDICTS.get(getattr(error, "verify_code", 0), "certificate_refused"))
    unknown = Codes("not_sent", "http_failed")
    codes = next((MEANINGS[cls] for cls in type(error).__mro__ if cls in MEANINGS), unknown)
    return Uncertain(codes.after_sending) if sent else Unavailable(codes.before_sending)


def refuses_our_certificate(error: BaseException | None) -> bool:
    """Whether the partner ended the handshake because of the certificate that we showed, or did not show."""
    return isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in OUR_CERTIFICATE_REFUSED
