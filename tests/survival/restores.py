"""A ledger restored from a backup that was made under load: it has forgotten, the partners have not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.processes import Installation
from tests.restoring import SETTLED, Disaster
from tests.survival.home import SQLITE, Servers
from tests.survival.row import Row


def restored(
    folder: Path,
    engine: str,
    servers: Servers | None,
    foreign_affairs: str,
    times: int,
    *,
    installed: Callable[..., Installation] = Installation,
    lines: int = 20,
    seconds: float | None = None,
) -> Row:
    """Backed up with calls under way, more accepted and issued, killed, restored, taken on; so often."""
    began, final, evidence = time.monotonic(), Counter[str](), Counter[str]()
    broken: list[str] = []
    done = 0
    for number in range(times):
        if done and seconds is not None and time.monotonic() - began > seconds:
            break
        done += 1
        place = folder / str(number)
        place.mkdir(parents=True)
        disaster = Disaster(
            place,
            foreign_affairs=foreign_affairs,
            lines=lines,
            latency_ms=10,
            database_url=_url(engine, servers),
            installed=installed,
        )
        try:
            found, told = _once(disaster)
        finally:
            disaster.home.stop()
        final += found
        evidence["twice"] += len(told["issued_twice"])
        if told["distinct_applications"] > found["issued"] + found["under_review"]:
            broken.append("issued and forgotten")
    return Row(
        fault=f"backup under load, restore, partner {foreign_affairs}",
        engine=engine,
        runs=done,
        accepted=4 * lines * done,
        lost=4 * lines * done - sum(count for state, count in final.items() if state in SETTLED),
        issued_twice=evidence["twice"],
        other={
            "broken": broken,
            "under_review": final["under_review"],
            "final": dict(final),
            "seconds": round(time.monotonic() - began),
        },
    )


def _url(engine: str, servers: Servers | None) -> str | None:
    return None if engine == SQLITE or servers is None else servers.postgresql.emptied()


def _once(disaster: Disaster) -> tuple[Counter[str], dict[str, Any]]:
    disaster.lose_and_restore()
    disaster.serve("--after-restore")
    disaster.repeat_what_was_forgotten()
    disaster.reconcile_all()
    return disaster.settle(120), disaster.evidence()
