"""What runs until it is stopped, and the demonstration."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.options import RUNNING, examples
from gateway.web.seat import Role

app = typer.Typer()


class ForeignAffairs(StrEnum):
    """What the simulated visa system can be relied on for."""

    DEDUPLICATES = "deduplicates"
    CAN_BE_ASKED = "can_be_asked"
    NEITHER = "neither"


@app.command(rich_help_panel=RUNNING, epilog=examples("demo", "demo --applications 2000 --json"))
def demo(
    applications: Annotated[
        int, typer.Option("--applications", "-n", min=1, max=1_000_000, help="How many applications.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
    signed: Annotated[
        bool, typer.Option("--signed", help="Gateway and partners sign their messages (WS-Security).")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Run everything once: simulated partners, the gateway, a batch, its visas. Leaves nothing behind."""
    from cli.demo import demo as run

    raise typer.Exit(run(applications, seed, as_json=as_json, signed=signed))


@app.command(
    rich_help_panel=RUNNING,
    epilog=examples("season", "season --pilgrims 3000 --json", "season --keep /tmp/season"),
)
def season(
    pilgrims: Annotated[
        int, typer.Option("--pilgrims", "-n", min=500, max=100_000, help="How many, about.")
    ] = 3000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
    broker: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="RabbitMQ, a virtual host of its own: the ministry speaks over it.",
            show_default="none: over HTTP",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="PostgreSQL, an empty database of its own.", show_default="none: SQLite"
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the data in this new folder.", show_default="nothing is left"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Play a season in miniature: every flow of the network, on an accelerated calendar, and its proof.

    Exits 1 when a flow was not carried or an invariant did not hold.
    """
    from cli.season.run import Wanted, play_season

    raise typer.Exit(play_season(Wanted(pilgrims, seed, broker, database, keep), as_json=as_json))


@app.command(
    rich_help_panel=RUNNING, epilog=examples("serve", "serve --config /etc/umrah-gateway/gateway.yaml")
)
def serve(
    workers: Annotated[
        int,
        typer.Option(min=1, max=64, help="Processes on the same listeners. The SQLite ledger admits one."),
    ] = 1,
    role: Annotated[
        Role,
        typer.Option(
            help="all: everything. api: listens, carries nothing. worker: carries, operators' side only."
        ),
    ] = Role.ALL,
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore", help="The ledger was restored: every open call begins with an inquiry."
        ),
    ] = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; it drains, then exits 0.

    The first start makes the data directory, the demo keys of parties and the tokens of two operators.
    SIGHUP makes it read its configuration anew: all of it, or, when it has a fault, none. With several
    workers SIGUSR2 replaces them one after the other by what is installed now; no connection is refused.
    """
    from cli.serve import serve as run

    raise typer.Exit(run(config, data_dir, workers=workers, role=role, after_restore=after_restore))


@app.command(
    rich_help_panel=RUNNING,
    epilog=examples("simulate", "simulate --latency-ms 100 --foreign-affairs neither"),
)
def simulate(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="All partners on one port.")] = 8090,
    seed: Annotated[int, typer.Option(help="Visa numbers begin from it.")] = 1,
    latency_ms: Annotated[
        float, typer.Option(min=0, max=60_000, metavar="MS", help="What each call takes at least.")
    ] = 0.0,
    foreign_affairs: Annotated[
        ForeignAffairs, typer.Option(help="Whether the visa system replays, can be asked, or neither.")
    ] = ForeignAffairs.DEDUPLICATES,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep what was issued here, over restarts.")
    ] = None,
    business_date: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE", formats=["%Y-%m-%d"], help="Their date; it stands still until it is set on."
        ),
    ] = None,
    soap_keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Who has a demo key here signs: DATA/keys/soap.")
    ] = None,
) -> None:
    """Run the partner systems' stand-ins: Interior, Passports, Foreign Affairs.

    Outcomes follow the last two characters of the passport number; GET /_evidence tells what was issued.
    """
    from cli.simulate import simulate as run

    day = None if business_date is None else business_date.date()
    raise typer.Exit(run(port, seed, latency_ms, foreign_affairs.value, state, day, soap_keys))
