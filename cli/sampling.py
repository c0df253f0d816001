"""`sample`: a batch made up for the demo's reference data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from adapters.service_centers.sample import sample_batch, write_batch
from cli.outcome import WrongUsage
from cli.results import chosen_format, tell_saved, whole_file
from gateway.clock import SystemClock

_CENTER: Final = re.compile("sc-0[1-5]")


def write_sample(
    count: int,
    seed: int,
    *,
    clean: bool,
    center: str,
    format_name: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Write `count` applications of `center`, travelling in the weeks after today."""
    if not _CENTER.fullmatch(center):
        raise WrongUsage("--center is one of sc-01 to sc-05")
    chosen = chosen_format(format_name, file, as_json=as_json)
    header, applications = sample_batch(count, seed, SystemClock().today(), clean=clean, center=center)
    with whole_file(file) as out:
        write_batch(chosen, header, applications, out)
    tell_saved({"format": chosen, "applications": count, "seed": seed}, file, as_json=as_json)
