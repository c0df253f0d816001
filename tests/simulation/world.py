"""One run: several gateways on one ledger, their partners, parties and operators, and the faults of a plan.

The pipeline, the ledger's transactions, the converters, the need-to-know lists and the webhooks' courier are
the real ones. What is simulated is only what surrounds them: time, the loop, the network, the database's
process, and whatever kills, freezes and delays.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final

from prometheus_client import CollectorRegistry

from adapters import foreign_affairs, interior, registries
from cli.reference import load_initial
from gateway.ledger.vault import Vault
from gateway.message import Micros
from gateway.observe.metrics import Metrics
from gateway.pipeline.engine import Engine
from gateway.policies.confidentiality import NeedToKnow
from tests.simulation import invariants
from tests.simulation.broker import WEBHOOKS, LossyHints, Receivers
from tests.simulation.clock import START, VirtualClock
from tests.simulation.determinism import determined
from tests.simulation.faults import Faults
from tests.simulation.keys import FixedKeys
from tests.simulation.ledger import Change, Database, EmbeddedLedger, Server, SimulatedLedger
from tests.simulation.loop import OWNER, Owner, VirtualLoop
from tests.simulation.parties import Parties
from tests.simulation.partner import Network, Register, SimulatedPartner, Weather
from tests.simulation.plan import EVENTS, Fault, Plan
from tests.simulation.process import GatewayProcess
from tests.simulation.settings import LEASE_S, settings_for
from tests.simulation.verdict import final_violations

#: When the faults cease, in virtual seconds, and how much longer all may take to come to rest, without what
#: is leapt over.
_CALM_AT_S: Final = 90.0
_REST_WITHIN_S: Final = 1_200.0
#: Looked at this often whether all is quiet.
_LOOK_EVERY_S: Final = 6.0
#: More steps than all of it needs in that time: beyond them somebody goes round and round.
_MOST_STEPS: Final = 6_000
OPERATIONS: Final = {
    operation.name: operation
    for operation in (*interior.OPERATIONS, *foreign_affairs.OPERATIONS, *registries.OPERATIONS)
}


#: By how much clocks must differ before a denial may count too early.
_DIFFERENCE_S: Final = 1.0
#: What may come of that where it is the clock that rows have their times by (docs/simulation.md).
_OF_CLOCKS: Final = frozenset(
    {"freed_while_it_may_be_done", "repeated_while_it_may_be_done", "issued_twice", "issued_there_not_here"}
)


@dataclass(frozen=True, slots=True)
class Violation:
    """What must not happen, and did."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a plan."""

    plan: Plan
    violations: tuple[Violation, ...]
    #: Beside them those that are known to come of clocks that differ (`_OF_CLOCKS`).
    known: tuple[Violation, ...]
    #: (microsecond, who, what …) of everything that happened, in order.
    trace: tuple[tuple[Any, ...], ...]
    steps: int
    virtual_s: float
    #: Messages by how they ended.
    ends: dict[str, int]
    visas: int
    #: Faults that struck, by kind.
    struck: Mapping[str, int]

    def digest(self) -> str:
        """Two runs of one plan have the same."""
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()

    def tail(self, entries: int = 60) -> str:
        return "\n".join(" ".join(map(str, entry)) for entry in self.trace[-entries:])


def simulate(plan: Plan, *, keep_trace: bool = True) -> Run:
    """Play a plan to its end."""
    world = World(plan, keep_trace=keep_trace)
    with determined(Random(f"ids/{plan.seed}"), world.heard_error):
        return world.run()


