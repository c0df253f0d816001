"""A season can't be chosen freely: limits and the uniqueness of a person are kept by it."""

from __future__ import annotations

from adapters.service_centers.sample import sample_batch
from gateway.pipeline.admit import admit
from tests.flows.office import World
from tests.pipeline.world import submission


async def test_who_arrives_in_another_season_than_the_batch_is_for_is_rejected(world: World) -> None:
    header, lines = sample_batch(2, 7, world.clock.today(), clean=True)
    body = [{**header, "season": header["season"] + 1}, *lines]
    receipt = await admit(submission(body), world.engine)
    assert receipt.counts == {"total": 2, "rejected": 2}
    (violation,) = receipt.rejected[0].violations
    assert (violation.code, violation.pointer) == ("season_unknown", "/travel/arrival_date")
