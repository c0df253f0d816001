"""What every ledger promises of duties (`gateway.ledger.duties`)."""

from __future__ import annotations

import asyncio

from gateway.clock import micros
from gateway.ledger.port import Ledger
from gateway.message import Micros
from tests.doubles import ManualClock

SECOND = 1_000_000


async def _stand(ledger: Ledger, candidate: str, clock: ManualClock) -> str:
    now = micros(clock.now())
    return await ledger.stand("leader", candidate, now=now, until=Micros(now + 10 * SECOND))


async def test_of_many_that_stand_at_once_one_holds_the_duty(ledger: Ledger, clock: ManualClock) -> None:
    told = await asyncio.gather(*(_stand(ledger, f"process-{number}", clock) for number in range(8)))
    assert len(set(told)) == 1
    assert set((await ledger.duties()).values()) == set(told)


async def test_the_holder_keeps_it_by_standing_again(ledger: Ledger, clock: ManualClock) -> None:
    assert await _stand(ledger, "one", clock) == "one"
    clock.pass_by(seconds=8)
    assert await _stand(ledger, "one", clock) == "one"
    clock.pass_by(seconds=4)
    assert await _stand(ledger, "two", clock) == "one"


async def test_a_duty_that_was_not_renewed_is_another_ones(ledger: Ledger, clock: ManualClock) -> None:
    await _stand(ledger, "one", clock)
    clock.pass_by(seconds=9.9)
    assert await _stand(ledger, "two", clock) == "one"
    clock.pass_by(seconds=0.2)
    assert await _stand(ledger, "two", clock) == "two"
    assert await _stand(ledger, "one", clock) == "two"


async def test_whoever_steps_down_leaves_it_to_the_next_at_once(ledger: Ledger, clock: ManualClock) -> None:
    await _stand(ledger, "one", clock)
    await ledger.step_down("leader", "two")
    assert await _stand(ledger, "two", clock) == "one"
    await ledger.step_down("leader", "one")
    assert await _stand(ledger, "two", clock) == "two"
