"""Steps as they are kept between claims: what any version sealed, this one opens, and the other way round."""

from __future__ import annotations

from typing import Any

from gateway.ledger.records import Claimed
from gateway.ledger.vault import progress_place
from gateway.message import Micros
from gateway.pipeline.journey import (
    NEW,
    StepState,
    StepStatus,
    _by_our_clock,
    begin,
    open_steps,
    seal_steps,
)
from gateway.values import replace
from tests.pipeline.world import World

DONE = StepState(StepStatus.DONE, 2, Micros(1), Micros(2), result={"status": "CLEAR"}, valid_until=Micros(9))


async def claimed(world: World) -> Claimed:
    await world.submit(1)
    engine = world.engine
    (message,) = await engine.ledger.claim("w", 1, now=engine.now(), lease_until=Micros(engine.now() + 1))
    return message


def kept(world: World, message: Claimed, sealed: bytes, revision: int) -> dict[str, Any]:
    key = begin(message, world.engine).key
    return world.engine.vault.open(key, sealed, place=progress_place(message, revision))


async def test_steps_come_back_as_they_were(world: World) -> None:
    message = await claimed(world)
    key, vault = begin(message, world.engine).key, world.engine.vault
    progress = seal_steps(vault, key, message, {"a": DONE, "b": NEW})
    again = replace(message, sealed_progress=progress.sealed, progress_revision=progress.revision)
    assert open_steps(vault, key, again) == {"a": DONE, "b": NEW}


async def test_what_is_kept_always_says_the_status_and_nothing_that_is_absent(world: World) -> None:
    """The version before asks for the status of each."""
    message = await claimed(world)
    progress = seal_steps(
        world.engine.vault, begin(message, world.engine).key, message, {"a": DONE, "b": NEW}
    )
    assert kept(world, message, progress.sealed, progress.revision) == {
        "steps": {
            "a": {
                "status": "done",
                "attempts": 2,
                "first_at": 1,
                "last_at": 2,
                "result": {"status": "CLEAR"},
                "valid_until": 9,
            },
            "b": {"status": "new"},
        }
    }


async def test_what_the_version_before_sealed_is_opened(world: World) -> None:
    message = await claimed(world)
    key, vault = begin(message, world.engine).key, world.engine.vault
    value = {"steps": {"a": {"status": "new", "attempts": 0}, "b": {"status": "retry", "attempts": 3}}}
    sealed = vault.seal(key, value, place=progress_place(message, 1))
    again = replace(message, sealed_progress=sealed, progress_revision=1)
    assert open_steps(vault, key, again) == {"a": NEW, "b": StepState(StepStatus.RETRY, 3)}


def test_a_wait_by_a_clock_that_was_ahead_is_not_waited_again() -> None:
    """Its message was claimed, so by the ledger's clock it is due; another's, of before now, still counts."""
    now = Micros(1_000_000_000)
    ahead = StepState(StepStatus.RETRY, last_at=Micros(now + 1), not_before=Micros(now + 3_600_000_000))
    ours = StepState(StepStatus.RETRY, last_at=now, not_before=Micros(now + 5_000_000))
    kept = _by_our_clock({"ahead": ahead, "ours": ours}, now)
    assert kept["ahead"].not_before is None
    assert kept["ours"] == ours
