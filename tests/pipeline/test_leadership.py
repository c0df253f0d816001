"""The election: one leads, another takes over, and whoever can't tell steps down in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from gateway.errors import Unavailable
from gateway.message import Micros
from gateway.pipeline.leadership import LEASE_S, Leadership
from tests.doubles import ManualClock


@dataclass
class Board:
    """`gateway.ledger.duties.Duties` in memory; out of reach when told so."""

    reachable: bool = True
    holding: dict[str, tuple[str, Micros]] = field(default_factory=dict)

    async def stand(self, duty: str, candidate: str, *, now: Micros, until: Micros) -> str:
        if not self.reachable:
            raise Unavailable("ledger_unavailable")
        holder, ends = self.holding.get(duty, ("", Micros(0)))
        if holder == candidate or ends <= now:
            self.holding[duty] = candidate, until
        return self.holding[duty][0]

    async def step_down(self, duty: str, holder: str) -> None:
        if self.holding.get(duty, ("", 0))[0] == holder:
            del self.holding[duty]

    async def duties(self) -> Mapping[str, str]:
        return {duty: holder for duty, (holder, _) in self.holding.items()}


@dataclass
class Process:
    """One candidate, and whether it is doing a leader's work."""

    board: Board
    clock: ManualClock
    name: str
    working: bool = False

    def __post_init__(self) -> None:
        self.leadership = Leadership(self.board, self.clock, self.name, gained=self._begin, lost=self._end)

    async def _nothing(self) -> None:
        """A work that ends, whether it began or not."""

    async def _begin(self) -> None:
        assert not self.working
        self.working = True

    async def _end(self) -> None:
        assert self.working
        self.working = False


def two() -> tuple[Board, ManualClock, Process, Process]:
    board, clock = Board(), ManualClock()
    return board, clock, Process(board, clock, "here:1/10"), Process(board, clock, "there:2/20")


async def test_one_works_and_the_other_waits() -> None:
    _, _, first, second = two()
    for process in (first, second, first, second):
        await process.leadership.stand()
    assert (first.working, second.working) == (True, False)
    assert first.leadership.details() == {"leadership": "leads"}


async def test_a_dead_leader_is_replaced_after_its_lease() -> None:
    _, clock, first, second = two()
    await first.leadership.stand()
    clock.pass_by(seconds=LEASE_S - 0.1)
    await second.leadership.stand()
    assert not second.working
    clock.pass_by(seconds=0.2)
    await second.leadership.stand()
    assert second.working


async def test_a_leader_that_wakes_too_late_stops_working() -> None:
    _, clock, first, second = two()
    await first.leadership.stand()
    clock.pass_by(seconds=LEASE_S + 1)
    await second.leadership.stand()
    await first.leadership.stand()
    assert (first.working, second.working) == (False, True)


async def test_a_leader_whose_work_does_not_begin_does_not_lead() -> None:
    board, clock, first, _ = two()

    async def failing() -> None:
        raise RuntimeError

    broken = Leadership(board, clock, "here:1/12", gained=failing, lost=first._nothing)
    with pytest.raises(RuntimeError):
        await broken.stand()
    assert not broken.leads


async def test_a_leader_without_its_ledger_works_until_its_lease_ends() -> None:
    board, clock, first, _ = two()
    await first.leadership.stand()
    board.reachable = False
    clock.pass_by(seconds=LEASE_S - 0.1)
    await first.leadership.stand()
    assert first.working
    clock.pass_by(seconds=0.2)
    await first.leadership.stand()
    assert not first.working
    board.reachable = True
    await first.leadership.stand()
    assert first.working


async def test_whoever_stops_leaves_it_to_the_next_at_once() -> None:
    _, _, first, second = two()
    await first.leadership.start()
    await first.leadership.stop()
    await second.leadership.stand()
    assert (first.working, second.working) == (False, True)


async def test_a_group_knows_that_the_leader_is_one_of_its_own() -> None:
    board, clock, first, second = two()
    beside = Process(board, clock, "here:1/11")
    for process in (first, second, beside):
        await process.leadership.stand()
    assert first.leadership.leads_here
    assert beside.leadership.leads_here
    assert not beside.leadership.leads
    assert not second.leadership.leads_here
