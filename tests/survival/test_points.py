"""The named points: documented, checked, and either deadly or a standstill."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from gateway.observe.crash import POINTS, arm
from tests.survival.spawner import ROOT, Forked

_PASSES = """
from gateway.observe.crash import arm, crash_point
arm({point!r})
for number in range(3):
    print(number, flush=True)
    crash_point("after_intent")
"""


def test_every_point_is_passed_somewhere_and_documented() -> None:
    page = (ROOT / "docs" / "message_life.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "gateway").rglob("*.py"))
    assert [point for point in POINTS if f"`{point}`" not in page] == []
    assert [point for point in POINTS if code.count(f'"{point}"') < 2] == []


@pytest.mark.parametrize("point", ["nowhere", "after_intent:1:wound"])
def test_what_is_not_known_arms_nothing(point: str) -> None:
    with pytest.raises(ValueError, match=r"nowhere|wound"):
        arm(point)


@pytest.mark.processes
def test_a_process_dies_at_the_pass_that_was_asked_for() -> None:
    done = subprocess.run(_command("after_intent:2"), capture_output=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"0\n1\n")


@pytest.mark.processes
def test_a_process_stands_still_at_a_point_and_goes_on_from_there() -> None:
    with subprocess.Popen(_command("after_intent:2:stop"), stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"0\n", b"1\n"]
        stopped = Forked.of(process.pid)
        while not stopped.stands_still():
            assert stopped.alive()
        stopped.signal(signal.SIGCONT)
        assert process.stdout.readline() == b"2\n"
        assert process.wait(10) == 0
        stopped.close()


def _command(point: str) -> list[str]:
    return [sys.executable, "-c", _PASSES.format(point=point)]
