"""What an operator does: find a message, see what it waits for, free it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import options
from cli.options import OPERATORS, examples

app = typer.Typer()

FIRST_OPERATOR = "operator-1"


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples(
        "messages --state uncertain", "messages --state held --older-than 2h", "messages --batch 0198c7a2-…"
    ),
)
def messages(
    state: options.State = None,
    kind: options.Kind = None,
    party: options.Party = None,
    batch: options.OfBatch = None,
    older_than: options.OlderThan = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Show so many at most.")] = 100,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """List messages, oldest first. All given conditions hold together."""
    from cli import output
    from cli.admin_api import AdminApi
    from cli.operating import message_filter
    from cli.target import find
    from cli.views import show_messages

    wanted = message_filter(state=state, kind=kind, party=party, batch=batch, older_than=older_than)
    found = AdminApi(find(config, data_dir, admin_url=admin_url), operator).messages(wanted, limit)
    if as_json:
        output.emit_json(found)
        return
    show_messages(found["messages"], datetime.now(UTC))
    if found["next"] is not None:
        output.note(f"there are more than {limit}: narrow the filter, or raise --limit")


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples(
        "show 0198c7a3-…",
        'show 0198c7a3-… --reveal --field passport.number --reason "the mission asks which one it is"',
    ),
)
def show(
    message: options.MessageArgument,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="What it says of a person, as far as your role may see it.")
    ] = False,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Only this field, such as passport.number. Again for another."),
    ] = None,
    reason: options.Reason = None,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Show one message's life: its steps, every move and attempt, what it waits for. Nothing personal.

    With --reveal and a reason what it says of a person instead; that look is noted in the audit log.
    """
    from cli import output
    from cli.admin_api import AdminApi
    from cli.disclosures import PersonsApi, needed_reason, show_revealed
    from cli.outcome import WrongUsage
    from cli.target import find
    from cli.views import show_message

    if reveal:
        api = PersonsApi(find(config, data_dir, admin_url=admin_url), operator)
        revealed = api.reveal(message, needed_reason(reason), field or ())
        output.emit_json(revealed) if as_json else show_revealed(revealed)
        return
    if field or reason:
        raise WrongUsage("--field and --reason go with --reveal")
    found = AdminApi(find(config, data_dir, admin_url=admin_url), operator).show(message)
    if as_json:
        output.emit_json(found)
    else:
        show_message(found, datetime.now(UTC))


@app.command(rich_help_panel=OPERATORS, epilog=examples("why 0198c7a3-…"))
def why(
    message: options.MessageArgument,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Say in one line what a message waits for."""
    from cli import output
    from cli.admin_api import AdminApi
    from cli.target import find

    found = AdminApi(find(config, data_dir, admin_url=admin_url), operator).why(message)
    if as_json:
        output.emit_json(found)
    else:
        output.line(output.plain(found["why"]))


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples(
        'retry 0198c7a3-… --reason "mission reopened"',
        "retry --state held --older-than 1h --dry-run",
        'retry --state held --batch 0198c7a2-… --reason "capacity raised"',
    ),
)
def retry(
    ids: options.Messages = None,
    state: options.State = None,
    kind: options.Kind = None,
    party: options.Party = None,
    batch: options.OfBatch = None,
    older_than: options.OlderThan = None,
    reason: options.Reason = None,
    dry_run: options.DryRun = False,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Make messages due now: those named, or all that fit.

    An uncertain or reviewed message is only inquired about, never sent again by this. Exit 3 when some of the
    messages could not be retried, 1 when none could.
    """
    from cli.admin_api import AdminApi
    from cli.operating import act, message_filter
    from cli.target import find

    wanted = message_filter(state=state, kind=kind, party=party, batch=batch, older_than=older_than)
    api = AdminApi(find(config, data_dir, admin_url=admin_url), operator)
    raise typer.Exit(act(api, "retry", ids or [], wanted, reason=reason, dry_run=dry_run, as_json=as_json))


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples(
        'cancel 0198c7a3-… --reason "withdrawn by the center"', "cancel --batch 0198c7a2-… --dry-run"
    ),
)
def cancel(
    ids: options.Messages = None,
    state: options.State = None,
    kind: options.Kind = None,
    party: options.Party = None,
    batch: options.OfBatch = None,
    older_than: options.OlderThan = None,
    reason: options.Reason = None,
    dry_run: options.DryRun = False,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Cancel messages, as their center would: those named, or all that fit.

    A visa that is issued already gets a cancellation of its own, sent to Foreign Affairs. Exit 3 when some of
    the messages could not be cancelled, 1 when none could.
    """
    from cli.admin_api import AdminApi
    from cli.operating import act, message_filter
    from cli.target import find

    wanted = message_filter(state=state, kind=kind, party=party, batch=batch, older_than=older_than)
    api = AdminApi(find(config, data_dir, admin_url=admin_url), operator)
    raise typer.Exit(act(api, "cancel", ids or [], wanted, reason=reason, dry_run=dry_run, as_json=as_json))


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples(
        'resolve 0198c7a3-… --issued 1234567890 --reason "seen in their list"',
        "resolve 0198c7a3-… --confirm --operator operator-2",
    ),
)
def resolve(
    message: options.MessageArgument,
    issued: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="The visa was issued, with this number.")
    ] = None,
    refused: Annotated[bool, typer.Option("--refused", help="It was refused.")] = False,
    send_again: Annotated[
        bool, typer.Option("--send-again", help="It certainly was not issued: send it again.")
    ] = False,
    done: Annotated[bool, typer.Option("--done", help="Of a visa.cancellation: it took effect.")] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Confirm what another operator proposed.")
    ] = False,
    reason: options.Reason = None,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """End a review: one operator proposes how, with a reason, and another confirms."""
    from cli import output
    from cli.admin_api import AdminApi
    from cli.operating import Resolution, resolve_message
    from cli.target import find
    from cli.views import show_message

    chosen = Resolution(
        issued=issued, refused=refused, send_again=send_again, done=done, confirm=confirm, reason=reason
    )
    api = AdminApi(find(config, data_dir, admin_url=admin_url), operator)
    found = resolve_message(api, message, chosen)
    if as_json:
        output.emit_json(found)
    else:
        show_message(found, datetime.now(UTC))
