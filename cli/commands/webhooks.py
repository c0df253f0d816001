"""Webhooks of service centers: how far each has come, and telling one again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import options
from cli.commands.messages import FIRST_OPERATOR
from cli.options import OPERATORS, examples

app = typer.Typer()
_webhooks = typer.Typer(invoke_without_command=True)
app.add_typer(_webhooks, name="webhooks", rich_help_panel=OPERATORS)


@_webhooks.callback(epilog=examples("webhooks", "webhooks --json"))
def webhooks(
    context: typer.Context,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """List the webhooks of service centers: position, failures, next try.

    `webhooks replay` tells one again.
    """
    if context.invoked_subcommand is not None:
        return
    from cli import output
    from cli.reporting import ReportApi, show_webhooks
    from cli.target import find

    found = ReportApi(find(config, data_dir, admin_url=admin_url), operator).webhooks()
    if as_json:
        output.emit_json(found)
    else:
        show_webhooks(found, datetime.now(UTC))


@_webhooks.command(epilog=examples('webhooks replay sc-01 --from 4711 --reason "their disk was lost"'))
def replay(
    party: Annotated[str, typer.Argument(metavar="PARTY", help="The service center's id.")],
    from_cursor: Annotated[
        str, typer.Option("--from", metavar="CURSOR", help="The first notification that is told again.")
    ],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why. Kept in the audit log: no names, no passport numbers.")
    ],
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Tell a center again, from a notification on. A webhook that was stopped (410) is called again."""
    from cli import output
    from cli.reporting import ReportApi, show_webhooks
    from cli.target import find

    api = ReportApi(find(config, data_dir, admin_url=admin_url), operator)
    found = api.replay(party, from_cursor, reason)
    if as_json:
        output.emit_json(found)
    else:
        show_webhooks({"webhooks": [found]}, datetime.now(UTC))
