"""Arguments and options that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

CENTERS: Final = "Service centers"
PARTIES: Final = "All parties"
OPERATORS: Final = "Operators"
RUNNING: Final = "Running"
SETUP: Final = "Setting up"


class Format(StrEnum):
    """The formats of batches and results."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    XML = "xml"


def examples(*commands: str) -> str:
    """The epilog of a command's help: one example a line."""
    return "\n\n".join(["Examples:", *(f"umrah-gateway {command}" for command in commands)])


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="GATEWAY_CONFIG",
        metavar="FILE",
        help="gateway.yaml; the other files stand beside it.",
        show_default="config/gateway.yaml",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="GATEWAY_DATA_DIR",
        metavar="DIR",
        help="The gateway's data directory: demo keys, operator tokens.",
        show_default="from the configuration",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The gateway's public address.",
        show_default="the listener in the configuration",
    ),
]
AdminUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The gateway's admin address.",
        show_default="the listener in the configuration",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Center = Annotated[
    str, typer.Option("--center", metavar="ID", help="The service center in whose name this is asked.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="PEM",
        help="The party's private key (Ed25519 or P-256).",
        show_default="its demo key in the data directory",
    ),
]
Operator = Annotated[
    str, typer.Option(metavar="NAME", help="Whose token to use: operators/NAME.token in the data directory.")
]
Batch = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id, as `send` gave it.")]
MessageArgument = Annotated[str, typer.Argument(metavar="ID", help="The message's id.")]
Messages = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Messages by their ids.")]
Reason = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Why. Kept in the audit log: no names, no passport numbers."),
]
RequiredReason = Annotated[
    str,
    typer.Option(
        "--reason", metavar="TEXT", help="Why. Kept in the audit log: no names, no passport numbers."
    ),
]
State = Annotated[
    str | None, typer.Option(metavar="STATE", help="Only in this state, such as held or uncertain.")
]
Kind = Annotated[str | None, typer.Option(metavar="KIND", help="Only this kind, such as visa.application.")]
Party = Annotated[str | None, typer.Option(metavar="ID", help="Only from this party.")]
OfBatch = Annotated[str | None, typer.Option("--batch", metavar="BATCH", help="Only of this batch.")]
OlderThan = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only without a change for so long: 90s, 15m, 2h, 3d."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which messages are meant; change nothing.")]
