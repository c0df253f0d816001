"""What commands write: data on standard output, everything else on standard error.

Texts from messages and answers are never read as markup, and can't steer a terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: Wide enough for a row with two ids where nobody looks at a screen.
_WIDTH_IN_FILES: Final = 200
#: Control characters, and those that turn the direction of text around.
_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

STATE_STYLES: Final[Mapping[str, str]] = {
    "issued": "green",
    "completed": "green",
    "done": "green",
    "accepted": "cyan",
    "ready": "cyan",
    "carried": "cyan",
    "processing": "cyan",
    "in_progress": "cyan",
    "held": "yellow",
    "awaiting": "yellow",
    "waiting": "yellow",
    "inquiring": "magenta",
    "uncertain": "magenta",
    "under_review": "bold magenta",
    "refused": "red",
    "rejected": "red",
    "declined": "red",
    "cancelled": "bright_black",
    "expired": "bright_black",
}


def emit_json(document: Any) -> None:
    """The one document of `--json`."""
    line(json.dumps(document, ensure_ascii=False, indent=2))


def line(text: str) -> None:
    """One line of data."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Something to know while waiting, or why nothing came of it."""
    sys.stderr.write(f"{plain(text)}\n")


def data() -> Callable[[bytes], object]:
    """Writes bytes of a document to standard output."""
    sys.stdout.flush()
    return sys.stdout.buffer.write


def plain(value: object) -> str:
    """A value as text that shows and does nothing else."""
    return "" if value is None else _STEERING.sub("\ufffd", str(value))


def console(*, errors: bool = False) -> Console:
    """Where tables go. Not cut to a screen's width where there is none."""
    from rich.console import Console

    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() else _WIDTH_IN_FILES
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def cell(value: object, style: str = "") -> Text:
    """A value in a table."""
    from rich.text import Text

    return Text(plain(value), style=style)


def state(value: object) -> Text:
    """A state in its colour."""
    return cell(value, STATE_STYLES.get(str(value), ""))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", errors: bool = False
) -> None:
    """A table with a header. Cells may be `Text`, or anything that `plain` shows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for n, column in enumerate(columns):
        # The first tells the rows apart: an id that is copied must not be broken.
        shown.add_column(column, overflow="fold", no_wrap=n == 0)
    for row in rows:
        shown.add_row(*(value if isinstance(value, Text) else cell(value) for value in row))
    console(errors=errors).print(shown)


def facts(rows: Iterable[tuple[str, object]]) -> None:
    """Names and values below each other; what is None is left out."""
    from rich.table import Table
    from rich.text import Text

    shown = Table.grid(padding=(0, 2))
    for name, value in rows:
        if value is not None:
            shown.add_row(cell(name, "dim"), value if isinstance(value, Text) else cell(value))
    console().print(shown)


Advance = Callable[[int], None]


@contextmanager
def upload_progress(total_bytes: int) -> Iterator[Advance]:
    """A bar of bytes sent. Call what it gives with the bytes of each piece."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    screen = console(errors=True)
    columns = (TextColumn("sending"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("sending", total=total_bytes)
        yield lambda count: progress.advance(task, count)


@contextmanager
def settling_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar of lines settled. Call what it gives with how many of how many."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = console(errors=True)
    columns = (TextColumn("settled"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as progress:
        task = progress.add_task("settled", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
