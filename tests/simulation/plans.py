"""Plans for Hypothesis, which shrinks one that fails to the few faults that it takes."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.simulation.plan import CLASSES, EVENTS, KINDS, MAY_WAIT, Fault, Plan

_STEPS = st.integers(0, 1_200)
_TARGETS = st.integers(0, 11)


def _faults_of(kind: str) -> st.SearchStrategy[Fault]:
    most = KINDS[kind]
    amounts = st.floats(-most if kind == "leap" else 0.0, most, allow_nan=False).map(
        lambda value: round(value, 3)
    )
    after = st.sampled_from(("", *EVENTS)) if kind in MAY_WAIT else st.just("")
    return st.builds(Fault, step=_STEPS, kind=st.just(kind), amount=amounts, target=_TARGETS, after=after)


faults = st.sampled_from(sorted(KINDS)).flatmap(_faults_of)

plans = st.builds(
    Plan,
    seed=st.integers(0, 1_000_000),
    partner=st.sampled_from(CLASSES),
    processes=st.integers(1, 3),
    batches=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    roughness=st.sampled_from((0.0, 0.1, 0.3, 0.6)),
    ceiling=st.sampled_from((None, 2, 5)),
    faults=st.lists(faults, max_size=6).map(lambda found: tuple(sorted(found, key=lambda fault: fault.step))),
)
