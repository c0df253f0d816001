"""`soap_security` of destinations and parties: what may stand there, and every file that can't be used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.settings import lint, load
from tests.settings.sets import CLASSES, FILES, OPERATIONS, place, write

RSA = rsa.generate_private_key(65_537, 2_048)
WEAK = rsa.generate_private_key(65_537, 1_024)
P256 = ec.generate_private_key(ec.SECP256R1())
SIGNATURE = "policy: signature, sign_with: {certificate: us.crt, key: us.key}, trusted: [nic.crt]"
SECRET = b"a secret of thirty-two characters"


def put_pair(folder: Path, name: str, key: Any, *, mode: int = 0o600, ends: int = 2126) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    starts, ends_at = datetime(2020, 1, 1, tzinfo=UTC), datetime(ends, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, starts, ends_at)
    (folder / f"{name}.crt").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    path = folder / f"{name}.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(mode)


def with_destination(folder: Path, agreed: str) -> Path:
    return write(folder, destinations=FILES["destinations"] + f"    soap_security: {{{agreed}}}\n")


def with_party(folder: Path, agreed: str) -> Path:
    one = "{id: nic, kind: system, name_en: NIC, name_ar: المركز, demo_key: true"
    return write(folder, parties=(one, f"{one}, soap_security: {{{agreed}}}"))


def faults(main: Path) -> list[str]:
    return lint(main, {}, OPERATIONS, CLASSES)


@pytest.mark.parametrize("key", [P256, RSA], ids=["ecdsa", "rsa"])
def test_a_destination_that_signs_is_good_with_its_files(tmp_path: Path, key: Any) -> None:
    put_pair(tmp_path, "us", key)
    put_pair(tmp_path, "nic", key)
    main = with_destination(tmp_path, SIGNATURE)
    assert faults(main) == []
    assert load(main, {}).destinations["nic"].soap_security.trusted == ("nic.crt",)


def test_a_party_that_signs_is_good_with_its_files(tmp_path: Path) -> None:
    put_pair(tmp_path, "nic", P256)
    assert faults(with_party(tmp_path, "policy: signature, trusted: [nic.crt]")) == []


@pytest.mark.parametrize(
    ("agreed", "text"),
    [
        ("policy: signature", "give sign_with and trusted, or demo_keys"),
        ("policy: signature, trusted: [nic.crt]", "give sign_with and trusted, or demo_keys"),
        (f"{SIGNATURE}, demo_keys: rsa", "give sign_with and trusted, or demo_keys"),
        ("policy: username_token", "secret_file is missing"),
        ("encrypt_to: nic.crt", "only what is signed is encrypted"),
        ("policy: sha1", "policy"),
        ("polcy: signature", "unknown key 'polcy'"),
    ],
)
def test_an_agreement_that_is_none_is_told(tmp_path: Path, agreed: str, text: str) -> None:
    put_pair(tmp_path, "us", P256)
    put_pair(tmp_path, "nic", P256)
    found = faults(with_destination(tmp_path, agreed))
    assert len(found) == 1
    assert text in found[0]


def test_a_party_that_signs_needs_certificates(tmp_path: Path) -> None:
    found = faults(with_party(tmp_path, "policy: signature"))
    assert len(found) == 1
    assert "give trusted" in found[0]


@pytest.mark.parametrize(
    ("agreed", "at", "text"),
    [
        (SIGNATURE.replace("nic.crt", "absent.crt"), "absent.crt", "cannot be read"),
        (SIGNATURE.replace("nic.crt", "rsa.key"), "rsa.key", "is not a PEM certificate"),
        (SIGNATURE.replace("nic.crt", "weak.crt"), "weak.crt", "does not hold a P-256 key"),
        (SIGNATURE.replace("us.key", "nic.key"), "nic.key", "does not belong to certificate"),
        (SIGNATURE.replace("us.", "open."), "open.key", "can be read by others"),
        (f"{SIGNATURE}, encrypt_to: other.crt", "other.crt", "does not hold an RSA key"),
        (
            f"{SIGNATURE}, decrypt_with: {{certificate: rsa.crt, key: other.key}}",
            "other.key",
            "does not belong to certificate",
        ),
        ("policy: username_token, secret_file: short", "short", "one secret of at least 32"),
        ("policy: username_token, secret_file: shown", "shown", "can be read by others"),
        ("policy: username_token, secret_file: absent", "absent", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_at_its_place(
    tmp_path: Path, agreed: str, at: str, text: str
) -> None:
    for name, key in (("us", P256), ("rsa", RSA)):
        put_pair(tmp_path, name, key)
    for name in ("nic", "other"):
        put_pair(tmp_path, name, ec.generate_private_key(ec.SECP256R1()))
    put_pair(tmp_path, "weak", WEAK)
    put_pair(tmp_path, "open", P256, mode=0o644)
    for name, secret, mode in (("short", b"x" * 31, 0o600), ("shown", SECRET, 0o644)):
        (tmp_path / name).write_bytes(secret)
        (tmp_path / name).chmod(mode)
    main = with_destination(tmp_path, agreed)
    found = faults(main)
    assert len(found) == 1
    assert text in found[0]
    assert found[0].startswith(f"{place(main, 'destinations', at)}: ")
    assert SECRET.decode() not in found[0]


def test_a_certificate_that_has_expired_stops_no_start(tmp_path: Path) -> None:
    """The other partners go on; its messages are refused."""
    put_pair(tmp_path, "us", P256)
    put_pair(tmp_path, "nic", P256, ends=2025)
    assert faults(with_destination(tmp_path, SIGNATURE)) == []
