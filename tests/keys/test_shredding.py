"""Retention: what is due becomes unreadable for ever, in the ledger and in all copies; the rest stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Refused
from gateway.flows.subjects import passport_index, visa_index
from gateway.ledger.key_files import KeyFiles
from gateway.ledger.keys import KeyGone
from gateway.ledger.vault import Shredded, Unsealable, wrapping_key
from gateway.ledger.wrapping import holds_key
from gateway.message import BatchId
from gateway.pipeline import operate, report, rotate, shred, views, wishes
from gateway.pipeline.audit_export import export
from gateway.settings.retention import Retention
from tests.flows.border import arrives
from tests.keys.sealed import (
    CANARIES,
    backup,
    blobs,
    bytes_of_photo,
    chain_is_whole,
    plant,
    sealed_rows,
)
from tests.pipeline.world import CENTER, World

TWO_YEARS = 750
ALL_OF_IT = 4000


async def shredded(world: World) -> list[str]:
    begun = await shred.begin_due(world.engine)
    await shred.go_on(world.engine)
    return begun


# --- what is left -----------------------------------------------------------------------------------------


async def test_nothing_of_a_shredded_bucket_opens_in_the_ledger_or_in_a_copy_made_before(
    world: World, tmp_path: Path
) -> None:
    planted = await plant(world)
    before = await sealed_rows(world)
    index = passport_index(1448, *planted.passport, world.engine.vault)
    copy = backup(tmp_path, "before")
    assert any(value == index for _, _, value in blobs(copy))

    world.clock.pass_by(days=ALL_OF_IT)
    begun = await shredded(world)
    assert {name.rpartition("-")[0].rpartition("-")[0] for name in begun} == {"visa", "others", "operators"}

    # With every key that there still is, nothing of the copy opens.
    vault = world.engine.vault
    for row in before:
        with pytest.raises(Unsealable):
            vault.read_note(row.stored) if row.store == "audit" else vault.data_key(row.id, row.stored)
    assert not [version for version in vault.keys.versions() if version.bucket in begun]
    # What it could be found by says nothing any more.
    with pytest.raises(KeyGone):
        passport_index(1448, *planted.passport, vault)
    # In the ledger itself the rows hold nothing at all.
    assert not any(holds_key(row) for row in await sealed_rows(world) if row.store != "audit")
    after = list(blobs(tmp_path / "ledger.db"))
    assert not any(value == index for _, _, value in after)
    kept = {(table, column) for table, column, value in after if len(value) > 40}
    assert kept <= {("checkpoint", "signature")}


async def test_no_canary_is_in_the_files_or_the_export_before_or_after(world: World, tmp_path: Path) -> None:
    await plant(world)
    clear = [text.encode() for text in (*CANARIES, bytes_of_photo())]
    for moment in ("before", "after"):
        files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        exported = b"".join([piece async for piece in export("auditor-1", world.engine)])
        for text in clear:
            assert not any(text in content for content in (*files, exported)), (moment, text)
        if moment == "before":
            world.clock.pass_by(days=ALL_OF_IT)
            await shredded(world)


async def test_the_keys_themselves_are_overwritten_and_gone(world: World, tmp_path: Path) -> None:
    await plant(world)
    keys = {path.read_bytes() for path in (tmp_path / "keys").rglob("visa-2026-11.*.key")}
    assert len(keys) == 1
    world.clock.pass_by(days=TWO_YEARS)
    assert await shredded(world) == ["visa-2026-11"]
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(key in left for key in keys)


async def test_what_is_kept_longer_stays_readable(world: World) -> None:
    planted = await plant(world)
    world.clock.pass_by(days=TWO_YEARS)
    await shredded(world)
    engine = world.engine
    row = await engine.ledger.message(planted.complaint)
    assert row is not None and not report.is_shredded(row, engine)
    reasons = [one.entry.note for one in await engine.ledger.journal(after=0, limit=10_000) if one.entry.note]
    assert "Qanaryreason" in engine.vault.read_note(reasons[0])


async def test_states_and_counts_stay_and_lines_answer_that_retention_has_ended(world: World) -> None:
    planted = await plant(world)
    engine, batch_id = world.engine, BatchId(planted.batch_id)
    status = await report.batch_status(CENTER, batch_id, engine)
    totals = await engine.ledger.season_totals(1448)
    world.clock.pass_by(days=TWO_YEARS)
    await shredded(world)

    after = await report.batch_status(CENTER, batch_id, engine)
    assert after["counts"] == status["counts"] == {"total": 3, "issued": 2, "rejected": 1}
    assert (after["batch_reference"], after["completed_at"]) == (None, status["completed_at"])
    assert await engine.ledger.season_totals(1448) == totals
    everything: list[Callable[[], Any]] = [
        lambda: report.page(CENTER, batch_id, engine, state=None, cursor=None, limit=10),
        lambda: report.readable_batch(CENTER, batch_id, engine),
        lambda: report.message(CENTER, planted.application, engine),
        lambda: wishes.cancel_application(CENTER, planted.application, engine),
        lambda: operate.cancel(planted.application, "operator-1", "why", engine),
        lambda: anext(report.results(CENTER, batch_id, engine)),
        lambda: anext(report.rejected(CENTER, batch_id, engine)),
    ]
    for asked in everything:
        with pytest.raises(Refused) as refused:
            await asked()
        assert (refused.value.code, refused.value.status) == ("retention_ended", 410)
    assert (await wishes.cancel_batch(CENTER, batch_id, engine))["cancellations"] == 0
    shown = await views.show(planted.application, engine)
    assert shown["shredded"] and "retention has ended" in shown["why"]
    assert shown["timeline"] and shown["outcome"] == "issued"
    visa = await engine.ledger.look(lambda books: books.visa(visa_index("6000000001", engine.vault)))
    assert visa is None


async def test_the_chain_verifies_as_before_and_tells_of_the_shredding(world: World) -> None:
    await plant(world)
    before = await world.engine.ledger.journal(after=0, limit=10_000)
    world.clock.pass_by(days=ALL_OF_IT)
    await shredded(world)
    assert await chain_is_whole(world)
    after = await world.engine.ledger.journal(after=0, limit=10_000)
    assert [one.hash for one in after[: len(before)]] == [one.hash for one in before]
    assert not any(one.entry.note for one in after)
    told = [one.entry.action for one in after[len(before) :]]
    assert (told.count("shred"), told.count("keys_destroyed"), told.count("shredded")) == (3, 3, 3)


async def test_a_key_that_a_center_used_before_the_shredding_is_free_again(world: World) -> None:
    planted = await plant(world)
    world.clock.pass_by(days=TWO_YEARS)
    await shredded(world)
    again = await world.submit(1, key="key-1")
    assert not again.replayed and again.batch_id != planted.batch_id


async def test_the_index_key_of_a_season_goes_with_its_last_bucket(world: World) -> None:
    await plant(world)
    world.clock.pass_by(days=40)
    (later,) = await world.rows((await world.submit(world.applications(1, seed=9), key="late")).batch_id)
    await operate.cancel(later.id, "operator-1", "test", world.engine)
    await wishes.confirm_batch(CENTER, later.batch_id, world.engine)  # type: ignore[arg-type]
    assert later.facts.season == 1448
    vault = world.engine.vault
    known = passport_index(1448, "A1", "IDN", vault)
    world.clock.pass_by(days=TWO_YEARS - 40)
    assert await shredded(world) == ["visa-2026-11"]
    assert passport_index(1448, "A1", "IDN", vault) == known
    world.clock.pass_by(days=60)
    assert "visa-2027-01" in await shredded(world)
    with pytest.raises(KeyGone):
        passport_index(1448, "A1", "IDN", vault)


# --- when -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "unconfirmed", "due"),
    [
        ("visa-2026-11", False, date(2028, 12, 1)),
        ("visa-2026-12", False, date(2029, 1, 1)),
        ("visa-2026-11", True, date(2029, 6, 1)),
        ("operators-2026-11", False, date(2036, 12, 1)),
        ("a_rule_of_the_past-2026-11", False, date(2036, 12, 1)),
        ("visa-2026-13", False, None),
        ("visa", False, None),
    ],
)
def test_a_bucket_is_due_so_long_after_the_end_of_its_month(
    bucket: str, unconfirmed: bool, due: date | None
) -> None:
    assert Retention().due_on(bucket, unconfirmed=unconfirmed) == due


async def test_nothing_goes_a_day_too_early(world: World) -> None:
    await plant(world)
    world.clock.pass_by(days=(date(2028, 11, 30) - world.clock.today()).days)
    assert await shredded(world) == []
    world.clock.pass_by(days=1)
    assert await shredded(world) == ["visa-2026-11"]
    assert await shredded(world) == []


async def test_what_its_center_has_not_confirmed_is_kept_longer(world: World) -> None:
    receipt = await world.submit(1)
    await world.carry_until_rest()
    world.clock.pass_by(days=TWO_YEARS)
    assert await shredded(world) == []
    assert not report.is_shredded(await world.only(receipt), world.engine)
    world.clock.pass_by(days=6 * 31)
    assert "visa-2026-11" in await shredded(world)


async def test_a_batch_that_is_not_over_keeps_its_bucket(world: World) -> None:
    await plant(world)
    await world.submit(world.applications(1, seed=11), key="open")
    world.clock.pass_by(days=TWO_YEARS + 6 * 31)
    assert await shredded(world) == []


async def test_a_message_that_is_not_over_keeps_its_bucket(world: World) -> None:
    """A cancellation that was never carried; its application's batch is long completed."""
    planted = await plant(world)
    await wishes.cancel_application(CENTER, planted.application, world.engine)
    world.clock.pass_by(days=TWO_YEARS)
    assert await world.engine.ledger.busy_keys() == frozenset()
    assert await shredded(world) == []


