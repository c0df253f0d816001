"""A person as auditors ask for one: by passport, and found by blind indices alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gateway.flows.subjects import normalised, passport_index
from gateway.ledger.keys import KeyGone
from gateway.ledger.vault import Vault
from gateway.pipeline.engine import Engine


async def passport_indices(number: str, issuing_state: str, engine: Engine) -> tuple[bytes, ...]:
    """The index of a passport in every season that the ledger knows.

    However it is written. A season whose key was destroyed has none.
    """
    seasons = await engine.ledger.seasons()
    return await asyncio.to_thread(_indices, seasons, *normalised(number, issuing_state), engine.vault)


def _indices(seasons: Iterable[int], number: str, issuing_state: str, vault: Vault) -> tuple[bytes, ...]:
    found = []
    for season in seasons:
        try:
            found.append(passport_index(season, number, issuing_state, vault))
        except KeyGone:
            continue
    return tuple(found)
