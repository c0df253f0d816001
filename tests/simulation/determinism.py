"""What would otherwise differ from run to run, tied to the seed for as long as a run lasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final
from unittest import mock

import gateway.message
from gateway.pipeline import wake_partners
from gateway.pipeline.pace import Pace
from gateway.pipeline.read import Pause

#: How often partners are looked at: seldom, since each look costs as much as a message's move.
_LOOKED_AT_EVERY_S: Final = 8.0


class Ids:
    """Stands in for `uuid_utils`: ids in the order in which they are asked for."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._made = 0

    def uuid7(self) -> str:
        self._made += 1
        return f"{self._made:08x}-0000-7000-8000-{self._random.getrandbits(48):012x}"


class Errors(logging.Handler):
    """Hands on what the gateway logs as an error."""

    def __init__(self, tell: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(getattr(record, "fields", {}))


async def _for_ever(_: Pace) -> None:
    await asyncio.get_running_loop().create_future()


def _never(_: Pause) -> bool:
    """Parsing pauses by the processor's time, which is not the simulation's."""
    return False


@contextmanager
def determined(random: Random, tell_error: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Ids from the seed; nothing that measures the real loop or the real processor; errors are heard."""
    logger, errors = logging.getLogger("gateway"), Errors(tell_error)
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(errors)
    try:
        with (
            mock.patch.object(gateway.message, "uuid_utils", Ids(random)),
            mock.patch.object(Pace, "keep", _for_ever),
            mock.patch.object(Pause, "due", _never),
            mock.patch.object(wake_partners, "_QUIET_S", _LOOKED_AT_EVERY_S),
        ):
            yield
    finally:
        logger.removeHandler(errors)
        logger.setLevel(level)
        logger.propagate = propagates
