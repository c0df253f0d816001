"""What is agreed with a partner about its SOAP messages beside TLS: `soap_security` of a destination and of a
party that calls us. The files are checked here too: are they there, strong enough, and for our eyes only?
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.settings.keys import pair_fault

_FileName = Annotated[str, Field(min_length=1, max_length=500)]
#: A renewal needs two.
_Certificates = Annotated[tuple[_FileName, ...], Field(max_length=4)]
DemoKeys = Literal["ecdsa", "rsa"]
_SHORTEST_SECRET: Final = 32
_SMALLEST_RSA: Final = 2_048
_OTHERS: Final = 0o077


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class KeyPair(_Part):
    """PEM files: a certificate of ours, and its private key with mode 0600."""

    certificate: _FileName
    key: _FileName


class _Signing(_Part):
    #: What we sign with: P-256, or RSA from 2048 bits.
    sign_with: KeyPair | None = None
    #: The partner's own certificates, and no authority's: more than one while they are being changed.
    trusted: _Certificates = ()
    #: How the partner is told which certificate of ours it is: by itself, or by issuer and serial number.
    key_reference: Literal["token", "issuer_serial"] = "token"
    #: Keys for both sides are made in the data directory at the first start. For demonstrations only.
    demo_keys: DemoKeys | None = None


class DestinationSecurity(_Signing):
    """Of a destination: what our calls carry, and what its replies must."""

    policy: Literal["none", "username_token", "signature"] = "none"
    #: Of a `username_token`: who we are to the partner, and the file of the secret, mode 0600.
    username: Annotated[str, Field(min_length=1, max_length=200)] = "umrah-gateway"
    secret_file: _FileName | None = None
    #: Our Bodies are encrypted to this certificate (RSA), for a partner that asks for it.
    encrypt_to: _FileName | None = None
    #: The partner's replies are encrypted to this key of ours (RSA), and not taken otherwise.
    decrypt_with: KeyPair | None = None
    #: How old a reply's Timestamp may be, and how far the partner's clock may be from ours.
    max_age_s: Annotated[int, Field(gt=0, le=3_600)] = 300
    leeway_s: Annotated[int, Field(ge=0, le=60)] = 5

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.policy == "username_token" and self.secret_file is None:
            raise ValueError("username_token: secret_file is missing")
        if self.policy == "signature":
            _check_keys(self)
        elif self.encrypt_to or self.decrypt_with:
            raise ValueError("only what is signed is encrypted: policy: signature")
        return self


class PartySecurity(_Signing):
    """Of a party that calls our SOAP services: how it proves itself, and whether our answers are signed."""

    policy: Literal["username_token", "signature"] = "username_token"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.policy == "signature" and self.demo_keys is None and not self.trusted:
            raise ValueError("signature: give trusted, the party's certificates, or demo_keys")
        return self


def _check_keys(security: DestinationSecurity) -> None:
    given = bool(security.trusted and security.sign_with)
    if given == (security.demo_keys is not None):
        raise ValueError("signature: give sign_with and trusted, or demo_keys, and not both")


# --- the files -------------------------------------------------------------------------------------------


#: The path of a key inside `soap_security`, and what is wrong with it.
FileFault = tuple[tuple[str | int, ...], str]


def file_faults(security: DestinationSecurity | PartySecurity, directory: Path) -> Iterator[FileFault]:
    """Every file that can't be used, by its place; file names are relative to `directory`."""
    for n, name in enumerate(security.trusted):
        if text := _certificate_fault(directory / name):
            yield ("trusted", n), text
    yield from _pair(("sign_with",), security.sign_with, directory, rsa_only=False)
    if isinstance(security, DestinationSecurity):
        yield from _pair(("decrypt_with",), security.decrypt_with, directory, rsa_only=True)
        if security.encrypt_to and (
            text := _certificate_fault(directory / security.encrypt_to, rsa_only=True)
        ):
            yield ("encrypt_to",), text
        if security.secret_file and (text := secret_fault(directory / security.secret_file)):
            yield ("secret_file",), text


def _pair(place: tuple[str], pair: KeyPair | None, directory: Path, *, rsa_only: bool) -> Iterator[FileFault]:
    if pair is None:
        return
    if text := _certificate_fault(directory / pair.certificate, rsa_only=rsa_only):
        yield (*place, "certificate"), text
    elif text := pair_fault(directory / pair.certificate, directory / pair.key):
        yield (*place, "key"), text


def _certificate_fault(path: Path, *, rsa_only: bool = False) -> str | None:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        key = certificate.public_key()
    except OSError as error:
        return f"file {path} cannot be read: {error.strerror}"
    except ValueError:
        return f"certificate {path} is not a PEM certificate"
    is_rsa = isinstance(key, RSAPublicKey) and key.key_size >= _SMALLEST_RSA
    is_p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    if not (is_rsa or (is_p256 and not rsa_only)):
        wanted = "an RSA key from 2048 bits" if rsa_only else "a P-256 key or one of RSA from 2048 bits"
        return f"certificate {path} does not hold {wanted}"
    return None  # one that has expired stops no start: messages signed with it are refused


def secret_fault(path: Path) -> str | None:
    """What is wrong with the file of a shared secret, or None. Quotes nothing of it."""
    try:
        mode, secret = path.stat().st_mode, path.read_bytes().strip()
    except OSError as error:
        return f"file {path} cannot be read: {error.strerror}"
    if mode & _OTHERS:
        return f"secret file {path} can be read by others (mode {mode & 0o777:04o}): chmod 600 it"
    if len(secret) < _SHORTEST_SECRET or b"\n" in secret:
        return f"file {path} does not hold one secret of at least {_SHORTEST_SECRET} characters"
    return None
