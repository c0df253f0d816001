"""Whatever somebody with the database does to the log, a holder of a receipt can tell; so can outsiders."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from gateway.ledger import audit_file
from gateway.ledger.audit_file import Receipt, Tampered
from tests.audit.logs import KeySigner, Log, LogWriter, small_log, verified
from tests.audit.plain import as_json, plain_verifier, source
from tests.audit.tampering import ALL, tampered

#: More of them: `AUDIT_TAMPERINGS=20000 pytest tests/audit`.
TAMPERINGS = int(os.environ.get("AUDIT_TAMPERINGS", "1000"))


@pytest.fixture(scope="module")
def log() -> Log:
    return small_log()


def is_whole(log: list[bytes], receipt: Receipt | None = None) -> bool:
    try:
        verified(log, receipt)
    except Tampered:
        return False
    return True


def test_a_thousand_random_tamperings_are_found_by_our_verifier_and_by_the_documented_one(log: Log) -> None:
    whole, random, tried = plain_verifier(), Random(1448), Counter[str]()
    assert is_whole(log.lines, log.receipt)
    assert whole(log.lines, log.receipt)
    for _ in range(TAMPERINGS):
        name, lines = tampered(log, random)
        tried[name] += 1
        assert not is_whole(lines, log.receipt), name
        assert not whole(lines, log.receipt), name
    assert tried.keys() == ALL.keys()


def test_without_a_receipt_both_verifiers_still_agree(log: Log) -> None:
    whole, random = plain_verifier(), Random(7)
    names = ["roll_back", "forge_with_another_key", "truncate", "forge_a_tail"]
    verdicts = Counter[bool]()
    for _ in range(150):
        _, lines = tampered(log, random, names)
        assert is_whole(lines) == whole(lines, None)
        verdicts[is_whole(lines)] += 1
    assert all(verdicts[verdict] for verdict in (True, False))


def test_only_a_receipt_exposes_a_log_that_was_rolled_back(log: Log) -> None:
    older = log.lines[: log.checkpoints[1] + 1]
    older[0] = audit_file.header(sum(line[64:66] == b" {" for line in older), 2)
    assert verified(older).checkpoints == 2
    with pytest.raises(Tampered) as fault:
        verified(older, log.receipt)
    assert fault.value.code == "behind_receipt"


def test_the_first_fault_is_named_by_line_chain_and_number(log: Log) -> None:
    place = next(n for n, line in enumerate(log.lines) if b'"chain":"worker-2","number":7' in line)
    lines = list(log.lines)
    lines[place] = lines[place].replace(b'"actor":"worker"', b'"actor":"nobody"')
    with pytest.raises(Tampered) as fault:
        verified(lines, log.receipt)
    assert (fault.value.code, fault.value.line) == ("entry_changed", place + 1)
    assert (fault.value.chain, fault.value.number) == ("worker-2", 7)


def test_entries_that_no_checkpoint_covers_are_told() -> None:
    writer = LogWriter(KeySigner())
    lines = [*writer.segment(["main"], 2), *list(writer.segment(["main"], 2))[:-1]]
    lines.insert(0, audit_file.header(writer.entries(), 1))
    with pytest.raises(Tampered) as fault:
        verified(lines)
    assert fault.value.code == "not_covered"


def test_a_receipt_of_an_earlier_checkpoint_fits_a_log_that_went_on() -> None:
    writer = LogWriter(KeySigner())
    lines = list(writer.segment(["main"], 3))
    kept = writer.receipt
    lines += writer.segment(["main"], 3)
    lines.insert(0, audit_file.header(writer.entries(), 2))
    assert verified(lines, kept).key_from == "receipt"
    other = LogWriter(writer.signer)
    list(other.segment(["main"], 4))
    with pytest.raises(Tampered) as fault:
        verified(lines, other.receipt)
    assert fault.value.code == "receipt_differs"


def test_a_key_is_trusted_only_if_it_was_given(log: Log) -> None:
    assert verified(log.lines, keys=[log.signer.key()]).key_from == "given"
    for receipt in (None, log.receipt):
        with pytest.raises(Tampered) as fault:
            verified(log.lines, receipt, keys=[KeySigner().key()])
        assert (fault.value.code, fault.value.line == 0) == ("key_not_trusted", receipt is not None)


def test_the_key_may_change_only_between_keys_that_are_given() -> None:
    writer = LogWriter(KeySigner())
    lines = list(writer.segment(["main"], 2))
    before = writer.signer.key()
    writer.signer = KeySigner()
    lines += writer.segment(["main"], 2)
    lines.insert(0, audit_file.header(writer.entries(), 2))
    assert verified(lines, keys=[before, writer.signer.key()]).checkpoints == 2
    with pytest.raises(Tampered):
        verified(lines)


def test_the_documented_verifier_is_short_and_runs_from_the_page(log: Log, tmp_path: Path) -> None:
    assert len(source().splitlines()) < 100
    for name, content in (
        ("verify.py", source().encode()),
        ("log.txt", b"".join(log.lines)),
        ("cut.txt", b"".join(log.lines[:-1])),
        ("receipt.json", as_json(log.receipt).encode()),
    ):
        (tmp_path / name).write_bytes(content)

    def run(file: str) -> subprocess.CompletedProcess[str]:
        # Isolated: none of our packages can be imported.
        command = [sys.executable, "-I", "-S", "verify.py", file, "receipt.json"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run("log.txt").stdout == "42 entries, whole\n"
    assert run("cut.txt").returncode == 1
