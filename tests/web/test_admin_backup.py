"""One copy of the ledger at a time, whichever process of a group is asked for it."""

from __future__ import annotations

import json

from gateway.ledger.copying import Copying
from gateway.ledger.file_lock import FileLock
from tests.web.site import Answer, Site


async def _backup(site: Site) -> Answer:
    return await site.admin_post("/v1/admin/backup", {}, operator="admin-1")


async def test_a_copy_that_another_process_makes_is_left_alone(site: Site) -> None:
    ledger = site.world.engine.ledger
    assert isinstance(ledger, Copying)
    theirs = ledger.folder / ".copy-theirs"
    theirs.touch()
    other = FileLock(ledger.folder / ".copy.lock")
    assert other.try_take()
    answer = await _backup(site)
    assert (answer.status, answer.code) == (409, "backup_running")
    assert theirs.exists()
    other.close()  # it has died in the middle
    answer = await _backup(site)
    assert answer.status == 200
    told = [line for line in answer.body.split(b"\n") if line.startswith(b'{"size"')]
    assert json.loads(told[0])["size"] > 0
    assert not list(ledger.folder.glob(".copy-*"))
