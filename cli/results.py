"""`results` and `errors`: what came back of a batch, whole, to a file or to standard output."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any, BinaryIO, Final, cast

from adapters.service_centers import MEDIA_TYPES
from adapters.service_centers.batch_writer import write_batch
from adapters.service_centers.layout import header_fields
from cli import output
from cli.batch_file import format_of
from cli.outcome import CommandError, WrongUsage
from cli.public_api import CenterApi
from cli.views import show_rejected

_PIECE: Final = 65_536


def chosen_format(format_name: str | None, file: Path | None, *, as_json: bool) -> str:
    """What `--format` says, else the ending of the file, else JSON.

    Raises `WrongUsage` for `--json` where standard output would hold another format.
    """
    chosen = format_name or (format_of(file) if file else None) or "json"
    if as_json and file is None and chosen != "json":
        raise WrongUsage(f"--json and --format {chosen} don't go together without --output")
    return str(chosen)


def tell_saved(facts: Mapping[str, Any], file: Path | None, *, as_json: bool) -> None:
    """What was written, when it went to a file."""
    if file is None:
        return
    if as_json:
        output.emit_json({**facts, "file": str(file), "bytes": file.stat().st_size})
    else:
        output.note(f"written to {file}")


def save_results(center: CenterApi, batch: str, format_name: str, file: Path | None) -> None:
    """The results of a batch in one of the formats."""
    with whole_file(file) as out:
        center.results(batch, MEDIA_TYPES[format_name], out.write)


@contextmanager
def whole_file(path: Path | None) -> Iterator[BinaryIO]:
    """Where a document goes: to `path`, which appears when it is whole, or to standard output.

    A file is readable by its owner only: results and applications speak of people.
    """
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
        try:
            yield cast(BinaryIO, draft)
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).replace(path)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise


def fetch_rejected(
    center: CenterApi, batch: str, format_name: str | None, file: Path | None, *, as_json: bool
) -> None:
    """A batch of the rejected lines only, ready to mend, and what is wrong with each beside it."""
    chosen = chosen_format(format_name, file, as_json=as_json)
    with TemporaryFile() as answer:
        center.rejected(batch, answer.write)
        answer.seek(0)
        if as_json and file is None:
            output.emit_json(json.load(answer))
            return
        faults, written = _save_mendable(answer, chosen, file)
    if faults:
        show_rejected(faults)
    if not written:
        output.note("no rejected line can be mended" if faults else "no line of this batch was rejected")
    elif file is not None:
        tell_saved({"batch_id": batch, "format": chosen, "faults": faults}, file, as_json=as_json)
    if as_json and not written:
        output.emit_json({"batch_id": batch, "format": chosen, "faults": faults, "file": None})


def _save_mendable(
    answer: BinaryIO, format_name: str, file: Path | None
) -> tuple[list[dict[str, Any]], bool]:
    """Write the lines that can be mended; return every line's faults, and whether there was one to write.

    Lines that could not be read are left out: there is nothing of them to mend.
    """
    faults: list[dict[str, Any]] = []
    head, lines = read_rejected(answer)
    mendable = _mendable(lines, faults)
    first = next(mendable, None)
    if first is not None:
        with whole_file(file) as out:
            _write(format_name, _header(head), chain((first,), mendable), out)
    return faults, first is not None


def _mendable(lines: Iterator[dict[str, Any]], faults: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for line in lines:
        application = line.get("application") or {}
        place = {"line": line.get("line"), "reference": application.get("reference")}
        faults += [{**place, **error} for error in line.get("errors", [])]
        if application:
            yield application
        else:
            output.note(f"line {line.get('line')} could not be read: it is not in the file")


def _header(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The batch's own fields, as far as the gateway tells them."""
    header = {name: batch[name] for name in header_fields() if batch.get(name) is not None}
    if missing := [
        name for name in ("licensee_id", "agent_id", "mission_id", "season") if name not in header
    ]:
        output.note(f"fill in before you send it again: {', '.join(missing)}")
    return header


def _write(
    format_name: str, header: Mapping[str, Any], lines: Iterator[dict[str, Any]], out: BinaryIO
) -> None:
    try:
        write_batch(format_name, header, lines, out)
    except ValueError as error:
        raise CommandError(
            f"a rejected line has a field that {format_name} has no place for: give --format json"
        ) from error


# --- the answer, one line at a time ------------------------------------------------------------------


def read_rejected(answer: BinaryIO) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """The batch's status, and its rejected lines as they are read: `{"batch": {…}, "rejected": [{…}, …]}`.

    Raises `CommandError` when the answer has another shape.
    """
    stream = _JsonStream(answer)
    stream.expect('{"batch":')
    batch = stream.value()
    stream.expect(',"rejected":[')
    return batch, _elements(stream)


def _elements(stream: _JsonStream) -> Iterator[dict[str, Any]]:
    separator = ""
    while not stream.passes("]"):
        stream.expect(separator)
        yield stream.value()
        separator = ","


class _JsonStream:
    """A JSON document read from the front, holding no more than one value and a piece."""

    def __init__(self, source: BinaryIO) -> None:
        self._read: Callable[[], bytes] = lambda: source.read(_PIECE)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._ended = False

    def value(self) -> dict[str, Any]:
        """The next value, an object."""
        while True:
            self._text = self._text.lstrip()
            try:
                value, end = JSONDecoder().raw_decode(self._text)
            except JSONDecodeError as error:
                if not self._more():
                    raise _not_ours() from error
                continue
            self._text = self._text[end:]
            if not isinstance(value, dict):
                raise _not_ours()
            return value

    def passes(self, token: str) -> bool:
        """Go past `token` if it comes next, whatever space is around."""
        while len(self._text.lstrip()) < len(token) and self._more():
            pass
        self._text = self._text.lstrip()
        if not self._text.startswith(token):
            return False
        self._text = self._text[len(token) :]
        return True

    def expect(self, token: str) -> None:
        """Go past `token`."""
        if not self.passes(token):
            raise _not_ours()

    def _more(self) -> bool:
        if self._ended:
            return False
        piece = self._read()
        self._ended = not piece
        self._text += self._decoder.decode(piece, final=self._ended)
        return True


def _not_ours() -> CommandError:
    return CommandError("the answer is not a list of rejected lines: is this the gateway?")
