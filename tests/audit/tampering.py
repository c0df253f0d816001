"""Ways to tamper with an exported log, each drawn at random: what somebody with the database might try.

None of them has the signer's key. Whoever holds a receipt must be able to tell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from random import Random

from gateway.ledger import audit_file
from gateway.ledger.journal import GENESIS
from tests.audit.logs import KeySigner, Log, LogWriter

Lines = list[bytes]
Tampering = Callable[[Log, Random], Lines]


def edit_a_byte(log: Log, random: Random) -> Lines:
    """Any byte of any line becomes another: any other, or one that may well stand there."""
    text = bytearray(b"".join(log.lines))
    place = random.randrange(len(text))
    likely = text[place] ^ 0x20 if random.random() < 0.5 else random.choice(b"0123456789abcdef")
    text[place] = random.choice([random.randrange(256), likely])
    return cut(bytes(text))


def edit_the_counts(log: Log, random: Random) -> Lines:
    """The first line says that there is more, or less."""
    entries, made = len(_entries(log.lines)), len(log.checkpoints)
    more, fewer = random.randrange(1, 9), random.randrange(made)
    return [random.choice([audit_file.header(entries + more, made), audit_file.header(entries, fewer)]),
            *log.lines[1:]]  # fmt: skip


def edit_a_field(log: Log, random: Random) -> Lines:
    """An entry says something else, in well-formed JSON."""
    lines, n = list(log.lines), random.choice(_entries(log.lines))
    digest, fields = _entry(lines[n])
    name, value = random.choice(
        [("actor", "somebody"), ("at", int(str(fields["at"])) + 1), ("to", "cancelled"), ("code", "other"),
         ("message", None), ("action", "lease_ended"), ("records", 8), ("detail", {"disclosed": []})]
    )  # fmt: skip
    if fields.get(name) == value:
        value = "another"
    lines[n] = _line(digest, {**fields, name: value} if value is not None else _without(fields, name))
    return lines


def delete_lines(log: Log, random: Random) -> Lines:
    """Some lines in a row are left out."""
    first = random.randrange(len(log.lines))
    return [*log.lines[:first], *log.lines[first + random.randrange(1, 6) :]]


def insert_a_line(log: Log, random: Random) -> Lines:
    """A line that stands elsewhere, or one that was made up, is put in."""
    made_up = [
        _line("0" * 64, {"chain": "main", "number": 1, "at": 1, "action": "issued", "actor": "worker"}),
        audit_file.text_line("controls.yaml", hashlib.sha256(b"new").hexdigest(), "new"),
        b"\n",
    ]
    lines, place = list(log.lines), random.randrange(len(log.lines) + 1)
    lines.insert(place, random.choice([random.choice(log.lines), random.choice(made_up)]))
    return lines


def reorder(log: Log, random: Random) -> Lines:
    """Two different lines change places."""
    lines = list(log.lines)
    a, b = random.sample(range(len(lines)), 2)
    lines[a], lines[b] = lines[b], lines[a]
    return lines


def truncate(log: Log, random: Random) -> Lines:
    """The end is cut off, anywhere in a line or after a whole one."""
    if random.random() < 0.5:
        return log.lines[: random.randrange(len(log.lines))]
    text = b"".join(log.lines)
    return cut(text[: random.randrange(len(text))])


def roll_back(log: Log, random: Random) -> Lines:
    """The log ends with an older checkpoint, and its first line says so."""
    number = random.randrange(len(log.checkpoints) - 1)
    lines = log.lines[: log.checkpoints[number] + 1]
    return [audit_file.header(len(_entries(lines)), number + 1), *lines[1:]]


def forge_a_tail(log: Log, random: Random) -> Lines:
    """An entry is changed and every hash after it made anew; the checkpoints stay, or carry other heads."""
    lines, n = list(log.lines), random.choice(_entries(log.lines))
    digest, fields = _entry(lines[n])
    lines[n] = _line(digest, {**fields, "actor": "somebody"})
    return _signed_anew(_linked_anew(lines), KeySigner() if random.random() < 0.5 else None)


def forge_with_another_key(log: Log, random: Random) -> Lines:
    """A whole log of its own, in order in itself, signed with a key of the forger's."""
    writer = LogWriter(KeySigner())
    lines = [line for _ in range(len(log.checkpoints)) for line in writer.segment(["main"], 3)]
    made = writer.last.number if writer.last else 0
    return [audit_file.header(writer.entries(), made), *lines]


def swap_chains(log: Log, random: Random) -> Lines:
    """Two chains take each other's names, in one segment or in all."""
    segment = None if random.random() < 0.5 else random.randrange(len(log.checkpoints))
    names = {b'{"chain":"main"': b'{"chain":"worker-2"', b'{"chain":"worker-2"': b'{"chain":"main"'}
    lines, at = [], 0
    for line in log.lines:
        found = next((name for name in names if line[65:].startswith(name)), None)
        here = segment is None or segment == at
        lines.append(line[:65] + names[found] + line[65 + len(found) :] if found and here else line)
        at += line.startswith(b"checkpoint ")
    return lines


