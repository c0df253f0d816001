"""The table of the 41 flows in docs/season.md, made from the rows themselves: `python -m cli.season.page`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cli.season.rows import ROWS, Row, Trace

PAGE: Final = Path(__file__).parents[2] / "docs" / "season.md"
_BEGIN: Final = "<!-- made by cli/season/page.py -->"
_END: Final = "<!-- to here -->"


def with_rows(page: str) -> str:
    """The page, its table made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return "\n".join([before + _BEGIN, *_table(ROWS), _END + after])


def _table(rows: Iterable[Row]) -> Iterable[str]:
    yield "| # | flow | what must be there |"
    yield "|--:|:--|:--|"
    for row in rows:
        yield f"| {row.number} | {row.flow} | {'; '.join(in_words(trace) for trace in row.traces)} |"


def in_words(trace: Trace) -> str:
    """By what a flow is recognised, for people."""
    what, name, detail = trace
    match what:
        case "message":
            return f"messages `{name}`" + (f", {detail}" if detail else "")
        case "attempt":
            return f"calls `{name}` that ended {detail}"
        case "event":
            return f"`{name}` told to {f'`{detail}`' if detail else 'anybody'}"
        case "movement":
            return f"{name}s, {detail}"
        case "record":
            return f"records `{name}`"
        case "held":
            return f"messages that waited: `{name}`"
        case _:
            return f"what the season noted: {name}"


if __name__ == "__main__":
    PAGE.write_text(with_rows(PAGE.read_text("utf-8")), "utf-8")
