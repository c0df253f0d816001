"""Keys and retention: rotate, list, hold, shred what is due."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cli import options
from cli.options import OPERATORS, examples

#: The administrator whose token file is made at the first start.
FIRST_ADMINISTRATOR: Final = "admin-1"

app = typer.Typer()
_keys = typer.Typer(no_args_is_help=True)
app.add_typer(
    _keys,
    name="keys",
    help="The keys that everything is sealed under: list them, rotate them.",
    epilog=examples("keys list"),
    rich_help_panel=OPERATORS,
)
_retention = typer.Typer(no_args_is_help=True)
app.add_typer(
    _retention,
    name="retention",
    help="How long things are kept: what is due when, legal holds, shredding.",
    epilog=examples("retention list"),
    rich_help_panel=OPERATORS,
)

Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why. Kept sealed with the audit log.")]


@_keys.command(name="list", epilog=examples("keys list", "keys list --count"))
def list_keys(
    count: Annotated[
        bool, typer.Option("--count", help="Also what each is used for; reads everything.")
    ] = False,
    operator: options.Operator = FIRST_ADMINISTRATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """List every version of every key, and how the latest rotation stands."""
    from cli import output
    from cli.keys import KeysApi, show_keys
    from cli.target import find

    found = KeysApi(find(config, data_dir, admin_url=admin_url), operator).keys(count=count)
    if as_json:
        output.emit_json(found)
    else:
        show_keys(found)


@_keys.command(epilog=examples('keys rotate --reason "yearly"', 'keys rotate --reason "yearly" --no-wait'))
def rotate(
    reason: Why,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all is wrapped anew.")] = True,
    operator: options.Operator = FIRST_ADMINISTRATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Make new keys and wrap every data key anew, while the gateway goes on.

    An end of this command ends nothing: the gateway goes on by itself, also after a crash. Old keys are
    retired when nothing uses them, and destroyed after `keep_retired_days`.
    """
    from cli import output
    from cli.keys import KeysApi, follow, show_rotation
    from cli.target import find

    api = KeysApi(find(config, data_dir, admin_url=admin_url), operator)
    found = api.rotate(reason)
    if wait:
        found = follow(api)
    if as_json:
        output.emit_json(found)
    else:
        show_rotation(found)


@_retention.command(name="list", epilog=examples("retention list", "retention list --json"))
def list_buckets(
    operator: options.Operator = FIRST_ADMINISTRATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """List what is kept until when and why, legal holds, and what was shredded."""
    from cli import output
    from cli.keys import KeysApi, show_retention
    from cli.target import find

    found = KeysApi(find(config, data_dir, admin_url=admin_url), operator).retention()
    if as_json:
        output.emit_json(found)
    else:
        show_retention(found)


@_retention.command(
    epilog=examples(
        'retention hold visa-2026-11 --reason "court order"',
        'retention hold --passport A1234567 --issuing-state IDN --reason "court order"',
        'retention hold --all --reason "inquiry of the ministry"',
    )
)
def hold(
    reason: Why,
    bucket: Annotated[str | None, typer.Argument(metavar="BUCKET", help="Such as visa-2026-11.")] = None,
    passport: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="Everything about this passport's holder, also what comes."),
    ] = None,
    issuing_state: Annotated[
        str | None, typer.Option(metavar="CODE", help="The passport's issuing state, three letters.")
    ] = None,
    message: Annotated[
        str | None, typer.Option(metavar="ID", help="One message and what belongs to it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Nothing at all is shredded.")] = False,
    operator: options.Operator = FIRST_ADMINISTRATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Keep something past its time: nothing of it is shredded until the hold is released.

    A bucket has one key: a hold on one message or person keeps the whole of each bucket that they are in.
    """
    from cli import output
    from cli.keys import KeysApi, held
    from cli.target import find

    wanted = held(bucket, passport, issuing_state, message, everything=everything)
    placed = KeysApi(find(config, data_dir, admin_url=admin_url), operator).hold(wanted, reason)
    if as_json:
        output.emit_json(placed)
    else:
        output.line(f"hold {placed['hold']}")


@_retention.command(epilog=examples('retention release 3 --reason "the case is closed"'))
def release(
    number: Annotated[int, typer.Argument(metavar="HOLD", min=1, help="As `retention list` names it.")],
    reason: Why,
    operator: options.Operator = FIRST_ADMINISTRATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """End a legal hold. What is due is shredded on the next day, or by `retention run`."""
    from cli import output
    from cli.keys import KeysApi
    from cli.target import find

    found = KeysApi(find(config, data_dir, admin_url=admin_url), operator).release(number, reason)
    if as_json:
        output.emit_json(found)
    else:
        output.note(f"hold {number} is released")


@_retention.command(epilog=examples('retention run --reason "the hold ended today"'))
def run(
    reason: Why,
    operator: options.Operator = FIRST_ADMINISTRATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Shred what is due now, without waiting for the next day. What is not due is never shredded."""
    from cli import output
    from cli.keys import KeysApi
    from cli.target import find

    found = KeysApi(find(config, data_dir, admin_url=admin_url), operator).run(reason)
    if as_json:
        output.emit_json(found)
        return
    for bucket in found["begun"]:
        output.line(output.plain(bucket))
    if not found["begun"]:
        output.note("nothing is due")
