"""Keys as files: theirs alone who own them, encrypted under a root secret, gone once destroyed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.errors import Misconfigured
from gateway.ledger import key_files
from gateway.ledger.key_files import KeyFiles, root_key
from gateway.ledger.keys import KeyGone, KeyVersion, WrongKey

BUCKET = "visa-2026-11"
KEY = bytes(range(32))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_key_files_are_made_for_their_owner_alone_and_kept(tmp_path: Path) -> None:
    key_id, wrapped = KeyFiles(tmp_path).wrap(BUCKET, KEY, "m1")
    KeyFiles(tmp_path).digest(1448, b"a")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert KeyFiles(tmp_path).unwrap(key_id, wrapped, "m1") == KEY


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key_id, wrapped = KeyFiles(tmp_path).wrap(BUCKET, KEY, "m1")
    (tmp_path / "kek" / f"{key_id}.key").chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        KeyFiles(tmp_path).unwrap(key_id, wrapped, "m1")


def test_key_files_are_of_no_use_without_the_root_secret(tmp_path: Path) -> None:
    root = os.urandom(32)
    key_id, wrapped = KeyFiles(tmp_path, root).wrap(BUCKET, KEY, "m1")
    assert KeyFiles(tmp_path, root).unwrap(key_id, wrapped, "m1") == KEY
    with pytest.raises(Misconfigured, match="another root key"):
        KeyFiles(tmp_path, os.urandom(32)).unwrap(key_id, wrapped, "m1")
    with pytest.raises(Misconfigured, match="32 bytes"):
        KeyFiles(tmp_path).unwrap(key_id, wrapped, "m1")


@pytest.mark.parametrize("text", ["zz", "00" * 31, "00" * 33])
def test_a_root_secret_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        KeyFiles(tmp_path, root_key({"GATEWAY_ROOT_KEY": text}))


def test_a_root_secret_may_stand_in_a_file_of_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "root"
    path.write_text("ab" * 32 + "\n")
    path.chmod(0o600)
    assert root_key({"GATEWAY_ROOT_KEY_FILE": str(path)}) == b"\xab" * 32
    path.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        root_key({"GATEWAY_ROOT_KEY_FILE": str(path)})
    with pytest.raises(Misconfigured, match="cannot be read"):
        root_key({"GATEWAY_ROOT_KEY_FILE": str(tmp_path / "absent")})


def test_a_new_version_wraps_and_the_old_one_still_opens(tmp_path: Path) -> None:
    keys = KeyFiles(tmp_path)
    old, wrapped = keys.wrap(BUCKET, KEY, "m1")
    assert keys.rotate(BUCKET) == KeyVersion(BUCKET, 2)
    assert keys.wrap(BUCKET, KEY, "m1")[0] == f"{BUCKET}.2"
    keys.retire(old)
    keys.retire(old)
    assert KeyFiles(tmp_path).unwrap(old, wrapped, "m1") == KEY
    assert keys.versions() == [KeyVersion(BUCKET, 1, True), KeyVersion(BUCKET, 2)]


def test_a_version_made_by_another_process_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = KeyFiles(tmp_path), KeyFiles(tmp_path)
    here.wrap(BUCKET, KEY, "m1")
    elsewhere.rotate(BUCKET)
    monkeypatch.setattr(key_files, "NOTICED_WITHIN_S", -1.0)
    assert here.wrap(BUCKET, KEY, "m1")[0] == f"{BUCKET}.2"


def test_a_destroyed_key_leaves_no_byte_of_itself_and_is_never_made_again(tmp_path: Path) -> None:
    keys = KeyFiles(tmp_path)
    key_id, wrapped = keys.wrap(BUCKET, KEY, "m1")
    kek = files(tmp_path)[f"{key_id}.key"]
    keys.destroy(key_id)
    keys.destroy(key_id)
    assert kek not in b"".join(files(tmp_path).values())
    for again in (keys, KeyFiles(tmp_path)):
        with pytest.raises(KeyGone) as gone:
            again.unwrap(key_id, wrapped, "m1")
        assert gone.value.destroyed
        with pytest.raises(KeyGone):
            again.wrap(BUCKET, KEY, "m1")


def test_a_key_that_is_not_there_is_told_apart_from_a_destroyed_one(tmp_path: Path) -> None:
    key_id, wrapped = KeyFiles(tmp_path).wrap(BUCKET, KEY, "m1")
    (tmp_path / "kek" / f"{key_id}.key").unlink()
    with pytest.raises(KeyGone) as gone:
        KeyFiles(tmp_path).unwrap(key_id, wrapped, "m1")
    assert not gone.value.destroyed


def test_a_wrapped_key_is_bound_to_its_context(tmp_path: Path) -> None:
    keys = KeyFiles(tmp_path)
    key_id, wrapped = keys.wrap(BUCKET, KEY, "m1")
    for other in ("m2", ""):
        with pytest.raises(WrongKey):
            keys.unwrap(key_id, wrapped, other)


def test_an_index_key_is_fixed_for_a_season_and_meaningless_once_destroyed(tmp_path: Path) -> None:
    digest = KeyFiles(tmp_path).digest(1448, b"a")
    keys = KeyFiles(tmp_path)
    assert (keys.digest(1448, b"a"), keys.digest(1449, b"a") == digest) == (digest, False)
    keys.destroy_index(1448)
    for again in (keys, KeyFiles(tmp_path)):
        with pytest.raises(KeyGone):
            again.digest(1448, b"a")
