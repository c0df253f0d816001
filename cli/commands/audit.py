"""The tamper-evident log: export it, and prove that nothing in it was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from cli import options
from cli.options import OPERATORS, examples

#: The auditor whose token file is made at the first start.
FIRST_AUDITOR: Final = "auditor-1"

app = typer.Typer()
group = typer.Typer(no_args_is_help=True)
app.add_typer(
    group,
    name="audit",
    help="The tamper-evident log of every decision, disclosure and operator's action.",
    epilog=examples("audit export log.txt", "audit verify log.txt"),
    rich_help_panel=OPERATORS,
)


@group.command(name="export", epilog=examples("audit export log.txt", "audit export | gzip > log.txt.gz"))
def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Write here.", show_default="standard output")
    ] = None,
    operator: options.Operator = FIRST_AUDITOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Write the whole log up to now, signed to its last entry.

    It holds ids, states, times, codes and digests: nothing of what a message says of a person. The export is
    an entry of the log itself. The format is described in docs/audit-log.md.
    """
    from cli.audit import export_log
    from cli.target import find

    export_log(find(config, data_dir, admin_url=admin_url), operator, file, as_json=as_json)


@group.command(
    name="verify",
    epilog=examples(
        "audit verify log.txt --checkpoint receipt.json",
        "audit verify log.txt --key checkpoint.pub --json",
        "audit verify",
    ),
)
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="An exported log.", show_default="that of the running gateway"),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="RECEIPT",
            help="An answer of the gateway that was kept, such as `send --receipt` saves: the log must go on "
            "from there.",
        ),
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PEM",
            help="The gateway's public key (data/keys/checkpoint.pub). Again for a key that followed it.",
            show_default="that of the receipt",
        ),
    ] = None,
    operator: options.Operator = FIRST_AUDITOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Prove that nothing in a log was changed, left out, put in or cut off. Exit 1 names the first fault.

    With FILE neither gateway nor database nor configuration is needed.
    """
    from cli.audit import verify_and_report
    from cli.target import find

    code = verify_and_report(
        lambda: find(config, data_dir, admin_url=admin_url),
        operator,
        file,
        keys=key or (),
        receipt=checkpoint,
        as_json=as_json,
    )
    raise typer.Exit(code)