class World:
    """Everything of one run. Used once."""

    def __init__(self, plan: Plan, *, keep_trace: bool = True) -> None:
        self.plan = plan
        self.random = Random(f"world/{plan.seed}")
        self.settings = settings_for(plan.partner)
        self.loop = VirtualLoop(Random(f"loop/{plan.seed}"))
        self.violations: list[Violation] = []
        self.known: list[Violation] = []
        self.trace: list[tuple[Any, ...]] = []
        self._keep_trace = keep_trace
        self.database = _database()
        self.machines = [VirtualClock(self.loop.time) for _ in range(plan.processes)]
        self.processes: list[GatewayProcess] = []
        embedded = plan.processes == 1
        server_clock = self.machines[0] if embedded else VirtualClock(self.loop.time)
        self.server = Server(self.database, server_clock, Random(f"server/{plan.seed}"), self._committed)
        self._ledger_class = EmbeddedLedger if embedded else SimulatedLedger
        self.register = Register(
            deduplicates=plan.partner == "deduplicates",
            may_be_repeated=plan.partner in ("deduplicates", "resends"),
            checks_persons=self.random.random() < 0.3,
            violate=self.violate,
            intent=self._intent,
        )
        self.weather = Weather(Random(f"weather/{plan.seed}"), plan.roughness)
        self.network = Network(self.loop, self.register, self.weather, self.note)
        self.receivers = Receivers(Random(f"notices/{plan.seed}"), lambda: self.weather.roughness, self.note)
        self.parties = Parties(self)
        self.faults = Faults(self)
        self.calm = False
        # Where a lease is by the process's own clock, that clock may be set back before the commit.
        leaps = embedded and any(fault.kind == "leap" for fault in plan.faults)
        self._longest_lease_us = math.inf if leaps else LEASE_S * 1e6
        self._clocks_differ = any(
            self._sets_the_clock_of_rows(fault) and abs(fault.amount) > _DIFFERENCE_S for fault in plan.faults
        )
        self._starts = 0
        self._leapt_s = 0.0

    def _sets_the_clock_of_rows(self, fault: Fault) -> bool:
        """Whether the clock leaps by which rows have their times: the server's, or the only machine's."""
        clocks = self.machines[:1] if fault.after else [*self.machines, self.server.clock]
        return fault.kind == "leap" and clocks[fault.target % len(clocks)] is self.server.clock

    # --- the run

    def run(self) -> Run:
        self.database.reset()
        self._set_ceilings()
        asyncio._set_running_loop(self.loop)
        try:
            self._play()
        finally:
            self._end()
            asyncio._set_running_loop(None)
        return self._what_came()

    def _play(self) -> None:
        loop = self.loop
        for slot in range(self.plan.processes):
            self.start(slot)
        self.parties.begin()
        self.faults.begin()
        while loop.time() < _CALM_AT_S and not (self.faults.over() and self.quiet()):
            self._go_on()
            if self.violations:
                return
        self.faults.cease()
        until = loop.time() + _REST_WITHIN_S
        while not self.quiet() and loop.time() - self._leapt_s < until:
            self._go_on()
            self._leap_to_what_is_due()
            if self.violations:
                return
        final_violations(self)

    def _go_on(self) -> None:
        loop = self.loop
        most = loop.steps + _MOST_STEPS
        loop.run_until(loop.time() + _LOOK_EVERY_S, most)
        if loop.steps >= most:
            self.violate("spins", f"{_MOST_STEPS} steps within {_LOOK_EVERY_S} seconds")

    def _end(self) -> None:
        for process in self.processes:
            if process.alive:
                process.kill()
        self.parties.discard()

    def _what_came(self) -> Run:
        ends = {
            f"{row['state']}{'/' + row['outcome'] if row['outcome'] else ''}": row["n"]
            for row in self.database.rows(
                "SELECT state, outcome, count(*) AS n FROM message GROUP BY state, outcome ORDER BY 1, 2"
            )
        }
        visas = sum(len(visas) for visas in self.register.visas.values())
        return Run(
            plan=self.plan,
            violations=tuple(self.violations),
            known=tuple(self.known),
            trace=tuple(self.trace),
            steps=self.loop.steps,
            virtual_s=self.loop.time(),
            ends=ends,
            visas=visas,
            struck=self.faults.struck,
        )

    def quiet(self) -> bool:
        """Nothing is under way any more, and nothing waits but for a person."""
        if not self.parties.done() or any(self.register.may_still_act(one) for one in self.register.calls):
            return False
        (row,) = self.database.rows(
            "SELECT EXISTS (SELECT 1 FROM message WHERE state NOT IN"
            " ('completed', 'cancelled', 'expired', 'under_review')"
            " OR (state = 'under_review' AND next_at IS NOT NULL)) OR EXISTS"
            " (SELECT 1 FROM batch WHERE state = 'processing') AS busy"
        )
        return not row["busy"] and self._all_told()

    def _all_told(self) -> bool:
        for party in WEBHOOKS:
            (row,) = self.database.rows(
                "SELECT coalesce(max(seq), 0) AS last, (SELECT coalesce(max(seq), 0) FROM position"
                " WHERE receiver = ? AND channel = 'webhook') AS told FROM outbox WHERE receiver = ?",
                party, party,
            )  # fmt: skip
            if row["told"] < row["last"]:
                return False
        return True

    def _leap_to_what_is_due(self) -> None:
        """Once the faults have ceased: where all wait for an hour to pass, it passes at once.

        A denial is worth nothing before the latest moment of sending, which a wrong clock may have put off.
        """
        if not self.calm:
            return
        now = self.server.now()
        (row,) = self.database.rows(
            "SELECT min(due) AS due FROM (SELECT CASE"
            " WHEN state = 'uncertain' AND send_by > coalesce(next_at, 0) THEN send_by"
            " ELSE coalesce(next_at, lease_until, 0) END AS due FROM message"
            " WHERE state NOT IN ('completed', 'cancelled', 'expired') AND (state <> 'under_review' OR"
            " next_at IS NOT NULL) UNION ALL SELECT next_at FROM position WHERE next_at IS NOT NULL"
            " UNION ALL SELECT intake_until FROM batch WHERE state = 'receiving')"
        )
        ahead_s = ((row["due"] or 0) - now) / 1_000_000
        if ahead_s > 3 * _LOOK_EVERY_S:
            self.note("leap", round(ahead_s))
            self.loop.leap(ahead_s - _LOOK_EVERY_S)
            self._leapt_s += ahead_s - _LOOK_EVERY_S

    # --- processes

    def start(self, slot: int) -> GatewayProcess:
        """A gateway process on that machine."""
        self._starts += 1
        name, clock = f"{self.plan.seed}/{slot}/{self._starts}", self.machines[slot]
        ledger = self._ledger_class(clock, self.server, self.loop, f"w{slot + 1}")
        engine = self._engine(ledger, clock, Random(f"engine/{name}"))
        process = GatewayProcess(slot, engine, ledger, clock, self.loop, Random(f"process/{name}"), self.note)
        self.processes = [one for one in self.processes if one.slot != slot] + [process]
        self.note("start", slot)
        process.start(self._leads, self.receivers)
        return process

    def _engine(self, ledger: SimulatedLedger, clock: VirtualClock, random: Random) -> Engine:
        settings = self.settings
        partners = {
            name: SimulatedPartner(name, self.network, clock, random) for name in settings.destinations
        }
        return Engine(
            settings=settings,
            ledger=ledger,
            vault=_vault(),
            clock=clock,
            hints=LossyHints(self.loop, random, self._all_hints),
            metrics=_metrics(),
            need_to_know=_need_to_know(),
            operations=OPERATIONS,
            partners=partners,
            random=random,
        )

    def _all_hints(self) -> list[Any]:
        return [process.engine.hints for process in self.alive()]

    def alive(self) -> list[GatewayProcess]:
        return [process for process in self.processes if process.alive]

    def _leads(self, process: GatewayProcess) -> bool:
        """Whoever believes to lead: the first that lives, as far as the others can tell."""
        awake = [one for one in self.alive() if not one.frozen]
        return bool(awake) and min(awake, key=lambda one: one.slot) is process

    # --- what is noticed

    def note(self, what: str, *details: Any) -> None:
        if what in EVENTS:
            self.faults.happened(what, OWNER.get(), details)
        if self._keep_trace:
            self.trace.append((round(self.loop.time() * 1e6), what, *details))

    def violate(self, name: str, detail: str) -> None:
        known = self._clocks_differ and (name in _OF_CLOCKS or self._follows_of_clocks(name, detail))
        (self.known if known else self.violations).append(Violation(name, detail))
        self.loop.stopped = bool(self.violations)
        self.note("KNOWN" if known else "VIOLATION", name, detail)

    def _follows_of_clocks(self, name: str, detail: str) -> bool:
        """Whether the same intent was freed too early before, and what was under way is done meanwhile."""
        freed_early = Violation("freed_while_it_may_be_done", detail)
        return name == "freed_although_it_was_done" and freed_early in self.known

    def heard_error(self, fields: dict[str, Any]) -> None:
        """The gateway logged an error: expected when the ledger refuses, a fault of the program otherwise."""
        error = fields.get("error")
        if error not in (None, "Unavailable", "LeaseLost"):
            self.violate("unexpected_error", f"{fields.get('action')} {error} {fields.get('where')}")

    def _committed(self, owner: Owner | None, now: Micros, changes: list[Change]) -> None:
        slot = getattr(owner, "slot", "-")
        for change in changes:
            before = change.before or {}
            if change.table == "message" and before.get("state") != change.after["state"]:
                self.note(
                    "move",
                    slot,
                    change.key,
                    before.get("state"),
                    change.after["state"],
                    change.after["outcome"],
                )
                self.parties.saw_move(change)
            elif change.table == "effect":
                self.note("effect", slot, change.key, before.get("state"), change.after["state"])
                if change.after["state"] == "free":
                    self._freed(change.key)
        invariants.check_commit(changes, now, self._longest_lease_us, self.violate)

    def _intent(self, reference: str) -> str | None:
        """How the intent stands in the ledger under which a request is sent."""
        rows = self.database.rows("SELECT state FROM effect WHERE request_reference = ?", reference)
        return rows[0]["state"] if rows else None

    def _freed(self, reference: str) -> None:
        """An intent is free again: so nothing was done under it, and nothing will be."""
        if reference.endswith("/visa_issuance"):
            if self.register.may_still_act(reference):
                self.violate("freed_while_it_may_be_done", reference)
            elif self.register.visas.get(reference):
                self.violate("freed_although_it_was_done", reference)

    def _set_ceilings(self) -> None:
        if self.plan.ceiling is not None:
            self.database.connection.execute("UPDATE main.quota SET ceiling = ?", (self.plan.ceiling,))
            self.database.take_changes()


# --- the same in every run: made once ----------------------------------------------------------------------


@cache
def _vault() -> Vault:
    return Vault(FixedKeys(), lambda kind: "simulation")


@cache
def _metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@cache
def _need_to_know() -> NeedToKnow:
    return NeedToKnow(settings_for("deduplicates").confidentiality)


@cache
def _database() -> Database:
    """With the reference records of the first start."""
    database, loop = Database(), VirtualLoop(Random(0))
    clock = VirtualClock(loop.time)
    server = Server(database, clock, Random(0), lambda *_: None)
    ledger = SimulatedLedger(clock, server, loop, "w0")
    asyncio._set_running_loop(loop)
    try:
        task = loop.spawn(load_initial(settings_for("deduplicates"), ledger, START.date()), None)
        loop.run_until()
        task.result()
    finally:
        asyncio._set_running_loop(None)
    database.keep_as_initial()
    return database
