"""What one does before and around running: check the configuration, look the machine over, get a token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.options import SETUP, examples
from cli.outcome import ExitCode

app = typer.Typer()


@app.command(
    "check-config",
    rich_help_panel=SETUP,
    epilog=examples("check-config", "check-config deploy/config/gateway.yaml --json"),
)
def check_config(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="gateway.yaml, as with --config.")
    ] = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Find every fault in every configuration file, as file:line:column: message. Exit 2 if there is one."""
    from cli.checking import check

    raise typer.Exit(check(file or config, data_dir, as_json=as_json))


@app.command(
    rich_help_panel=SETUP,
    epilog=examples(
        "token --party sc-01",
        'token --party sc-01 | xargs -I{} curl -H "Authorization: Bearer {}" http://127.0.0.1:8080/v1/batches/…',
    ),
)
def token(
    party: Annotated[str, typer.Option("--party", metavar="ID", help="Whose token.")],
    lifetime: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", min=1, help="How long it is good.", show_default="as long as is accepted"
        ),
    ] = None,
    key_file: options.KeyFile = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Print a short-lived bearer token for a party, signed with its demo key or --key-file.

    It can be used for many GETs until it expires, and for one POST.
    """
    from cli import output
    from cli.party_token import checked_lifetime, fresh_token, signing_key
    from cli.target import find

    target = find(config, data_dir)
    lifetime_s = checked_lifetime(target, lifetime)
    signed = fresh_token(target, party, signing_key(target, party, key_file), lifetime_s)
    if as_json:
        output.emit_json({"party": party, "token": signed, "expires_in_s": lifetime_s})
    else:
        output.line(signed)


@app.command(rich_help_panel=SETUP, epilog=examples("doctor", "doctor --json"))
def doctor(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Look over the machine, the data directory and the configuration; say what to do. Exit 1 on a fail."""
    from cli import output
    from cli.doctor import Level, document, examine
    from cli.views import show_findings

    findings = examine(config, data_dir)
    if as_json:
        output.emit_json(document(findings))
    else:
        show_findings(findings)
    failed = any(finding.level is Level.FAIL for finding in findings)
    raise typer.Exit(ExitCode.FAILED if failed else ExitCode.DONE)


@app.command(rich_help_panel=SETUP)
def version(as_json: options.Json = False) -> None:
    """Print the versions of the gateway and of what it stands on."""
    from cli import output
    from cli.versions import versions

    found = versions()
    if as_json:
        output.emit_json(found)
    else:
        output.line(", ".join(f"{name} {number}" for name, number in found.items()))
