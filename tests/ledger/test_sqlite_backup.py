"""A copy of the embedded ledger is one moment of it, and holds nobody up."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import Refused
from gateway.ledger.sql.proof import NotWhole, prove
from gateway.ledger.sqlite import backup
from gateway.ledger.sqlite.connection import connect_plainly
from gateway.ledger.sqlite.ledger import SqliteLedger
from tests.doubles import ManualClock
from tests.ledger.records import REFERENCE, accepted_batch


async def test_what_is_committed_while_a_copy_is_made_is_committed_at_once_and_not_in_it(
    tmp_path: Path, clock: ManualClock
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    await ledger.put_reference(REFERENCE)
    before = await accepted_batch(ledger, clock, 8_000, "before")
    begun, committed = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def told(done: int, of: int) -> None:
        """In the middle of the copy: it goes on only when somebody else's commit is done."""
        if done < of and not committed.is_set():
            loop.call_soon_threadsafe(begun.set)
            assert committed.wait(30)

    copying = asyncio.create_task(ledger.copy_to(tmp_path / "copy.db", told))
    async with asyncio.timeout(30):
        await begun.wait()
    during = await accepted_batch(ledger, clock, 10, "during")
    committed.set()
    await copying
    await ledger.close()

    with closing(connect_plainly(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert [row[0] for row in copy.execute("SELECT id FROM batch").fetchall()] == [before.batch_id]
        assert prove(copy).entries > 0
    assert during.batch_id != before.batch_id
    assert not (tmp_path / "copy.db-wal").exists()


async def test_a_copy_for_which_there_is_no_room_is_not_begun(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1})())
    with pytest.raises(Refused, match="backup_no_room"):
        await ledger.copy_to(tmp_path / "copy.db", lambda done, of: None)
    assert not (tmp_path / "copy.db").exists()
    await ledger.close()


async def test_a_journal_that_was_changed_is_not_whole(tmp_path: Path, clock: ManualClock) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.open()
    await accepted_batch(ledger, clock, 2)
    await ledger.close()
    with closing(connect_plainly(tmp_path / "ledger.db")) as connection:
        prove(connection)
        connection.execute("UPDATE audit SET at = at + 1 WHERE seq = 1")
        with pytest.raises(NotWhole):
            prove(connection)
