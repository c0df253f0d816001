"""Authorities of the tests' own, and what they sign. The dates hold whatever clock is asked, by default."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LONG_PAST = datetime(2021, 1, 1, tzinfo=UTC)
NOT_YET = datetime(2090, 1, 1, tzinfo=UTC)
FAR_OFF = datetime(2099, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path
    sha256: str


@dataclass
class Authority:
    """Signs certificates. Its own is in `file`."""

    folder: Path
    name: str = "ca"
    _key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))

    def __post_init__(self) -> None:
        self.file = self.folder / f"{self.name}.crt"
        built = self._begun(self.name, self._key, LONG_AGO, FAR_OFF).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.file.write_bytes(built.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def pair(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        begins: datetime = LONG_AGO,
        ends: datetime = FAR_OFF,
    ) -> Pair:
        """A certificate for that host, in files of that name."""
        key = generate_private_key(SECP256R1())
        try:
            subject: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            subject = x509.DNSName(host)
        made = (
            self._begun(name, key, begins, ends)
            .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
            .sign(self._key, SHA256())
        )
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(made.public_bytes(Encoding.PEM))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        files[1].chmod(0o600)
        return Pair(*files, made.fingerprint(SHA256()).hex())

    def _begun(
        self, name: str, key: EllipticCurvePrivateKey, begins: datetime, ends: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
