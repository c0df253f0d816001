"""`check-config`: every fault of every file, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cli import output
from cli.bootstrap import OPERATIONS
from cli.outcome import ExitCode
from cli.target import environment
from gateway.settings import lint

_FAULT: Final = re.compile(r"(?P<file>.*?):(?P<line>[0-9]+):(?P<column>[0-9]+): (?P<message>.*)", re.DOTALL)


def check(config: Path | None, data_dir: Path | None, *, as_json: bool) -> ExitCode:
    """Tell the faults on standard output; `USAGE` when there are any."""
    faults = lint(config, environment(data_dir), OPERATIONS)
    if as_json:
        output.emit_json({"clean": not faults, "faults": [_parts(fault) for fault in faults]})
    else:
        for fault in faults:
            output.line(output.plain(fault))
        if not faults:
            output.line("configuration is clean")
    return ExitCode.USAGE if faults else ExitCode.DONE


def _parts(fault: str) -> dict[str, str | int]:
    found = _FAULT.fullmatch(fault)
    if found is None:
        return {"message": fault}
    line, column = int(found["line"]), int(found["column"])
    return {"file": found["file"], "line": line, "column": column, "message": found["message"]}
