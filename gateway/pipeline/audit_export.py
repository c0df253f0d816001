"""The audit log as a file that is verified without us (`gateway.ledger.audit_file`), written while read."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from typing import Final

from gateway.ledger import audit_file
from gateway.ledger.checkpoints import read
from gateway.ledger.journal import Entry, Head
from gateway.ledger.port import Checkpoint, JournalRow, Ledger
from gateway.pipeline.engine import Engine

_PAGE: Final = 1_000


async def export(operator: str, engine: Engine) -> AsyncIterator[bytes]:
    """The log up to now, line by line. The export is an entry itself, and a checkpoint is made first.

    Where nothing can be signed, the entries since the last checkpoint follow at the end, and verifying says
    that nothing covers them.
    """
    ledger = engine.ledger
    await ledger.note(Entry(engine.now(), "audit_export", operator))
    engine.metrics.operator_actions.labels("audit_export").inc()
    covered = engine.notary is not None and await engine.notary.cover()
    last = await ledger.last_checkpoint()
    heads = _heads(last) if covered and last else await ledger.heads()
    made = 0 if last is None else last.number
    yield audit_file.header(sum(head.number for head in heads.values()), made)
    log = _Log(ledger)
    async for checkpoint in _checkpoints(ledger, made):
        async for line in log.until(_heads(checkpoint)):
            yield line
        yield audit_file.checkpoint_line(checkpoint)
    async for line in log.until(heads):
        yield line


def _heads(checkpoint: Checkpoint) -> Mapping[str, Head]:
    """None of a document that was damaged: who verifies is told, who exports goes on."""
    try:
        return read(checkpoint.document).heads
    except ValueError:
        return {}


async def _checkpoints(ledger: Ledger, last: int) -> AsyncIterator[Checkpoint]:
    after = 0
    while after < last:
        page = await ledger.checkpoints(after=after, limit=_PAGE)
        for checkpoint in page:
            if checkpoint.number <= last:
                yield checkpoint
        if not page:
            return
        after = page[-1].number


class _Log:
    """Reads the journal a page at a time, and gives the entries chain by chain."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._after = 0
        self._ended = False
        self._read: dict[str, deque[JournalRow]] = defaultdict(deque)
        #: How far each chain was given: to look for more than there is would read all the others into memory.
        self._given: dict[str, int] = {}
        self._texts_given: set[str] = set()

    async def until(self, heads: Mapping[str, Head]) -> AsyncIterator[bytes]:
        """What has not been given yet, up to these heads."""
        for chain, head in sorted(heads.items()):
            while row := await self._next(chain, head.number):
                async for line in self._texts(row.entry):
                    yield line
                yield audit_file.entry_line(row)

    async def _next(self, chain: str, last: int) -> JournalRow | None:
        rows = self._read[chain]
        if self._given.get(chain, 0) >= last:
            return None
        while not rows and not self._ended:
            await self._read_page()
        if not rows:
            return None
        self._given[chain] = rows[0].number
        return rows.popleft()

    async def _read_page(self) -> None:
        page = await self._ledger.journal(after=self._after, limit=_PAGE)
        for row in page:
            self._read[row.chain].append(row)
        self._ended = len(page) < _PAGE
        self._after = page[-1].seq if page else self._after

    async def _texts(self, entry: Entry) -> AsyncIterator[bytes]:
        """The texts that this entry is the first to name. They were written in one transaction with it."""
        if entry.action != audit_file.CONFIGURATION or entry.detail is None:
            return
        new = {name: digest for name, digest in entry.detail.get("files", {}).items()
               if digest not in self._texts_given}  # fmt: skip
        kept = await self._ledger.policy_texts() if new else {}
        for digest in new.values():
            if digest in kept and digest not in self._texts_given:
                self._texts_given.add(digest)
                yield audit_file.text_line(kept[digest][0], digest, kept[digest][1])
