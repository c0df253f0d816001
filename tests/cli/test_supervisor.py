"""What a supervisor makes of processes that fail: stand-ins that do as a file tells them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from cli import supervisor
from cli.group import Membership, membership
from cli.supervisor import Supervisor
from gateway.web.seat import Role
from tests.pipeline.world import shipped_settings

#: Its last argument is the folder where `mode` says what to do, and where it leaves word of itself.
_STAND_IN = """
import json, os, select, signal, sys
from pathlib import Path

folder, me = Path(sys.argv[1]), str(os.getpid())
given = json.loads(os.environ.pop("GATEWAY_GROUP_MEMBERSHIP"))

def mode():
    return (folder / "mode").read_text()

def orphaned():
    return bool(select.select([given["lifeline"]], [], [], 0.01)[0])

def leave(*_):
    (folder / "serving" / me).unlink(missing_ok=True)
    os._exit(0)

(folder / "began" / me).touch()
if mode().startswith("exits"):
    sys.exit(int(mode().split()[1]))
if mode() == "is of the release before":
    known = {"group", "role", "ready", "lifeline", "public", "admin", "lock"}
    if set(given) - known or any(name.startswith("GATEWAY_") for name in os.environ):
        sys.exit(2)
while mode() == "waits":
    if orphaned():
        sys.exit(0)
signal.signal(signal.SIGTERM, leave)
os.write(given["ready"], b"1")
os.close(given["ready"])
if mode() == "serves for a moment":
    sys.exit(1)
(folder / "serving" / me).touch()
while not orphaned():
    pass
