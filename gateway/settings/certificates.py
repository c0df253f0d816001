"""Certificates in files: what they are, until when they hold, and which ones the configuration names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.settings.model import Settings

#: Under this name our own certificates are told.
OURS: Final = "gateway"
_BAD: Final = (ValueError, TypeError, UnsupportedAlgorithm)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What we need to know of a certificate."""

    #: Of its DER, in lower-case hex.
    sha256: str
    begins: datetime
    #: The last moment at which it holds.
    ends: datetime


@dataclass(frozen=True, slots=True)
class Named:
    """A certificate that the configuration names."""

    #: Whose it is; `OURS` for ours.
    party: str
    #: Where it is named, such as `listeners.public`.
    about: str
    file: Path
    certificate: Certificate


def certificate_of(der: bytes) -> Certificate:
    """Raises `ValueError` for what is no certificate."""
    try:
        return _described(x509.load_der_x509_certificate(der))
    except _BAD as error:
        raise ValueError("not a certificate") from error


def read_certificates(path: Path) -> tuple[Certificate, ...]:
    """All of a PEM file, at least one. Raises `ValueError` that says what is wrong."""
    try:
        return tuple(_described(each) for each in x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise ValueError(f"file {path} cannot be read: {error.strerror}") from None
    except _BAD:
        raise ValueError(f"file {path} holds no PEM certificates") from None


def named_certificates(settings: Settings) -> Iterator[Named]:
    """Ours, and those of parties that are bound by file. What can't be read is left to `check-config`."""
    for party, about, name in _files(settings):
        path = settings.file(name)
        try:
            first, *_ = read_certificates(path)  # the leaf stands before its chain
        except ValueError:
            continue
        yield Named(party, about, path, first)


def expiries(settings: Settings) -> dict[str, datetime]:
    """When each party can no longer prove itself: the latest of its certificates, and the first of ours.

    A party is left out that has no certificate bound by file.
    """
    found: dict[str, datetime] = {}
    for named in named_certificates(settings):
        choose = min if named.party == OURS else max
        ends = named.certificate.ends
        found[named.party] = choose(ends, found.get(named.party, ends))
    return found


def _files(settings: Settings) -> Iterator[tuple[str, str, str]]:
    listeners = settings.gateway.listeners
    for name, listener in (("public", listeners.public), ("admin", listeners.admin)):
        if listener.tls:
            yield OURS, f"listeners.{name}", listener.tls.certificate
    for name, destination in settings.destinations.items():
        if destination.tls and destination.tls.certificate:
            yield OURS, f"destinations.{name}", destination.tls.certificate
    for party in settings.parties:
        for bound in party.certificates:
            if bound.file:
                yield party.id, f"parties.{party.id}", bound.file


def _described(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        sha256=certificate.fingerprint(SHA256()).hex(),
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
    )
