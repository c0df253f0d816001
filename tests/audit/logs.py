"""Logs as a gateway writes them, made in memory: as many entries, chains and checkpoints as a test wants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.ledger import audit_file
from gateway.ledger.audit_file import Receipt, Verification, Verified
from gateway.ledger.checkpoints import sign
from gateway.ledger.journal import Entry, Head, link
from gateway.ledger.records import Checkpoint, JournalRow
from gateway.message import Micros

START = 1_790_000_000_000_000


@dataclass
class KeySigner:
    """A signer whose key is in memory."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def begin(self, *, first: bool) -> None:
        """Nothing is needed."""

    def key(self) -> str:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, document: bytes) -> bytes:
        return self.private.sign(document)


@dataclass
class LogWriter:
    """Writes a log a segment at a time: entries of each chain, then the checkpoint that covers them."""

    signer: KeySigner
    heads: dict[str, Head] = field(default_factory=dict)
    last: Checkpoint | None = None
    at: int = START
    texts: int = 0

    def segment(self, chains: Sequence[str], entries: int) -> Iterator[bytes]:
        for chain in sorted(chains):
            yield from self._chain(chain, entries)
        yield self.checkpoint()

    def checkpoint(self) -> bytes:
        self.last = sign(self.last, self.heads, Micros(self.at), self.signer)
        return audit_file.checkpoint_line(self.last)

    def configuration(self, chain: str, text: str) -> Iterator[bytes]:
        digest = hashlib.sha256(text.encode()).hexdigest()
        yield audit_file.text_line("controls.yaml", digest, text)
        entry = Entry(
            Micros(self.at), "configuration", "gateway", detail={"files": {"controls.yaml": digest}}
        )
        yield from self._written(chain, [entry])

    def _chain(self, chain: str, entries: int) -> Iterator[bytes]:
        yield from self._written(chain, [self._entry(n) for n in range(entries)])

    def _written(self, chain: str, entries: list[Entry]) -> Iterator[bytes]:
        for linked in link(chain, self.heads.get(chain, Head()), entries):
            self.heads[chain] = Head(linked.number, linked.hash)
            yield audit_file.entry_line(
                JournalRow(linked.number, chain, linked.number, linked.hash, linked.entry)
            )

    def _entry(self, n: int) -> Entry:
        self.at += 1_000
        return Entry(
            at=Micros(self.at),
            action="issued",
            actor="worker",
            message_id=f"0198c7a2-0000-7000-8000-{n:012d}",
            before="carried",
            after="completed",
            records=7,
            detail={"disclosed": [n % 5 + 1], "attempt": 1},
        )

    @property
    def receipt(self) -> Receipt:
        """What a center holds: the latest checkpoint."""
        assert self.last is not None
        return Receipt(self.last.document.encode(), self.last.signature)

    def entries(self) -> int:
        return sum(head.number for head in self.heads.values())


@dataclass
class Log:
    """A whole log, line by line, and what outsiders hold of it."""

    lines: list[bytes]
    receipt: Receipt
    signer: KeySigner
    #: Where each checkpoint stands in `lines`.
    checkpoints: list[int]


def small_log(chains: Sequence[str] = ("main", "worker-2"), segments: int = 5, entries: int = 4) -> Log:
    """A few segments; the first and the third begin with a configuration."""
    writer = LogWriter(KeySigner())
    lines: list[bytes] = []
    for number in range(segments):
        if number in (0, 2):
            lines += writer.configuration(chains[0], f"version: '{number}'\n# ضوابط\t\"quoted\"\n")
        lines += writer.segment(chains, entries)
    made = writer.last.number if writer.last else 0
    lines.insert(0, audit_file.header(writer.entries(), made))
    places = [n for n, line in enumerate(lines) if line.startswith(b"checkpoint ")]
    return Log(lines, writer.receipt, writer.signer, places)


def verified(lines: Sequence[bytes], receipt: Receipt | None = None, keys: Sequence[str] = ()) -> Verified:
    """What our verifier says. Raises `Tampered`."""
    verification = Verification(keys, receipt)
    for line in lines:
        verification.line(line)
    return verification.end()
