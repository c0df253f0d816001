"""Sample batches for one run: nobody applies twice in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count, cycle

from adapters.service_centers.sample import sample_batch
from benchmarks.peers.contender import Batch

CENTERS = ("sc-01", "sc-02", "sc-03", "sc-04")


class Supply:
    """The same for the same seed, day and order of asking."""

    def __init__(self, seed: int) -> None:
        self._seeds = count(seed * 100_000)
        self._centers = cycle(CENTERS)
        self._passports: set[str] = set()

    def batch(self, lines: int) -> Batch:
        """The next one, of the center whose turn it is."""
        center = next(self._centers)
        while True:
            batch = _batch(lines, next(self._seeds), center)
            passports = {line["passport"]["number"] for line in batch.lines}
            if len(passports) == lines and not passports & self._passports:
                self._passports |= passports
                return batch

    def batches(self, lines: int) -> Iterator[Batch]:
        """So many lines in all, in equal parts from each center."""
        each, rest = divmod(lines, len(CENTERS))
        for number in range(len(CENTERS)):
            if size := each + (number < rest):
                yield self.batch(size)


def _batch(lines: int, seed: int, center: str) -> Batch:
    header, applications = sample_batch(lines, seed, datetime.now(UTC).date(), clean=True, center=center)
    return Batch(center, header, list(applications))
