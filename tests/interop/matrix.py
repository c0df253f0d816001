"""`python -m tests.interop.matrix`: tries every stack that is installed and writes docs/interop.md.

Exits 1 when anything did not come out as it should; the page is written all the same and says so.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.interop import signed
from tests.interop.calls import VERSIONS
from tests.interop.stacks import STACKS, Stack
from tests.interop.trying import Row, client_rows, server_rows

PAGE = Path(__file__).parents[2] / "docs/interop.md"
_BEGIN, _END = "<!-- matrix: begin -->", "<!-- matrix: end -->"
_SIGNED_BEGIN, _SIGNED_END = "<!-- signed: begin -->", "<!-- signed: end -->"


#: Direction, service, operation; then what came of it, by SOAP version.
Tried = dict[tuple[str, str, str], dict[str, Row]]


async def _tried(stack: Stack) -> Tried:
    tried: Tried = {}
    for row in await client_rows(stack):
        tried.setdefault(("their client, our service", row.service, row.operation), {})[row.soap] = row
    for row in await server_rows(stack) if stack.server is not None else []:
        tried.setdefault(("our client, their server", row.service, row.operation), {})[row.soap] = row
    return tried


def _lines() -> Iterator[tuple[str, bool]]:
    """The table's lines, and whether each is good."""
    for stack in STACKS:
        missing = stack.missing()
        if missing is not None:
            yield f"| {stack.name} | | | | not tried: {missing} | |", True
            continue
        for (direction, service, operation), by_version in asyncio.run(_tried(stack)).items():
            outcomes = " | ".join(_outcome(by_version.get(version)) for version in VERSIONS)
            good = not any(row.wrong for row in by_version.values())
            yield f"| {stack.name} | {direction} | {service} | `{operation}` | {outcomes} |", good


def _outcome(row: Row | signed.Row | None) -> str:
    if row is None:
        return ""
    return f"**wrong**: {'; '.join(row.wrong)}".replace("|", "/") if row.wrong else f"{len(row.tried)} good"


def _signed_lines() -> Iterator[tuple[str, bool]]:
    for stack in signed.STACKS:
        missing = stack.missing()
        if missing is not None:
            yield f"| {stack.name} | | | not tried: {missing} | |", True
            continue
        tried: dict[tuple[str, str], dict[str, signed.Row]] = {}
        for row in asyncio.run(signed.rows(stack)):
            tried.setdefault((row.direction, row.kind), {})[row.soap] = row
        for (direction, kind), by_version in sorted(tried.items()):
            outcomes = " | ".join(_outcome(by_version.get(version)) for version in VERSIONS)
            good = not any(row.wrong for row in by_version.values())
            yield f"| {stack.name} | {direction} | {kind.upper()} | {outcomes} |", good


def _signed_table() -> tuple[str, bool]:
    lines = list(_signed_lines())
    versions = "; ".join(stack.version_text for stack in signed.STACKS if stack.missing() is None)
    head = (
        f"Tried on {datetime.now(UTC).date()}: {versions}.\n\n"
        "| stack | direction | key | SOAP 1.1 | SOAP 1.2 |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(line for line, _ in lines), all(good for _, good in lines)


def _table() -> tuple[str, bool]:
    lines = list(_lines())
    versions = "; ".join(stack.version_text for stack in STACKS if stack.missing() is None)
    head = (
        f"Tried on {datetime.now(UTC).date()}: {versions}.\n\n"
        "| stack | direction | service | operation | SOAP 1.1 | SOAP 1.2 |\n|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(line for line, _ in lines), all(good for _, good in lines)


def main() -> int:
    all_good = True
    for begin, end, make in ((_BEGIN, _END, _table), (_SIGNED_BEGIN, _SIGNED_END, _signed_table)):
        page = PAGE.read_text("utf-8")
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        table, good = make()
        PAGE.write_text(f"{before}{begin}\n{table}\n{end}{after}", "utf-8")
        sys.stdout.write(f"{table}\n")
        all_good = all_good and good
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
