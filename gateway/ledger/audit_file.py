"""The exported audit log: how it is written, and the proof that nothing in it was changed.

Lines of UTF-8, in this order (`docs/audit-log.md`):

    {"type":"umrah-gateway-audit/1","entries":…,"checkpoints":…}     once, first
    {hash} {entry}                                                   entries, chain by chain
    text {digest} {name and text}                                    before the entry that first names it
    checkpoint {signature} {document}                                after the entries that it covers

A verifier holds the heads of the chains and nothing else, so that a log of any length takes the same memory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.ledger import checkpoints
from gateway.ledger.checkpoints import Signed
from gateway.ledger.journal import GENESIS, line
from gateway.ledger.records import Checkpoint, JournalRow

TYPE: Final = "umrah-gateway-audit/1"
#: Longer lines are no lines of ours: a configuration file is far smaller.
LONGEST_LINE: Final = 16_777_216
#: The action of the entry that names the texts of a configuration.
CONFIGURATION: Final = "configuration"
#: The action of the entry that says that the ledger was restored from a backup.
RESTORED: Final = "restored"
_DIGEST: Final = re.compile(rb"[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(rb"[0-9a-f]{128}")
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

# --- writing ---------------------------------------------------------------------------------------------


def header(entries: int, made: int) -> bytes:
    """The first line: of how many entries and checkpoints."""
    return _to_json({"type": TYPE, "entries": entries, "checkpoints": made}).encode() + b"\n"


def entry_line(row: JournalRow) -> bytes:
    """An entry with its hash."""
    return row.hash.hex().encode() + b" " + line(row.chain, row.number, row.entry) + b"\n"


def text_line(name: str, digest: str, text: str) -> bytes:
    """A configuration file, by the digest that entries name."""
    return f"text {digest} {_to_json([name, text])}\n".encode()


def checkpoint_line(checkpoint: Checkpoint) -> bytes:
    """A checkpoint with its signature."""
    return f"checkpoint {checkpoint.signature.hex()} {checkpoint.document}\n".encode()


# --- verifying -------------------------------------------------------------------------------------------


class Tampered(Exception):
    """The first thing that is wrong with a log. `line` counts from 1; 0: the receipt itself."""

    def __init__(
        self, code: str, text: str, *, line: int, chain: str | None = None, number: int | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.line = line
        self.chain = chain
        #: Of the entry in its chain, or of the checkpoint.
        self.number = number


@dataclass(frozen=True, slots=True)
class Receipt:
    """A checkpoint that somebody outside kept."""

    document: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found whole."""

    entries: int
    checkpoints: int
    texts: int
    #: Number of the last entry, by chain.
    chains: Mapping[str, int]
    #: The last checkpoint.
    last: Signed
    #: Where the trusted key came from: `given`, `receipt`, or `log`, which proves less.
    key_from: str


