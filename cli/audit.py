"""`audit`: the tamper-evident log, fetched as a file and proved to be whole, with or without a gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cli import output
from cli.admin_api import operator_token
from cli.http import Http
from cli.outcome import ExitCode, WrongUsage
from cli.results import tell_saved, whole_file
from cli.target import Target
from gateway.clock import moment
from gateway.ledger.audit_file import LONGEST_LINE, Receipt, Tampered, Verification, Verified
from gateway.ledger.signer_file import PUBLIC_FILE, public_key

_PATH: Final = "/v1/admin/audit/export"
_MEDIA_TYPE: Final = "text/plain"
#: The bar moves once in so many entries.
_SHOWN_EVERY: Final = 2_000
_LARGEST_RECEIPT: Final = 64_000_000

Pieces = Callable[[Callable[[bytes], object]], None]


def export_log(target: Target, operator: str, file: Path | None, *, as_json: bool) -> None:
    """The log to `file`, which appears when it is whole, or to standard output."""
    if as_json and file is None:
        raise WrongUsage("--json needs a FILE: the log itself is not one JSON document")
    lines = 0
    with whole_file(file) as out, _progress("exported", "lines") as advance:

        def keep(piece: bytes) -> None:
            nonlocal lines
            out.write(piece)
            lines += piece.count(b"\n")
            advance(lines, None)

        _download(target, operator)(keep)
    tell_saved({"lines": lines}, file, as_json=as_json)


def verify_and_report(
    target: Callable[[], Target],
    operator: str,
    file: Path | None,
    *,
    keys: Sequence[Path],
    receipt: Path | None,
    as_json: bool,
) -> ExitCode:
    """Say whether the log is whole, or its first fault. `target` is asked for only without a file."""
    kept = None if receipt is None else read_receipt(receipt)
    trusted = [_key(path) for path in keys]
    if file is not None:
        pieces = _file(file)
    else:
        gateway = target()
        pieces = _download(gateway, operator)
        trusted = trusted or _key_of(gateway)
    try:
        found = verify(pieces, trusted, kept)
    except Tampered as fault:
        _tell_fault(fault, as_json=as_json)
        return ExitCode.FAILED
    _tell_whole(found, as_json=as_json)
    return ExitCode.DONE


def verify(pieces: Pieces, keys: Sequence[str], receipt: Receipt | None) -> Verified:
    """Verify a log that comes in pieces, holding no more of it than a line. Raises `Tampered`."""
    verification = Verification(keys, receipt)
    cut = bytearray()
    with _progress("verified", "entries") as advance:

        def take(piece: bytes) -> None:
            whole, feed, rest = piece.rpartition(b"\n")
            if feed:
                for line in (bytes(cut) + whole).split(b"\n"):
                    verification.line(line + b"\n")
                cut.clear()
            cut.extend(rest)
            if len(cut) > LONGEST_LINE:
                verification.line(bytes(cut))  # which is cut off, so this is where it ends
            advance(verification.entries, verification.expected)

        pieces(take)
        if cut:
            verification.line(bytes(cut))
    return verification.end()


def _download(target: Target, operator: str) -> Pieces:
    token = operator_token(target.data_dir, operator)
    hints = {
        401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
        403: "the log is for auditors: give --operator",
    }
    http = Http(target.admin_url, lambda: token, hints)
    return lambda sink: http.download(_PATH, _MEDIA_TYPE, sink)


def _file(path: Path) -> Pieces:
    def read(sink: Callable[[bytes], object]) -> None:
        with path.open("rb") as file:
            while piece := file.read(262_144):
                sink(piece)

    return read


def read_receipt(path: Path) -> Receipt:
    """The checkpoint in an answer of the gateway that somebody kept. Raises `WrongUsage` for another file."""
    with path.open("rb") as file:
        content = file.read(_LARGEST_RECEIPT)
    try:
        found: Any = json.loads(content)
        kept = found.get("checkpoint", found)
        return Receipt(kept["document"].encode(), bytes.fromhex(kept["signature"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WrongUsage(f"{path} holds no checkpoint: give an answer of the gateway that has one") from error


def save_receipt(path: Path, receipt: dict[str, Any]) -> None:
    """Keep the checkpoint of a batch's receipt, for `audit verify --checkpoint`."""
    kept = {"batch_id": receipt["batch_id"], "checkpoint": receipt["checkpoint"]}
    with whole_file(path) as out:
        out.write(json.dumps(kept, ensure_ascii=False, indent=2).encode() + b"\n")


def _key(path: Path) -> str:
    try:
        return public_key(path)
    except ValueError as error:
        raise WrongUsage(f"{path} is not an Ed25519 public key (PEM)") from error


def _key_of(target: Target) -> list[str]:
    """The public key that stands in the data directory; none: that of the log itself."""
    path = target.data_dir / "keys" / PUBLIC_FILE
    return [_key(path)] if path.is_file() else []


def _tell_whole(found: Verified, *, as_json: bool) -> None:
    last = found.last
    if as_json:
        output.emit_json(
            {
                "whole": True,
                "entries": found.entries,
                "chains": dict(found.chains),
                "checkpoints": found.checkpoints,
                "texts": found.texts,
                "until": moment(last.at).isoformat(),
                "key": last.key,
                "key_from": found.key_from,
            }
        )
        return
    output.line(
        f"whole: {found.entries} entries in {len(found.chains)} chains, {found.checkpoints} checkpoints, "
        f"until {moment(last.at):%Y-%m-%d %H:%M:%S} UTC, signed with {last.key}"
    )
    if found.key_from == "log":
        output.note(
            "the key is the one that the log itself names: give --key or --checkpoint to know whose it is"
        )


def _tell_fault(fault: Tampered, *, as_json: bool) -> None:
    if as_json:
        place = {"line": fault.line, "chain": fault.chain, "number": fault.number}
        output.emit_json({"whole": False, "fault": {"code": fault.code, "text": fault.text, **place}})
        return
    where = [f"line {fault.line}" if fault.line else "receipt"]
    if fault.chain is not None:
        where.append(f"chain {output.plain(fault.chain)}")
    if fault.number is not None:
        where.append(f"{'checkpoint' if fault.chain is None else 'number'} {fault.number}")
    output.line(f"not whole: {', '.join(where)}: {output.plain(fault.text)} ({fault.code})")


@contextmanager
def _progress(label: str, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal. Call what it gives with how many there are so far, and of how many if known."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = output.console(errors=True)
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeElapsedColumn())
    shown = 0
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task(label, total=None)

        def advance(done: int, total: int | None) -> None:
            nonlocal shown
            if done - shown >= _SHOWN_EVERY or done == total:
                shown = done
                progress.update(task, completed=done, total=total)

        yield advance
