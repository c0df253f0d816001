"""Checkpoints: the heads of all chains at one moment, signed, so that what they cover can't be undone unseen.

A checkpoint is a document (one line of JSON) and an Ed25519 signature (RFC 8032) over its bytes. It names the
SHA-256 of the document before it, so that the latest one stands for all; parties keep the latest one with
their receipts, so that a log cut short behind them is exposed. `docs/audit-log.md` describes the format.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.errors import GatewayError
from gateway.ledger.journal import Head
from gateway.ledger.records import Checkpoint
from gateway.message import Micros

TYPE: Final = "umrah-gateway-checkpoint/1"
#: In the place of the document before the first one.
FIRST: Final = "0" * 64
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class SignerLost(GatewayError):
    """Nothing can be signed now. `code` says why: `signer_lost`, or `signer_unusable`."""

    def __init__(self, code: str = "signer_lost") -> None:
        super().__init__(code)


class Signer(Protocol):
    """Who signs checkpoints: a file for now, a security module later. Called from a thread of its own."""

    def begin(self, *, first: bool) -> None:
        """Be ready to sign; a key may be made only for the `first` checkpoint. Raises `SignerLost`."""

    def key(self) -> str:
        """The public key, 64 hexadecimal digits. Raises `SignerLost`."""

    def sign(self, document: bytes) -> bytes:
        """The Ed25519 signature (64 bytes) over `document`. Raises `SignerLost`."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a checkpoint's document says."""

    number: int
    at: Micros
    #: SHA-256 of the document before it, in hexadecimal digits; `FIRST` in the first one.
    previous: str
    heads: Mapping[str, Head]
    #: The public key that signed it, in hexadecimal digits.
    key: str


def sign(last: Checkpoint | None, heads: Mapping[str, Head], at: Micros, signer: Signer) -> Checkpoint:
    """The checkpoint that follows `last`. Raises `SignerLost`, also for a signature that does not verify."""
    previous = FIRST if last is None else digest(last.document)
    number = 1 if last is None else last.number + 1
    document = _document(Signed(number, at, previous, heads, signer.key()))
    signature = signer.sign(document.encode())
    if not verifies(document.encode(), signature, read(document).key):
        raise SignerLost("signer_unusable")
    return Checkpoint(number, at, document, signature)


def read(document: str | bytes) -> Signed:
    """What a document says. Raises `ValueError` for anything that is not one."""
    try:
        signed = _signed(json.loads(document))
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError("not a checkpoint") from error
    if _document(signed).encode() != (document.encode() if isinstance(document, str) else document):
        raise ValueError("not as a checkpoint is written")
    return signed


def verifies(document: bytes, signature: bytes, key: str) -> bool:
    """Whether that key signed exactly these bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, document)
    except (InvalidSignature, ValueError):
        return False
    return True


def digest(document: str | bytes) -> str:
    """By which the next checkpoint names this one."""
    return hashlib.sha256(document.encode() if isinstance(document, str) else document).hexdigest()


def shown(checkpoint: Checkpoint) -> dict[str, str]:
    """As parties get it. The document is a text: the signature is over its very bytes."""
    return {"document": checkpoint.document, "signature": checkpoint.signature.hex()}


def _signed(fields: Any) -> Signed:
    return Signed(
        number=_whole(fields.get("number")),
        at=Micros(_whole(fields.get("at"))),
        previous=_digits(fields.get("previous")),
        heads={str(chain): _head(head) for chain, head in dict(fields.get("heads") or {}).items()},
        key=_digits(fields.get("key")),
    )


def _document(signed: Signed) -> str:
    return _to_json(
        {
            "type": TYPE,
            "number": signed.number,
            "at": signed.at,
            "previous": signed.previous,
            "heads": {name: [head.number, head.hash.hex()] for name, head in sorted(signed.heads.items())},
            "key": signed.key,
        }
    )


def _head(value: Any) -> Head:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("a head is a number and a hash")
    return Head(_whole(value[0]), bytes.fromhex(_digits(value[1])))


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value


def _digits(value: Any) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError("not 64 hexadecimal digits")
    return value
