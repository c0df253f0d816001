"""Part two: centers ask for visas, and fetch what became of every line."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from adapters.service_centers.sample import sample_batch
from cli.season.cast import Licensee
from cli.season.pace import rest, together
from cli.season.players import Unexpected
from cli.season.stage import MONTHS, Batch, Pilgrim, Season

#: The licensee that so many overstay asks for visas until this month only, and for enough to be judged by.
_JUDGED: Final = 2
_ENOUGH_TO_JUDGE: Final = 20


async def applications(season: Season, month: int) -> None:
    """Each working licensee submits its share of the season's pilgrims."""
    share = -(-season.pilgrims_wanted // (len(season.working) * len(MONTHS)))
    await together(_monthly(season, licensee, share, month) for licensee in season.working)
    await rest(season)
    await collect(season)


async def _monthly(season: Season, licensee: Licensee, share: int, month: int) -> None:
    if licensee.id in season.suspended or (licensee is season.overstayed and month > _JUDGED):
        return
    count = max(share, _ENOUGH_TO_JUDGE) if licensee is season.overstayed else share
    await submit(season, licensee, *people(season, licensee, count, seed=100 * month + licensee.number))


async def submit(
    season: Season, licensee: Licensee, header: dict[str, Any], lines: list[dict[str, Any]]
) -> Batch:
    """A batch that must be taken. Raises `Unexpected`."""
    answer = await season.center(licensee).submit(header, lines)
    if answer.status != 202:
        raise Unexpected(f"{header['batch_reference']}: {answer.status} {dict(answer.body)}")
    batch = Batch(answer.body["batch_id"], licensee, len(lines))
    season.batches.append(batch)
    season.open_batches.append(batch)
    return batch


def people(
    season: Season, licensee: Licensee, count: int, *, seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A batch's header and lines; the days on which each person means to travel are kept."""
    header = header_of(season, licensee, str(seed))
    clean = licensee is not season.unlucky or count == 1
    lines = list(sample_batch(count, seed, season.today, clean=clean, center=licensee.center)[1])
    for line in lines:
        travel = line["travel"]
        arrives, leaves = (date.fromisoformat(travel[name]) for name in ("arrival_date", "departure_date"))
        season.travel[header["batch_reference"], line["reference"]] = (arrives, leaves)
    return header, lines


def header_of(season: Season, licensee: Licensee, name: str) -> dict[str, Any]:
    """A batch's header."""
    return {
        "batch_reference": f"{licensee.id}-{name}",
        "licensee_id": licensee.id,
        "agent_id": licensee.agent,
        "mission_id": licensee.mission,
        "package_id": licensee.package,
        "group_number": licensee.group,
        "season": season.year,
    }


async def collect(season: Season) -> None:
    """Centers fetch what became of their lines."""
    await together(_results(season, batch) for batch in list(season.open_batches))


async def _results(season: Season, batch: Batch) -> None:
    center = season.center(batch.licensee)
    status = await center.get(f"/v1/batches/{batch.id}")
    for result in (await center.get(f"/v1/batches/{batch.id}/results"))["results"]:
        _issued(season, batch.licensee, status["batch_reference"], result)
    if status["state"] == "completed":
        await center.post(f"/v1/batches/{batch.id}/confirm")
        season.open_batches.remove(batch)


def _issued(season: Season, licensee: Licensee, batch_reference: str, result: dict[str, Any]) -> None:
    visa = (result.get("visa") or {}).get("number")
    if result["state"] != "issued" or visa is None or visa in season.pilgrims:
        return
    arrives, leaves = season.travel[batch_reference, result["reference"]]
    season.pilgrims[visa] = Pilgrim(visa, licensee, arrives, leaves)
