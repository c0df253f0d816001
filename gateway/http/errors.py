"""What an error of the HTTP library says about the request: provably not sent, or in doubt.

Only an error that can't occur once a byte was written is `Unavailable`. Everything unknown is `Uncertain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import aiohttp
from aiohttp import client_exceptions

from gateway.errors import Unavailable, Uncertain

Meaning = tuple[type[Unavailable] | type[Uncertain], str]

#: By class; a test holds it complete over every subclass of `aiohttp.ClientError`.
MEANINGS: Final[Mapping[type[BaseException], Meaning]] = MappingProxyType(
    {
        # No connection was made.
        aiohttp.ClientConnectorError: (Unavailable, "not_connected"),
        aiohttp.ClientConnectorDNSError: (Unavailable, "name_not_resolved"),
        aiohttp.ClientProxyConnectionError: (Unavailable, "not_connected"),
        client_exceptions.UnixClientConnectorError: (Unavailable, "not_connected"),
        aiohttp.ConnectionTimeoutError: (Unavailable, "connect_timeout"),
        # TLS is agreed on before the request is sent.
        aiohttp.ClientSSLError: (Unavailable, "tls_failed"),
        aiohttp.ClientConnectorSSLError: (Unavailable, "tls_failed"),
        aiohttp.ClientConnectorCertificateError: (Unavailable, "certificate_refused"),
        aiohttp.ServerFingerprintMismatch: (Unavailable, "certificate_refused"),
        # The address was never usable.
        aiohttp.InvalidURL: (Unavailable, "address_invalid"),
        aiohttp.InvalidUrlClientError: (Unavailable, "address_invalid"),
        aiohttp.NonHttpUrlClientError: (Unavailable, "address_invalid"),
        # Sent, or perhaps sent.
        aiohttp.ClientError: (Uncertain, "http_failed"),
        aiohttp.ClientConnectionError: (Uncertain, "connection_lost"),
        aiohttp.ClientConnectionResetError: (Uncertain, "connection_lost"),
        aiohttp.ClientOSError: (Uncertain, "connection_lost"),
        aiohttp.ServerConnectionError: (Uncertain, "connection_lost"),
        aiohttp.ServerDisconnectedError: (Uncertain, "connection_lost"),
        aiohttp.ServerTimeoutError: (Uncertain, "reply_timeout"),
        aiohttp.SocketTimeoutError: (Uncertain, "reply_timeout"),
        aiohttp.ClientPayloadError: (Uncertain, "reply_cut_short"),
        aiohttp.UploadAbortedError: (Uncertain, "connection_lost"),
        aiohttp.ClientResponseError: (Uncertain, "reply_not_http"),
        aiohttp.ContentTypeError: (Uncertain, "reply_not_http"),
        aiohttp.ClientHttpProxyError: (Uncertain, "reply_not_http"),
        aiohttp.WSServerHandshakeError: (Uncertain, "reply_not_http"),
        aiohttp.TooManyRedirects: (Uncertain, "redirected"),
        client_exceptions.RedirectClientError: (Uncertain, "redirected"),
        aiohttp.InvalidUrlRedirectClientError: (Uncertain, "redirected"),
        aiohttp.NonHttpUrlRedirectClientError: (Uncertain, "redirected"),
        # What may come past the library's own errors.
        TimeoutError: (Uncertain, "reply_timeout"),
        OSError: (Uncertain, "connection_lost"),
    }
)

#: What `HttpClient` catches of the library.
CAUGHT: Final = (aiohttp.ClientError, OSError)


def meaning(error: BaseException) -> Meaning:
    """The entry of the error's class, or of its nearest ancestor."""
    return next((MEANINGS[cls] for cls in type(error).__mro__ if cls in MEANINGS), (Uncertain, "http_failed"))
