"""Callers of our own services who sign: who one is by the certificate, and how they are answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.clock import SystemClock
from gateway.message import PartyId
from gateway.ports import Clock
from gateway.soap.envelope import Envelope
from gateway.soap.security.keys import Certificate, Pinned
from gateway.soap.security.policy import UNPROTECTED, MessageSecurity, Signatures, proven
from gateway.soap.security.signing import Signer
from gateway.soap.security.verifying import is_signed
from gateway.soap.wsse import Freshness, Proven

_NOBODYS: Final = Pinned(())


class SigningParties:
    """Safe from any thread."""

    def __init__(
        self,
        certificates: Mapping[PartyId, Sequence[Certificate]],
        signers: Mapping[PartyId, Signer],
        clock: Clock,
    ) -> None:
        """`certificates` of each party that signs; `signers` of the answers to each that wants them signed.

        Raises `ValueError` for one certificate of two parties.
        """
        self._party_of: dict[str, PartyId] = {}
        for party, theirs in certificates.items():
            for certificate in theirs:
                if self._party_of.setdefault(certificate.fingerprint, party) != party:
                    raise ValueError(f"one certificate of two parties, {party} is the second")
        self._signs = frozenset(certificates)
        self._pinned = Pinned(one for theirs in certificates.values() for one in theirs)
        self._answers = {party: Signatures(signer, _NOBODYS, clock) for party, signer in signers.items()}
        self._clock = clock

    def must_sign(self, party: PartyId) -> bool:
        """Whether nothing but a signature proves this party."""
        return party in self._signs

    def prove(self, envelope: Envelope, freshness: Freshness) -> Proven | None:
        """The party that signed this envelope, which counts once; None when it bears no signature.

        Raises `Refused` as `verify` does.
        """
        if not is_signed(envelope.headers):
            return None
        root = envelope.content.getroottree().getroot()
        signed = proven(root, envelope, self._pinned, self._clock, freshness)
        return Proven(self._party_of[signed.certificate.fingerprint], signed.once_id, signed.ends_at)

    def answering(self, party: PartyId | None) -> MessageSecurity:
        """How answers to this party are written; to nobody known, as they are."""
        return UNPROTECTED if party is None else self._answers.get(party, UNPROTECTED)


#: No party signs.
NOBODY_SIGNS: Final = SigningParties({}, {}, SystemClock())
