"""The proof of a season, for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Column, Table

from cli.season.proof import Proof
from cli.season.rows import Found

#: What is read as a file is made as wide as this.
WIDTH: Final = 100
_ID: Final = 36
_BAR: Final = 40


def tell(proof: Proof, keep: Path | None, console: Console) -> None:
    """Every row with an example, countries, checks, and how to go on."""
    console.print(_rows(proof))
    console.print(_countries(proof.report))
    if proof.came:
        queues = ", ".join(f"{party} {count}" for party, count in proof.came.items())
        console.print(f"read from the ministry's queues: {queues}", highlight=False)
    _checks(proof, console)
    carried = sum(1 for one in proof.rows if one.count)
    console.print(f"{carried} of {len(proof.rows)} rows carried, in {proof.seconds:.0f} s")
    example = next((one.example for one in proof.rows if one.example), "ID")
    console.print(how_to_look(example, keep), soft_wrap=True, highlight=False)


def _rows(proof: Proof) -> Table:
    """Ids are never cut: without room, the flow's name goes on below itself."""
    table = Table(
        Column("row", justify="right"),
        Column("flow"),
        Column("messages", justify="right"),
        Column("example", no_wrap=True, min_width=_ID),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for one in proof.rows:
        table.add_row(str(one.row.number), one.row.flow, _count(one), one.example or "")
    return table


def _count(one: Found) -> str:
    return str(one.count) if one.count else "[red]none[/]"


def _countries(report: Mapping[str, Any]) -> Table:
    table = Table("country", "issued", "", "overstayed", box=box.SIMPLE_HEAD, pad_edge=False)
    most = max((one["issued"] for one in report["countries"]), default=1)
    for one in report["countries"]:
        bar = "█" * max(1, round(_BAR * one["issued"] / max(1, most)))
        table.add_row(one["country"], str(one["issued"]), bar, str(one["overstayed"]))
    return table


def _checks(proof: Proof, console: Console) -> None:
    failed = [what for what, held in proof.held if not held]
    console.print(f"{len(proof.held) - len(failed)} of {len(proof.held)} checks held")
    for what in failed:
        console.print(f"[red]did not hold[/]: {what}")


def how_to_look(example: str, keep: Path | None) -> str:
    """The last line: how an example is explained."""
    if keep is None:
        return f"`season --keep DIR` keeps everything, so that `show {example}` explains it afterwards"
    return (
        f"GATEWAY_PROFILE=demo python run_gateway.py serve --data-dir {keep}, and beside it: "
        f"python run_gateway.py show {example} --data-dir {keep}"
    )
