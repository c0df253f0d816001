"""Photos that lines name by their digest."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from gateway.message import PartyId
from gateway.pipeline.intake import AllOrNothing
from gateway.pipeline.photos import keep_photo
from tests.pipeline.world import CENTER, World
from tests.schemas.pictures import jpeg, sha256

PHOTO = jpeg()
UNKNOWN = ("photo_unknown", "/photo_sha256")


def naming(world: World, *photos: bytes | None) -> list[dict[str, Any]]:
    """One line a photo, naming it (None: no photo)."""
    lines = world.applications(len(photos))
    for line, photo in zip(lines, photos, strict=True):
        if photo is not None:
            line["photo_sha256"] = sha256(photo)
    return lines


async def put(world: World, photo: bytes = PHOTO, party: PartyId = CENTER) -> bool:
    return await keep_photo(party, sha256(photo), photo, world.engine)


async def test_a_line_may_name_a_photo_that_was_put(world: World) -> None:
    await put(world)
    receipt = await world.submit(naming(world, PHOTO, PHOTO, None))
    assert receipt.counts == {"total": 3, "accepted": 3}


async def test_a_line_that_names_a_photo_nobody_put_is_rejected_and_the_others_go_on(world: World) -> None:
    await put(world)
    receipt = await world.submit(naming(world, PHOTO, jpeg(601), None))
    assert receipt.counts == {"total": 3, "accepted": 2, "rejected": 1}
    (rejected,) = receipt.rejected
    assert [(v.code, v.pointer) for v in rejected.violations] == [UNKNOWN]
    await world.carry_until_rest()
    assert (await world.batch(receipt)).counts == {"issued": 2, "rejected": 1}


async def test_a_line_that_brings_its_photo_needs_none_put(world: World) -> None:
    (line,) = naming(world, PHOTO)
    receipt = await world.submit([{**line, "photo": base64.b64encode(PHOTO).decode()}])
    assert receipt.counts == {"total": 1, "accepted": 1}


async def test_the_photo_of_another_center_is_unknown(world: World) -> None:
    await put(world, party=PartyId("sc-02"))
    receipt = await world.submit(naming(world, PHOTO))
    assert receipt.counts == {"total": 1, "rejected": 1}


async def test_an_unknown_photo_is_told_with_the_lines_other_faults(world: World) -> None:
    (line,) = naming(world, PHOTO)
    receipt = await world.submit([{**line, "mobile": "123"}])
    (rejected,) = receipt.rejected
    assert [v.code for v in rejected.violations] == ["invalid_format", "photo_unknown"]


async def test_a_digest_that_is_none_has_one_fault(world: World) -> None:
    (line,) = naming(world, None)
    receipt = await world.submit([{**line, "photo_sha256": sha256(PHOTO).upper()}])
    (rejected,) = receipt.rejected
    assert [(v.code, v.pointer) for v in rejected.violations] == [("invalid_format", "/photo_sha256")]


async def test_a_dry_run_and_all_or_nothing_look_for_photos_too(world: World) -> None:
    lines = naming(world, PHOTO, None)
    dry = await world.submit(lines, dry_run=True)
    assert dry.counts == {"total": 2, "accepted": 1, "rejected": 1}
    with pytest.raises(AllOrNothing):
        await world.submit(lines, mode="all_or_nothing")
    await put(world)
    assert (await world.submit(lines, mode="all_or_nothing")).counts == {"total": 2, "accepted": 2}


async def test_a_photo_is_kept_once(world: World) -> None:
    assert [await put(world), await put(world)] == [True, False]


async def test_neither_a_photo_nor_its_digest_is_readable_in_the_database_file(
    world: World, tmp_path: Path
) -> None:
    photo = jpeg(5_000, b"a picture of a person ")
    await put(world, photo)
    await world.submit(naming(world, photo))
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.db*"))
    encoded = base64.b64encode(photo)
    readable = (photo[200:300], encoded[200:300], sha256(photo).encode(), bytes.fromhex(sha256(photo)))
    assert len(stored) > len(photo)
    assert not any(text in stored for text in readable)
