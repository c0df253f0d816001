"""An event loop without a selector: time is virtual, and who runs next is chosen by the seed.

Time stands still while anything can run and then leaps to the next timer. Each handle belongs to the
simulated process in whose context it was made: what belongs to a dead one never runs again, what belongs to a
frozen one waits until it thaws.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, Protocol


class Owner(Protocol):
    """A process, as the loop sees it."""

    alive: bool
    frozen: bool
    parked: list[Handle]
    tasks: list[asyncio.Task[Any]]


#: The process that runs; None is the world outside the gateway.
OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


class Handle:
    """Something to be called once."""

    __slots__ = ("_when", "args", "callback", "context", "owner")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context) -> None:
        self.callback: Callable[..., Any] | None = callback
        self.args = args
        self.context = context
        self.owner = context.get(OWNER)
        self._when = 0.0

    def cancel(self) -> None:
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self._when


class VirtualLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as tasks, futures, timeouts, events and queues need."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ready: list[Handle] = []
        self._timers: list[tuple[float, int, Handle]] = []
        self._number = 0
        self._now = 0.0
        #: Handles run so far: where a fault strikes is counted in these.
        self.steps = 0
        #: Before which step somebody wants to be told.
        self.next_wanted: float = math.inf
        #: Told before that step, with the process whose handle comes next.
        self.on_step: Callable[[Owner | None], None] = lambda _: None
        #: Run nothing more.
        self.stopped = False
        #: What nobody caught.
        self.uncaught: list[dict[str, Any]] = []

    # --- what the world asks of it

    def run_until(self, until_s: float = math.inf, most_steps: float = math.inf) -> None:
        """Run one step after the other up to that moment and number, or until there is nothing to run."""
        while self._now < until_s and self.steps < most_steps and not self.stopped:
            handle = self._next()
            if handle is None:
                return
            if not self._may_run(handle):
                continue
            self.steps += 1
            if self.steps >= self.next_wanted:
                self.on_step(handle.owner)
                if not self._may_run(handle):
                    continue
            handle.context.run(handle.callback, *handle.args)  # type: ignore[arg-type]

    def leap(self, seconds: float) -> None:
        """Let time pass at once, as while the whole machine is suspended."""
        self._now += seconds

    def thaw(self, owner: Owner) -> None:
        self._ready += owner.parked
        owner.parked = []

    def spawn(self, coroutine: Coroutine[Any, Any, Any], owner: Owner | None) -> asyncio.Task[Any]:
        """A task that belongs to `owner`, as will all that it starts."""
        context = copy_context()
        context.run(OWNER.set, owner)
        return context.run(self.create_task, coroutine, context=context)

    # --- what asyncio asks of it

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        handle = Handle(callback, args, context if context is not None else copy_context())
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        handle = Handle(callback, args, context if context is not None else copy_context())
        handle._when = when
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> Any:  # type: ignore[override]
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        owner = (context or copy_context()).get(OWNER)
        if owner is not None:
            owner.tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.uncaught.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.uncaught.append(context)

    # --- choosing

    def _next(self) -> Handle | None:
        if not self._ready and not self._begin_next_moment():
            return None
        ready = self._ready
        place = int(self._random.random() * len(ready)) if len(ready) > 1 else 0
        chosen, ready[place] = ready[place], ready[-1]
        ready.pop()
        return chosen

    def _begin_next_moment(self) -> bool:
        """All timers that are due at the next moment become ready together."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not timers:
            return False
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(timers)[2])
        return True

    def _may_run(self, handle: Handle) -> bool:
        owner = handle.owner
        if handle.callback is None or (owner is not None and not owner.alive):
            return False
        if owner is not None and owner.frozen:
            owner.parked.append(handle)
            return False
        return True
