"""From the configuration to what protects messages: keys and certificates are read here, once a start."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from gateway.errors import Misconfigured
from gateway.message import PartyId
from gateway.ports import Clock
from gateway.settings import Destination, Settings
from gateway.settings.soap_security import DestinationSecurity, KeyPair, PartySecurity, secret_fault
from gateway.soap.security.demo_keys import (
    OURS,
    demo_algorithm,
    demo_certificate,
    demo_key,
    demo_keys_directory,
    ensure_demo_pair,
)
from gateway.soap.security.encryption import Decrypter, Encrypter
from gateway.soap.security.keys import Certificate, Pinned, SigningKey, load_certificate, load_signing_key
from gateway.soap.security.parties import SigningParties
from gateway.soap.security.policy import UNPROTECTED, Introduced, MessageSecurity, Signatures
from gateway.soap.security.signing import Signer
from gateway.soap.wsse import Freshness


def ensure_demo_soap_keys(settings: Settings, data_dir: Path) -> None:
    """Make the keys of both sides for each destination and party with `demo_keys`. Safe to call again."""
    folder = demo_keys_directory(data_dir)
    for party, security in _agreed(settings):
        if security.policy == "signature" and security.demo_keys is not None:
            ensure_demo_pair(folder, OURS, security.demo_keys)
            ensure_demo_pair(folder, party, security.demo_keys)


def destination_security(
    destination: Destination, settings: Settings, data_dir: Path, clock: Clock
) -> MessageSecurity:
    """What was agreed for the calls of a destination. Raises `Misconfigured`."""
    agreed = destination.soap_security
    try:
        match agreed.policy:
            case "none":
                return UNPROTECTED
            case "username_token":
                return Introduced(agreed.username, _secret(settings.file(agreed.secret_file or "")), clock)
            case "signature":
                return _signatures(destination.party, agreed, settings, data_dir, clock)
    except ValueError as error:
        raise Misconfigured([f"destinations.yaml:1:1: soap_security: {error}"]) from error


def demo_partner_security(folder: Path, party: str, clock: Clock) -> MessageSecurity:
    """The other side of a demonstration: what a stand-in of `party` agreed on with the gateway.

    Nothing, when the folder holds no key of it. Raises `ValueError`.
    """
    algorithm = demo_algorithm(folder, party)
    if algorithm is None:
        return UNPROTECTED
    signer = Signer(demo_key(folder, party, algorithm))
    return Signatures(signer, Pinned([demo_certificate(folder, OURS, algorithm)]), clock)


def signing_parties(settings: Settings, data_dir: Path, clock: Clock) -> SigningParties:
    """The parties that sign what they send us, or want our answers signed. Raises `Misconfigured`."""
    certificates: dict[PartyId, tuple[Certificate, ...]] = {}
    signers: dict[PartyId, Signer] = {}
    try:
        for party in settings.parties:
            if party.soap_security.policy == "signature":
                certificates[PartyId(party.id)] = _trusted(party.id, party.soap_security, settings, data_dir)
            key = _own_key(party.soap_security, settings, data_dir)
            if key is not None:
                signers[PartyId(party.id)] = Signer(key, reference=party.soap_security.key_reference)
        return SigningParties(certificates, signers, clock)
    except ValueError as error:
        raise Misconfigured([f"parties.yaml:1:1: soap_security: {error}"]) from error


def _agreed(settings: Settings) -> Iterable[tuple[str, DestinationSecurity | PartySecurity]]:
    yield from ((one.party, one.soap_security) for one in settings.destinations.values())
    yield from ((party.id, party.soap_security) for party in settings.parties)


def _signatures(
    party: str, agreed: DestinationSecurity, settings: Settings, data_dir: Path, clock: Clock
) -> Signatures:
    key = _own_key(agreed, settings, data_dir)
    if key is None:
        raise ValueError("signature: nothing to sign with")
    encrypt = Encrypter(load_certificate(settings.file(agreed.encrypt_to))) if agreed.encrypt_to else None
    freshness = Freshness(timedelta(seconds=agreed.max_age_s), timedelta(seconds=agreed.leeway_s))
    return Signatures(
        Signer(key, reference=agreed.key_reference, encrypt=encrypt),
        Pinned(_trusted(party, agreed, settings, data_dir)),
        clock,
        freshness,
        Decrypter(_pair(agreed.decrypt_with, settings)) if agreed.decrypt_with else None,
    )


def _own_key(
    agreed: DestinationSecurity | PartySecurity, settings: Settings, data_dir: Path
) -> SigningKey | None:
    if agreed.sign_with is not None:
        return _pair(agreed.sign_with, settings)
    if agreed.demo_keys is not None and agreed.policy == "signature":
        return demo_key(demo_keys_directory(data_dir), OURS, agreed.demo_keys)
    return None


def _trusted(
    party: str, agreed: DestinationSecurity | PartySecurity, settings: Settings, data_dir: Path
) -> tuple[Certificate, ...]:
    if agreed.demo_keys is not None:
        return (demo_certificate(demo_keys_directory(data_dir), party, agreed.demo_keys),)
    return tuple(load_certificate(settings.file(name)) for name in agreed.trusted)


def _pair(pair: KeyPair, settings: Settings) -> SigningKey:
    return load_signing_key(settings.file(pair.certificate), settings.file(pair.key))


def _secret(path: Path) -> bytes:
    if fault := secret_fault(path):
        raise ValueError(fault)
    return path.read_bytes().strip()
