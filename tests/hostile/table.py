"""The whole table: every row, in the order in which it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.hostile import amqp_rows, command_rows, file_rows, http_rows, reply_rows, signed_rows, soap_rows
from tests.hostile.judge import Result
from tests.hostile.row import Row

ROWS: Final[tuple[Row, ...]] = (
    *http_rows.ROWS,
    *file_rows.ROWS,
    *soap_rows.ROWS,
    *signed_rows.ROWS,
    *reply_rows.ROWS,
    *amqp_rows.ROWS,
    *command_rows.ROWS,
)


def as_markdown(results: Iterable[Result]) -> Iterator[str]:
    """The table, a section after the other."""
    section = ""
    for result in results:
        row = result.row
        if row.section != section:
            section = row.section
            yield f"\n### {section}\n\n| input | answer | time | memory |\n|---|---|---|---|"
        yield f"| {row.input} | {_answer(result)} | {_seconds(result)} | {_memory(result)} |".replace(
            "  |", " |"
        )


def as_document(result: Result) -> dict[str, Any]:
    """For JSON."""
    found: dict[str, Any] = {"section": result.row.section, "input": result.row.input}
    if result.cost is None:
        return {**found, "not_applicable": result.row.not_applicable, "tried_by": result.row.tried_by}
    return {
        **found,
        "answer": result.answer,
        "seconds": round(result.cost.seconds, 4),
        "memory_mb": round(result.cost.memory_mb, 1),
        "faults": list(result.faults),
    }


def _answer(result: Result) -> str:
    row = result.row
    if result.cost is None:
        return f"does not apply: {row.not_applicable}" if row.not_applicable else f"see {row.tried_by}"
    wrong = f"**{'; '.join(result.faults)}** " if result.faults else ""
    note = f" ({row.note})" if row.note else ""
    return f"{wrong}{result.answer}{note}".replace("|", "/")


def _seconds(result: Result) -> str:
    return "" if result.cost is None else f"{result.cost.seconds * 1000:.0f} ms"


def _memory(result: Result) -> str:
    return "" if result.cost is None else f"{result.cost.memory_mb:.1f} MB"
