"""What an operator looks at by day: the flow of visas, the season, ceilings, and what has passed through."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import options
from cli.commands.messages import FIRST_OPERATOR
from cli.options import OPERATORS, examples

app = typer.Typer()
_report = typer.Typer(no_args_is_help=True)
app.add_typer(
    _report,
    name="report",
    help="Reports, as the ministry's departments get them: the flow of visas, a season in numbers.",
    epilog=examples("report visa-flow", "report season"),
    rich_help_panel=OPERATORS,
)


@_report.command(
    name="visa-flow",
    epilog=examples("report visa-flow", "report visa-flow --from 2026-11-01 --until 2026-11-30"),
)
def visa_flow(
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="First business day.", show_default="the day of --until"),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Last business day.", show_default="today")
    ] = None,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """What became of the applications of these days, by licensee, mission and day."""
    from cli import output
    from cli.reporting import ReportApi, show_visa_flow
    from cli.target import find

    found = ReportApi(find(config, data_dir, admin_url=admin_url), operator).visa_flow(since, until)
    if as_json:
        output.emit_json(found)
    else:
        show_visa_flow(found)


@_report.command(name="season", epilog=examples("report season", "report season --season 1448"))
def season(
    year: Annotated[
        int | None,
        typer.Option(
            "--season", min=1, max=1_500, metavar="YEAR", help="A Hijri year.", show_default="that of today"
        ),
    ] = None,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """A season in numbers: batches, applications, pilgrims inside, overstays, country by country."""
    from cli import output
    from cli.reporting import ReportApi, show_season
    from cli.target import find

    found = ReportApi(find(config, data_dir, admin_url=admin_url), operator).season(year)
    if as_json:
        output.emit_json(found)
    else:
        show_season(found)


@app.command(rich_help_panel=OPERATORS, epilog=examples("quotas", "quotas --all"))
def quotas(
    untouched: Annotated[bool, typer.Option("--all", help="Also those with nothing taken.")] = False,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show every ceiling, of plans and of missions, and what is taken: those nearly full first."""
    from cli import output
    from cli.reporting import ReportApi, show_quotas
    from cli.target import find

    found = ReportApi(find(config, data_dir, admin_url=admin_url), operator).quotas()
    if as_json:
        output.emit_json(found)
    else:
        show_quotas(found, untouched=untouched)


@app.command(rich_help_panel=OPERATORS, epilog=examples("census"))
def census(
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Count everything that has passed through: messages, calls, events, records, each with an example."""
    from cli import output
    from cli.reporting import ReportApi, show_census
    from cli.target import find

    found = ReportApi(find(config, data_dir, admin_url=admin_url), operator).census()
    if as_json:
        output.emit_json(found)
    else:
        show_census(found)
