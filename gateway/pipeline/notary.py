"""The notary: signs how far the journal has come, often enough that little can be undone unseen.

A signer that is lost is an alarm (a log line, `/readyz`, a metric that stands still) and stops no message:
what happens meanwhile is in its chains, and the first checkpoint after it covers that too.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

from gateway.errors import GatewayError, Unavailable
from gateway.ledger.checkpoints import Signer, SignerLost, read, sign
from gateway.ledger.journal import Entry, Head
from gateway.ledger.port import Checkpoint, Ledger
from gateway.message import Micros
from gateway.observe.log import log
from gateway.observe.metrics import Metrics
from gateway.ports import Clock
from gateway.settings import Settings

_ACTOR: Final = "gateway"
#: Another process may make the checkpoint of our number first, and again while we make the next.
_TRIES: Final = 5


class JournalShortened(GatewayError):
    """A chain ends before what was signed of it: somebody changed the database. Nothing more is signed."""

    def __init__(self) -> None:
        super().__init__("journal_shortened")


class Notary:
    """Makes the checkpoints of one process. Nothing is read or written before `start`."""

    def __init__(
        self, ledger: Ledger, signer: Signer, clock: Clock, metrics: Metrics, *, interval_s: float
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._metrics = metrics
        #: Of system time. Another value holds from the next checkpoint on.
        self.interval_s = interval_s
        self._latest: Checkpoint | None = None
        self._fault: str | None = None
        self._one_at_a_time = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @property
    def latest(self) -> Checkpoint | None:
        """The latest checkpoint, durable; None before the first. Receipts carry it."""
        return self._latest

    def details(self) -> dict[str, str]:
        """For `/readyz`: `signed`, or why nothing can be signed."""
        return {"checkpoints": self._fault or "signed"}

    async def start(self) -> None:
        """Be ready, sign what there is, and go on every `interval_s`. The ledger is open."""
        self._latest = await self._ledger.last_checkpoint()
        if self._latest is not None:
            self._metrics.audit_checkpoint.set(self._latest.at / 1_000_000)
        try:
            await asyncio.to_thread(self._signer.begin, first=self._latest is None)
        except (SignerLost, OSError) as error:
            self._tell(error.code if isinstance(error, SignerLost) else "signer_unusable")
        else:
            await self.cover()
        self._stopping.clear()
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """One last checkpoint, of everything. Safe to call again, and before `start`."""
        if self._running is None:
            return
        self._stopping.set()
        await self._running
        self._running = None
        await self.cover()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.interval_s):
                    await self._stopping.wait()
                return
            except TimeoutError:
                await self.cover()

    async def cover(self) -> bool:
        """Sign everything that was recorded before this call. False: it can't be, and the alarm is given."""
        async with self._one_at_a_time:
            try:
                await self._cover()
            except GatewayError as error:
                self._tell(error.code)
            # The border: whatever a signer comes up with, messages go on and the next attempt is made.
            except Exception:
                log.exception("checkpoint_failed", action="checkpoint")
                self._tell("signer_unusable")
            else:
                self._tell(None)
                return True
        return False

    async def _cover(self) -> None:
        await self._note_other_key(await asyncio.to_thread(self._signer.key))
        for _ in range(_TRIES):
            began = self._clock.now_us()
            heads, signed = dict(await self._ledger.heads()), _heads(self._latest)
            if any(name not in heads or heads[name].number < head.number for name, head in signed.items()):
                raise JournalShortened
            if (self._latest and heads == signed) or await self._put(heads, began):
                self._metrics.audit_checkpoint.set(began / 1_000_000)
                return
        raise Unavailable("ledger_unavailable")

    async def _put(self, heads: dict[str, Head], at: Micros) -> bool:
        """Sign these heads. False when another process made that checkpoint: its one is ours now."""
        made = await asyncio.to_thread(sign, self._latest, heads, at, self._signer)
        # Durable before anybody is given it, and with it every entry that it covers.
        if await self._ledger.put_checkpoint(made):
            self._latest = made
            return True
        self._latest = await self._ledger.last_checkpoint()
        return False

    async def _note_other_key(self, key: str) -> None:
        """A key that took the place of a lost one is told in the chain itself."""
        before = _key(self._latest)
        if before is not None and before != key:
            detail = {"key": key, "before": before}
            await self._ledger.note(Entry(self._clock.now_us(), "checkpoint_key", _ACTOR, detail=detail))

    def _tell(self, fault: str | None) -> None:
        if fault == self._fault:
            return
        if fault is None:
            log.info("checkpoints_signed", action="checkpoint")
        else:
            log.error("checkpoints_unsigned", action="checkpoint", code=fault)
        self._fault = fault


def _heads(checkpoint: Checkpoint | None) -> dict[str, Head]:
    """None also of a document that was damaged in the database: the next one covers all again."""
    try:
        return {} if checkpoint is None else dict(read(checkpoint.document).heads)
    except ValueError:
        return {}


def _key(checkpoint: Checkpoint | None) -> str | None:
    try:
        return None if checkpoint is None else read(checkpoint.document).key
    except ValueError:
        return None


async def note_configuration(settings: Settings, ledger: Ledger, now: Micros) -> bool:
    """Keep the text of every configuration file, and note that they hold, unless they did before.

    False when nothing changed. Raises `Unavailable`.
    """
    texts = {
        f"{name}.yaml": (hashlib.sha256(document.text.encode()).hexdigest(), document.text)
        for name, document in settings.documents.items()
        if document.text
    }
    files = {name: digest for name, (digest, _) in texts.items()}
    last = await ledger.last_configuration()
    if not files or (last is not None and last.detail is not None and last.detail.get("files") == files):
        return False
    # `configured` takes name, digest and text as the table has them.
    await ledger.configured(texts, Entry(now, "configuration", _ACTOR, detail={"files": files}))
    return True
