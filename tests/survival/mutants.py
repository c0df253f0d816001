"""Gateways that are broken on purpose, to see that the survival test would notice.

`python -m tests.survival.mutants NAME` serves like `run_gateway.py serve`, with one promise removed.
"""

from __future__ import annotations

import sys

import gateway.ledger.sql.sweeping as ledger_sweeping
import gateway.pipeline.carry as pipeline_carry
from cli.serve import serve
from gateway.pipeline.commit import Committed
from gateway.states import State


async def _no_intent(journey, steps, engine):  # type: ignore[no-untyped-def]
    """Calls go out without their intent being committed."""
    return Committed(journey, engine.clock.boottime_s() + 60)


def _repeat_after_crash(tx, row, to, *args, **kwargs):  # type: ignore[no-untyped-def]
    """A lease that ends after an intent makes the message ready, as if nothing could have been sent."""
    if to is State.UNCERTAIN:
        to = State.READY
        tx.run("UPDATE effect SET state = 'free' WHERE message_id = ?", (row["id"],))
        tx.run("UPDATE message SET open_step = NULL WHERE id = ?", (row["id"],))
    _shift(tx, row, to, *args, **kwargs)


_shift = ledger_sweeping._shift


def main(name: str) -> int:
    if name == "no_intent":
        pipeline_carry.commit = _no_intent  # type: ignore[assignment]
    elif name == "repeat_after_crash":
        ledger_sweeping._shift = _repeat_after_crash  # type: ignore[assignment]
    else:
        raise SystemExit(f"no mutant {name}")
    return serve(None, None, workers=1, after_restore=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