leave()
"""


@dataclass
class Group:
    """A supervisor in this process, and its stand-ins."""

    folder: Path
    caplog: pytest.LogCaptureFixture
    _running: asyncio.Task[int] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("began", "serving"):
            (self.folder / name).mkdir()
        self.has_python()
        self.turn("serves")

    @property
    def _python(self) -> Path:
        return self.folder / "python"

    def has_python(self) -> None:
        self._python.symlink_to(sys.executable)

    def loses_python(self) -> None:
        self._python.unlink()

    def turn(self, mode: str) -> None:
        """What those do that begin from now on, and those that wait."""
        (self.folder / "next").write_text(mode)
        (self.folder / "next").replace(self.folder / "mode")

    def start(self) -> None:
        command = (str(self._python), "-I", "-S", "-c", _STAND_IN, str(self.folder))
        settings = shipped_settings()
        anywhere = {
            side: getattr(settings.gateway.listeners, side).model_copy(update={"port": 0})
            for side in ("public", "admin")
        }
        listeners = settings.gateway.listeners.model_copy(update=anywhere)
        changes = {
            "data_directory": self.folder,
            "database_url": f"sqlite:///{self.folder / 'gateway.db'}",
            "listeners": listeners,
        }
        settings = settings.model_copy(update={"gateway": settings.gateway.model_copy(update=changes)})
        self._running = asyncio.create_task(Supervisor(settings, command, workers=2, role=Role.ALL).run())

    async def serve(self) -> set[int]:
        """Both of them."""
        self.start()
        await until(lambda: len(self.serving()) == 2)
        return self.serving()

    @property
    def ended(self) -> bool:
        return self._running.done()

    async def end(self) -> int:
        async with asyncio.timeout(10):
            return await self._running

    async def stop(self) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return await self.end()

    def replace(self) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)

    def began(self) -> int:
        """How many ever did."""
        return len(list((self.folder / "began").iterdir()))

    def living(self) -> set[int]:
        return self._living("began")

    def serving(self) -> set[int]:
        return self._living("serving")

    def _living(self, folder: str) -> set[int]:
        noted = {int(one.name) for one in (self.folder / folder).iterdir()}
        return {pid for pid in noted if Path(f"/proc/{pid}").exists()}

    def logged(self, event: str) -> int:
        return sum(record.msg == event for record in self.caplog.records)

    async def stays(self, expected: set[int] | int) -> None:
        """For longer than the pauses before another try."""
        for _ in range(50):
            found = self.living()
            assert (len(found) if isinstance(expected, int) else found) == expected
            await asyncio.sleep(0.01)


@pytest.fixture
async def group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Group]:
    caplog.set_level(logging.INFO, "gateway")
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_S", 0.1)
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    group = Group(tmp_path, caplog)
    yield group
    if not group.ended:
        await group.stop()
    await until(lambda: not group.living())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


# --- what cannot serve


@pytest.mark.parametrize("mode", ["exits 2", "exits 1", "has no python"])
async def test_a_successor_that_fails_leaves_all_as_they_are(group: Group, mode: str) -> None:
    before = await group.serve()
    if mode == "has no python":
        group.loses_python()
    group.turn(mode)
    group.replace()
    await until(lambda: group.logged("not_replaced") == 1 or group.ended)
    assert not group.ended
    if mode == "has no python":
        group.has_python()
    group.turn("serves")
    await group.stays(before)  # nobody comes up unasked
    group.replace()
    await until(lambda: group.logged("replaced") == 1 and len(group.living()) == 2)
    assert not group.living() & before
    await group.stays(2)


async def test_a_successor_that_does_not_come_up_in_time_goes(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await group.serve()
    monkeypatch.setattr(supervisor, "_COMES_UP_WITHIN_S", 0.3)
    group.turn("waits")
    group.replace()
    await until(lambda: group.logged("not_replaced") == 1 and len(group.living()) == 2)
    group.turn("serves")
    await group.stays(before)


async def test_one_that_dies_while_the_program_is_faulty_is_tried_again(group: Group) -> None:
    one, other = await group.serve()
    group.turn("exits 2")
    os.kill(one, signal.SIGKILL)
    await until(lambda: group.began() >= 5 or group.ended)
    assert group.serving() == {other}
    group.turn("serves")
    await until(lambda: len(group.serving()) == 2)
    said = [getattr(record, "fields", {}) for record in group.caplog.records if record.msg == "process_died"]
    assert [line["status"] for line in said[:3]] == [-signal.SIGKILL, 2, 2]
    assert said[1]["code"] == "misconfigured"


async def test_one_that_dies_while_python_is_missing_is_tried_again(group: Group) -> None:
    one, other = await group.serve()
    descriptors = _descriptors()
    group.loses_python()
    os.kill(one, signal.SIGKILL)
    await until(lambda: group.logged("not_begun") >= 3 or group.ended)
    assert group.serving() == {other}
    group.has_python()
    await until(lambda: len(group.serving()) == 2)
    await until(lambda: _descriptors() <= descriptors)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_at_the_first_start_what_is_misconfigured_ends_the_whole(group: Group) -> None:
    group.turn("exits 2")
    group.start()
    assert await group.end() == 2


async def test_at_the_first_start_a_missing_python_is_named(group: Group) -> None:
    group.loses_python()
    group.start()
    with pytest.raises(FileNotFoundError) as found:
        await group.end()
    assert found.value.filename == str(group.folder / "python")
    assert group.logged("supervision_failed") == 0


# --- as many as were asked for


@pytest.mark.parametrize("victims", [[0], [1], [0, 1]])
async def test_those_that_die_in_a_rolling_restart_are_not_replaced_twice(
    group: Group, victims: list[int]
) -> None:
    before = sorted(await group.serve())
    group.turn("waits")
    group.replace()
    await until(lambda: group.began() == 3)
    for victim in victims:
        os.kill(before[victim], signal.SIGKILL)
    await until(lambda: group.logged("process_died") == len(victims))
    group.turn("serves")
    await until(lambda: group.logged("replaced") == 1 and len(group.serving()) == 2)
    await until(lambda: not group.living() & set(before) and len(group.living()) == 2)
    await group.stays(2)


async def test_a_successor_that_dies_as_soon_as_it_serves_leaves_no_place_empty(group: Group) -> None:
    await group.serve()
    group.turn("serves for a moment")
    group.replace()
    await until(lambda: group.logged("not_replaced") + group.logged("replaced") == 1)
    group.turn("serves")
    await until(lambda: len(group.serving()) == 2 and len(group.living()) == 2)
    await group.stays(2)


async def test_a_rolling_restart_can_be_stopped(group: Group) -> None:
    await group.serve()
    group.turn("waits")
    group.replace()
    await until(lambda: group.began() == 3)
    assert await group.stop() == 0
    assert group.living() == set()
    assert group.logged("replaced") + group.logged("not_replaced") == 0


# --- across releases


async def test_the_release_before_takes_its_place_in_the_group(group: Group) -> None:
    before = await group.serve()
    group.turn("is of the release before")
    group.replace()
    await until(lambda: group.logged("replaced") + group.logged("not_replaced") == 1)
    assert group.logged("replaced") == 1
    await until(lambda: len(group.serving()) == 2 and not group.living() & before)


_MEMBER = Membership("host:1", Role.API, 3, 4, None, 5, None, hints_in=6, hints_out=7)


def test_a_process_reads_its_membership_and_takes_it_out_of_the_environment() -> None:
    environment = {**_MEMBER.variables(), "PATH": "/bin"}
    assert membership(environment) == _MEMBER
    assert environment == {"PATH": "/bin"}
    assert membership(environment) is None


def test_what_a_later_release_adds_is_passed_over() -> None:
    told = {
        name: json.dumps({**json.loads(text), "of_tomorrow": 9}) for name, text in _MEMBER.variables().items()
    }
    assert membership(told) == _MEMBER


def test_what_an_earlier_supervisor_says_in_one_variable_is_read() -> None:
    told = json.dumps({**asdict(_MEMBER), "role": "api"})
    assert membership({"GATEWAY_GROUP_MEMBERSHIP": told}) == _MEMBER
