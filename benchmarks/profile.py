"""Where the CPU of carrying goes, stage by stage (`make profile`; docs/performance.md).

`python -m benchmarks.profile [APPLICATIONS] [--functions N]` carries clean applications as `benchmarks.carry`
does and looks at the event loop's stack each millisecond of CPU. A sample belongs to the innermost function
that is a stage's; what no stage claims is the event loop itself and its sockets. The ledger's writer, whose
thread only commits, is told apart by the threads' own CPU clocks.
"""

from __future__ import annotations

import argparse
import collections
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks.carry import carried

_EVERY_S: Final = 0.001
_REST: Final = "event loop, sockets"
#: By stage: the functions (or whole modules) whose samples, and those of what they call, are its own.
_STAGES: Final = {
    "claim: statements": ("ledger/sql/carrying.py:claim",),
    "claim: the worker": ("pipeline/worker.py",),
    "open the message": ("pipeline/journey.py:begin",),
    "decide": ("pipeline/decide.py",),
    "protect: permits": ("pipeline/protect.py", "pipeline/partner_guard.py"),
    "prepare: projection, disclosure": ("policies/confidentiality.py", "pipeline/prepare.py"),
    "prepare: conversion": ("adapters/",),
    "prepare: envelope": ("soap/partner.py:prepare", "soap/header.py", "soap/security/"),
    "check against the schema": ("soap/contract.py:check",),
    "deliver: HTTP": ("http/client.py", "http/connection.py", "soap/partner.py:send"),
    "deliver: parse the reply": ("xml/",),
    "deliver: read the reply": ("soap/reply.py", "soap/codec.py", "soap/envelope.py"),
    "deliver: record, absorb": ("pipeline/deliver.py", "pipeline/absorb.py"),
    "commit and settle: the move": ("pipeline/commit.py", "pipeline/settle.py", "pipeline/consequences.py"),
    "seal": ("ledger/vault.py", "pipeline/journey.py"),
    "ledger: statements": ("ledger/",),
    "flows, books": ("flows/", "ledger/books.py", "ledger/sql/books.py"),
    "metrics, log": ("observe/",),
    "carry": ("pipeline/",),
}
_ROOT: Final = str(Path(__file__).parents[1])


def _stage_of(place: str) -> str | None:
    """The stage with the longest pattern that fits `gateway/soap/reply.py:read_reply`."""
    fits = [
        (len(pattern), stage)
        for stage, patterns in _STAGES.items()
        for pattern in patterns
        if pattern in place and (":" not in pattern or place.endswith(pattern))
    ]
    return max(fits)[1] if fits else None


class Sampler:
    """Counts of samples by stage, by function, and by line of the innermost function of ours."""

    def __init__(self) -> None:
        self.stages: collections.Counter[str] = collections.Counter()
        self.functions: collections.Counter[str] = collections.Counter()
        self.within: collections.Counter[str] = collections.Counter()
        self._known: dict[object, tuple[str, str | None]] = {}

    def __call__(self, _signal: int, frame: FrameType | None) -> None:
        stage, seen = None, set()
        innermost = True
        while frame is not None:
            code = frame.f_code
            found = self._known.get(code)
            if found is None:
                place = f"{code.co_filename.removeprefix(_ROOT + '/')}:{code.co_name}"
                ours = place.startswith(("gateway/", "adapters/", "schemas/"))
                found = self._known[code] = place, _stage_of(place) if ours else None
            if innermost:
                self.functions[found[0]] += 1
                innermost = False
            if found[0] not in seen:
                seen.add(found[0])
                self.within[found[0]] += 1
            if stage is None:
                stage = found[1]
            frame = frame.f_back
        self.stages[stage or _REST] += 1

    @contextmanager
    def sampling(self) -> Iterator[None]:
        signal.signal(signal.SIGPROF, self)
        signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("applications", type=int, nargs="?", default=2000)
    parser.add_argument("--functions", type=int, default=0, help="also so many functions")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sampler = Sampler()
    found = carried(given.applications, sampler.sampling())
    loop_ms, others_ms = found.loop_ms, found.others_ms
    total = sampler.stages.total()
    stages = {stage: loop_ms * 1000 * found / total for stage, found in sampler.stages.most_common()}
    stages["ledger: commits (writer's thread)"] = others_ms * 1000
    for stage, us in stages.items():
        print(f"{us:8.0f} µs  {100 * us / (loop_ms + others_ms) / 1000:5.1f} %  {stage}")
    print(f"{1000 * (loop_ms + others_ms):8.0f} µs  an application, three SOAP calls")
    for title, counter in (("by itself", sampler.functions), ("with what it calls", sampler.within)):
        if given.functions:
            print(f"\n{title}")
        for name, found in counter.most_common(given.functions):
            print(f"{1000 * loop_ms * found / total:8.0f} µs  {name}")
    if given.json:
        told = {"applications": given.applications, "us": {name: round(us, 1) for name, us in stages.items()}}
        given.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
