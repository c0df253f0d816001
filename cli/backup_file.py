"""The file that `backup` writes and `restore` reads: a tar archive that says what it holds, with checksums.

manifest.json      what this is: engine, times, schema, the members with size and SHA-256
manifest.sha256    of those bytes
ledger.db          the embedded ledger; or ledger.dump, of a PostgreSQL one (custom format)
keys/…             where keys were asked for: everything sealed can be read by whoever has both
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import IO, Any, Final

from cli.outcome import CommandError

TYPE: Final = "umrah-gateway-backup/1"
MANIFEST: Final = "manifest.json"
_CHECKSUM: Final = "manifest.sha256"
SQLITE_MEMBER: Final = "ledger.db"
POSTGRESQL_MEMBER: Final = "ledger.dump"
_KEY: Final = re.compile(r"keys(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,80}){1,4}")
_LARGEST_MANIFEST: Final = 16_000_000
_PIECE: Final = 1_048_576

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. Times are in microseconds."""

    #: sqlite, postgresql; empty where there is no ledger in it.
    engine: str
    #: Everything that was committed by then is in it.
    began_at: int
    ended_at: int
    schema: int
    gateway: str
    #: Size and SHA-256 by name.
    members: Mapping[str, tuple[int, str]]
    type: str = TYPE

    @property
    def with_keys(self) -> bool:
        return any(name.startswith("keys/") for name in self.members)


class Damaged(CommandError):
    """The file is not what was written."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code="backup_damaged")


# --- writing --------------------------------------------------------------------------------------------


def write(file: IO[bytes], manifest: Manifest, sources: Mapping[str, Path], advance: Advance) -> None:
    """The archive. `sources` are the manifest's members."""
    text = json.dumps(asdict(manifest), indent=1).encode()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in ((MANIFEST, text), (_CHECKSUM, hashlib.sha256(text).hexdigest().encode())):
            archive.addfile(_member(name, len(content)), BytesIO(content))
        for name, path in sources.items():
            with _Counted(FileIO(path), advance) as source:
                archive.addfile(_member(name, manifest.members[name][0]), source)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


class _Counted(BufferedReader):
    """A file that tells how much of it was read."""

    def __init__(self, file: FileIO, advance: Advance) -> None:
        super().__init__(file)
        self._advance = advance

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._advance(len(piece))
        return piece


def measure(path: Path) -> tuple[int, str]:
    """Size and SHA-256."""
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


# --- reading --------------------------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[Backup]:
    """Raises `Damaged` for what is no backup, or no longer the one that was written."""
    try:
        with tarfile.open(path, mode="r:") as archive:
            yield Backup(archive, _manifest(archive))
    except (tarfile.TarError, EOFError) as error:
        raise Damaged(f"{path} is no backup, or it is cut off") from error


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is being read."""

    archive: tarfile.TarFile
    manifest: Manifest

    def extract(self, name: str, to: Path, advance: Advance) -> None:
        """A member to a new file that nobody else may read. Raises `Damaged` unless its checksum is right."""
        size, expected = self.manifest.members[name]
        digest, count = hashlib.sha256(), 0
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with _content(self.archive, name) as source, os.fdopen(descriptor, "wb") as target:
            while piece := source.read(_PIECE):
                digest.update(piece)
                count += len(piece)
                target.write(piece)
                advance(len(piece))
            target.flush()
            os.fsync(target.fileno())
        if (count, digest.hexdigest()) != (size, expected):
            raise Damaged(f"the checksum of {name} is wrong: the backup was damaged or changed")

    def check(self, name: str) -> None:
        """Read a member without keeping it. Raises `Damaged` unless its checksum is right."""
        with _content(self.archive, name) as source:
            if hashlib.file_digest(source, "sha256").hexdigest() != self.manifest.members[name][1]:
                raise Damaged(f"the checksum of {name} is wrong: the backup was damaged or changed")

    def key_names(self) -> Sequence[str]:
        """The names of the key files in it."""
        return [name for name in self.manifest.members if name.startswith("keys/")]


def _manifest(archive: tarfile.TarFile) -> Manifest:
    with _content(archive, MANIFEST) as file, _content(archive, _CHECKSUM) as checksum:
        text, expected = file.read(_LARGEST_MANIFEST), checksum.read(64)
    if hashlib.sha256(text).hexdigest().encode() != expected:
        raise Damaged("the checksum of the manifest is wrong: the backup was damaged or changed")
    try:
        fields: dict[str, Any] = json.loads(text)
        members = {name: (int(size), str(digest)) for name, (size, digest) in fields.pop("members").items()}
        manifest = Manifest(**fields, members=members)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged("the manifest is not one of ours") from error
    if manifest.type != TYPE or not all(_is_ours(name) for name in members):
        raise Damaged(f"the manifest is not one of {TYPE}")
    return manifest


def _is_ours(name: str) -> bool:
    """No name that leads anywhere else."""
    return name in (SQLITE_MEMBER, POSTGRESQL_MEMBER) or _KEY.fullmatch(name) is not None


def _content(archive: tarfile.TarFile, name: str) -> BufferedReader:
    try:
        found = archive.extractfile(archive.getmember(name))
    except KeyError as error:
        raise Damaged(f"{name} is missing in the backup") from error
    if not isinstance(found, BufferedReader):
        raise Damaged(f"{name} is no file")
    return found
