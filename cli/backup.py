"""`backup`: a consistent copy of the ledger, with what is needed to prove and to restore it, as one file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final, cast

from cli import backup_file, output
from cli.admin_api import operator_token
from cli.backup_file import POSTGRESQL_MEMBER, SQLITE_MEMBER, Manifest
from cli.databases import database_file
from cli.http import Http
from cli.outcome import CommandError, Unreachable, WrongUsage
from cli.results import whole_file
from cli.target import Target
from cli.versions import gateway_version
from gateway.errors import Misconfigured
from gateway.ledger.flushing import flush
from gateway.ledger.postgresql import backup as postgresql
from gateway.ledger.postgresql.connection import LOST
from gateway.ledger.sqlite.backup import copy
from gateway.ledger.sqlite.connection import ProcessLock, connect_plainly, open_writer

_LONGEST_LINE: Final = 4_096

#: Of how many bytes so many are done.
Told = Callable[[int, int], None]


def backup(target: Target, operator: str, file: Path, *, ledger: bool, keys: bool) -> dict[str, Any]:
    """Write the backup and tell what is in it. Raises `WrongUsage`, `CommandError`, `Misconfigured`."""
    if file.exists():
        raise WrongUsage(f"{file} is there already: a backup replaces nothing")
    with (
        TemporaryDirectory(dir=file.absolute().parent, prefix=f".{file.name}.") as folder,
        whole_file(file) as out,
    ):
        sources, facts = _ledger(target, operator, Path(folder)) if ledger else ({}, _no_ledger())
        if keys:
            sources |= key_files(target.data_dir)
        manifest = _manifest(facts, sources)
        total = sum(size for size, _ in manifest.members.values())
        with progress("writing") as told:
            backup_file.write(cast(IO[bytes], out), manifest, sources, counting(told, total))
    flush(file.absolute().parent)
    return summary(file, manifest)


def summary(file: Path, manifest: Manifest) -> dict[str, Any]:
    """What a backup holds, for people and programs."""
    return {
        "file": str(file),
        "engine": manifest.engine or None,
        "began_at": manifest.began_at,
        "schema": manifest.schema,
        "bytes": sum(size for size, _ in manifest.members.values()),
        "with_keys": manifest.with_keys,
        "members": len(manifest.members),
    }


def _manifest(facts: dict[str, Any], sources: dict[str, Path]) -> Manifest:
    members = {name: backup_file.measure(path) for name, path in sources.items()}
    return Manifest(**facts, gateway=gateway_version(), ended_at=_now(), members=members)


def key_files(data_dir: Path) -> dict[str, Path]:
    """Keys of all sorts, the signer's too, by their names in the archive."""
    folder = data_dir / "keys"
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not found:
        raise CommandError(f"there are no keys in {folder}")
    return {f"keys/{path.relative_to(folder)}": path for path in found}


# --- the ledger ------------------------------------------------------------------------------------------


def _no_ledger() -> dict[str, Any]:
    return {"engine": "", "began_at": _now(), "schema": 0}


def _ledger(target: Target, operator: str, folder: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    path = database_file(target.settings)
    if path is None:
        return _dumped(target.settings.gateway.database_url, folder / POSTGRESQL_MEMBER)
    return _copied(target, operator, path, folder / SQLITE_MEMBER)


def _dumped(url: str, to: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    output.note("PostgreSQL: pg_dump reads one snapshot, whoever writes meanwhile")
    try:
        began_at, schema = postgresql.stands(url)
        to.touch(mode=0o600)
        postgresql.dump(url, to)
    except LOST as error:
        raise CommandError("the database does not answer, or lets nobody in") from error
    except postgresql.ToolFailed as error:
        raise CommandError(str(error)) from error
    return {POSTGRESQL_MEMBER: to}, {"engine": "postgresql", "began_at": began_at, "schema": schema}


def _copied(target: Target, operator: str, source: Path, to: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """By the gateway that owns the file; by ourselves, in its place, where none runs."""
    if not source.exists():
        raise CommandError(f"there is no ledger {source}")
    began_at = _now()
    lock = ProcessLock(source.with_suffix(".lock"))
    if _taken(lock):
        _copy_stopped(source, to, lock)
    else:
        _fetch(target, operator, to)
    return {SQLITE_MEMBER: to}, {"engine": "sqlite", "began_at": began_at, "schema": _schema(to)}


def _taken(lock: ProcessLock) -> bool:
    try:
        lock.take()
    except Misconfigured:
        return False
    return True


def _copy_stopped(source: Path, to: Path, lock: ProcessLock) -> None:
    output.note("no gateway runs on this ledger: it is copied as it stands")
    try:
        open_writer(source).close()  # what a crash left in the log is brought in
        with progress("copying") as told:
            copy(source, to, told)
    finally:
        lock.release()


def _fetch(target: Target, operator: str, to: Path) -> None:
    """The gateway makes the copy beside its ledger and hands it to us, telling how far it is."""
    token = operator_token(target.data_dir, operator)
    hints = {
        401: f"is {target.data_dir} the data directory of the gateway at {target.admin_url}?",
        403: "a backup is an administrator's, such as admin-1 (--operator NAME)",
    }
    http = Http(target.admin_url, lambda: token, hints)
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, progress("copying") as told:
        received = _Received(file, told)
        http.download("/v1/admin/backup", "application/octet-stream", received.take, document={})
    size, digest = backup_file.measure(to)
    if received.promised != {"size": size, "sha256": digest}:
        raise Unreachable("the copy came incomplete: try again")


class _Received:
    """Takes an answer apart: lines of JSON first, the last of them with size and checksum, then the copy."""

    def __init__(self, file: IO[bytes], told: Told) -> None:
        self._file = file
        self._told = told
        self._head = bytearray()
        self.promised: dict[str, Any] | None = None

    def take(self, piece: bytes) -> None:
        while self.promised is None and piece:
            piece = self._take_line(piece)
        self._file.write(piece)

    def _take_line(self, piece: bytes) -> bytes:
        """What of the piece follows its first line; nothing, when the line goes on in the next one."""
        line, feed, rest = piece.partition(b"\n")
        self._head += line
        if len(self._head) > _LONGEST_LINE:
            raise _not_a_copy()
        if feed:
            self._line(bytes(self._head))
            self._head.clear()
        return rest

    def _line(self, line: bytes) -> None:
        try:
            found = json.loads(line)
            if "sha256" in found:
                self.promised = found
            else:
                self._told(found["copied"], found["of"])
        except (ValueError, KeyError, TypeError) as error:
            raise _not_a_copy() from error


def _not_a_copy() -> CommandError:
    return CommandError("the answer is not a copy: is this the gateway?", code="not_a_gateway")


def _schema(path: Path) -> int:
    connection = connect_plainly(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


# --- small things ----------------------------------------------------------------------------------------


@contextmanager
def progress(label: str) -> Iterator[Told]:
    """A bar of bytes on a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    screen = output.console(errors=True)
    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def counting(told: Told, total: int) -> Callable[[int], None]:
    """Tells sums of the pieces that it is given."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        told(done, total)

    return advance


def _now() -> int:
    return time.time_ns() // 1_000
