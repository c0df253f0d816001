"""The second half of a message's life: a worker takes it through its itinerary.

    claim │ loop: prepare → commit → deliver, until nothing is left to prepare │ settle

What a crash leaves behind at each point: before `commit`, a lease that ends and a message that is ready
again; after it, an intent whose outcome the partner is asked about; after `settle`, nothing to do.
"""

from __future__ import annotations

from gateway.ledger.port import Claimed
from gateway.pipeline.commit import Committed, commit
from gateway.pipeline.decide import Deliver, Review, decide
from gateway.pipeline.deliver import deliver
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import begin
from gateway.pipeline.prepare import prepare
from gateway.pipeline.settle import settle


async def carry(message: Claimed, engine: Engine) -> None:
    """Carry one claimed message downhill until it rests."""
    journey = begin(message, engine)
    while isinstance(decision := decide(journey, engine.now()), Deliver):
        steps = prepare(journey, decision.operations, engine)
        if isinstance(steps, Review):
            decision = steps
            break
        committed = await commit(journey, steps, engine)
        if not isinstance(committed, Committed):
            decision = committed
            break
        journey = await deliver(committed, steps, engine)
    await settle(journey, decision, engine)
