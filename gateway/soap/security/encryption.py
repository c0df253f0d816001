"""The content of a Body for one receiver's eyes only (W3C XML Encryption 1.1).

AES-256-GCM with a fresh key, which is wrapped by RSA-OAEP (SHA-256, MGF1 with SHA-256) to the receiver's
certificate. What is signed is encrypted afterwards, so that the signature is over what can be read. CBC and
RSA 1.5 are not taken: both can be read by whoever may ask often enough.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.errors import Refused
from gateway.soap.security.keys import Certificate, SigningKey
from gateway.soap.security.names import (
    AES_256_GCM,
    CONTENT,
    DS,
    ENCRYPTED_DATA_TAG,
    ENCRYPTED_KEY_TAG,
    MGF_SHA256,
    RSA_OAEP,
    SHA256_DIGEST,
    XENC,
    XENC11,
)
from gateway.soap.security.signing import Wrapped, issuer_serial
from gateway.soap.wsse import SECURITY_TAG, WSSE
from gateway.xml import Element, Limits, parse

_DATA_ID: Final = "EncryptedBody"
_NONCE: Final = 12
_KEY: Final = 32
_OAEP: Final = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)
_METHOD, _CIPHER_DATA, _CIPHER_VALUE = (
    f"{{{XENC}}}{name}" for name in ("EncryptionMethod", "CipherData", "CipherValue")
)
_REFERENCES, _REFERENCE = (f"{{{XENC}}}{name}" for name in ("ReferenceList", "DataReference"))
_KEY_INFO: Final = f"{{{DS}}}KeyInfo"
_DIGEST: Final = f"{{{DS}}}DigestMethod"
_MGF: Final = f"{{{XENC11}}}MGF"


class Encrypter:
    """Encrypts to one certificate with an RSA key. Safe from any thread."""

    def __init__(self, receiver: Certificate) -> None:
        """Raises `ValueError` for a certificate of another kind."""
        if not isinstance(receiver.key, rsa.RSAPublicKey):
            raise ValueError("messages are encrypted to RSA keys only")  # noqa: TRY004 - a file is wrong
        self._key = receiver.key
        named = issuer_serial(receiver.x509)
        self._key_info = (
            f"<ds:KeyInfo><w:SecurityTokenReference>{named}</w:SecurityTokenReference></ds:KeyInfo>"
        )

    def __call__(self, content: str) -> Wrapped:
        """The content encrypted, with the key for the Security block."""
        key, nonce = os.urandom(_KEY), os.urandom(_NONCE)
        sealed = nonce + AESGCM(key).encrypt(nonce, content.encode(), None)
        return Wrapped(
            key=(
                f'<e:EncryptedKey xmlns:e="{XENC}" xmlns:ds="{DS}" xmlns:w="{WSSE}" Id="EncryptedKey">'
                f'<e:EncryptionMethod Algorithm="{RSA_OAEP}"><ds:DigestMethod Algorithm="{SHA256_DIGEST}"/>'
                f'<m:MGF xmlns:m="{XENC11}" Algorithm="{MGF_SHA256}"/></e:EncryptionMethod>{self._key_info}'
                f"{_cipher(self._key.encrypt(key, _OAEP))}"
                f'<e:ReferenceList><e:DataReference URI="#{_DATA_ID}"/></e:ReferenceList></e:EncryptedKey>'
            ),
            content=(
                f'<e:EncryptedData xmlns:e="{XENC}" xmlns:ds="{DS}" Id="{_DATA_ID}" Type="{CONTENT}">'
                f'<e:EncryptionMethod Algorithm="{AES_256_GCM}"/>'
                f'<ds:KeyInfo><w:SecurityTokenReference xmlns:w="{WSSE}"><w:Reference URI="#EncryptedKey"/>'
                f"</w:SecurityTokenReference></ds:KeyInfo>{_cipher(sealed)}</e:EncryptedData>"
            ),
        )


def _cipher(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return f"<e:CipherData><e:CipherValue>{text}</e:CipherValue></e:CipherData>"


class Decrypter:
    """Opens what was encrypted to one key of ours. Safe from any thread."""

    def __init__(self, key: SigningKey) -> None:
        """Raises `ValueError` for a key that is not RSA."""
        if not isinstance(key.key, rsa.RSAPrivateKey):
            raise ValueError("messages are decrypted with RSA keys only")  # noqa: TRY004 - a file is wrong
        self._key = key.key

    def open_body(self, body: Element, security: Element, limits: Limits) -> None:
        """Put the content into its place again.

        Raises `Refused`: `encryption_missing` when the Body is not encrypted, `encryption_invalid` for
        whatever can't be opened, all with one answer, and those of the parser for what was inside.
        """
        if len(body) != 1 or body[0].tag != ENCRYPTED_DATA_TAG:
            raise Refused("encryption_missing", status=401)
        sealed, wrapped = body[0], list(security.iterchildren(ENCRYPTED_KEY_TAG))
        if len(wrapped) != 1 or sealed.get("Type") != CONTENT:
            raise _invalid()
        _check_methods(wrapped[0], sealed)
        content = self._opened(_cipher_value(wrapped[0]), _cipher_value(sealed))
        # On its own: nothing inside can lean on what stands around it.
        found = parse(content, limits)
        body.remove(sealed)
        body.append(found)

    def _opened(self, wrapped: bytes, sealed: bytes) -> bytes:
        try:
            key = self._key.decrypt(wrapped, _OAEP)
            if len(key) != _KEY:
                raise _invalid()
            return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except (ValueError, InvalidTag) as error:
            raise _invalid() from error


def security_of(header: Element) -> Element:
    """The only Security block of a Header. Raises `Refused`."""
    blocks = list(header.iterchildren(SECURITY_TAG))
    if len(blocks) != 1:
        raise Refused("signature_missing", status=401)
    return blocks[0]


def _check_methods(wrapped: Element, sealed: Element) -> None:
    key_method, data_method = _child(wrapped, _METHOD), _child(sealed, _METHOD)
    good = (
        key_method.get("Algorithm") == RSA_OAEP
        and [(str(child.tag), child.get("Algorithm")) for child in key_method]
        == [(_DIGEST, SHA256_DIGEST), (_MGF, MGF_SHA256)]
        and data_method.get("Algorithm") == AES_256_GCM
        and not len(data_method)
    )
    if not good:
        raise Refused("security_unsupported", status=401)
    references = [str(each.get("URI")) for each in wrapped.iter(_REFERENCE)]
    if references != [f"#{sealed.get('Id')}"]:
        raise _invalid()


def _cipher_value(parent: Element) -> bytes:
    value = _child(_child(parent, _CIPHER_DATA), _CIPHER_VALUE)
    if len(value):
        raise _invalid()
    try:
        return base64.b64decode("".join((value.text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid() from error


def _child(parent: Element, tag: str) -> Element:
    found = list(parent.iterchildren(tag))
    if len(found) != 1:
        raise _invalid()
    return found[0]


def _invalid() -> Refused:
    return Refused("encryption_invalid", status=401)
