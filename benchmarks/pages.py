"""What benchmarks have in common when they tell what they found: the machine, and their part of a page."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def machine() -> str:
    """What it was measured on. Its cores are shared with others: see `measure.calibration_ms`."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with `text` between these marks, which stay. Raises `ValueError` when it has no such marks."""
    before, begins, rest = page.partition(begin)
    _, ends, after = rest.partition(end)
    if not begins or not ends:
        raise ValueError(f"the page has no place for it: {begin.strip()}")
    return f"{before}{begin}{text}{end}{after}"


def filled(page: str, found: Mapping[str, str]) -> str:
    """The page with each text between the marks of its name. Raises `ValueError` where they are missing."""
    for name, text in found.items():
        page = between(page, f"<!-- {name} -->\n", f"\n<!-- /{name} -->", text)
    return page


def concluded(name: str, document: Mapping[str, Any], table: str, kept: Path, page: Path | None) -> int:
    """Tell a document and its table, keep both unless there is no page, and say what of it did not hold.

    The exit code: 1 when the document names anything under `broken`.
    """
    print(json.dumps(document, indent=2))
    print(table)
    if page is not None:
        kept.write_text(json.dumps(document, indent=2) + "\n")
        page.write_text(filled(page.read_text("utf-8"), {name: table}), "utf-8")
    for broken in document["broken"]:
        print(f"NOT KEPT: {broken}", file=sys.stderr)
    return int(bool(document["broken"]))
