"""What a service center does: make a sample, send a batch, follow it, fetch what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import options
from cli.options import CENTERS, Format, examples

app = typer.Typer()

Mode = Literal["lines", "all_or_nothing"]

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write here.", show_default="standard output"),
]
ResultFormat = Annotated[
    Format | None,
    typer.Option("--format", "-f", show_default="from the ending of --output, else json", help="The format."),
]


@app.command(
    rich_help_panel=CENTERS,
    epilog=examples(
        "sample --applications 200 --format csv --output batch.csv",
        "sample --applications 10 --clean | less",
    ),
)
def sample(
    applications: Annotated[
        int, typer.Option("--applications", "-n", min=1, max=1_000_000, help="How many applications.")
    ] = 200,
    output_format: ResultFormat = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same people.")] = 1,
    clean: Annotated[
        bool, typer.Option("--clean", help="Only applications that the simulators issue at once.")
    ] = False,
    center: Annotated[str, typer.Option("--center", metavar="ID", help="One of sc-01 to sc-05.")] = "sc-01",
    file: Output = None,
    as_json: options.Json = False,
) -> None:
    """Write a sample batch for the demo's reference data.

    Without --clean the simulated partners refuse, delay or garble some lines, and some are invalid.
    With --json and --output, standard output tells what was written.
    """
    from cli.sampling import write_sample

    write_sample(
        applications, seed, clean=clean, center=center, format_name=output_format, file=file, as_json=as_json
    )


@app.command(
    rich_help_panel=CENTERS,
    epilog=examples(
        "send batch.csv --center sc-01 --wait",
        "send batch.json.gz --center sc-02 --mode all_or_nothing",
        "send batch.xml --center sc-01 --dry-run --json",
    ),
)
def send(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON, NDJSON, CSV or XML; .gz is sent as it is.")
    ],
    center: Annotated[
        str, typer.Option("--center", metavar="ID", help="The service center that submits it.")
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every line is settled.")] = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait at most; then exit 4.")
    ] = 600.0,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Idempotency key.", show_default="the SHA-256 of the unpacked file"),
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="Take the good lines, or nothing unless all are good.")
    ] = "lines",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Validate only; nothing is recorded.")] = False,
    receipt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the audit log's checkpoint here, for `audit verify`."),
    ] = None,
    gzip: Annotated[bool, typer.Option("--gzip", help="Pack it on the way.")] = False,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="The format.", show_default="from the file's ending"),
    ] = None,
    key_file: options.KeyFile = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Submit a batch as a service center.

    Sending the same file again is safe: the key is the same, and so is the answer. Exit 0 when all is taken
    (with --wait: settled), 3 when lines were rejected, 4 when the time was up.
    """
    from cli.batch_file import open_batch
    from cli.public_api import CenterApi
    from cli.sending import Sending, check_key, send_and_report
    from cli.target import find

    sending = Sending(open_batch(file, file_format), check_key(key), mode, dry_run, gzip)
    api = CenterApi(find(config, data_dir, url=url), center, key_file)
    code = send_and_report(sending, api, wait_s=timeout if wait else None, as_json=as_json, keep=receipt)
    raise typer.Exit(code)


@app.command(rich_help_panel=CENTERS, epilog=examples("status 0198c7a2-… --center sc-01"))
def status(
    batch: options.Batch,
    center: options.Center = "sc-01",
    key_file: options.KeyFile = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Show how far a batch is: its state, and its lines by state."""
    from cli import output
    from cli.public_api import CenterApi
    from cli.target import find
    from cli.views import show_batch

    found = CenterApi(find(config, data_dir, url=url), center, key_file).status(batch)
    if as_json:
        output.emit_json(found)
    else:
        show_batch(found)


@app.command(
    rich_help_panel=CENTERS,
    epilog=examples("results 0198c7a2-… --format csv --output results.csv", "results 0198c7a2-… | jq"),
)
def results(
    batch: options.Batch,
    output_format: ResultFormat = None,
    file: Output = None,
    center: options.Center = "sc-01",
    key_file: options.KeyFile = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Fetch every line's result, in any of the formats.

    With --json and --output, standard output tells what was written.
    """
    from cli.public_api import CenterApi
    from cli.results import chosen_format, save_results, tell_saved
    from cli.target import find

    chosen = chosen_format(output_format, file, as_json=as_json)
    api = CenterApi(find(config, data_dir, url=url), center, key_file)
    save_results(api, batch, chosen, file)
    tell_saved({"batch_id": batch, "format": chosen}, file, as_json=as_json)


@app.command(
    rich_help_panel=CENTERS,
    epilog=examples("errors 0198c7a2-… --output mend.csv", "errors 0198c7a2-… --json"),
)
def errors(
    batch: options.Batch,
    output_format: ResultFormat = None,
    file: Output = None,
    center: options.Center = "sc-01",
    key_file: options.KeyFile = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Fetch the rejected lines as a batch, ready to mend and send again.

    What is wrong with each is shown on standard error. With --json both come as one document.
    """
    from cli.public_api import CenterApi
    from cli.results import fetch_rejected
    from cli.target import find

    api = CenterApi(find(config, data_dir, url=url), center, key_file)
    fetch_rejected(api, batch, output_format, file, as_json=as_json)
