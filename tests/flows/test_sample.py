"""The sample of every center is one that goes well under the shipped reference records."""

from __future__ import annotations

import pytest

from adapters.service_centers.sample import sample_batch
from gateway.message import PartyId
from gateway.pipeline.admit import admit
from tests.flows.office import World
from tests.pipeline.world import submission


@pytest.mark.parametrize("center", ["sc-01", "sc-02", "sc-03", "sc-04", "sc-05"])
async def test_the_clean_sample_of_a_center_is_issued(world: World, center: str) -> None:
    header, lines = sample_batch(3, 7, world.clock.today(), clean=True, center=center)
    receipt = await admit(submission([header, *lines], party=PartyId(center)), world.engine)
    await world.carry_until_rest()
    assert (await world.batch(receipt)).counts == {"issued": 3}
