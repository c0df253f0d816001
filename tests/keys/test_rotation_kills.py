"""The rotation under load, killed in the middle: short here, at length in `benchmarks/rotation.py`."""

from __future__ import annotations

from pathlib import Path

from tests.keys.rotating import Rotating


def test_no_message_is_unreadable_after_a_rotation_that_was_killed_twice(tmp_path: Path) -> None:
    verdict = Rotating(tmp_path, messages=1_500, kills=2).run()
    assert verdict.messages >= 1_500
    assert (verdict.unreadable, verdict.set_aside) == (0, 0), verdict
    assert verdict.retired >= 2, verdict
    assert verdict.kills_within >= 1, verdict
