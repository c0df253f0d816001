"""Part one: the rules, who takes part, and what licensees make ready."""

from __future__ import annotations

from typing import Final

from cli.season.cast import CENTERS, Licensee
from cli.season.pace import together
from cli.season.players import Answer
from cli.season.stage import PARTS, Season
from schemas.hijri import first_day

#: Fewer than will be asked for: what does not fit waits until the plan is raised.
_TIGHT: Final = 2
ENOUGH: Final = 2_000
#: The numbers of the licensees that plan so few: the plan of one rises, the other one is suspended before.
TIGHT_LICENSEES: Final = (1, 2)
_STRICT_CENTER: Final = "sc-05"


async def rules(season: Season) -> None:
    """Controls, centers with the licensees they serve, licensees, groups."""
    await _controls(season)
    for center in CENTERS:
        await _register(season, center, version=2, conforms=center != _STRICT_CENTER)
    await _not_conforming(season)
    licensing = season.players.licensing
    for licensee in season.cast:
        status = "suspended" if licensee.obstacle == "record" else "active"
        await licensing.send("licensee.status", licensee_id=licensee.id, version=1, status=status)
    for licensee in season.cast:
        await licensing.send(
            "group.registration", group_number=licensee.group, version=1, licensee_id=licensee.id
        )


async def _controls(season: Season) -> None:
    last = first_day(season.year + 1, 1)
    first = await season.players.licensing.send(
        "controls.published",
        version=2,
        passport_validity_months=6,
        max_stay_days=90,
        mahram={"required": False, "sex": "F"},
        request_windows=[{"opens": first_day(season.year, 2).isoformat(), "closes": last.isoformat()}],
        unplanned_months="closed",
        overstay={"max_ratio": 0.25, "minimum_arrivals": 10, "grace_days": 0},
    )
    season.note("first", first.body["message_id"])


async def _register(season: Season, center: str, *, version: int, conforms: bool) -> None:
    await season.players.licensing.send(
        "service_center.registration",
        center_id=center, version=version, status="active", conforms=conforms,
        licensees=[licensee.id for licensee in season.cast if licensee.center == center],
    )  # fmt: skip


async def _not_conforming(season: Season) -> None:
    """A center that does not meet the specifications can't submit; once it does, it can."""
    served = next(licensee for licensee in season.cast if licensee.center == _STRICT_CENTER)
    refused = await _package(season, served, try_only=True)
    season.saw("a center that does not conform is refused", refused.code == "center_not_licensed")
    await _register(season, _STRICT_CENTER, version=3, conforms=True)


async def readiness(season: Season) -> None:
    """Staff, sites and vehicles; packages and both parts of the plan, submitted and decided."""
    await together(_make_ready(season, licensee) for licensee in season.cast)


async def _make_ready(season: Season, licensee: Licensee) -> None:
    await _report(season, licensee)
    await _package(season, licensee)
    decision = "refused" if licensee.obstacle == "package" else "approved"
    await season.players.licensing.send(
        "package.decision", package_id=licensee.package, revision=1, decision=decision
    )
    planned = _TIGHT if licensee.number in TIGHT_LICENSEES else ENOUGH
    for part in PARTS:
        refused = licensee.obstacle == "plan" and part == 2
        await plan(season, licensee, part, planned, decision="refused" if refused else "approved")


async def _report(season: Season, licensee: Licensee) -> None:
    cities = ("makkah", "madinah") if licensee.obstacle == "sites" else ("makkah", "madinah", "jeddah")
    await season.center(licensee).send(
        "readiness.report",
        report_id=f"RDY-{licensee.number}", revision=1, licensee_id=licensee.id, season=season.year,
        administrative_staff=0 if licensee.obstacle == "staff" else 12, vehicles=9,
        sites=[{"city": city, "address": f"Main Street {licensee.number}"} for city in cities],
        equipment=[{"item": "Wheelchairs", "count": 20}],
    )  # fmt: skip


async def _package(season: Season, licensee: Licensee, *, try_only: bool = False) -> Answer:
    center = season.center(licensee)
    send = center.try_to_send if try_only else center.send
    return await send(
        "package.submission",
        package_id=licensee.package, revision=1, licensee_id=licensee.id, season=season.year,
        title="Fourteen days, two cities",
        housing=[{"city": "makkah", "name": "Ajyad House", "nights": 9}],
        transport="Coaches between the cities", ground_services=["Reception at the airport"],
    )  # fmt: skip


async def plan(
    season: Season,
    licensee: Licensee,
    part: int,
    pilgrims: int,
    *,
    revision: int = 1,
    decision: str = "approved",
) -> None:
    """One part of a plan, so many pilgrims a month; submitted, and decided by the ministry."""
    quotas = [{"month": month, "country": licensee.country, "pilgrims": pilgrims} for month in PARTS[part]]
    answer = await season.center(licensee).send(
        "plan.submission",
        plan_id=licensee.plan(part), revision=revision, licensee_id=licensee.id, season=season.year,
        part=part, quotas=quotas,
    )  # fmt: skip
    season.note(f"plan part {part}", answer.body["message_id"])
    await season.players.licensing.send(
        "plan.decision", plan_id=licensee.plan(part), revision=revision, decision=decision
    )
