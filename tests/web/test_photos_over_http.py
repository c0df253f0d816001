"""`PUT /v1/photos/{sha256}` as a service center meets it."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from gateway.web import photos
from schemas.application import MAX_PHOTO_BYTES
from tests.schemas.pictures import jpeg, sha256
from tests.web.site import Answer, Site

PHOTO = jpeg()


async def put(site: Site, photo: bytes = PHOTO, *, name: str | None = None, **options: Any) -> Answer:
    headers = {"Content-Type": "image/jpeg", **options.pop("headers", {})}
    path = f"/v1/photos/{name or sha256(photo)}"
    return await site.call("PUT", path, headers=headers, data=photo, **options)


async def test_a_photo_is_created_once_and_known_afterwards(site: Site) -> None:
    first, again = await put(site), await put(site)
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json == {"sha256": sha256(PHOTO), "size_bytes": len(PHOTO)}


async def test_a_line_names_it_afterwards_and_is_rejected_before(site: Site) -> None:
    (line,) = site.world.applications(1)
    line["photo_sha256"] = sha256(PHOTO)
    before = await site.submit(site.batch([line]), key="before")
    assert [(fault["code"], fault["pointer"]) for fault in before.json["rejected"]] == [
        ("photo_unknown", "/photo_sha256")
    ]
    await put(site)
    after = await site.submit(site.batch([line]), key="after")
    assert after.json["counts"] == {"total": 1, "accepted": 1}


async def test_what_one_center_put_is_new_for_another(site: Site) -> None:
    await put(site)
    assert (await put(site, token=site.token("sc-02"))).status == 201


async def test_the_largest_photo_is_taken_and_one_byte_more_is_not(site: Site) -> None:
    assert (await put(site, jpeg(MAX_PHOTO_BYTES))).status == 201
    larger = await put(site, jpeg(MAX_PHOTO_BYTES + 1))
    assert (larger.status, larger.code) == (413, "photo_too_large")
    assert str(MAX_PHOTO_BYTES) in larger.json["detail"]


async def test_a_body_without_a_length_stops_at_the_limit(site: Site) -> None:
    async def endless() -> Any:
        while True:
            yield b"\xff\xd8\xff" * 10_000

    answer = await put(site, endless(), name="0" * 64)  # type: ignore[arg-type]
    assert (answer.status, answer.code) == (413, "photo_too_large")


async def test_a_zipped_photo_is_unpacked_and_counted_unpacked(site: Site) -> None:
    packed = {"Content-Encoding": "gzip"}
    bomb = gzip.compress(jpeg(MAX_PHOTO_BYTES + 1))
    assert (await put(site, gzip.compress(PHOTO), name=sha256(PHOTO), headers=packed)).status == 201
    assert (await put(site, bomb, name="0" * 64, headers=packed)).code == "photo_too_large"


@pytest.mark.parametrize(
    ("photo", "name", "status", "code"),
    [
        (b"GIF89a" + b"x" * 100, None, 422, "photo_not_jpeg"),
        (PHOTO, sha256(b"another"), 422, "photo_digest_mismatch"),
        (PHOTO, sha256(PHOTO).upper(), 400, "invalid_parameter"),
        (PHOTO, sha256(PHOTO)[:-1], 400, "invalid_parameter"),
        (b"", "0" * 64, 400, "body_missing"),
    ],
)
async def test_what_is_wrong_is_refused_and_nothing_is_kept(
    site: Site, photo: bytes, name: str | None, status: int, code: str
) -> None:
    answer = await put(site, photo, name=name)
    assert (answer.status, answer.code) == (status, code)
    assert (await put(site)).status == 201


async def test_another_media_type_is_refused(site: Site) -> None:
    answer = await put(site, headers={"Content-Type": "image/png"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


async def test_only_a_service_center_puts_photos(site: Site) -> None:
    assert (await put(site, token="")).status == 401
    assert (await put(site, token=site.token("licensing"))).status == 403


async def test_a_token_puts_one_photo(site: Site) -> None:
    token = site.token()
    assert (await put(site, token=token)).status == 201
    replayed = await put(site, token=token)
    assert (replayed.status, replayed.code) == (401, "token_replayed")
    assert (await put(site, jpeg(700), token=token)).status == 401


async def test_a_lost_answer_is_fetched_with_the_same_token_and_key(site: Site) -> None:
    token, key = site.token(), {"Idempotency-Key": "k"}
    assert (await put(site, token=token, headers=key)).status == 201
    assert (await put(site, token=token, headers=key)).status == 200
    assert (await put(site, jpeg(700), token=token, headers=key)).status == 401


async def test_more_photos_at_once_than_there_is_room_for_are_put_off(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "_AT_ONCE", 1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        yield PHOTO[:100]
        begun.set()
        await go_on.wait()
        yield PHOTO[100:]

    first = asyncio.create_task(put(site, slow(), name=sha256(PHOTO)))  # type: ignore[arg-type]
    await begun.wait()
    # The head of the first must have come before the second is asked.
    while (refused := await put(site, jpeg(700))).status != 429:
        assert refused.status in (200, 201)
    assert int(refused.headers["Retry-After"]) > 0
    go_on.set()
    assert (await first).status == 201


async def test_nothing_is_taken_while_intake_is_closed(site: Site) -> None:
    site.host._intake_open = False
    assert (await put(site)).status == 503
