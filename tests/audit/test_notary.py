"""Checkpoints: when they are made, with which key, and what happens when the key is lost."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.errors import Misconfigured
from gateway.ledger.checkpoints import read, verifies
from gateway.ledger.signer_file import FileSigner, public_key
from gateway.pipeline.notary import Notary, note_configuration
from gateway.settings import Settings
from gateway.settings.checkpoints import Checkpoints
from gateway.values import replace
from tests.audit.exports import KEYS, looks, notary_of
from tests.audit.logs import KeySigner
from tests.pipeline.world import World


def signed_until(world: World) -> float:
    return float(world.engine.metrics.audit_checkpoint._value.get())


def another(world: World, folder: Path) -> Notary:
    """As after a restart, or of another process."""
    engine = world.engine
    return Notary(engine.ledger, FileSigner(folder), engine.clock, engine.metrics, interval_s=30)


async def test_the_first_start_makes_a_key_and_signs_what_there_is(world: World, tmp_path: Path) -> None:
    notary, keys = notary_of(world.engine), tmp_path / KEYS
    await looks(world.engine.ledger, 3)
    await notary.start()
    assert notary.latest is not None
    document = notary.latest.document.encode()
    signed = read(document)
    assert (signed.number, signed.heads) == (1, await world.engine.ledger.heads())
    assert signed.key == public_key(keys / "checkpoint.pub")
    assert verifies(document, notary.latest.signature, signed.key)
    assert (keys / "checkpoint.key").stat().st_mode & 0o777 == 0o600
    assert notary.details() == {"checkpoints": "signed"}


async def test_a_checkpoint_is_made_only_when_something_was_recorded(world: World) -> None:
    notary = notary_of(world.engine)
    await notary.start()
    first = notary.latest
    assert await notary.cover()
    assert notary.latest == first
    await looks(world.engine.ledger, 1)
    assert await notary.cover()
    assert notary.latest is not None and first is not None
    assert notary.latest.number == first.number + 1
    assert read(notary.latest.document).heads == await world.engine.ledger.heads()


async def test_each_checkpoint_names_the_one_before_it_and_stopping_makes_the_last(world: World) -> None:
    ledger, notary = world.engine.ledger, notary_of(world.engine)
    await notary.start()
    await looks(ledger, 1)
    await notary.cover()
    await looks(ledger, 1)
    await notary.stop()
    made = await ledger.checkpoints(after=0, limit=10)
    numbers = [read(one.document).number for one in made]
    assert numbers == list(range(1, len(made) + 1))
    assert len({read(one.document).previous for one in made}) == len(made)
    assert read(made[-1].document).heads == await ledger.heads()


async def test_checkpoints_go_on_by_themselves(world: World) -> None:
    engine, loop, signed = world.engine, asyncio.get_running_loop(), asyncio.Event()

    class Telling(KeySigner):
        def sign(self, document: bytes) -> bytes:
            loop.call_soon_threadsafe(signed.set)
            return super().sign(document)

    notary = Notary(engine.ledger, Telling(), engine.clock, engine.metrics, interval_s=0.01)
    await notary.start()
    signed.clear()
    await looks(engine.ledger, 1)
    async with asyncio.timeout(10):
        await signed.wait()
    await notary.stop()


async def test_a_key_that_is_lost_is_not_replaced_and_the_alarm_is_given(
    world: World, tmp_path: Path
) -> None:
    ledger, keys = world.engine.ledger, tmp_path / KEYS
    await looks(ledger, 1)
    first = notary_of(world.engine)
    await first.start()
    await first.stop()
    key = (keys / "checkpoint.key").read_bytes()
    (keys / "checkpoint.key").unlink()
    world.clock.pass_by(seconds=600)
    await looks(ledger, 1)

    restarted = another(world, keys)
    await restarted.start()
    assert not (keys / "checkpoint.key").exists()
    assert restarted.details() == {"checkpoints": "signer_lost"}
    assert not await restarted.cover()
    assert restarted.latest == first.latest, "receipts go on with the latest that there is"
    assert world.clock.now().timestamp() - signed_until(world) >= 600

    (keys / "checkpoint.key").write_bytes(key)
    assert await restarted.cover()
    assert restarted.details() == {"checkpoints": "signed"}
    assert world.clock.now().timestamp() - signed_until(world) < 1
    assert restarted.latest is not None
    assert read(restarted.latest.document).heads == await ledger.heads()
    await restarted.stop()


async def test_a_key_taken_away_while_the_gateway_runs_is_missed_although_nothing_happens(
    world: World, tmp_path: Path
) -> None:
    notary = notary_of(world.engine)
    await notary.start()
    (tmp_path / KEYS / "checkpoint.key").unlink()
    assert not await notary.cover()
    assert notary.details() == {"checkpoints": "signer_lost"}


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
async def test_a_damaged_key_is_an_alarm_too(world: World, tmp_path: Path, content: bytes) -> None:
    notary = notary_of(world.engine)
    await notary.start()
    (tmp_path / KEYS / "checkpoint.key").write_bytes(content)
    assert not await notary.cover()
    assert notary.details() == {"checkpoints": "signer_unusable"}


def test_a_key_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    FileSigner(tmp_path).begin(first=True)
    (tmp_path / "checkpoint.key").chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        FileSigner(tmp_path)


async def test_a_signer_that_signs_something_else_makes_no_checkpoint(world: World) -> None:
    class Confused(KeySigner):
        def sign(self, document: bytes) -> bytes:
            return super().sign(document + b" ")

    engine = world.engine
    await looks(engine.ledger, 1)
    notary = Notary(engine.ledger, Confused(), engine.clock, engine.metrics, interval_s=30)
    await notary.start()
    assert notary.latest is None
    assert notary.details() == {"checkpoints": "signer_unusable"}
    await notary.stop()


async def test_another_key_that_was_put_there_is_told_in_the_log(world: World, tmp_path: Path) -> None:
    ledger, notary = world.engine.ledger, notary_of(world.engine)
    await looks(ledger, 1)
    await notary.start()
    (tmp_path / KEYS / "checkpoint.key").unlink()
    before = public_key(tmp_path / KEYS / "checkpoint.pub")
    FileSigner(tmp_path / KEYS).begin(first=True)
    assert await notary.cover()
    (entry,) = [row.entry for row in await ledger.journal(after=0, limit=1000)
                if row.entry.action == "checkpoint_key"]  # fmt: skip
    assert entry.detail == {"key": public_key(tmp_path / KEYS / "checkpoint.pub"), "before": before}
    assert entry.detail["key"] != before


async def test_two_processes_sign_one_sequence(world: World, tmp_path: Path) -> None:
    ledger, one = world.engine.ledger, notary_of(world.engine)
    await looks(ledger, 1)
    await one.start()
    other = another(world, tmp_path / KEYS)
    await other.start()
    for notary in (one, other, one, other):
        await looks(ledger, 1)
        assert await notary.cover()
    made = await ledger.checkpoints(after=0, limit=10)
    assert [checkpoint.number for checkpoint in made] == [1, 2, 3, 4, 5]
    await other.stop()


async def test_a_chain_that_was_cut_behind_its_checkpoint_is_not_signed(world: World, tmp_path: Path) -> None:
    notary = notary_of(world.engine)
    await looks(world.engine.ledger, 3)
    await notary.start()
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("UPDATE chain SET number = number - 1")
    database.close()
    assert not await notary.cover()
    assert notary.details() == {"checkpoints": "journal_shortened"}


async def test_a_configuration_is_noted_with_its_texts_when_it_differs_from_the_last(world: World) -> None:
    ledger, now = world.engine.ledger, world.engine.now()
    first = world.engine.settings
    second = _with_text(first, "controls", first.documents["controls"].text + "# another\n")
    noted = [await note_configuration(settings, ledger, now) for settings in (first, first, second, first)]
    assert noted == [True, False, True, True]
    entries = [row.entry for row in await ledger.journal(after=0, limit=1000)
               if row.entry.action == "configuration"]  # fmt: skip
    files = [(entry.detail or {})["files"] for entry in entries]
    assert files[0] == files[2] != files[1]
    assert set(files[0]) == {f"{name}.yaml" for name in first.documents}
    texts = await ledger.policy_texts()
    for settings, named in ((first, files[0]), (second, files[1])):
        for name, document in settings.documents.items():
            assert texts[named[f"{name}.yaml"]] == (f"{name}.yaml", document.text)
    assert "# another" in json.dumps([text for _, text in texts.values()])


def _with_text(settings: Settings, name: str, text: str) -> Settings:
    changed = replace(settings.documents[name], text=text)
    return settings.model_copy(update={"documents": {**settings.documents, name: changed}})


def test_checkpoints_are_at_most_a_minute_apart() -> None:
    assert Checkpoints(interval_s=60).interval_s == 60
    for interval_s in (0, 60.1, float("nan")):
        with pytest.raises(ValidationError):
            Checkpoints(interval_s=interval_s)
