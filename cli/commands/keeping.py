"""Keeping what there is: backup, restore, and comparing with partners."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import options
from cli.commands.keys import FIRST_ADMINISTRATOR
from cli.commands.messages import FIRST_OPERATOR
from cli.options import OPERATORS, examples

app = typer.Typer()


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples(
        "backup /backups/2026-07-01.tar",
        "backup --only-keys /elsewhere/keys-2026-07-01.tar",
        "backup --with-keys everything.tar",
    ),
)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, readable by its owner only.")],
    with_keys: Annotated[
        bool,
        typer.Option(
            "--with-keys", help="Put the keys in too: whoever has this file can then read all that is sealed."
        ),
    ] = False,
    only_keys: Annotated[
        bool, typer.Option("--only-keys", help="The keys and the audit signer, to be kept in another place.")
    ] = False,
    operator: options.Operator = FIRST_ADMINISTRATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Copy the ledger while the gateway runs, or while it is stopped, as one file with checksums.

    Without keys nothing of a person can be read from it, and nothing of it can be read without them: make a
    second backup `--only-keys`, and keep it apart. PostgreSQL is copied by `pg_dump`.
    """
    from cli import output
    from cli.backup import backup as run
    from cli.outcome import WrongUsage
    from cli.target import find

    if with_keys and only_keys:
        raise WrongUsage("give --with-keys or --only-keys, not both")
    target = find(config, data_dir, admin_url=admin_url)
    found = run(target, operator, file, ledger=not only_keys, keys=with_keys or only_keys)
    if as_json:
        output.emit_json(found)
        return
    _tell(found)
    if not found["with_keys"]:
        output.note("the keys are not in it: without them nothing sealed can be read (backup --only-keys)")
    elif found["engine"]:
        output.note("ledger and keys are in one file: whoever has it can read everything")


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples("restore /backups/2026-07-01.tar", "restore --replace old.tar", "restore --mark"),
)
def restore(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="What `backup` wrote.", show_default=False)
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Keep the ledger that is there beside the restored one.")
    ] = False,
    mark: Annotated[
        bool, typer.Option("--mark", help="No file: the ledger was put back by other means, say so in it.")
    ] = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Put a backup back: into nothing, or with --replace beside what is there. No gateway may run on it.

    Checksums, the database and its journal are checked first. The ledger is then marked, and served only with
    `serve --after-restore`: it has forgotten what was sent since the backup.
    """
    from cli import output
    from cli.outcome import WrongUsage
    from cli.restore import mark as mark_only
    from cli.restore import restore as run
    from cli.target import find

    if (file is None) is not mark:
        raise WrongUsage("give the FILE of a backup, or --mark")
    target = find(config, data_dir)
    found = mark_only(target) if file is None else run(target, file, replace=replace)
    if as_json:
        output.emit_json(found)
        return
    _tell(found)
    if found.get("keys") == "kept":
        output.note("the keys that are there were kept: those of a backup may have been destroyed since")
    if found.get("keys_lacking"):
        output.note("there are no keys: restore the backup that was made with --only-keys before you serve")
    if found["next"]:
        output.note(f"next: {found['next']}")


@app.command(
    rich_help_panel=OPERATORS,
    epilog=examples("reconcile foreign-affairs --date 2026-07-01 --statement visas-2026-07-01.csv"),
)
def reconcile(
    destination: Annotated[str, typer.Argument(metavar="DEST", help="The partner, such as foreign-affairs.")],
    date: Annotated[datetime, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="The day, in Riyadh.")],
    statement: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The partner's own list of that day, CSV or XML.", show_default=False
        ),
    ] = None,
    operator: options.Operator = FIRST_OPERATOR,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    admin_url: options.AdminUrl = None,
    as_json: options.Json = False,
) -> None:
    """Compare our calls of a day with the partner's list: only ours, only theirs, both, differing.

    Exits 1 when there is a difference. References and ids are told, nothing of a person. After a restore the
    lists of the lost days are needed before anything new is asked of the partner.
    """
    from cli.reconcile import reconcile as run
    from cli.target import find

    target = find(config, data_dir, admin_url=admin_url)
    raise typer.Exit(run(target, operator, destination, date.date(), statement, as_json=as_json))


def _tell(found: dict[str, Any]) -> None:
    from cli import output

    output.facts((name.replace("_", " "), value) for name, value in found.items() if name != "next")
