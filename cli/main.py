"""The command line: every command, and the one place where errors become words and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Final

import typer

from cli import output
from cli.commands import (
    audit,
    batches,
    disclosures,
    keeping,
    keys,
    messages,
    network,
    partners,
    reports,
    running,
    setup,
    webhooks,
)
from cli.outcome import CommandError, ExitCode
from gateway.errors import GatewayError, Misconfigured

#: Of a refusal, on a screen. `--json` has them all.
_MOST_FAULTS: Final = 20

app = typer.Typer(
    name="umrah-gateway",
    help="The message gateway of the Umrah network: visa batches in, visas out, never twice, never lost.",
    epilog="Data goes to standard output, progress and problems to standard error. Exit codes: 0 done, "
    "1 failed, 2 wrong usage or configuration, 3 partly rejected, 4 timed out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for _topic in (
    running, batches, network, messages, partners, reports, disclosures, audit, webhooks, keys, keeping, setup
):  # fmt: skip
    app.add_typer(_topic.app)


@app.callback()
def _root() -> None:
    """Needed so that options of the root have a place; the help is the app's own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. What a user can do wrong never ends in a traceback."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _show_what_cannot_be_encoded()
    try:
        app(arguments, prog_name="umrah-gateway")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.DONE
    except CommandError as error:
        return _tell(error, as_json="--json" in arguments)
    except Misconfigured as error:
        return _tell_faults(error, as_json="--json" in arguments)
    except GatewayError as error:
        return _tell(CommandError(str(error), code=error.code), as_json="--json" in arguments)
    except OSError as error:
        return _tell(CommandError(_of_system(error), code="system"), as_json="--json" in arguments)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


def _tell(error: CommandError, *, as_json: bool) -> int:
    output.note(f"error: {error.message}")
    for fault in error.problem.get("errors", ())[:_MOST_FAULTS]:
        place = [f"{name} {fault[name]}" for name in ("line", "row", "column") if fault.get(name)]
        output.note(
            f"  {' '.join([*place, fault.get('pointer') or ''])} {fault.get('code')}: {fault.get('detail')}"
        )
    if error.hint:
        output.note(f"hint: {error.hint}")
    if as_json:
        output.emit_json({"error": error.document()})
    return error.exit_code


def _tell_faults(error: Misconfigured, *, as_json: bool) -> int:
    for fault in error.faults:
        output.note(fault)
    if as_json:
        output.emit_json({"error": {"code": error.code, "faults": list(error.faults)}})
    return ExitCode.USAGE


def _of_system(error: OSError) -> str:
    """Such as `batch.csv: Permission denied`."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or type(error).__name__}"


def _show_what_cannot_be_encoded() -> None:
    """Arabic on a terminal that has none is shown as escapes, not refused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
