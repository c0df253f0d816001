"""The second half of a message's life: a worker takes it through its itinerary.

    claim │ loop: protect → prepare → commit → deliver, until nothing is left to prepare │ settle

What a crash leaves behind at each point: before `commit`, a lease that ends and a message that is ready
again; after it, an intent whose outcome the partner is asked about; after `settle`, nothing to do.
"""

from __future__ import annotations

from gateway.ledger.port import Claimed
from gateway.pipeline.commit import Committed, commit
from gateway.pipeline.decide import Deliver, Review, Wait, decide
from gateway.pipeline.deliver import deliver
from gateway.pipeline.engine import Engine
from gateway.pipeline.journey import begin
from gateway.pipeline.prepare import prepare
from gateway.pipeline.protect import admit_later, admit_now, give_back, instead
from gateway.pipeline.settle import settle


async def carry(message: Claimed, engine: Engine) -> None:
    """Carry one claimed message downhill until it rests."""
    journey = begin(message, engine)
    while isinstance(decision := decide(journey, engine.now()), Deliver):
        due = decision.operations
        admitted = admit_now(journey, due, engine) or await admit_later(journey, due, engine)
        if isinstance(admitted, Wait):
            decision = admitted
            break
        try:
            steps = prepare(journey, admitted.operations, engine)
            if isinstance(steps, Review):
                decision = steps
                break
            committed = await commit(journey, steps, engine)
            if not isinstance(committed, Committed):
                decision = committed
                break
            journey = await deliver(committed, steps, admitted.permits, engine)
        finally:
            await give_back(admitted.permits, engine)
    if isinstance(decision, Wait):
        decision = instead(decision, journey, engine)
    await settle(journey, decision, engine)
