"""Who travels with whom: a mahram that a line names must be another line that is taken in the same batch.

Lines are noted in the order of the file, and a mahram may come after those who name him. Only who waits for
him is remembered with a place; at the end of the body `without_mahram` tells who waits in vain.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Companion:
    """A line that names a mahram who did not come before it."""

    line: int
    row: int | None
    reference: str
    mahram: str


class Companions:
    """The lines of one batch, as they are taken."""

    def __init__(self) -> None:
        #: References of lines that wait for nobody.
        self._settled: set[str] = set()
        self._waiting: dict[str, Companion] = {}

    def take(self, line: int, row: int | None, reference: str, mahram: str | None) -> None:
        """Note a line that was taken: its reference is the only one of its kind in the batch."""
        if mahram is None or mahram in self._settled:
            self._settled.add(reference)
        else:
            self._waiting[reference] = Companion(line, row, reference, mahram)

    def without_mahram(self) -> list[Companion]:
        """Lines whose mahram was not taken, in order. Who named one of these has none either.

        Two who name each other are both in the batch: that is what the rule asks.
        """
        named_by: defaultdict[str, list[Companion]] = defaultdict(list)
        for companion in self._waiting.values():
            named_by[companion.mahram].append(companion)
        missing = [name for name in named_by if name not in self._waiting and name not in self._settled]
        found: list[Companion] = []
        while missing:
            alone = named_by.pop(missing.pop(), [])
            found += alone
            missing += [companion.reference for companion in alone]
        return sorted(found, key=lambda companion: companion.line)