@dataclass(slots=True)
class Verification:
    """Give it every line in order, then `end`. Both raise `Tampered`.

    `keys` are the public keys (hexadecimal digits) that may have signed; without them the receipt's, and
    without a receipt the first that the log itself names.
    """

    keys: Collection[str] = ()
    receipt: Receipt | None = None
    _kept: Signed | None = None
    _trusted: set[str] = field(default_factory=set)
    _key_from: str = "log"
    _line: int = 0
    _header: bytes = b""
    _entries: int = 0
    #: Entries that no checkpoint covers yet.
    _open: int = 0
    #: Number and hash, by chain.
    _heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    #: The chain of the entry before, since the last checkpoint.
    _chain: str = ""
    _last: Signed | None = None
    _last_digest: str = checkpoints.FIRST
    _texts: set[str] = field(default_factory=set)
    #: Texts whose entry has not come yet: name and digest.
    _announced: set[tuple[str, str]] = field(default_factory=set)
    #: After which checkpoints the ledger was restored from a backup: others followed them before that.
    _restored_after: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._trusted = set(self.keys)
        self._key_from = "given" if self._trusted else "log"
        if self.receipt is None:
            return
        self._kept = _kept(self.receipt)
        if not self._trusted:
            self._trusted, self._key_from = {self._kept.key}, "receipt"
        elif self._kept.key not in self._trusted:
            raise Tampered("key_not_trusted", "the receipt was signed with another key", line=0)

    @property
    def entries(self) -> int:
        """How many entries have come so far."""
        return self._entries

    @property
    def expected(self) -> int | None:
        """How many entries there will be; None before the header."""
        return json.loads(self._header)["entries"] if self._header else None

    def line(self, raw: bytes) -> None:
        """One line, its line feed included."""
        self._line += 1
        if not raw.endswith(b"\n"):
            raise self._fault("line_cut", "the line is cut off")
        if self._line == 1:
            self._take_header(raw)
            return
        word, _, rest = raw[:-1].partition(b" ")
        if word == b"checkpoint":
            self._take_checkpoint(*_parted(rest))
        elif word == b"text":
            self._take_text(*_parted(rest))
        else:
            self._take_entry(word, rest)

    def end(self) -> Verified:
        """Nothing more comes."""
        self._line += 1
        last = self._last
        if not self._header or last is None:
            raise self._fault("log_cut", "there is no checkpoint")
        self._expect_no_texts()
        if self._open:
            raise self._fault("not_covered", f"no checkpoint covers the last {self._open} entries")
        if self._header != header(self._entries, last.number):
            raise self._fault(
                "log_cut",
                f"the log ends after {self._entries} entries and {last.number} checkpoints, not as its first "
                "line says",
            )
        if self._kept is not None and self._kept.number > last.number:
            self._expect_not_lost(self._kept.number)
            raise self._fault(
                "behind_receipt",
                f"the log ends with checkpoint {last.number}, before the receipt's ({self._kept.number})",
            )
        numbers = {name: number for name, (number, _) in sorted(self._heads.items())}
        return Verified(self._entries, last.number, len(self._texts), numbers, last, self._key_from)

    def _fault(self, code: str, text: str, chain: str | None = None, number: int | None = None) -> Tampered:
        return Tampered(code, text, line=self._line, chain=chain, number=number)

    # the first line

    def _take_header(self, raw: bytes) -> None:
        fields = _document(raw)
        counts = (fields.get("entries"), fields.get("checkpoints")) if fields else (None, None)
        if not all(type(count) is int for count in counts) or raw != header(*counts):  # type: ignore[arg-type]
            raise self._fault("not_a_log", f"the first line is not that of {TYPE}")
        self._header = raw

    # entries

    def _take_entry(self, digest: bytes, text: bytes) -> None:
        fields = _document(text) if _DIGEST.fullmatch(digest) else None
        if fields is None:
            raise self._fault("line_unreadable", "neither an entry, a checkpoint nor a text")
        chain, number = fields.get("chain"), fields.get("number")
        if not isinstance(chain, str) or type(number) is not int:
            raise self._fault("line_unreadable", "an entry without chain or number")
        last, before = self._heads.get(chain, (0, GENESIS))
        if number != last + 1:
            raise self._fault("entry_missing", f"follows entry {last} of its chain", chain, number)
        found = hashlib.sha256(before + text)
        if found.hexdigest().encode() != digest:
            raise self._fault("entry_changed", "its hash is not that of what stands there", chain, number)
        if chain < self._chain:
            raise self._fault("out_of_order", "chains follow one another by name", chain, number)
        if self._announced or fields.get("action") == CONFIGURATION:
            self._name_texts(fields, chain, number)
        if fields.get("action") == RESTORED:
            self._take_restored(fields.get("detail"))
        self._heads[chain] = (number, found.digest())
        self._chain = chain
        self._entries += 1
        self._open += 1

    # texts

    def _take_text(self, digest: bytes, text: bytes) -> None:
        named = _text(text)
        if named is None or not _DIGEST.fullmatch(digest):
            raise self._fault("line_unreadable", "not a text with its name")
        name, content = named
        if hashlib.sha256(content.encode()).hexdigest().encode() != digest:
            raise self._fault("text_changed", f"its digest is not that of the text of {name}")
        if digest.decode() in self._texts:
            raise self._fault("text_not_named", "the text stands there already")
        self._texts.add(digest.decode())
        self._announced.add((name, digest.decode()))

    def _name_texts(self, fields: Mapping[str, Any], chain: str, number: int) -> None:
        """A configuration names its texts, and those that were not there before stand right before it."""
        if fields.get("action") != CONFIGURATION:
            self._expect_no_texts()
        files = (fields.get("detail") or {}).get("files") or {}
        for digest in files.values():
            if digest not in self._texts:
                raise self._fault("text_missing", "a text of this configuration is not there", chain, number)
        self._announced -= set(files.items())
        self._expect_no_texts()

    def _expect_no_texts(self) -> None:
        if self._announced:
            raise self._fault("text_not_named", "the text before was named by no entry")

    # checkpoints

    def _take_checkpoint(self, signature: bytes, document: bytes) -> None:
        self._expect_no_texts()
        if not _SIGNATURE.fullmatch(signature):
            raise self._fault("line_unreadable", "not a signature")
        try:
            signed = checkpoints.read(document)
        except (ValueError, RecursionError) as error:
            raise self._fault("line_unreadable", "not a checkpoint") from error
        self._check_signed(signed, document, bytes.fromhex(signature.decode()))
        self._check_place(signed)
        if self._kept is not None and self._kept.number == signed.number:
            self._check_receipt(signed.number, document)
        self._last, self._last_digest = signed, checkpoints.digest(document)
        self._open, self._chain = 0, ""

    def _check_signed(self, signed: Signed, document: bytes, signature: bytes) -> None:
        if not self._trusted:
            self._trusted = {signed.key}
        if signed.key not in self._trusted:
            raise self._fault("key_not_trusted", "signed with another key", number=signed.number)
        if not checkpoints.verifies(document, signature, signed.key):
            raise self._fault("signature_wrong", "its signature is wrong", number=signed.number)

    def _check_place(self, signed: Signed) -> None:
        last = 0 if self._last is None else self._last.number
        if signed.number != last + 1 or signed.previous != self._last_digest:
            raise self._fault(
                "checkpoint_missing", f"does not follow checkpoint {last}", number=signed.number
            )
        for name in sorted(signed.heads.keys() | self._heads.keys()):
            number, digest = self._heads.get(name, (0, GENESIS))
            head = signed.heads.get(name)
            if head is None or (head.number, head.hash) != (number, digest):
                text = f"checkpoint {signed.number} was made of another state of this chain"
                raise self._fault("head_differs", text, name, number)

    def _check_receipt(self, number: int, document: bytes) -> None:
        if self.receipt is not None and document != self.receipt.document:
            self._expect_not_lost(number)
            raise self._fault("receipt_differs", "the receipt's checkpoint is another one", number=number)

    # restores

    def _take_restored(self, detail: object) -> None:
        after = detail.get("after_checkpoint") if isinstance(detail, dict) else None
        if type(after) is int:
            self._restored_after.append(after)

    def _expect_not_lost(self, number: int) -> None:
        """A receipt of the time between a backup and its restore: true when it was given, and lost since."""
        if any(after < number for after in self._restored_after):
            text = "what the receipt covers was lost when the ledger was restored from an earlier backup"
            raise self._fault("lost_in_restore", text, number=number)


def _kept(receipt: Receipt) -> Signed:
    try:
        signed = checkpoints.read(receipt.document)
    except (ValueError, RecursionError) as error:
        raise Tampered("receipt_unreadable", "the receipt holds no checkpoint", line=0) from error
    if not checkpoints.verifies(receipt.document, receipt.signature, signed.key):
        raise Tampered("signature_wrong", "the receipt's signature is wrong", line=0, number=signed.number)
    return signed


def _parted(rest: bytes) -> tuple[bytes, bytes]:
    first, _, second = rest.partition(b" ")
    return first, second


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _text(text: bytes) -> tuple[str, str] | None:
    """Name and content, if they stand there as we write them."""
    try:
        match json.loads(text.decode()):
            case [str(name), str(content)] if _to_json([name, content]).encode() == text:
                return name, content
    except (ValueError, RecursionError):
        pass
    return None
