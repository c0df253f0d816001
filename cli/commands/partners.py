"""Partners' systems: how each stands, pausing one and letting it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import options
from cli.commands.messages import FIRST_OPERATOR
from cli.options import OPERATORS, examples

app = typer.Typer()

_Name = Annotated[str, typer.Argument(metavar="DEST", help="A partner's system, as `partners` lists it.")]


@app.command(rich_help_panel=OPERATORS, epilog=examples("partners", "partners --json"))
def partners(
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """List partners' systems: whether they are called, who paused them, what waits for them."""
    from cli import output
    from cli.partners import PartnersApi, show_partners
    from cli.target import find

    found = PartnersApi(find(config, data_dir, admin_url=admin_url), operator).partners()
    if as_json:
        output.emit_json(found)
    else:
        show_partners(found["partners"], datetime.now(UTC))


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples('pause foreign-affairs --reason "their announced maintenance" --for 2h'),
)
def pause(
    name: _Name,
    reason: options.RequiredReason,
    length: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="TIME", help="For so long: 90s, 15m, 2h, 3d.", show_default="until `resume`"
        ),
    ] = None,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Send nothing to a partner's system for a while. What waits for it goes on by itself afterwards."""
    from cli import output
    from cli.partners import PartnersApi, seconds, show_partners
    from cli.target import find

    for_s = seconds(length)
    found = PartnersApi(find(config, data_dir, admin_url=admin_url), operator).pause(name, reason, for_s)
    if as_json:
        output.emit_json(found)
    else:
        show_partners([found], datetime.now(UTC))


@app.command(rich_help_panel=OPERATORS, epilog=examples("resume foreign-affairs"))
def resume(
    name: _Name,
    reason: options.RequiredReason = "no reason was given",
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """End a pause. What waits is sent a little at a time."""
    from cli import output
    from cli.partners import PartnersApi, show_partners
    from cli.target import find

    found = PartnersApi(find(config, data_dir, admin_url=admin_url), operator).resume(name, reason)
    if as_json:
        output.emit_json(found)
    else:
        show_partners([found], datetime.now(UTC))
