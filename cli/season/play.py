"""Both parts of the work cycle, as they happen: licensees are made ready, then pilgrims are served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import aiohttp

from adapters.service_centers.sample import sample_batch
from cli.season.cast import BAD_CONTRACTS, CENTERS, MISSIONS, Licensee, cast
from cli.season.players import Answer, Operator, Party, Unexpected
from cli.season.soap_caller import SoapCaller
from gateway.clock import RIYADH
from schemas.hijri import first_day

Tell = Callable[[str], None]

#: Months of part 1 and part 2 of an operational plan, in the Hijri calendar.
PARTS: Final[Mapping[int, range]] = {1: range(2, 7), 2: range(7, 9)}
_WEEK: Final = timedelta(days=7)
#: Centers fetch results on Sundays.
_COLLECTING: Final = 6
#: Longest wait for messages under way to come to rest.
_REST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Players:
    """Everyone who speaks with the gateway."""

    centers: Mapping[str, Party]
    licensing: Party
    pilgrim_services: Party
    committee: Party
    passports: SoapCaller
    foreign_affairs: SoapCaller
    operator: Operator
    #: The simulators' own side: what was received, what was issued, their date.
    partners: aiohttp.ClientSession


@dataclass(slots=True)
class Pilgrim:
    """A visa that was issued, and what its holder does with it."""

    visa: str
    licensee: Licensee
    arrives: date
    leaves: date
    #: True once Passports has told of it.
    arrived: bool = False
    departed: bool = False


@dataclass(slots=True)
class Season:
    """The season under way: who plays it, what day it is, and what happened so far."""

    players: Players
    year: int
    pilgrims_wanted: int
    tell: Tell
    today: date
    cast: tuple[Licensee, ...] = field(default_factory=cast)
    batches: list[tuple[str, Licensee]] = field(default_factory=list)
    pilgrims: dict[str, Pilgrim] = field(default_factory=dict)
    travel: dict[tuple[str, str], tuple[date, date]] = field(default_factory=dict)
    events: int = 0
    #: Messages that never come to rest: a registry gives no usable answer, and is asked again and again.
    endless: int = 0
    #: Messages that belong to a flow, where their kind alone does not tell.
    sent: dict[str, list[str]] = field(default_factory=dict)
    #: When each licensee was suspended, in system time: no visa may be asked for it afterwards.
    suspended: dict[str, datetime] = field(default_factory=dict)
    #: What the season itself looked at while it went on, as `(what, held)`.
    observed: list[tuple[str, bool]] = field(default_factory=list)

    def center(self, licensee: Licensee) -> Party:
        return self.players.centers[licensee.center]

    @property
    def working(self) -> list[Licensee]:
        return [licensee for licensee in self.cast if licensee.works]

    def note(self, what: str, message_id: str) -> None:
        """A message of a flow that its kind alone does not tell."""
        self.sent.setdefault(what, []).append(message_id)

    def saw(self, what: str, held: bool) -> None:
        """Note something that must be so."""
        self.observed.append((what, held))


async def play(season: Season) -> None:
    """The season, whole."""
    for title, act in (
        ("the rules and who takes part", _rules),
        ("what licensees make ready", _readiness),
        ("agents abroad and their contracts", _contracts),
        ("activation", _activation),
        ("ceilings of the missions", _capacities),
        ("who may not, tries", _trespassers),
    ):
        season.tell(f"{season.today}  {title}")
        await act(season)
    for month in (*PARTS[1], *PARTS[2]):
        await _month(season, month)
    await _end(season)


# --- part one: licensees are made ready -------------------------------------------------------------------


async def _rules(season: Season) -> None:
    """Controls, centers with the licensees they serve, licensees, groups."""
    licensing = season.players.licensing
    last = first_day(season.year + 1, 1)
    first = await licensing.send(
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
    for center in CENTERS:
        served = [licensee.id for licensee in season.cast if licensee.center == center]
        await licensing.send(
            "service_center.registration",
            center_id=center, version=2, status="active", conforms=center != "sc-05", licensees=served,
        )  # fmt: skip
    await _not_conforming(season)
    for licensee in season.cast:
        status = "suspended" if licensee.obstacle == "record" else "active"
        await licensing.send("licensee.status", licensee_id=licensee.id, version=1, status=status)
    for licensee in season.cast:
        await licensing.send(
            "group.registration", group_number=licensee.group, version=1, licensee_id=licensee.id
        )


async def _not_conforming(season: Season) -> None:
    """A center that does not meet the specifications can't submit; once it does, it can."""
    served = [licensee for licensee in season.cast if licensee.center == "sc-05"]
    refused = await _package(season, served[0], try_only=True)
    season.saw("a center that does not conform is refused", refused.code == "center_not_licensed")
    await season.players.licensing.send(
        "service_center.registration",
        center_id="sc-05", version=3, status="active", conforms=True,
        licensees=[licensee.id for licensee in served],
    )  # fmt: skip


