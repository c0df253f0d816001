"""`restore`: put a backup back, prove that it is whole, and keep it from being served as if nothing was.

Nothing is put in place before everything was checked: checksums, the database itself, the journal's chains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cli import output
from cli.backup import counting, progress, summary
from cli.backup_file import POSTGRESQL_MEMBER, SQLITE_MEMBER, Backup, Damaged, opened
from cli.databases import database_file
from cli.outcome import CommandError, WrongUsage
from cli.target import Target
from gateway.errors import Misconfigured
from gateway.ledger.flushing import flush
from gateway.ledger.postgresql import backup as postgresql
from gateway.ledger.postgresql.connection import LOST
from gateway.ledger.signer_file import PUBLIC_FILE, public_key
from gateway.ledger.sql import restoring
from gateway.ledger.sql.proof import NotWhole, Proven, prove
from gateway.ledger.sqlite.connection import Connection, DatabaseError, ProcessLock, connect_plainly, migrate
from gateway.message import Micros

#: What SQLite keeps beside a database. Of another database it would be taken for this one's.
_BESIDE: Final = ("-wal", "-shm", "-journal")
_NEXT: Final = "umrah-gateway serve --after-restore"


def restore(target: Target, file: Path, *, replace: bool) -> dict[str, Any]:
    """Raises `WrongUsage`, `Misconfigured`, `Damaged` and `CommandError`; then everything is as it was."""
    with opened(file) as backup:
        found = summary(file, backup.manifest)
        for name in backup.key_names():
            backup.check(name)
        proven = _restore_ledger(target, backup, replace=replace) if backup.manifest.engine else None
        keys = _restore_keys(target.data_dir, backup)
    lacking = not (target.data_dir / "keys" / "kek").is_dir()
    return {
        **found,
        "entries": None if proven is None else proven.entries,
        "checkpoints": None if proven is None else proven.checkpoints,
        "keys": keys,
        "keys_lacking": lacking,
        "next": _NEXT if proven is not None else None,
    }


def mark(target: Target) -> dict[str, Any]:
    """For a ledger that was put back by other means, such as a server's own archive: the same mark."""
    path = database_file(target.settings)
    if path is None:
        with _in_our_words():
            postgresql.mark(target.settings.gateway.database_url)
    else:
        with _owned(path), closing(connect_plainly(path)) as connection:
            migrate(connection)
            restoring.mark_by_journal(connection, _now())
    return {"marked": True, "next": _NEXT}


def _restore_ledger(target: Target, backup: Backup, *, replace: bool) -> Proven:
    path = database_file(target.settings)
    ours = "postgresql" if path is None else "sqlite"
    if backup.manifest.engine != ours:
        raise WrongUsage(f"this backup is of {backup.manifest.engine}, and the configuration names {ours}")
    if path is None:
        return _restore_postgresql(target, backup, replace=replace)
    return _restore_sqlite(target, backup, path, replace=replace)


# --- the embedded ledger ----------------------------------------------------------------------------------


def _restore_sqlite(target: Target, backup: Backup, path: Path, *, replace: bool) -> Proven:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and not replace:
        raise WrongUsage(f"{path} is there; --replace keeps it beside the restored one")
    with _owned(path), TemporaryDirectory(dir=path.parent, prefix=".restore-") as folder:
        draft = Path(folder) / SQLITE_MEMBER
        _extract(backup, SQLITE_MEMBER, draft)
        proven = _proven(draft, Micros(backup.manifest.began_at), _trusted(target.data_dir, backup))
        _set_aside(path)
        draft.replace(path)
        flush(path.parent)
    return proven


def _proven(draft: Path, lost_from: Micros, keys: frozenset[str]) -> Proven:
    """Check it, bring it to our schema, and mark it, before it has its name."""
    try:
        with closing(connect_plainly(draft)) as connection:
            _check(connection)
            proven = prove(connection, keys)
            migrate(connection)
            restoring.mark(connection, lost_from, _now())
    except (DatabaseError, NotWhole) as error:
        raise Damaged(f"the ledger in the backup is not whole: {error}") from error
    flush(draft)
    return proven


def _check(connection: Connection) -> None:
    output.note("checking the database and its journal")
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise Damaged(f"the database in the backup is damaged: {found}")


def _set_aside(path: Path) -> None:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for there in (path, *(path.with_name(path.name + end) for end in _BESIDE)):
        if there.exists():
            there.rename(there.with_name(f"before-restore-{stamp}-{there.name}"))


@contextmanager
def _owned(path: Path) -> Iterator[None]:
    """Raises `Misconfigured` while a gateway runs on it."""
    lock = ProcessLock(path.with_suffix(".lock"))
    lock.take()
    try:
        yield
    finally:
        lock.release()


# --- on a server ------------------------------------------------------------------------------------------


def _restore_postgresql(target: Target, backup: Backup, *, replace: bool) -> Proven:
    target.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.data_dir, prefix=".restore-") as folder:
        draft = Path(folder) / POSTGRESQL_MEMBER
        _extract(backup, POSTGRESQL_MEMBER, draft)
        output.note("restoring into the database, and checking its journal")
        with _in_our_words():
            return postgresql.put_back(
                target.settings.gateway.database_url,
                draft,
                lost_from=Micros(backup.manifest.began_at),
                keys=_trusted(target.data_dir, backup),
                replace=replace,
            )


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except LOST as error:
        raise CommandError("the database does not answer, or lets nobody in") from error
    except postgresql.ToolFailed as error:
        raise CommandError(str(error)) from error
    except NotWhole as error:
        raise Damaged(f"the ledger in the backup is not whole: {error}") from error


# --- keys -------------------------------------------------------------------------------------------------


def _restore_keys(data_dir: Path, backup: Backup) -> str:
    """`restored`, `none`, or `kept`: those of a backup may have been destroyed since, and stay so."""
    names = backup.key_names()
    if not names:
        return "none"
    if (data_dir / "keys" / "kek").is_dir() and any((data_dir / "keys" / "kek").iterdir()):
        return "kept"
    _put_keys(data_dir, names, lambda name, to: _extract(backup, name, to))
    return "restored"


def _put_keys(data_dir: Path, names: Sequence[str], extract: Callable[[str, Path], None]) -> None:
    for name in names:
        to = data_dir / name
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        to.unlink(missing_ok=True)
        extract(name, to)


def _trusted(data_dir: Path, backup: Backup) -> frozenset[str]:
    """The key that signs the journal here; none where there is none yet."""
    path = data_dir / "keys" / PUBLIC_FILE
    try:
        return frozenset({public_key(path)})
    except FileNotFoundError:
        return frozenset()
    except ValueError as error:
        raise Misconfigured([f"{path}:1:1: not an Ed25519 public key"]) from error


# --- small things -----------------------------------------------------------------------------------------


def _extract(backup: Backup, name: str, to: Path) -> None:
    with progress(f"reading {name}") as told:
        backup.extract(name, to, counting(told, backup.manifest.members[name][0]))


def _now() -> Micros:
    return Micros(time.time_ns() // 1_000)