async def test_whoever_is_in_the_country_keeps_the_bucket_of_the_visa(world: World) -> None:
    await plant(world)
    await arrives(world, "2026-12-01T23:30:00+03:00", event_id="E1", port="JED")
    world.clock.pass_by(days=TWO_YEARS)
    assert await shredded(world) == []


# --- crashes ----------------------------------------------------------------------------------------------


class Died(BaseException):
    """As if by SIGKILL: nothing that follows runs."""


def _dies_at(count: int) -> Callable[[], None]:
    left = [count]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Died

    return step


async def test_it_goes_on_from_every_point_at_which_a_process_may_die(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before and after each thing that is done, one after the other, until it is through."""
    await plant(world)
    world.clock.pass_by(days=TWO_YEARS)
    engine = world.engine
    assert await shred.begin_due(engine) == ["visa-2026-11"]
    monkeypatch.setattr("gateway.pipeline.walk._ROWS", 2)
    step: list[Callable[[], None]] = [lambda: None]
    for owner, name in (
        (engine.ledger, "keys_destroyed"), (engine.ledger, "blank"), (engine.ledger, "end_shredding"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, _mortal(getattr(owner, name), step))
    _mortal_keys(engine.vault.keys, step, monkeypatch)
    deaths = 0
    while True:
        # A little later each time; then at each of the few steps that come before something is done for good.
        step[0] = _dies_at(1 + deaths if deaths < 6 else 3 + deaths % 4)
        try:
            await shred.go_on(engine)
            break
        except Died:
            deaths += 1
            assert deaths < 200
    assert deaths > 10
    step[0] = lambda: None
    (done,) = await engine.ledger.shreddings()
    assert done.finished_at is not None
    assert done.counts == {"message": 4, "batch": 2, "photo": 1}
    assert done.seasons == (1448,)
    assert await chain_is_whole(world)
    actions = [one.entry.action for one in await engine.ledger.journal(after=0, limit=10_000)]
    assert [actions.count(one) for one in ("shred", "keys_destroyed", "shredded")] == [1, 1, 1]


def _mortal(method: Callable[..., Any], step: list[Callable[[], None]]) -> Callable[..., Any]:
    async def dying(*given: Any, **named: Any) -> Any:
        step[0]()
        result = await method(*given, **named)
        step[0]()
        return result

    return dying


def _mortal_keys(keys: Any, step: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> None:
    def mortal(whole: Callable[[Any], None]) -> Callable[[Any], None]:
        def dying(named: Any) -> None:
            step[0]()
            whole(named)
            step[0]()

        return dying

    monkeypatch.setattr(keys, "destroy", mortal(keys.destroy))
    monkeypatch.setattr(keys, "destroy_index", mortal(keys.destroy_index))


async def test_a_key_destroyed_half_is_destroyed_whole_when_it_is_done_again(
    world: World, tmp_path: Path
) -> None:
    await plant(world)
    # As a crash leaves it between the mark and the overwriting.
    (tmp_path / "keys" / "kek" / "visa-2026-11.1.destroyed").touch(mode=0o600)
    world.clock.pass_by(days=TWO_YEARS)
    assert await shredded(world) == ["visa-2026-11"]
    assert not list((tmp_path / "keys" / "kek").glob("visa-2026-11.*.key"))
    with pytest.raises(KeyGone):
        KeyFiles(tmp_path / "keys").wrap("visa-2026-11", bytes(32), "m")


async def test_a_rotation_that_was_under_way_makes_no_new_key_for_a_shredded_bucket(world: World) -> None:
    await plant(world)
    world.clock.pass_by(days=TWO_YEARS)
    engine = world.engine
    await rotate.begin_rotation("admin-1", "yearly", engine)
    assert await shredded(world) == ["visa-2026-11"]
    assert await rotate.go_on(engine)
    assert "visa-2026-11" not in {version.bucket for version in engine.vault.keys.versions()}
    ended = await engine.ledger.rotation()
    assert ended is not None and ended.unreadable == 0


async def test_between_the_keys_and_the_rows_it_is_shredded_already(world: World) -> None:
    """Rows that are not emptied yet answer as emptied ones do."""
    planted = await plant(world)
    engine = world.engine
    row = await engine.ledger.message(planted.application)
    assert row is not None
    engine.vault.keys.destroy(wrapping_key(row.data_key))
    with pytest.raises(Refused, match="retention_ended"):
        await report.message(CENTER, planted.application, engine)
    with pytest.raises(Shredded):
        engine.vault.data_key(row.id, row.data_key)
