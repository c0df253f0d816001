"""The faults of a plan: each strikes before its step, at the process that would have run then."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gateway.settings import Settings
from tests.simulation.loop import OWNER, Owner
from tests.simulation.partner import FOREIGN
from tests.simulation.plan import Fault
from tests.simulation.process import GatewayProcess

if TYPE_CHECKING:
    from tests.simulation.world import World

_PARTNERS: Final = (FOREIGN, FOREIGN, "nic", "passports")


class Faults:
    """Strikes, and sets right again what lasts for a while."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._coming = list(world.plan.faults)
        #: Those that wait for an event, and those whose event came to a process in this step.
        self._armed: list[Fault] = []
        self._struck_next: list[tuple[Fault, Owner | None]] = []
        #: The message to which it happened, if to one.
        self._about: str | None = None
        #: Spans in which the ledger, or one process, could not write: (from, to, who).
        self._spans: list[tuple[float, float, Owner | None]] = []
        #: How many struck, by kind.
        self.struck: Counter[str] = Counter()

    def begin(self) -> None:
        self._world.loop.on_step = self._before_step
        self._wait_for_next()

    def _before_step(self, owner: Owner | None) -> None:
        while self._struck_next:
            self._strike(*self._struck_next.pop())
        while self._coming and self._coming[0].step <= self._world.loop.steps:
            fault = self._coming.pop(0)
            if fault.after:
                self._armed.append(fault)
            else:
                self._strike(fault, owner)
        self._wait_for_next()

    def _wait_for_next(self) -> None:
        if not self._struck_next:
            self._world.loop.next_wanted = self._coming[0].step if self._coming else math.inf

    def _strike(self, fault: Fault, owner: Owner | None) -> None:
        self.struck[fault.kind] += 1
        self._world.note("fault", fault.kind, fault.amount, fault.after)
        getattr(self, f"_{fault.kind}")(fault, self._struck(owner, fault))

    def happened(self, event: str, owner: Owner | None, details: tuple[Any, ...]) -> None:
        """Something happened to a process in this step: what waited for it strikes before the next one."""
        fault = next((one for one in self._armed if one.after == event), None)
        if fault is not None and owner is not None:
            self._armed.remove(fault)
            self._struck_next.append((fault, owner))
            self._world.loop.next_wanted = 0
            self._about = next((one[:36] for one in details if isinstance(one, str) and len(one) >= 36), None)

    def over(self) -> bool:
        return not self._coming

    def hindered(self, owner: Owner, since: float, until: float) -> bool:
        """Whether some fault kept the ledger or this process from writing in that span."""
        return any(
            begins < until and ends > since and who in (None, owner) for begins, ends, who in self._spans
        )

    def cease(self) -> None:
        """All machines are well from now on."""
        world = self._world
        self._coming, self._armed, self._struck_next = [], [], []
        world.calm = True
        world.weather.roughness = 0.0
        world.weather.down_until.clear()
        world.weather.silent_until.clear()
        world.server.refuses_until_s = world.server.slow_until_s = 0.0
        for machine in world.machines:
            machine.wrong_by_s = 0.0
        if isinstance(world.server.clock, type(world.machines[0])):
            world.server.clock.wrong_by_s = 0.0
        for process in list(world.processes):
            if not process.alive:
                world.start(process.slot)
            elif process.frozen:
                process.thaw()
        world.parties.set_right()
        world.note("calm")

    def _struck(self, owner: Owner | None, fault: Fault) -> GatewayProcess | None:
        if isinstance(owner, GatewayProcess) and owner.alive:
            return owner
        alive = self._world.alive()
        return alive[fault.target % len(alive)] if alive else None

    def _later(self, seconds: float, callback: Callable[..., None], *args: Any) -> None:
        token = OWNER.set(None)
        try:
            self._world.loop.call_later(seconds, callback, *args)
        finally:
            OWNER.reset(token)

    def _lasts(self, seconds: float, who: Owner | None = None) -> None:
        now = self._world.loop.time()
        self._spans.append((now, now + seconds + (15.0 if who is None else 0.0), who))

    # --- machines

    def _crash(self, fault: Fault, process: GatewayProcess | None) -> None:
        if process is not None:
            process.kill()
            self._world.note("crash", process.slot)
            self._later(fault.amount, self._restart, process)

    def _restart(self, process: GatewayProcess) -> None:
        if process in self._world.processes:
            self._world.start(process.slot)

    def _freeze(self, fault: Fault, process: GatewayProcess | None) -> None:
        if process is not None and not process.frozen:
            process.freeze()
            self._lasts(fault.amount, process)
            self._world.note("freeze", process.slot)
            self._later(fault.amount, self._thaw, process)

    def _thaw(self, process: GatewayProcess) -> None:
        if process.alive and process.frozen:
            self._world.note("thaw", process.slot)
            process.thaw()

    def _leap(self, fault: Fault, process: GatewayProcess | None) -> None:
        world = self._world
        clocks: list[Any] = [*world.machines, world.server.clock]
        if fault.after:
            clocks = [] if process is None else [world.machines[process.slot]]
        if clocks:
            clocks[fault.target % len(clocks)].wrong_by_s += fault.amount

    def _days(self, fault: Fault, _: GatewayProcess | None) -> None:
        for machine in self._world.machines:
            machine.days_ahead += int(fault.amount)

    # --- the ledger's server

    def _refuse(self, fault: Fault, _: GatewayProcess | None) -> None:
        self._world.server.refuses_until_s = self._world.loop.time() + fault.amount
        self._lasts(fault.amount)

    def _slow(self, fault: Fault, _: GatewayProcess | None) -> None:
        self._world.server.slow_until_s = self._world.loop.time() + fault.amount
        self._lasts(fault.amount)

    # --- partners

    def _down(self, fault: Fault, _: GatewayProcess | None) -> None:
        name = _PARTNERS[fault.target % len(_PARTNERS)]
        self._world.weather.down_until[name] = self._world.loop.time() + fault.amount

    def _silent(self, fault: Fault, _: GatewayProcess | None) -> None:
        name = _PARTNERS[fault.target % len(_PARTNERS)]
        self._world.weather.silent_until[name] = self._world.loop.time() + fault.amount

    # --- people

    def _cancel(self, fault: Fault, process: GatewayProcess | None) -> None:
        self._world.parties.cancel(fault.target, self._about if fault.after else None)

    def _cancel_batch(self, fault: Fault, process: GatewayProcess | None) -> None:
        self._world.parties.cancel_batch(fault.target)

    def _retry(self, fault: Fault, process: GatewayProcess | None) -> None:
        self._world.parties.retry(fault.target)

    def _suspend(self, fault: Fault, process: GatewayProcess | None) -> None:
        self._world.parties.suspend(fault.target, fault.amount)

    def _ceiling(self, fault: Fault, process: GatewayProcess | None) -> None:
        self._world.parties.lower_ceiling(fault.target, fault.amount)

    def _swap(self, fault: Fault, process: GatewayProcess | None) -> None:
        if process is not None and not process.frozen:
            process.use(_next_version)


def _next_version(settings: Settings) -> Settings:
    routes = settings.routes
    return settings.model_copy(update={"routes": routes.model_copy(update={"version": f"{routes.version}+"})})
