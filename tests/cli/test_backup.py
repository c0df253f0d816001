"""Backed up under load, killed, restored, taken on: nobody has two visas, by the partner's evidence."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql
from tests.required import required
from tests.restoring import SETTLED, Disaster
from tests.survival.forks import ForkedInstallation
from tests.survival.spawner import Spawner

pytestmark = pytest.mark.processes

# --- the whole way --------------------------------------------------------------------------------------


def lose_and_restore(disaster: Disaster) -> None:
    restored = disaster.lose_and_restore()
    assert (restored["exit"], restored["next"]) == (0, "umrah-gateway serve --after-restore")


def judge(disaster: Disaster) -> None:
    """0 twice, everything at rest, and nothing that the partner issued is unknown."""
    final = disaster.settle()
    assert disaster.evidence()["issued_twice"] == []
    assert final.keys() <= SETTLED
    assert sum(final.values()) == 4 * disaster.lines
    assert final["issued"] + final["under_review"] >= disaster.evidence()["distinct_applications"]


Forks = Callable[..., ForkedInstallation]


@pytest.fixture(scope="module")
def forked() -> Iterator[Forks]:
    """Installations whose processes take no time to start."""
    spawner = Spawner()
    spawner.start()
    yield partial(ForkedInstallation, spawner=spawner)
    spawner.stop()


@pytest.fixture
def end() -> Iterator[list[Disaster]]:
    begun: list[Disaster] = []
    yield begun
    for disaster in begun:
        disaster.home.stop()


@pytest.mark.parametrize("foreign_affairs", ["deduplicates", "can_be_asked", "neither"])
def test_nobody_gets_a_second_visa_by_a_restore(
    tmp_path: Path, end: list[Disaster], forked: Forks, foreign_affairs: str
) -> None:
    disaster = Disaster(tmp_path, foreign_affairs=foreign_affairs, lines=20, latency_ms=10, installed=forked)
    end.append(disaster)
    lose_and_restore(disaster)
    unsaid = disaster.home.run("serve")
    assert (unsaid.returncode, b"serve --after-restore" in unsaid.stderr) == (2, True)
    disaster.serve("--after-restore")
    assert disaster.forgotten()
    disaster.repeat_what_was_forgotten()
    issued_before = disaster.evidence()["visas_issued"]
    told = disaster.reconcile_all()
    assert told[-1]["lost_days"]["open"] == []
    assert told[0]["counts"]["only_theirs"] > 0
    judge(disaster)
    if foreign_affairs == "deduplicates":
        assert disaster.evidence()["visas_issued"] > issued_before  # the rest of them is served
    verified = disaster.run("audit", "verify", "--operator", "auditor-1")
    assert verified["whole"] is True
    # Said once, it is served as any other, and goes on where it was.
    assert disaster.home.terminate("gateway") == 0
    disaster.serve()
    assert disaster.home.alive("gateway")


def test_nobody_gets_a_second_visa_by_a_restore_on_a_server(
    tmp_path: Path, end: list[Disaster], forked: Forks
) -> None:
    required("PostgreSQL", postgresql.available())
    with postgresql.server() as server:
        url = server.url.replace("postgresql:", "postgresql+psycopg:")
        disaster = Disaster(
            tmp_path,
            foreign_affairs="can_be_asked",
            lines=20,
            latency_ms=10,
            database_url=url,
            installed=forked,
        )
        end.append(disaster)
        lose_and_restore(disaster)
        unsaid = disaster.home.run("serve", **disaster.environment())
        assert (unsaid.returncode, b"serve --after-restore" in unsaid.stderr) == (2, True)
        disaster.serve("--after-restore")
        refused = disaster.run("restore", "--replace", str(tmp_path / "backup.tar"))
        assert (refused["exit"], "stop it first" in refused["told"]) == (2, True)
        disaster.repeat_what_was_forgotten()
        assert disaster.reconcile_all()[-1]["lost_days"]["open"] == []
        judge(disaster)


def test_intake_goes_on_while_a_backup_is_made(tmp_path: Path, end: list[Disaster], forked: Forks) -> None:
    disaster = Disaster(tmp_path, lines=20, installed=forked)
    end.append(disaster)
    disaster.home.start_partners()
    disaster.serve()
    for number in range(3):
        disaster.submit(number)
        assert disaster.run("backup", str(tmp_path / f"{number}.tar"))["exit"] == 0
    assert disaster.settle()["issued"] == 60


# --- one file, made once --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, forked: Forks) -> Iterator[Disaster]:
    """A gateway that has issued some visas and was stopped."""
    disaster = Disaster(tmp_path_factory.mktemp("made"), lines=5, endings=("00",), installed=forked)
    try:
        disaster.home.start_partners()
        disaster.serve()
        disaster.submit(1)
        disaster.settle()
        viewer = disaster.run("backup", str(disaster.folder / "no.tar"), "--operator", "operator-1")
        assert (viewer["exit"], viewer["error"]["code"]) == (1, "role_missing")
        assert not (disaster.folder / "no.tar").exists()
        assert disaster.home.terminate("gateway") == 0
        assert disaster.run("backup", str(disaster.folder / "ledger.tar"))["exit"] == 0
        assert disaster.run("backup", "--only-keys", str(disaster.folder / "keys.tar"))["exit"] == 0
        yield disaster
    finally:
        disaster.home.stop()


def elsewhere(made: Disaster, folder: Path) -> Callable[..., Any]:
    """Commands on an empty data directory, under the same configuration."""

    def run(*arguments: str) -> Any:
        done = made.home.run(*arguments, "--json", GATEWAY_DATA_DIR=str(folder / "data"))
        document = json.loads(done.stdout) if done.stdout.strip() else {}
        return {**document, "exit": done.returncode, "told": done.stderr.decode()}

    return run


def test_a_backup_is_for_its_owners_eyes_and_replaces_nothing(made: Disaster) -> None:
    file = made.folder / "ledger.tar"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = made.run("backup", str(file))
    assert (again["exit"], "replaces nothing" in again["told"]) == (2, True)
    assert [path.name for path in made.folder.iterdir() if path.name.startswith(".")] == []


def test_keys_and_ledger_are_two_files_unless_it_is_asked_for(made: Disaster) -> None:
    with tarfile.open(made.folder / "ledger.tar") as archive:
        assert archive.getnames() == ["manifest.json", "manifest.sha256", "ledger.db"]
    with tarfile.open(made.folder / "keys.tar") as archive:
        names = archive.getnames()
    assert "keys/checkpoint.key" in names and any(name.startswith("keys/kek/") for name in names)
    assert "ledger.db" not in names
    both = made.run("backup", "--with-keys", str(made.folder / "both.tar"))
    assert (both["with_keys"], both["engine"]) == (True, "sqlite")


def test_nothing_of_a_person_is_readable_in_a_backup_without_keys(made: Disaster) -> None:
    body = (made.folder / "ledger.tar").read_bytes()
    lines = [json.loads(line) for line in made.batch(1).splitlines()[1:]]
    assert not any(line["passport"]["number"].encode() in body for line in lines)


def test_into_an_empty_directory_the_ledger_and_then_its_keys(made: Disaster, tmp_path: Path) -> None:
    run = elsewhere(made, tmp_path)
    ledger = run("restore", str(made.folder / "ledger.tar"))
    assert (ledger["exit"], ledger["keys"], ledger["keys_lacking"]) == (0, "none", True)
    assert ledger["entries"] > 0 and ledger["checkpoints"] > 0
    keys = run("restore", str(made.folder / "keys.tar"))
    assert (keys["exit"], keys["keys"], keys["keys_lacking"], keys["next"]) == (0, "restored", False, None)
    assert stat.S_IMODE((tmp_path / "data" / "keys" / "checkpoint.key").stat().st_mode) == 0o600
    assert run("restore", str(made.folder / "keys.tar"))["keys"] == "kept"


def test_what_is_there_is_kept_beside_the_restored_one(made: Disaster, tmp_path: Path) -> None:
    run = elsewhere(made, tmp_path)
    file = str(made.folder / "ledger.tar")
    assert run("restore", file)["exit"] == 0
    refused = run("restore", file)
    assert (refused["exit"], "--replace" in refused["told"]) == (2, True)
    (tmp_path / "data" / "gateway.db-wal").write_bytes(b"of another database")
    assert run("restore", "--replace", file)["exit"] == 0
    names = sorted(path.name for path in (tmp_path / "data").glob("before-restore-*"))
    assert [name.rpartition("Z-")[2] for name in names] == ["gateway.db", "gateway.db-wal"]
    assert not (tmp_path / "data" / "gateway.db-wal").exists()


def test_a_ledger_that_was_put_back_by_other_means_can_be_marked(made: Disaster, tmp_path: Path) -> None:
    run = elsewhere(made, tmp_path)
    (tmp_path / "data").mkdir()
    shutil.copy(made.home.data / "gateway.db", tmp_path / "data" / "gateway.db")
    assert run("restore", "--mark")["marked"] is True
    served = made.home.run("serve", GATEWAY_DATA_DIR=str(tmp_path / "data"))
    assert (served.returncode, b"serve --after-restore" in served.stderr) == (2, True)


def test_nothing_is_restored_under_a_running_gateway(made: Disaster, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "gateway.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = elsewhere(made, tmp_path)("restore", str(made.folder / "ledger.tar"))
    assert (refused["exit"], "another gateway process" in refused["told"]) == (2, True)


# --- what was damaged or changed ------------------------------------------------------------------------


def test_a_backup_of_which_a_byte_was_changed_is_refused(made: Disaster, tmp_path: Path) -> None:
    content = bytearray((made.folder / "ledger.tar").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "changed.tar").write_bytes(content)
    refuses(made, tmp_path, "checksum")


def test_a_manifest_that_was_changed_is_refused(made: Disaster, tmp_path: Path) -> None:
    content = (made.folder / "ledger.tar").read_bytes()
    (tmp_path / "changed.tar").write_bytes(content.replace(b'"began_at": 1', b'"began_at": 2', 1))
    refuses(made, tmp_path, "checksum of the manifest")


def test_a_backup_that_was_cut_off_is_refused(made: Disaster, tmp_path: Path) -> None:
    content = (made.folder / "ledger.tar").read_bytes()
    (tmp_path / "changed.tar").write_bytes(content[: len(content) // 2])
    refuses(made, tmp_path, "")


def test_a_file_that_is_no_backup_is_refused(made: Disaster, tmp_path: Path) -> None:
    (tmp_path / "changed.tar").write_bytes(b"something else")
    refuses(made, tmp_path, "is no backup")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'nobody' WHERE seq = 3",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE checkpoint SET signature = zeroblob(64)",
    ],
)
def test_a_ledger_whose_journal_was_changed_is_refused(made: Disaster, tmp_path: Path, change: str) -> None:
    """Its checksums are right: whoever changed it knew of them."""
    with tarfile.open(made.folder / "ledger.tar") as archive:
        archive.extractall(tmp_path / "taken", filter="data")
    database = sqlite3.connect(tmp_path / "taken" / "ledger.db")
    database.execute(change)
    database.commit()
    database.close()
    pack(tmp_path / "taken", tmp_path / "changed.tar")
    refuses(made, tmp_path, "not whole")


def pack(folder: Path, to: Path) -> None:
    """A backup of what is in the folder, with checksums that fit."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    content = (folder / "ledger.db").read_bytes()
    manifest["members"]["ledger.db"] = [len(content), hashlib.sha256(content).hexdigest()]
    text = json.dumps(manifest).encode()
    digest = hashlib.sha256(text).hexdigest().encode()
    with tarfile.open(to, "w") as archive:
        for name, data in (("manifest.json", text), ("manifest.sha256", digest), ("ledger.db", content)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))


def refuses(made: Disaster, folder: Path, text: str) -> None:
    """Exit 1 with words, and nothing was put in place."""
    refused = elsewhere(made, folder)("restore", str(folder / "changed.tar"))
    assert (refused["exit"], refused["error"]["code"]) == (1, "backup_damaged")
    assert text in refused["told"] and "Traceback" not in refused["told"]
    assert not (folder / "data" / "gateway.db").exists()
    assert list((folder / "data").glob(".*")) == []
