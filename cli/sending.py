"""`send`: a file to the gateway, and the wait until every line of it is settled."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli import output
from cli.audit import save_receipt
from cli.batch_file import BatchFile, packed
from cli.outcome import ExitCode, Unreachable, WrongUsage
from cli.public_api import CenterApi
from cli.views import show_rejected
from gateway.states import SETTLED

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0

Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Sending:
    """What to send and how."""

    file: BatchFile
    key: str | None
    mode: str
    dry_run: bool
    gzip: bool

    def headers(self) -> dict[str, str]:
        """Of the request. The length, where it is known, lets the gateway refuse before it reads."""
        headers = {"Content-Type": self.file.media_type, "Idempotency-Key": self.key or self.file.digest()}
        if self.gzip or self.file.compressed:
            headers["Content-Encoding"] = "gzip"
        if not self._packs:
            headers["Content-Length"] = str(self.file.size_bytes)
        return headers

    def params(self) -> dict[str, str]:
        """Of the query."""
        return {"mode": self.mode} | ({"dry_run": "true"} if self.dry_run else {})

    def pieces(self, advance: output.Advance) -> Iterator[bytes]:
        """The body. `advance` is told of the file's bytes, packed or not."""
        read = _counted(self.file.pieces(), advance)
        return packed(read) if self._packs else read

    @property
    def _packs(self) -> bool:
        return self.gzip and not self.file.compressed


def _counted(pieces: Iterator[bytes], advance: output.Advance) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        advance(len(piece))


def check_key(key: str | None) -> str | None:
    """An idempotency key as the API takes it. Raises `WrongUsage`."""
    if key is not None and not _KEY.fullmatch(key):
        raise WrongUsage("--key is 1 to 255 visible ASCII characters")
    return key


def send(sending: Sending, center: CenterApi) -> dict[str, Any]:
    """The receipt: `batch_id`, `counts`, the rejected lines, and whether it was `replayed`."""
    headers = sending.headers()
    with output.upload_progress(sending.file.size_bytes) as advance:
        reply = center.submit(sending.pieces(advance), headers, sending.params())
    replayed = reply.headers.get("Idempotency-Replayed") == "true"
    return {**reply.document, "replayed": replayed, "idempotency_key": headers["Idempotency-Key"]}


def wait_until_settled(
    center: CenterApi, batch: str, timeout_s: float, pause: Pause = time.sleep
) -> tuple[dict[str, Any], bool]:
    """The batch's status, and whether all its lines are settled; False: the time was up.

    A gateway that is away for a while is asked again. Raises `Unreachable` when it never answered.
    """
    give_up_at = time.monotonic() + timeout_s
    wait_s = _FIRST_PAUSE_S
    with output.settling_progress() as show:
        while True:
            status = _status_or_error(center, batch)
            left_s = give_up_at - time.monotonic()
            if isinstance(status, Unreachable):
                if left_s <= 0:
                    raise status
            else:
                show(settled(status["counts"]), status["counts"]["total"])
                if status["state"] == "completed" or left_s <= 0:
                    return status, status["state"] == "completed"
            pause(min(wait_s, max(left_s, 0.01)))
            wait_s = min(wait_s * 1.5, _LONGEST_PAUSE_S)


def _status_or_error(center: CenterApi, batch: str) -> dict[str, Any] | Unreachable:
    try:
        return center.status(batch)
    except Unreachable as error:
        return error


def settled(counts: Mapping[str, int]) -> int:
    """How many lines have come to an end, for now or for ever."""
    return sum(counts.get(state.value, 0) for state in SETTLED)


def exit_code(counts: Mapping[str, int], *, in_time: bool = True) -> ExitCode:
    """`TIMED_OUT` before `PARTLY_REJECTED` before `DONE`."""
    if not in_time:
        return ExitCode.TIMED_OUT
    return ExitCode.PARTLY_REJECTED if counts.get("rejected") else ExitCode.DONE


def send_and_report(
    sending: Sending, center: CenterApi, *, wait_s: float | None, as_json: bool, keep: Path | None = None
) -> ExitCode:
    """Send, wait where `wait_s` is given, tell what became of it.

    `keep` is where the checkpoint of the audit log goes that comes with the receipt, or with the last status.
    """
    started = time.monotonic()
    receipt = send(sending, center)
    if keep is not None:
        save_receipt(keep, receipt)
    batch, in_time = receipt["batch_id"], True
    if not as_json:
        _tell_receipt(receipt)
    if wait_s is not None and batch is not None:
        status, in_time = wait_until_settled(center, batch, wait_s)
        receipt |= {**status, "timed_out": not in_time, "seconds": round(time.monotonic() - started, 3)}
        if keep is not None:
            save_receipt(keep, receipt)
    if as_json:
        output.emit_json(receipt)
    else:
        _tell_end(receipt)
    return exit_code(receipt["counts"], in_time=in_time)


def _tell_receipt(receipt: Mapping[str, Any]) -> None:
    """On standard error: the receipt's rejected lines, and what one must know while waiting."""
    if receipt["rejected"]:
        show_rejected(receipt["rejected"])
    if receipt["more_rejected"]:
        output.note("more lines were rejected: see `errors`")
    if receipt["replayed"]:
        output.note("this was sent before: that batch's first answer again")
    if receipt["batch_id"]:
        output.note(f"batch {receipt['batch_id']} is recorded")


def _tell_end(receipt: Mapping[str, Any]) -> None:
    if receipt.get("timed_out"):
        output.note("not all lines are settled yet: see `status`")
    counts = ", ".join(f"{name} {count}" for name, count in receipt["counts"].items())
    output.line(f"{receipt['batch_id'] or 'not recorded'}  {output.plain(receipt['state'])}  {counts}")
