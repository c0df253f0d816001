"""Key files: there, private where they must be, of the right kind, and fitting their certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from gateway.settings import lint
from tests.settings.sets import CLASSES, FILES, OPERATIONS, place, write

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def private_pem(key: Private) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def put(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def with_party_key(tmp_path: Path, algorithm: str = "EdDSA") -> Path:
    keys = f"name_ar: واحد, keys: [{{file: sc.pem, algorithm: {algorithm}}}]}}"
    return write(tmp_path, parties=("name_ar: واحد, demo_key: true}", keys))


def with_tls(tmp_path: Path) -> Path:
    tls = "    tls: {certificate: us.crt, key: us.key}\n"
    return write(tmp_path, destinations=FILES["destinations"].replace("http:", "https:") + tls)


@pytest.mark.parametrize(("algorithm", "wrong"), [("EdDSA", "ES256"), ("ES256", "EdDSA")])
def test_a_partys_public_key_must_be_of_its_algorithm(tmp_path: Path, algorithm: str, wrong: str) -> None:
    key = (
        ed25519.Ed25519PrivateKey.generate()
        if algorithm == "EdDSA"
        else ec.generate_private_key(ec.SECP256R1())
    )
    put(tmp_path / "sc.pem", public_pem(key.public_key()), 0o644)
    assert lint(with_party_key(tmp_path, algorithm), {}, OPERATIONS, CLASSES) == []
    main = with_party_key(tmp_path, wrong)
    assert lint(main, {}, OPERATIONS, CLASSES) == [
        f"{place(main, 'parties', 'sc.pem')}: key file {tmp_path}/sc.pem is not a key for {wrong}"
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_key_that_others_can_reach_is_a_fault(tmp_path: Path, mode: int) -> None:
    put(tmp_path / "sc.pem", private_pem(ed25519.Ed25519PrivateKey.generate()), mode)
    main = with_party_key(tmp_path)
    assert lint(main, {}, OPERATIONS, CLASSES) == [
        f"{place(main, 'parties', 'sc.pem')}: key file {tmp_path}/sc.pem can be read by others"
        f" (mode {mode:04o}): chmod 600 it"
    ]
    (tmp_path / "sc.pem").chmod(0o600)
    assert lint(main, {}, OPERATIONS, CLASSES) == []


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_a_fault(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "sc.pem", content, 0o600)
    (fault,) = lint(with_party_key(tmp_path), {}, OPERATIONS, CLASSES)
    assert fault.endswith(f"key file {tmp_path}/sc.pem is not a PEM key")


def test_an_absent_key_file_is_a_fault(tmp_path: Path) -> None:
    (fault,) = lint(with_party_key(tmp_path), {}, OPERATIONS, CLASSES)
    assert fault.endswith(f"file {tmp_path}/sc.pem cannot be read: No such file or directory")


def test_a_key_must_belong_to_its_certificate(tmp_path: Path) -> None:
    ours, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    put(tmp_path / "us.crt", certificate_pem(ours), 0o644)
    put(tmp_path / "us.key", private_pem(ours), 0o600)
    main = with_tls(tmp_path)
    assert lint(main, {}, OPERATIONS, CLASSES) == []
    put(tmp_path / "us.key", private_pem(other), 0o600)
    assert lint(main, {}, OPERATIONS, CLASSES) == [
        f"{place(main, 'destinations', 'us.key')}: key file {tmp_path}/us.key does not belong to"
        f" certificate {tmp_path}/us.crt"
    ]


def test_a_tls_key_that_others_can_read_is_a_fault(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    put(tmp_path / "us.crt", certificate_pem(key), 0o644)
    put(tmp_path / "us.key", private_pem(key), 0o644)
    (fault,) = lint(with_tls(tmp_path), {}, OPERATIONS, CLASSES)
    assert "can be read by others" in fault


def test_the_public_listeners_pair_is_checked_too(tmp_path: Path) -> None:
    tls = "listeners: {public: {port: 8080, tls: {certificate: us.crt, key: us.key}}}\n"
    main = write(tmp_path, gateway=FILES["gateway"] + tls)
    (fault,) = lint(main, {}, OPERATIONS, CLASSES)
    assert fault.startswith(f"{place(main, 'gateway', 'us.key')}: file {tmp_path}/us.crt cannot be read")


def test_a_certificate_without_its_key_is_a_fault(tmp_path: Path) -> None:
    tls = "    tls: {certificate: us.crt}\n"
    main = write(tmp_path, destinations=FILES["destinations"] + tls)
    (fault,) = lint(main, {}, OPERATIONS, CLASSES)
    assert fault == f"{place(main, 'destinations', '{certificate')}: tls: certificate and key belong together"