async def _readiness(season: Season) -> None:
    """Staff, sites and vehicles; packages and both parts of the plan, submitted and decided."""
    await _all(_make_ready(season, licensee) for licensee in season.cast)


async def _make_ready(season: Season, licensee: Licensee) -> None:
    licensing, obstacle = season.players.licensing, licensee.obstacle
    cities = ("makkah", "madinah") if obstacle == "sites" else ("makkah", "madinah", "jeddah")
    await season.center(licensee).send(
        "readiness.report",
        report_id=f"RDY-{licensee.number}", revision=1, licensee_id=licensee.id, season=season.year,
        administrative_staff=0 if obstacle == "staff" else 12, vehicles=9,
        sites=[{"city": city, "address": f"Main Street {licensee.number}"} for city in cities],
        equipment=[{"item": "Wheelchairs", "count": 20}],
    )  # fmt: skip
    await _package(season, licensee)
    decision = "refused" if obstacle == "package" else "approved"
    await licensing.send("package.decision", package_id=licensee.package, revision=1, decision=decision)
    for part in PARTS:
        await _plan(season, licensee, part, _pilgrims_planned(licensee))
        refused = obstacle == "plan" and part == 2
        await licensing.send(
            "plan.decision",
            plan_id=licensee.plan(part), revision=1, decision="refused" if refused else "approved",
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


#: Fewer than will be asked for: what does not fit waits until the plan is raised.
_TIGHT: Final = 2
_TIGHT_LICENSEES: Final = (1, 2)


def _pilgrims_planned(licensee: Licensee) -> int:
    return _TIGHT if licensee.number in _TIGHT_LICENSEES else 2_000


async def _plan(season: Season, licensee: Licensee, part: int, pilgrims: int, revision: int = 1) -> None:
    quotas = [{"month": month, "country": licensee.country, "pilgrims": pilgrims} for month in PARTS[part]]
    answer = await season.center(licensee).send(
        "plan.submission",
        plan_id=licensee.plan(part), revision=revision, licensee_id=licensee.id, season=season.year,
        part=part, quotas=quotas,
    )  # fmt: skip
    season.note(f"plan part {part}", answer.body["message_id"])


async def _contracts(season: Season) -> None:
    """Agents' contracts: the registries vouch, the missions attest days later."""
    await _all(_contract(season, licensee) for licensee in season.cast)
    spare = season.working[3]
    for fault in BAD_CONTRACTS:
        await _contract(season, spare, fault)
    await _rest(season)
    await _step_to(season, season.today + _WEEK)
    await _attest(season)
    decided = await season.center(spare).notifications()
    codes = {event["data"].get("code") for event in decided if event["kind"] == "agent_contract.decision"}
    for fault, code in BAD_CONTRACTS.items():
        season.saw(f"a contract with a bad {fault} ends as {code}", code in codes)


async def _contract(season: Season, licensee: Licensee, fault: str | None = None) -> None:
    number = 7000 + licensee.number
    await season.center(licensee).send(
        "agent_contract.submission",
        contract_id=licensee.contract if fault is None else f"CTR-BAD-{fault}", version=1,
        licensee_id=licensee.id, agent_id=licensee.agent if fault is None else f"AGT-BAD-{fault}",
        agent_name=f"Agent {number}", country=licensee.country, mission_id=licensee.mission,
        iata_number=f"91{number}00" if fault == "iata" else f"91{number}01",
        bank={"code": "bank_one", "account": f"SA44200000{number}" + ("00" if fault == "bank" else "01")},
        guarantee={
            "number": f"G-{number}-" + ("00" if fault == "guarantee" else "77"),
            "amount": "200000.00", "currency": "SAR",
            "expiry_date": (season.today + timedelta(days=400)).isoformat(),
        },
        valid_from=season.today.isoformat(),
        valid_until=(season.today + timedelta(days=360)).isoformat(),
    )  # fmt: skip


async def _attest(season: Season) -> None:
    """The missions answer for every contract that reached Foreign Affairs."""
    async with season.players.partners.get("/_attestations") as reply:
        received = await reply.json()
    for request in received:
        bad = request["contract_id"] == "CTR-BAD-mission"
        await season.players.foreign_affairs.call(
            "attestations",
            "NotifyAttestation",
            {
                "contract_id": request["contract_id"],
                "version": request["version"],
                "decision": "REJECTED" if bad else "ATTESTED",
                "decided_at": _at(season.today, 10),
                "reference": request["reference"],
            },
        )


async def _activation(season: Season) -> None:
    """Every source is asked; each obstacle is found, and the late source completes its licensee."""
    await _check_activations(season, 1, season.cast)
    told = await season.players.licensing.notifications()
    latest = {event["data"]["licensee_id"]: event["data"] for event in told
              if event["kind"] == "licensee.activation"}  # fmt: skip
    for licensee in season.cast:
        found = latest.get(licensee.id, {"active": None})
        why = licensee.obstacle or "nothing"
        season.saw(f"activation with {why} in the way: {licensee.works}", found["active"] is licensee.works)


async def _check_activations(season: Season, version: int, licensees: Iterable[Licensee]) -> None:
    asked = list(licensees)
    season.endless += sum(licensee.obstacle == "unknown" for licensee in asked)
    await _all(
        season.players.licensing.send(
            "licensee.activation_check",
            check_id=f"CHK-{licensee.number}",
            version=version,
            licensee_id=licensee.id,
            season=season.year,
        )
        for licensee in asked
    )
    await _rest(season)


#: Its ceiling runs out in the first month, and rises.
_BUSY_MISSION: Final = "MSN-EGY-CAI"
_LOW_CEILING: Final = 5


async def _capacities(season: Season) -> None:
    """A window a month for each mission."""
    for month in (*PARTS[1], *PARTS[2]):
        for mission in MISSIONS:
            low = mission == _BUSY_MISSION and month == PARTS[1][0]
            await _publish_capacity(season, mission, month, _LOW_CEILING if low else 1_000, version=1)
    await _publish_capacity(season, _BUSY_MISSION, PARTS[2][-1], 1_000, version=3)
    stale = await _publish_capacity(season, _BUSY_MISSION, PARTS[2][-1], 900, version=2)
    season.saw("an old version of a ceiling is refused", stale.get("code") == "STALE_VERSION")


async def _publish_capacity(
    season: Season, mission: str, month: int, ceiling: int, *, version: int
) -> dict[str, str]:
    closes = first_day(season.year, month + 1) - timedelta(days=1)
    window = {"opens": first_day(season.year, month).isoformat(), "closes": closes.isoformat()}
    values = {"mission_id": mission, "version": version, "window": window, "ceiling": ceiling}
    return await season.players.foreign_affairs.call("capacity", "PublishMissionCapacity", values)


async def _trespassers(season: Season) -> None:
    """Phantom companies, other people's licensees and groups: refused, and reported."""
    await _step_to(season, first_day(season.year, 2))
    one, other = season.working[0], season.working[1]
    for header in (
        _header(season, one, "phantom") | {"licensee_id": "LIC-PHANTOM"},
        _header(season, one, "not-ours") | {"licensee_id": other.id},
        _header(season, one, "group") | {"group_number": other.group},
        _header(season, one, "agent") | {"agent_id": "AGT-UNKNOWN"},
    ):
        answer = await season.center(one).submit(header, _people(season, one, 1, seed=9)[1])
        season.saw(f"refused: {header['batch_reference']}", answer.status == 403)
    blocked = next(licensee for licensee in season.cast if licensee.obstacle == "nic")
    answer = await season.center(blocked).submit(*_people(season, blocked, 1, seed=9))
    season.saw("a licensee that is not activated is refused", answer.code == "licensee_not_activated")


# --- part two: pilgrims are served ------------------------------------------------------------------------


async def _month(season: Season, month: int) -> None:
    """Applications at its beginning, movements week by week, and what happens on the way."""
    first, last = first_day(season.year, month), first_day(season.year, month + 1) - timedelta(days=1)
    await _step_to(season, max(first, season.today))
    await _check_activations(season, month, season.working)
    season.tell(f"{season.today}  month {month}: applications")
    await _applications(season, month)
    await _HAPPENINGS.get(month, _nothing)(season)
    await _days(season, last)


async def _days(season: Season, last: date) -> None:
    """One after the other: movements each day, results once a week."""
    while season.today < last:
        await _step_to(season, season.today + timedelta(days=1))
        if season.today.weekday() == _COLLECTING or season.today == last:
            await _collect(season)
        await _movements(season)


async def _applications(season: Season, month: int) -> None:
    """Each working licensee submits its share of the season's pilgrims."""
    months = len(PARTS[1]) + len(PARTS[2])
    share = -(-season.pilgrims_wanted // (len(season.working) * months))
    await _all(_batch(season, licensee, share, month) for licensee in season.working)
    await _rest(season)
    await _collect(season)


async def _batch(season: Season, licensee: Licensee, count: int, month: int) -> None:
    if licensee.id in season.suspended or (licensee.id == _overstayed(season).id and month > _JUDGED):
        return
    header, lines = _people(season, licensee, count, seed=100 * month + licensee.number)
    answer = await season.center(licensee).submit(header, lines)
    if answer.status != 202:
        raise Unexpected(f"{header['batch_reference']}: {answer.status} {dict(answer.body)}")
    season.batches.append((answer.body["batch_id"], licensee))


def _people(
    season: Season, licensee: Licensee, count: int, *, seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A batch's header and lines; the days on which each person means to travel are kept."""
    header = _header(season, licensee, str(seed))
    clean = licensee is not _unlucky(season) or count == 1
    lines = list(sample_batch(count, seed, season.today, clean=clean, center=licensee.center)[1])
    for line in lines:
        travel = line["travel"]
        arrives, leaves = (date.fromisoformat(travel[name]) for name in ("arrival_date", "departure_date"))
        season.travel[header["batch_reference"], line["reference"]] = (arrives, leaves)
    return header, lines


def _unlucky(season: Season) -> Licensee:
    """Some of its pilgrims are refused, some of its lines are wrong, and partners stumble over others."""
    return season.working[7]


def _header(season: Season, licensee: Licensee, name: str) -> dict[str, Any]:
    return {
        "batch_reference": f"{licensee.id}-{name}",
        "licensee_id": licensee.id,
        "agent_id": licensee.agent,
        "mission_id": licensee.mission,
        "package_id": licensee.package,
        "group_number": licensee.group,
        "season": season.year,
    }


async def _collect(season: Season) -> None:
    """Centers fetch what became of their lines."""
    await _all(_results(season, batch, licensee) for batch, licensee in list(season.batches))


async def _results(season: Season, batch: str, licensee: Licensee) -> None:
    center = season.center(licensee)
    status = await center.get(f"/v1/batches/{batch}")
    for result in (await center.get(f"/v1/batches/{batch}/results"))["results"]:
        visa = (result.get("visa") or {}).get("number")
        if result["state"] != "issued" or visa is None or visa in season.pilgrims:
            continue
        arrives, leaves = season.travel[status["batch_reference"], result["reference"]]
        season.pilgrims[visa] = Pilgrim(visa, licensee, arrives, leaves)
    if status["state"] == "completed":
        await center.post(f"/v1/batches/{batch}/confirm")
        season.batches.remove((batch, licensee))


# --- movements --------------------------------------------------------------------------------------------

#: One licensee brings so many that stay that the gate closes for it: it asks for visas in this month only.
_JUDGED: Final = 2


def _overstayed(season: Season) -> Licensee:
    return season.working[5]


def _leaves(season: Season, pilgrim: Pilgrim) -> date | None:
    """When a pilgrim really leaves: on time, some three weeks late, some never."""
    number = int(pilgrim.visa[-4:])
    if pilgrim.licensee is _overstayed(season):
        return None if number % 2 == 0 else pilgrim.leaves
    late = pilgrim.leaves + timedelta(days=21)
    return {0: late, 1: None}.get(number % 50, pilgrim.leaves)


async def _movements(season: Season) -> None:
    """Passports tells of who came and who left today; some of it twice, or in the wrong order."""
    for pilgrim in season.pilgrims.values():
        leaves = _leaves(season, pilgrim)
        left = leaves is not None and leaves <= season.today
        told_late = leaves is not None and int(pilgrim.visa[-3:]) % 7 == 0
        if left and not pilgrim.departed:
            await _tell_departure(season, pilgrim, leaves or season.today)
        if not pilgrim.arrived and (left if told_late else pilgrim.arrives <= season.today):
            await _tell_arrival(season, pilgrim)


async def _tell_arrival(season: Season, pilgrim: Pilgrim) -> None:
    pilgrim.arrived = True
    told = ("NotifyArrival", pilgrim.visa, pilgrim.arrives, f"A-{pilgrim.visa}")
    answer = await _tell_movement(season, *told)
    if int(pilgrim.visa[-3:]) % 11 == 0:
        again = await _tell_movement(season, *told)
        season.saw("a movement told twice gets the first answer", again["message_id"] == answer["message_id"])


async def _tell_departure(season: Season, pilgrim: Pilgrim, day: date) -> None:
    pilgrim.departed = True
    await _tell_movement(season, "NotifyDeparture", pilgrim.visa, day, f"D-{pilgrim.visa}")


async def _tell_movement(season: Season, action: str, visa: str, day: date, event: str) -> dict[str, str]:
    values = {"event_id": event, "visa_number": visa, "at": _at(day, 14), "port": "JED"}
    answer = await season.players.passports.call("movements", action, values)
    if "message_id" not in answer:
        raise Unexpected(f"{action}: {answer}")
    return answer


# --- what happens on the way ------------------------------------------------------------------------------


async def _nothing(_season: Season) -> None:
    return


async def _ceilings_rise(season: Season) -> None:
    """What did not fit waits, with its reason, and goes on by itself."""
    waiting = await _counted(season, "waiting")
    season.saw("what exceeds a plan or a ceiling waits", waiting > 0)
    await _publish_capacity(season, _BUSY_MISSION, PARTS[1][0], 1_000, version=2)
    await _rest(season)
    licensee = next(one for one in season.cast if one.number == _TIGHT_LICENSEES[0])
    await _plan(season, licensee, 1, 2_000, revision=2)
    await season.players.licensing.send(
        "plan.decision", plan_id=licensee.plan(1), revision=2, decision="approved"
    )
    await _rest(season)
    season.saw("a raised ceiling lets them go on", await _counted(season, "waiting") < waiting)


async def _counted(season: Season, state: str) -> int:
    statuses = [
        await season.center(licensee).get(f"/v1/batches/{batch}") for batch, licensee in season.batches
    ]
    return sum(status["counts"].get(state, 0) for status in statuses)


async def _care(season: Season) -> None:
    """Cases, complaints, compliance: from centers and from the ministry."""
    licensee, players = season.working[2], season.players
    center = season.center(licensee)
    visa = next((one.visa for one in season.pilgrims.values() if one.licensee is licensee), None)
    at = _at(season.today, 9)
    for number, (kind, sender) in enumerate(
        (("lost", center), ("health", center), ("transport", center), ("lost", players.pilgrim_services),
         ("health", players.pilgrim_services))
    ):  # fmt: skip
        answer = await sender.send(
            "case.report",
            case_id=f"CASE-{number}", revision=1, type=kind, licensee_id=licensee.id, visa_number=visa,
            at=at, place="Haram, gate 79", description="Found by a guide, taken care of.", status="open",
        )  # fmt: skip
        season.note(f"case {kind}", answer.body["message_id"])
    findings = [{"item": "housing", "complies": True}, {"item": "transport", "complies": False}]
    report = {
        "revision": 1, "licensee_id": licensee.id, "package_id": licensee.package, "visited_at": at,
        "group_number": licensee.group, "findings": findings, "visa_numbers": [visa] if visa else None,
    }  # fmt: skip
    await center.send("compliance.report", report_id="CMP-1", **report)
    await players.licensing.send("inspection.report", report_id="INS-1", **report)
    complaint = {
        "revision": 1, "licensee_id": licensee.id, "visa_number": visa, "subject": "housing",
        "text": "The rooms were not as agreed.", "at": at,
    }  # fmt: skip
    await center.send("complaint.submission", complaint_id="CPL-1", **complaint)
    await players.pilgrim_services.send("complaint.submission", complaint_id="CPL-2", **complaint)


async def _discipline(season: Season) -> None:
    """A violation goes to the committee; its decision leads to a suspension that closes the gate at once."""
    licensee, players = _culprit(season), season.players
    at = _at(season.today, 9)
    await players.licensing.send(
        "violation.recorded",
        violation_id="VIO-1", version=1, licensee_id=licensee.id, code="housing_not_provided",
        text="Pilgrims were left without housing.", at=at,
    )  # fmt: skip
    await players.licensing.send(
        "investigation.opened",
        investigation_id="INV-1", version=1, licensee_id=licensee.id, documents_due=["Housing contracts"],
        due_date=(season.today + _WEEK).isoformat(), grounds="Complaints of several groups.",
    )  # fmt: skip
    for event in await players.committee.notifications():
        if event["kind"] == "committee.referral":
            case, about = event["data"]["case_id"], event["data"]["about"]
            decision = "upheld" if about == "violation" else "dismissed"
            await players.committee.send("committee.decision", case_id=case, revision=1, decision=decision)
    await players.licensing.send(
        "penalty.issued",
        penalty_id="PEN-1", version=1, licensee_id=licensee.id, type="suspension",
        from_date=season.today.isoformat(), grounds="Decision of the committee.",
    )  # fmt: skip
    season.suspended[licensee.id] = datetime.now().astimezone()
    answer = await season.center(licensee).submit(*_people(season, licensee, 1, seed=8))
    season.saw("a suspended licensee is refused", answer.code == "licensee_inactive")
    for part in PARTS:  # its plan is raised all the same: what waited must go on waiting
        await _plan_raised(season, licensee, part)
    await _rest(season)


def _culprit(season: Season) -> Licensee:
    """One whose applications still wait for its plan when it is suspended."""
    return next(licensee for licensee in season.cast if licensee.number == _TIGHT_LICENSEES[1])


async def _plan_raised(season: Season, licensee: Licensee, part: int) -> None:
    await _plan(season, licensee, part, 2_000, revision=2)
    await season.players.licensing.send(
        "plan.decision", plan_id=licensee.plan(part), revision=2, decision="approved"
    )


async def _cancellations(season: Season) -> None:
    """A center no longer wants some visas."""
    licensee = season.working[4]
    header, lines = _people(season, licensee, 3, seed=7)
    answer = await season.center(licensee).submit(header, lines)
    await _rest(season)
    center, batch = season.center(licensee), answer.body["batch_id"]
    page = await center.get(f"/v1/batches/{batch}/applications")
    await center.post(f"/v1/applications/{page['applications'][0]['application_id']}/cancel")
    await _rest(season)
    status = await center.get(f"/v1/batches/{batch}")
    season.saw("a visa that is not wanted any more is cancelled", status["counts"].get("cancelled") == 1)
    season.batches.append((batch, licensee))


async def _too_many_stayed(season: Season) -> None:
    """The gate closes for a licensee too many of whose pilgrims stayed."""
    licensee = _overstayed(season)
    answer = await season.center(licensee).submit(*_people(season, licensee, 1, seed=6))
    season.saw("a licensee over the overstay limit is refused", answer.code == "overstay_limit")


async def _quick_arrival(season: Season) -> None:
    """A pilgrim arrives before the gateway knows of the visa: the movement waits for it, and is matched."""
    licensee = season.working[6]
    header, lines = _people(season, licensee, 1, seed=5)
    person = lines[0]["passport"]
    person["number"] = person["number"][:-2] + "96"  # issued at once, answered after three seconds
    person.pop("mrz", None)
    before = await _issued(season)
    await season.center(licensee).submit(header, lines)
    number = await _first_new(season, before)
    arrives, _ = season.travel[header["batch_reference"], lines[0]["reference"]]
    await _tell_movement(season, "NotifyArrival", number, season.today, f"A-{number}")
    parked = await _parked(season)
    season.saw("an arrival of a visa that is not known yet is parked", parked == 1)
    await _rest(season)
    season.saw("and is matched once the visa is known", await _parked(season) == 0)
    season.pilgrims[number] = Pilgrim(number, licensee, arrives, arrives + _WEEK, arrived=True)


async def _issued(season: Season) -> set[str]:
    async with season.players.partners.get("/_visas") as reply:
        return set(await reply.json())


async def _first_new(season: Season, before: set[str]) -> str:
    async with asyncio.timeout(_REST_S):
        while True:
            if new := await _issued(season) - before:
                return new.pop()
            await asyncio.sleep(0.05)


async def _parked(season: Season) -> int:
    found = (await season.players.operator.get("/v1/admin/census"))["census"]
    return sum(
        tally["count"] for tally in found if tally["what"] == "movement" and tally["detail"] == "parked"
    )


async def _three(season: Season) -> None:
    await _care(season)
    await _quick_arrival(season)
    await _cancellations(season)


#: What happens in each month, after its applications were sent.
_HAPPENINGS: Final[Mapping[int, Callable[[Season], Awaitable[None]]]] = {
    2: _ceilings_rise,
    3: _three,
    4: _discipline,
    6: _too_many_stayed,
}


async def _end(season: Season) -> None:
    """Everyone has left but those who stay; the last days are counted, and everyone reads what is theirs."""
    season.tell(f"{season.today}  the season ends")
    until = first_day(season.year, 9) + timedelta(days=45)
    await _days(season, until)
    await _step_to(season, first_day(season.year + 1, 1))
    await _rest(season)
    for party in (*season.players.centers.values(), season.players.licensing, season.players.committee):
        await party.notifications()
    first = await season.players.licensing.get(f"/v1/messages/{season.sent['first'][0]}")
    season.note("retrieved", first["message_id"])


# --- time -------------------------------------------------------------------------------------------------


async def _step_to(season: Season, day: date) -> None:
    """The business clock goes on, for the gateway and for its partners; the day's work is done."""
    if day <= season.today:
        return
    season.today = day
    async with season.players.partners.put("/_business-date", json={"date": day.isoformat()}) as reply:
        reply.raise_for_status()
    await season.players.operator.put("/v1/admin/business-date", {"date": day.isoformat()})


async def _rest(season: Season) -> None:
    """Until nothing moves by itself: what is left waits for somebody or something."""
    async with asyncio.timeout(_REST_S):
        quiet = 0
        while quiet < 2:
            quiet = quiet + 1 if await _moving(season) <= season.endless else 0
            await asyncio.sleep(0.05)


async def _moving(season: Season) -> int:
    found = (await season.players.operator.get("/v1/admin/census"))["census"]
    under_way = ("accepted", "ready", "carried", "uncertain", "inquiring")
    return sum(
        tally["count"] for tally in found if tally["what"] == "message" and tally["detail"] in under_way
    )


def _at(day: date, hour: int) -> str:
    return datetime(day.year, day.month, day.day, hour, tzinfo=RIYADH).isoformat()


async def _all(works: Iterable[Awaitable[object]]) -> None:
    await asyncio.gather(*works)
