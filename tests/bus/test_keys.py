from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwe
from joserfc.jwk import ECKey

from gateway.bus.event import ENCRYPTION, KEY_WRAPPING, encode_event
from gateway.bus.keys import demo_encryption_key_path, ensure_demo_encryption_key, load_encryption_key
from gateway.errors import Misconfigured
from tests.bus.doubles import event_for


def test_a_demo_key_is_made_once_and_is_its_owners_only(data_dir: Path) -> None:
    first = ensure_demo_encryption_key(data_dir, "licensing")
    assert ensure_demo_encryption_key(data_dir, "licensing").thumbprint() == first.thumbprint()
    assert ensure_demo_encryption_key(data_dir, "committee").thumbprint() != first.thumbprint()
    private = demo_encryption_key_path(data_dir, "licensing")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert load_encryption_key(private.with_suffix(".pub.pem")).thumbprint() == first.thumbprint()
    assert not first.is_private


def test_a_p256_key_serves_too(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.pem"
    file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    body = encode_event(event_for("licensing", 1, classification="restricted"), load_encryption_key(file))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    sealed = body.decode().split('"data": "')[1].split('"')[0]
    opened = jwe.decrypt_compact(sealed, ECKey.import_key(private), algorithms=[KEY_WRAPPING, ENCRYPTION])
    assert b'"licensee_id": "L-1"' in (opened.plaintext or b"")


def test_a_key_that_cannot_encrypt_is_misconfigured(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    signing = ed25519.Ed25519PrivateKey.generate().public_key()
    for pem in (b"", b"no key", signing.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        file.write_bytes(pem)
        with pytest.raises(Misconfigured):
            load_encryption_key(file)
    with pytest.raises(Misconfigured):
        load_encryption_key(tmp_path / "absent.pem")
