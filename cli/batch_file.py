"""A file with a batch: which format it is in, its hash, its bytes piece by piece."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from adapters.service_centers import MEDIA_TYPES
from cli.outcome import CommandError, WrongUsage

_PIECE: Final = 65_536
_ENDINGS: Final = {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".xml": "xml"}
_GZIP: Final = zlib.MAX_WBITS | 16


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A file as it is sent. `compressed`: it is gzip already, and goes out as it is."""

    path: Path
    format: str
    compressed: bool
    size_bytes: int

    @property
    def media_type(self) -> str:
        """Of the decoded body."""
        return MEDIA_TYPES[self.format]

    def digest(self) -> str:
        """SHA-256 of the decoded bytes, in hex: packed or not, the same batch has the same."""
        digest = hashlib.sha256()
        try:
            with gzip.open(self.path) if self.compressed else self.path.open("rb") as file:
                for piece in _pieces(file):
                    digest.update(piece)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CommandError(f"{self.path} is not a whole gzip file", code="invalid_gzip") from error
        return digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """The file's bytes as they are."""
        with self.path.open("rb") as file:
            yield from _pieces(file)


def open_batch(path: Path, format_name: str | None) -> BatchFile:
    """The file at `path`, in the format its name ends with unless `format_name` says otherwise.

    Raises `WrongUsage` for what is no file or has no known ending.
    """
    if not path.is_file():
        raise WrongUsage(f"{path} is not a file")
    compressed = path.suffix == ".gz"
    known = format_name or format_of(path.with_suffix("") if compressed else path)
    if known is None:
        raise WrongUsage(f"{path} has none of the endings {', '.join(_ENDINGS)}: give --format")
    return BatchFile(path, known, compressed, path.stat().st_size)


def format_of(path: Path) -> str | None:
    """The format that a file's name ends with."""
    return _ENDINGS.get(path.suffix.lower())


def packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes as one gzip member."""
    packer = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        if out := packer.compress(piece):
            yield out
    yield packer.flush()


def _pieces(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
