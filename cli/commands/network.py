"""What any party does: send one message, read what is meant for it, look up the kinds of messages."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import options
from cli.options import PARTIES, examples

app = typer.Typer()

InTheNameOf = Annotated[
    str, typer.Option("--party", metavar="ID", help="The party in whose name this is asked.")
]


@app.command(
    rich_help_panel=PARTIES,
    epilog=examples(
        "message licensee.status status.json --party licensing",
        "message readiness.report report.xml --party sc-01 --json",
        "message case.report - --party pilgrim-services < case.json",
    ),
)
def message(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Such as licensee.status; `kinds` lists all.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON or XML; - is standard input.")],
    party: InTheNameOf,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="An idempotency key beside the one of the kind.")
    ] = None,
    key_file: options.KeyFile = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Send one message. Sent again unchanged, it is still one message.

    What is wrong with it is shown with the JSON pointer of each place.
    """
    from cli.party_messages import send_message
    from cli.public_api import PartyApi
    from cli.target import find

    target = find(config, data_dir, url=url)
    send_message(lambda: PartyApi(target, party, key_file), kind, file, key, as_json=as_json)


@app.command(
    rich_help_panel=PARTIES,
    epilog=examples(
        "notifications --party sc-01",
        "notifications --party licensing --follow --confirm",
        "notifications --party sc-01 --cursor 0 --json",
    ),
)
def notifications(
    party: InTheNameOf,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm what was shown: it is not shown again.")
    ] = False,
    cursor: Annotated[
        str | None,
        typer.Option(metavar="CURSOR", help="What follows it.", show_default="what was confirmed last"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Show so many at a time.")] = 100,
    key_file: options.KeyFile = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Read what is meant for a party, in order.

    With --follow and --json each notification is a document on a line of its own.
    """
    from cli.party_messages import Reading, show_notifications
    from cli.public_api import PartyApi
    from cli.target import find

    api = PartyApi(find(config, data_dir, url=url), party, key_file)
    show_notifications(api, Reading(cursor, limit, follow=follow, confirm=confirm), as_json=as_json)


@app.command(
    rich_help_panel=PARTIES,
    epilog=examples(
        "kinds",
        "kinds licensee.status",
        "kinds licensee.status --example > status.json",
        "kinds package.submission --example --xml",
    ),
)
def kinds(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Show the fields of this one.")] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Only its example, ready to change and send.")
    ] = False,
    xml: Annotated[bool, typer.Option("--xml", help="The example in XML.")] = False,
    as_json: options.Json = False,
) -> None:
    """List the kinds of messages: who sends each, and what its key is. Needs no gateway."""
    from cli.party_messages import show_kind, show_kinds

    if kind is None:
        show_kinds(example=example or xml, as_json=as_json)
    else:
        show_kind(kind, example=example or xml, xml=xml, as_json=as_json)


@app.command(rich_help_panel=PARTIES, epilog=examples("calendar", "calendar --season 1449 --json"))
def calendar(
    season: Annotated[
        int | None, typer.Option(metavar="YEAR", help="A Hijri year; this one unless given.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """The months of a season in both calendars, and the part of the operational plan that covers each."""
    from cli.calendar import show_calendar

    show_calendar(season, as_json=as_json)
