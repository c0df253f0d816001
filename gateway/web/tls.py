"""TLS of the listeners, and the party that a client certificate proves.

A certificate proves the one party that it is bound to in parties.yaml, by its SHA-256 fingerprint: neither a
name in it nor a header of a request says anything. That it comes from our authority is checked in the
handshake; on the public listener its dates are checked here instead, so that its owner gets an answer that
says what is wrong. A certificate can't be replayed (TLS proves its key in every connection, and we take no
early data), so a request that it proves needs no token that is used up.

Nothing here looks at `X-Forwarded-…` or a certificate in a header: behind something that ends TLS, parties
prove themselves by token.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from aiohttp import web

from gateway.errors import Misconfigured, Refused
from gateway.settings import Settings
from gateway.settings.certificates import Certificate, certificate_of, read_certificates
from gateway.settings.gateway import Listener

#: X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for.
_NO_CHECK_TIME: Final = 0x200000
#: What could not be read: bound to nobody.
_UNREADABLE: Final = Certificate(
    "", datetime.fromisoformat("1970-01-01T00:00Z"), datetime.fromisoformat("9999-01-01T00:00Z")
)


class PartyCertificates:
    """Which party a client certificate proves."""

    def __init__(self, parties: Mapping[str, str]) -> None:
        """`parties`: ids by fingerprint."""
        self._parties = dict(parties)

    @classmethod
    def load(cls, settings: Settings) -> PartyCertificates:
        """Read the certificates that are bound by file. Raises `Misconfigured`."""
        bound: dict[str, str] = {}
        for party in settings.parties:
            for certificate in party.certificates:
                sha256 = certificate.sha256 or _read(settings, certificate.file or "").sha256
                if bound.setdefault(sha256, party.id) != party.id:
                    raise Misconfigured(
                        [f"parties.yaml:1:1: a certificate is bound to {party.id} and another"]
                    )
        return cls(bound)

    def party(self, shown: Certificate, now: datetime) -> str:
        """The party's id. Raises `Refused` (401): `certificate_unknown`, `certificate_expired`."""
        party = self._parties.get(shown.sha256)
        if party is None:
            raise Refused("certificate_unknown", status=401)
        if not shown.begins <= now <= shown.ends:
            raise Refused("certificate_expired", status=401)
        return party


#: For gateways that bind none.
NO_CERTIFICATES: Final = PartyCertificates({})


def _read(settings: Settings, name: str) -> Certificate:
    try:
        return read_certificates(settings.file(name))[0]
    except ValueError as error:
        raise Misconfigured([f"parties.yaml:1:1: {error}"]) from error


def read_shown(shown: ssl.SSLObject | None) -> Certificate | None:
    """The certificate that the other side of a connection showed; None: none, or no TLS."""
    der = shown.getpeercert(binary_form=True) if shown is not None else None
    if not der:
        return None
    try:
        return certificate_of(der)
    except ValueError:
        return _UNREADABLE


def shown_by(request: web.Request) -> Certificate | None:
    """The certificate that was shown on the request's connection."""
    return getattr(request.protocol, "certificate", None)


def listener_context(listener: Listener, settings: Settings, *, public: bool) -> ssl.SSLContext | None:
    """TLS 1.2 or newer as the configuration wants it; None: without TLS. Raises `Misconfigured`."""
    if listener.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(settings.file(listener.tls.certificate), settings.file(listener.tls.key))
        if listener.tls.client_ca is not None:
            context.load_verify_locations(settings.file(listener.tls.client_ca))
            _ask(context, required=listener.tls.client_certificates == "required", public=public)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(["gateway.yaml:1:1: a listener's TLS files cannot be used"]) from error
    return context


def _ask(context: ssl.SSLContext, *, required: bool, public: bool) -> None:
    """Optional: a party may prove itself by token instead."""
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    if public:
        context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    # A resumed session would not be held to an authority that was replaced meanwhile.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
