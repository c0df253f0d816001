"""What auditors ask: who was given what of a person, and the journal by person, party and period."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.commands.audit import FIRST_AUDITOR, group
from cli.options import OPERATORS, examples

app = typer.Typer()


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples('disclosures --passport A1234567 --issuing-state EGY --reason "the person asks"'),
)
def disclosures(
    passport: Annotated[str, typer.Option(metavar="NUMBER", help="The passport's number.")],
    issuing_state: Annotated[
        str, typer.Option(metavar="XXX", help="Who issued it: three letters, such as EGY.")
    ],
    reason: options.Reason = None,
    operator: options.Operator = FIRST_AUDITOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Tell who was given which fields of a person's data, when, what for and by which rule.

    The question is noted in the audit log too. A row marked *perhaps* may not have happened: a worker died in
    the middle of a call, or a call is open.
    """
    from cli import output
    from cli.disclosures import PersonsApi, needed_reason, passport_of, show_disclosures
    from cli.target import find

    asked, why = passport_of(passport, issuing_state) or {}, needed_reason(reason)
    found = PersonsApi(find(config, data_dir, admin_url=admin_url), operator).disclosures(asked, why)
    if as_json:
        output.emit_json(found)
    else:
        show_disclosures(found)


@group.command(
    epilog=examples(
        "audit entries --party sc-01 --from 2026-11-01 --until 2026-11-30",
        'audit entries found.ndjson --passport A1234567 --issuing-state EGY --reason "complaint 4711"',
    )
)
def entries(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Write here.", show_default="standard output")
    ] = None,
    party: options.Party = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="From this day on, in Riyadh.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Until this day, itself included.")
    ] = None,
    passport: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Of one person: the passport's number.")
    ] = None,
    issuing_state: Annotated[str | None, typer.Option(metavar="XXX", help="And who issued it.")] = None,
    reason: options.Reason = None,
    operator: options.Operator = FIRST_AUDITOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Write the entries about a person, a party or a period, each with the policy that was in force at it.

    Lines of JSON (docs/access.md). All given conditions hold together. A person needs a reason.
    """
    from cli.disclosures import PersonsApi, passport_of, save_entries
    from cli.target import find

    person = passport_of(passport, issuing_state)
    api = PersonsApi(find(config, data_dir, admin_url=admin_url), operator)
    wanted = {"party": party, "from": since, "until": until}
    save_entries(api, wanted, person, reason, file, as_json=as_json)