def drop_a_text(log: Log, random: Random) -> Lines:
    """The text of a configuration is not there, stands twice, or is another one."""
    lines = list(log.lines)
    n = random.choice([n for n, line in enumerate(lines) if line.startswith(b"text ")])
    other = audit_file.text_line("controls.yaml", hashlib.sha256(b"other").hexdigest(), "other")
    changed = audit_file.text_line("controls.yaml", lines[n].split(b" ")[1].decode(), "other")
    lines[n : n + 1] = random.choice([[], [other], [changed], [lines[n], lines[n]]])
    return lines


def reorder_chains(log: Log, random: Random) -> Lines:
    """Between two checkpoints the chains stand in another order; each is whole."""
    number = random.randrange(1, len(log.checkpoints))
    first, last = log.checkpoints[number - 1] + 1, log.checkpoints[number]
    segment = log.lines[first:last]
    main = [line for line in segment if not line[65:].startswith(b'{"chain":"worker-2"')]
    others = [line for line in segment if line not in main]
    return [*log.lines[:first], *others, *main, *log.lines[last:]]


def drop_a_checkpoint(log: Log, random: Random) -> Lines:
    """A checkpoint is left out, or stands twice, and the first line says so."""
    lines, n = list(log.lines), random.choice(log.checkpoints)
    lines[n : n + 1] = random.choice([[], [lines[n], lines[n]]])
    made = sum(line.startswith(b"checkpoint ") for line in lines)
    return [audit_file.header(len(_entries(lines)), made), *lines[1:]]


def change_a_head(log: Log, random: Random) -> Lines:
    """A checkpoint says something else, under the old signature or that of another key."""
    lines, n = list(log.lines), random.choice(log.checkpoints)
    _, signature, document = lines[n][:-1].split(b" ", 2)
    fields = json.loads(document)
    name = random.choice(["at", "number", "heads"])
    fields[name] = {} if name == "heads" else fields[name] + 1
    forged = _json(fields)
    if random.random() < 0.5:
        signature = KeySigner().sign(forged).hex().encode()
    lines[n] = b"checkpoint " + signature + b" " + forged + b"\n"
    return lines


ALL: Mapping[str, Tampering] = {
    tampering.__name__: tampering
    for tampering in (
        edit_a_byte, edit_the_counts, edit_a_field, delete_lines, insert_a_line, reorder, reorder_chains,
        truncate, roll_back, forge_a_tail, forge_with_another_key, swap_chains, drop_a_text,
        drop_a_checkpoint, change_a_head,
    )
}  # fmt: skip


def tampered(log: Log, random: Random, names: list[str] | None = None) -> tuple[str, Lines]:
    """One tampering and what it leaves. Never the log as it was: such a draw is made again."""
    while True:
        name = random.choice(names or sorted(ALL))
        lines = ALL[name](log, random)
        if lines != log.lines:
            return name, lines


def cut(text: bytes) -> Lines:
    """Into lines, as a file is read."""
    *lines, rest = text.split(b"\n")
    return [*(line + b"\n" for line in lines), *([rest] if rest else [])]


def _entries(lines: Lines) -> list[int]:
    return [n for n, line in enumerate(lines) if line[64:66] == b" {"]


def _entry(line: bytes) -> tuple[str, dict[str, object]]:
    digest, text = line[:-1].split(b" ", 1)
    return digest.decode(), json.loads(text)


def _without(fields: dict[str, object], name: str) -> dict[str, object]:
    return {known: value for known, value in fields.items() if known != name} | (
        {} if name in fields else {"code": "x"}
    )


def _json(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _line(digest: str, fields: dict[str, object]) -> bytes:
    return digest.encode() + b" " + _json(fields) + b"\n"


def _linked_anew(lines: Lines) -> Lines:
    heads: dict[object, bytes] = {}
    made = list(lines)
    for n in _entries(lines):
        _, fields = _entry(lines[n])
        chain = fields["chain"]
        heads[chain] = hashlib.sha256(heads.get(chain, GENESIS) + _json(fields)).digest()
        made[n] = _line(heads[chain].hex(), fields)
    return made


def _signed_anew(lines: Lines, signer: KeySigner | None) -> Lines:
    """Each checkpoint with the heads that there are now. Without a signer the old signatures stay."""
    heads: dict[str, list[object]] = {}
    previous, made = "0" * 64, []
    for line in lines:
        if line[64:66] == b" {":
            digest, fields = _entry(line)
            heads[str(fields["chain"])] = [fields["number"], digest]
        elif line.startswith(b"checkpoint "):
            _, signature, document = line[:-1].split(b" ", 2)
            fields = {**json.loads(document), "heads": dict(sorted(heads.items())), "previous": previous}
            if signer is not None:
                fields["key"] = signer.key()
            forged = _json(fields)
            signature = signature if signer is None else signer.sign(forged).hex().encode()
            previous = hashlib.sha256(forged).hexdigest()
            made.append(b"checkpoint " + signature + b" " + forged + b"\n")
            continue
        made.append(line)
    return made
