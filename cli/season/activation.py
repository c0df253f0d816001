"""Part one: every source is asked before a licensee may work, and who may not, tries."""

from __future__ import annotations

from collections.abc import Iterable

from cli.season.applications import header_of, people
from cli.season.cast import Licensee
from cli.season.pace import rest, step_to, together
from cli.season.stage import Season
from schemas.hijri import first_day


async def activation(season: Season) -> None:
    """Each obstacle is found, and the late source completes its licensee."""
    await check_activations(season, 1, season.cast)
    told = await season.players.licensing.notifications()
    latest = {event["data"]["licensee_id"]: event["data"] for event in told
              if event["kind"] == "licensee.activation"}  # fmt: skip
    for licensee in season.cast:
        found = latest.get(licensee.id, {"active": None})
        why = licensee.obstacle or "nothing"
        season.saw(f"activation with {why} in the way: {licensee.works}", found["active"] is licensee.works)


async def check_activations(season: Season, version: int, licensees: Iterable[Licensee]) -> None:
    """The ministry has every source asked about these licensees."""
    asked = list(licensees)
    season.endless += sum(licensee.obstacle == "unknown" for licensee in asked)
    await together(
        season.players.licensing.send(
            "licensee.activation_check",
            check_id=f"CHK-{licensee.number}", version=version, licensee_id=licensee.id, season=season.year,
        )
        for licensee in asked
    )  # fmt: skip
    await rest(season)


async def trespassers(season: Season) -> None:
    """Phantom companies, other people's licensees and groups: refused, and reported."""
    await step_to(season, first_day(season.year, 2))
    one, other = season.working[0], season.working[1]
    for header in (
        header_of(season, one, "phantom") | {"licensee_id": "LIC-PHANTOM"},
        header_of(season, one, "not-ours") | {"licensee_id": other.id},
        header_of(season, one, "group") | {"group_number": other.group},
        header_of(season, one, "agent") | {"agent_id": "AGT-UNKNOWN"},
    ):
        answer = await season.center(one).submit(header, people(season, one, 1, seed=9)[1])
        season.saw(f"refused: {header['batch_reference']}", answer.status == 403)
    blocked = next(licensee for licensee in season.cast if licensee.obstacle == "nic")
    answer = await season.center(blocked).submit(*people(season, blocked, 1, seed=9))
    season.saw("a licensee that is not activated is refused", answer.code == "licensee_not_activated")
