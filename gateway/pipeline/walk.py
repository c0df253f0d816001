"""Going through everything that is sealed, a little at a time: intake and carrying go on in between."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.ledger.keeping import STORES, Cursor, Wrapped
from gateway.ledger.port import Ledger
from gateway.ledger.wrapping import holds_key, key_of

#: Written in one transaction: so many rows, or so many bytes, take some milliseconds.
_ROWS: Final = 200
_BYTES: Final = 1_000_000
#: Only read.
_PAGE: Final = 2_000
#: The longest pause between two transactions, in seconds.
_LONGEST_PAUSE_S: Final = 0.5


async def next_rows(cursor: Cursor, ledger: Ledger) -> tuple[Sequence[Wrapped], Cursor]:
    """Rows for one transaction, and where the walk stands behind them."""
    page = await ledger.wrapped(cursor, _ROWS)
    if not page:
        return (), cursor.next_store()
    rows = _light(page)
    return rows, cursor.past(rows[-1].position)


def _light(page: Sequence[Wrapped]) -> Sequence[Wrapped]:
    """As many of the rows as are not too heavy together; always the first."""
    weight = 0
    for n, row in enumerate(page):
        weight += row.weight
        if weight > _BYTES and n:
            return page[:n]
    return page


class Pace:
    """Leaves others as much time as it takes itself."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def rest(self) -> None:
        """Wait as long as was worked since the last rest."""
        await asyncio.sleep(min(time.monotonic() - self._began, _LONGEST_PAUSE_S))
        self._began = time.monotonic()


async def keys_in_use(ledger: Ledger, stores: Sequence[str] = STORES) -> Mapping[str, Mapping[str, int]]:
    """How many rows of each store are sealed under each key: by key id, then by store."""
    found: dict[str, Counter[str]] = {}
    for store in stores:
        cursor = Cursor(store)
        while page := await ledger.wrapped(cursor, _PAGE):
            for row in page:
                if holds_key(row):
                    found.setdefault(key_of(row), Counter())[store] += 1
            cursor = cursor.past(page[-1].position)
    return found
