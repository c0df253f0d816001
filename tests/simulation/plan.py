"""What happens in one run: who takes part, and which faults strike where. Nothing else decides it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Literal

#: What Foreign Affairs can be relied on for. `resends`: it does not deduplicate, and what is proven absent is
#: sent again nevertheless (`resend_when_absent`).
PartnerClass = Literal["deduplicates", "can_be_asked", "resends", "neither"]
CLASSES: Final[tuple[PartnerClass, ...]] = ("deduplicates", "can_be_asked", "resends", "neither")

#: kind: how large `amount` may be, and what it means.
KINDS: Final = {
    "crash": 20.0,  # restarted so many seconds later
    "freeze": 100.0,  # thawed so many seconds later: leases last 30
    "leap": 3_600.0,  # the wall clock of one machine is set wrong by so many seconds
    "refuse": 8.0,  # the ledger refuses to write for so long
    "slow": 8.0,  # … takes up to two seconds for a commit
    "down": 40.0,  # nobody answers at a partner's door
    "silent": 15.0,  # a partner swallows everything
    "cancel": 0.0,  # a center cancels an application
    "cancel_batch": 0.0,
    "retry": 0.0,  # an operator asks to try at once
    "swap": 0.0,  # another configuration is taken
    "suspend": 30.0,  # a licensee may not, for so long
    "ceiling": 30.0,  # a plan's ceiling is lowered to what is taken, for so long
    "days": 40.0,  # the business date goes on
}


#: What a fault may wait for, so that it strikes in the small gaps that matter: an intent was committed, a
#: request left, one for a visa left, an answer was read, a party got its answer, a message moved.
EVENTS: Final = ("effect", "send", "issue", "answer", "served", "move")
#: Of which faults: those that strike a process, or the message that it happened to.
MAY_WAIT: Final = frozenset({"crash", "freeze", "cancel", "leap"})


@dataclass(frozen=True, slots=True)
class Fault:
    """Strikes before step number `step`, at whoever would have run then, or at number `target`.

    With `after` it waits from there on for such an event, and strikes the process, or cancels the message, to
    which that happened.
    """

    step: int
    kind: str
    amount: float = 0.0
    target: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    partner: PartnerClass = "deduplicates"
    processes: int = 2
    #: Lines of each batch.
    batches: tuple[int, ...] = (4, 3)
    #: The part of calls that meet with something.
    roughness: float = 0.2
    #: Places in the plan of the licensee; None: more than enough.
    ceiling: int | None = None
    faults: tuple[Fault, ...] = ()


#: Steps of a run during which faults strike.
_STEPS: Final = 900
_WEIGHTS: Final = {
    "crash": 6, "freeze": 5, "leap": 3, "refuse": 2, "slow": 2, "down": 2, "silent": 2, "cancel": 5,
    "cancel_batch": 1, "retry": 3, "swap": 1, "suspend": 1, "ceiling": 1, "days": 1,
}  # fmt: skip


def plan_of(seed: int) -> Plan:
    """The plan that belongs to a seed."""
    random = Random(seed)
    plan = _by_chance(seed, random)
    return random.choice(_SITUATIONS)(plan, random) if random.random() < _SITUATIONS_PART else plan


def _by_chance(seed: int, random: Random) -> Plan:
    kinds = random.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()), k=random.randint(0, 7))
    return Plan(
        seed=seed,
        partner=random.choice(CLASSES),
        processes=random.choice((1, 2, 2, 3)),
        batches=tuple(random.randint(1, 6) for _ in range(random.randint(1, 3))),
        roughness=random.choice((0.0, 0.1, 0.3, 0.6)),
        ceiling=random.choice((None, None, None, 2, 5)),
        faults=_in_order(fault_of(kind, random) for kind in kinds),
    )


def _in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: fault.step))


def fault_of(kind: str, random: Random) -> Fault:
    """A fault of that kind, small ones as likely as large ones."""
    most = KINDS[kind]
    amount = most * random.random() ** 2 * (random.choice((-1, 1)) if kind == "leap" else 1)
    after = random.choice(("", "", "", *EVENTS)) if kind in MAY_WAIT else ""
    return Fault(random.randrange(_STEPS), kind, round(amount, 3), random.randrange(12), after)


# --- faults that belong together ---------------------------------------------------------------------------

#: How many of the seeds are such a situation and nothing else.
_SITUATIONS_PART: Final = 0.4


def _server_apart(plan: Plan, random: Random) -> Plan:
    """From the beginning the database's clock is wrong by minutes; later somebody or something is away."""
    away, seconds = random.choice(("suspend", "silent")), round(random.uniform(6.0, 18.0), 3)
    wrong = _clock_wrong(
        random, 3_600.0, target=-1
    )  # the last of all clocks, however many processes there are
    return _rough(plan, random, wrong, Fault(random.randrange(60, 200), away, seconds, random.randrange(2)))


def _machine_apart(plan: Plan, random: Random) -> Plan:
    """From the beginning one machine's clock is wrong by about as long as a partner may take."""
    return _rough(plan, random, _clock_wrong(random, 400.0, target=random.randrange(3)))


def _clock_wrong(random: Random, most: float, *, target: int) -> Fault:
    wrong_by = random.choice((-1, 1)) * round(random.uniform(30.0, most), 3)
    return Fault(random.randrange(30), "leap", wrong_by, target=target)


def _set_ahead_during_a_call(plan: Plan, random: Random) -> Plan:
    """While a request for a visa is on its way, the clock of the machine that waits for the answer is set."""
    by = round(random.uniform(60.0, 400.0), 3)
    return _rough(
        plan, random, *(Fault(step, "leap", by, after="issue") for step in random.sample(range(300), 4))
    )


def _killed_while_cancelling(plan: Plan, random: Random) -> Plan:
    """A batch of which much is issued is cancelled, and whoever sees to it is killed."""
    step, batch = random.randrange(300, 700), random.randrange(12)
    asked = Fault(step, "cancel_batch", target=batch)
    killed = Fault(step + random.randrange(1, 20), "crash", 5.0, target=random.randrange(12))
    return replace(plan, faults=_in_order((asked, killed)))


def _rough(plan: Plan, random: Random, *faults: Fault) -> Plan:
    """What comes of clocks shows where answers are lost, and the partner can be asked."""
    return replace(
        plan,
        partner=random.choice(("deduplicates", "can_be_asked", "resends")),
        processes=random.choice((2, 3)),
        roughness=random.choice((0.1, 0.3, 0.6)),
        faults=_in_order(faults),
    )


_SITUATIONS: Final = (_server_apart, _machine_apart, _set_ahead_during_a_call, _killed_while_cancelling)
