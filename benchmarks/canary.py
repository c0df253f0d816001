"""The canary test at length (`make canary`): the small play, then a season, everything captured and judged.

Writes the table of docs/need-to-know.md: which field of which kind was seen at whom. Exit 1 when a canary
was where it must not be, was not where it may be, or the journal says something else than the capture.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.pages import between
from gateway.clock import SystemClock
from schemas.application import BatchHeader, leaves
from schemas.application import field_classes as of_applications
from schemas.confidentiality import Confidentiality
from schemas.hijri import first_day, season
from schemas.kinds import KINDS, field_classes, published_classes
from schemas.kinds.record import marks
from tests.bus.broker import PrivateBroker
from tests.canary.filling import PLAYED, WITHOUT_ON_A_LINE
from tests.canary.performance import Performed, perform
from tests.canary.play import season_of, small

_PAGE: Final = Path(__file__).parents[1] / "docs" / "need-to-know.md"
_BEGIN, _END = "<!-- made by benchmarks/canary.py -->", "<!-- to here -->"
_FIRST_MONTH: Final = 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pilgrims", type=int, default=500, help="about how many ask for a visa (default 500)"
    )
    parser.add_argument("--small", action="store_true", help="the small play only, without a broker")
    parser.add_argument("--no-table", action="store_true", help="leave docs/need-to-know.md as it is")
    given = parser.parse_args()
    today = SystemClock().today()
    plays = [asyncio.run(_in_a_folder(small, today))]
    _tell("small play", plays[0])
    if not given.small:
        plays += _season(given.pilgrims)
    if not given.no_table:
        _write(plays)
    return int(any(one.leaks or one.unseen or one.disagreements for one in plays))


def _season(pilgrims: int) -> Iterator[Performed]:
    """Over a private broker where there is one installed."""
    today = first_day(season(SystemClock().today()), _FIRST_MONTH)
    play = season_of(pilgrims, lambda line: print(line, file=sys.stderr, flush=True))
    if not PrivateBroker.script():
        found = asyncio.run(_in_a_folder(play, today))
    else:
        with tempfile.TemporaryDirectory(prefix="umrah-canary-broker-") as folder:
            broker = PrivateBroker(Path(folder))
            try:
                broker.start()
                found = asyncio.run(_in_a_folder(play, today, broker.url))
            finally:
                broker.close()
    _tell("season", found)
    yield found


async def _in_a_folder(play, today, broker: str | None = None) -> Performed:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory(prefix="umrah-canary-") as folder:
        return await perform(Path(folder), play, today, broker=broker)


def _tell(name: str, performed: Performed) -> None:
    looked_at = ", ".join(f"{count} {what}" for what, count in sorted(performed.verdict.looked_at.items()))
    print(f"{name}: {len(performed.sown.garden.sown)} canaries; looked at: {looked_at}")
    print(
        f"  leaks {len(performed.leaks)}, missing {len(performed.unseen)}, calls compared with the journal "
    )
    print(f"  {performed.compared}, differing {len(performed.disagreements)}")
    for line, count in Counter(map(str, performed.leaks)).most_common(40):
        print(f"  leak x{count}: {line}")
    for cell in performed.unseen[:40]:
        print(f"  not seen: {' '.join(cell)}")
    for line in performed.disagreements[:40]:
        print(f"  differs: {line}")


# --- the table ----------------------------------------------------------------------------------------


def _write(plays: list[Performed]) -> None:
    _PAGE.write_text(between(_PAGE.read_text("utf-8"), f"{_BEGIN}\n", _END, table(plays)), "utf-8")


def table(plays: list[Performed]) -> str:
    """Markdown: a row for each field of each kind, with everyone at whom it was seen."""
    seen: dict[tuple[str, str], set[str]] = {}
    for performed in plays:
        for (channel, receiver, where, path), count in performed.verdict.seen.items():
            if count:
                for kind in _kinds(channel, where, path, performed):
                    seen.setdefault((kind, path.removeprefix("batch.")), set()).add(receiver)
    excused = {key: why for performed in reversed(plays) for key, why in performed.sown.without.items()}
    rows = ["| kind | field | class | seen at | without a canary, because |", "| -- | -- | -- | -- | -- |"]
    for kind, path, level in _fields():
        shown = ", ".join(f"`{name}`" for name in sorted(seen.get((kind, path), ()))) or "nobody"
        why = _reason(kind, path, excused) if (kind, path) not in seen else ""
        rows.append(f"| `{kind}` | `{path}` | {level} | {shown if not why else ''} | {why} |")
    return "\n".join(rows) + "\n"


def _kinds(channel: str, where: str, path: str, performed: Performed) -> set[str]:
    if channel != "partner":
        return {where}
    if path.startswith("batch."):
        return {"visa.batch"}
    return set(performed.lists.routed[where])


def _reason(kind: str, path: str, excused: Mapping[tuple[str, str], str]) -> str:
    if kind in ("visa.application", "visa.batch"):
        return WITHOUT_ON_A_LINE.get(
            path, PLAYED if kind == "visa.batch" and path != "batch_reference" else ""
        )
    if kind in KINDS and KINDS[kind].outgoing:
        return "made by the gateway of others' fields"
    if kind in KINDS and path not in field_classes(kind):
        return "added by the gateway"
    return excused.get((kind, path), "")


def _fields() -> Iterator[tuple[str, str, str]]:
    for path, field in leaves(BatchHeader):
        yield "visa.batch", path, str(next(marks(field, Confidentiality)))
    for path, level in of_applications().items():
        yield "visa.application", path, str(level)
    yield "visa.result", "visa.number", "restricted"
    for kind in sorted(KINDS):
        for path, level in published_classes(kind).items():
            yield kind, path, str(level)


if __name__ == "__main__":
    sys.exit(main())
