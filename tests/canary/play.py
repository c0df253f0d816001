"""A small play: every kind of message once, every field of it filled, and what follows from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from adapters.service_centers.batch_writer import write_batch
from cli.season.play import play
from cli.season.players import Unexpected
from cli.season.stage import Season
from schemas.hijri import season
from tests.canary.filling import application, sow_application, sow_header
from tests.canary.marks import Source
from tests.canary.stage import Stage

_PATIENCE_S: Final = 30.0
_UNDER_WAY: Final = ("accepted", "ready", "carried", "uncertain", "inquiring")
#: Of a whole season's: read in every format.
_BATCHES_READ: Final = 10
#: The media types that results come in.
FORMATS: Final = ("application/json", "application/x-ndjson", "text/csv", "application/xml")
#: What the simulators do with each of the first lines, by the end of its passport number.
_ENDINGS: Final = ("10", "11", "90", "91", "92", "93", "94")


async def small(stage: Stage) -> None:
    """The play, whole."""
    await licensing(stage)
    await offers(stage)
    visas = await applications(stage)
    await conduct(stage, visas)
    await movements(stage, visas)
    await everybody_reads(stage)


def season_of(pilgrims: int, tell: Callable[[str], None]) -> Callable[[Stage], Awaitable[None]]:
    """`make season`, whole, with canaries in everything that is sent; then everybody reads everything."""

    async def played(stage: Stage) -> None:
        under_way = Season(stage.players, season(stage.today), pilgrims, tell, stage.today)
        await play(under_way)
        stage.today = under_way.today
        for batch in under_way.batches[:_BATCHES_READ]:
            await read_batch(stage, batch.licensee.center, batch.id)
        await everybody_reads(stage)

    return played


async def one_visa(stage: Stage) -> None:
    """Nothing but one application, carried to its visa, and a contract: for what is judged quickly."""
    await contract(stage)
    await submit(stage, "sc-01", ["10"])
    await until_rest(stage)
    await stage.players.licensing.notifications()
    await stage.players.operator.get("/v1/admin/messages?limit=100")


# --- licensees, offers ------------------------------------------------------------------------------


async def licensing(stage: Stage) -> None:
    ministry, name = stage.players.licensing, stage.sown.garden.name
    licensee = f"LIC-{name()}"
    await ministry.send("licensee.status", licensee_id=licensee, version=1, status="active")
    await ministry.send(
        "service_center.registration", center_id="sc-01", version=2, status="active", conforms=True,
        licensees=["LIC-1001", "LIC-1006", licensee],
    )  # fmt: skip
    await ministry.send(
        "group.registration", group_number=f"GRP-{name()}", version=1, licensee_id=licensee,
        agent_id=f"AGT-{name()}",
    )  # fmt: skip
    open_for_long = {
        "opens": stage.today.isoformat(),
        "closes": (stage.today + timedelta(days=400)).isoformat(),
    }
    await ministry.send(
        "controls.published", version=2, passport_validity_months=6, unplanned_months="open",
        max_stay_days=90, mahram={"required": False}, request_windows=[open_for_long],
        overstay={"max_ratio": 1.0},
        overstay_levels_days=[1, 7, 30],
    )  # fmt: skip
    await ministry.send(
        "licensee.activation_check", check_id=f"CHK-{name()}", version=1, licensee_id=licensee,
        season=season(stage.today),
    )  # fmt: skip
    await stage.players.foreign_affairs.call(
        "capacity", "PublishMissionCapacity",
        {"mission_id": "MSN-USA-WAS", "version": 1, "window": window(stage.today)},
    )  # fmt: skip
    await until_rest(stage)


def window(today: date) -> dict[str, str]:
    """A month from today on."""
    return {"opens": today.isoformat(), "closes": (today + timedelta(days=30)).isoformat()}


async def offers(stage: Stage) -> None:
    center, ministry, name = stage.players.centers["sc-01"], stage.players.licensing, stage.sown.garden.name
    year = season(stage.today)
    package, plan = f"PKG-{name()}", f"PLN-{name()}"
    await center.send("readiness.report", licensee_id="LIC-1006", report_id=f"RDY-{name()}", season=year)
    await center.send(
        "package.submission", package_id=package, revision=1, licensee_id="LIC-1006", season=year
    )
    await ministry.send("package.decision", package_id=package, revision=1, decision="approved")
    quota = [{"month": 7, "country": "IND"}]
    await center.send(
        "plan.submission", plan_id=plan, revision=1, licensee_id="LIC-1006", season=year, part=2, quotas=quota
    )
    await ministry.send(
        "plan.decision", plan_id=plan, revision=1, decision="approved",
        quotas=[{**quota[0], "pilgrims": stage.sown.garden.count()}],
    )  # fmt: skip
    await contract(stage)


async def contract(stage: Stage) -> None:
    """An agent's contract: vouched for by the registries, attested by the mission."""
    garden = stage.sown.garden
    await stage.players.centers["sc-01"].send(
        "agent_contract.submission", contract_id=f"CTR-{garden.name()}", version=1, licensee_id="LIC-1006",
        agent_id=f"AGT-{garden.name()}", country="IND", mission_id="MSN-IND-DEL",
        iata_number=garden.own("7" + garden.digits(8)[1:-2] + "01"),
        valid_from=stage.today.isoformat(), valid_until=(stage.today + timedelta(days=300)).isoformat(),
    )  # fmt: skip
    await until_rest(stage, "agent_contract.submission")
    async with stage.players.partners.get("/_attestations") as reply:
        received = await reply.json()
    for request in received:
        await stage.players.foreign_affairs.call(
            "attestations", "NotifyAttestation",
            {
                "contract_id": request["contract_id"], "version": request["version"], "decision": "ATTESTED",
                "decided_at": f"{stage.today}T10:00:00+03:00", "reference": request["reference"],
            },
        )  # fmt: skip


# --- visas ----------------------------------------------------------------------------------------------

Visas = Mapping[str, list[str]]


async def applications(stage: Stage) -> Visas:
    """Batches of two centers in every format; good lines, bad ones, and what partners do. Visas by center."""
    own = await submit(stage, "sc-01", list(_ENDINGS), wrong=True)
    others = [await submit(stage, "sc-02", ["12", "13"], fmt=fmt) for fmt in ("json", "csv", "xml")]
    await until_rest(stage)
    visas: dict[str, list[str]] = {}
    for center, batch in (("sc-01", own), *(("sc-02", other) for other in others)):
        visas.setdefault(center, []).extend(await read_batch(stage, center, batch))
    await trespass(stage, own)
    await cancel(stage, own)
    return visas


async def submit(
    stage: Stage, center: str, endings: list[str], *, fmt: str = "ndjson", wrong: bool = False
) -> str:
    """A batch of new people. With `wrong` also lines that can't be taken; what is wrong must not be told."""
    garden, party = stage.sown.garden, stage.players.centers[center]
    number = int(center[-1])
    header = {
        "batch_reference": garden.name(),
        "licensee_id": f"LIC-100{number}",
        "agent_id": f"AGT-200{number}",
        "mission_id": ("MSN-IDN-JKT", "MSN-PAK-ISB")[number - 1],
        "package_id": f"PKG-300{number}",
        "group_number": f"GRP-400{number}",
        "season": season(stage.today + timedelta(days=10)),
    }
    lines = [application(garden, today=stage.today, ending=ending) for ending in endings]
    lines.append(
        application(garden, today=stage.today, ending="15", mahram=lines[0]["reference"], everything=False)
    )
    if wrong:
        lines += [
            _misspelt(application(garden, today=stage.today)),
            _incomplete(application(garden, today=stage.today)),
        ]
    sow_header(header, garden, message=str(header["batch_reference"]), sender=center)
    for line in lines:
        sow_application(line, garden, message=line["reference"], sender=center)
        stage.sown.labels.add(line["reference"])
    return await send_batch(stage, party, header, lines, fmt)


def _misspelt(line: dict[str, Any]) -> dict[str, Any]:
    """Digits where none belong, and a check digit that is wrong."""
    line["name"]["given"] += "99"
    first, second = line["passport"]["mrz"]
    line["passport"]["mrz"] = [first, second[:-1] + ("1" if second[-1] != "1" else "2")]
    return line


def _incomplete(line: dict[str, Any]) -> dict[str, Any]:
    """Without a birth date, and with a field that there is not, whose name is somebody's."""
    del line["birth_date"]
    del line["birth_date_hijri"]
    line[f"{line['name']['family']} of mine"] = line["profession"]
    return line


_MEDIA: Final = {
    "json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv", "xml": "application/xml",
}  # fmt: skip


async def send_batch(
    stage: Stage, party: Any, header: Mapping[str, Any], lines: list[dict[str, Any]], fmt: str
) -> str:
    from io import BytesIO

    out = BytesIO()
    write_batch(fmt, dict(header), iter(lines), out)
    headers = {
        **party._proof(),
        "Content-Type": _MEDIA[fmt],
        "Idempotency-Key": str(header["batch_reference"]),
    }
    async with party.session.post("/v1/batches", data=out.getvalue(), headers=headers) as reply:
        answer = await reply.json()
        if reply.status != 202:
            raise Unexpected(f"{fmt}: {reply.status} {json.dumps(answer)[:600]}")
    batch = str(answer["batch_id"])
    stage.sown.batches.add(str(header["batch_reference"]))
    stage.sown.ids[str(header["batch_reference"])] = batch
    return batch


async def read_batch(stage: Stage, center: str, batch: str) -> list[str]:
    """Everything a center can read of a batch; the visas that it got."""
    party = stage.players.centers[center]
    for path in ("", "/applications?limit=5", "/rejected"):
        await party.get(f"/v1/batches/{batch}{path}")
    results: list[dict[str, Any]] = []
    for media in FORMATS:
        url, headers = f"/v1/batches/{batch}/results", {**party._proof(), "Accept": media}
        async with party.session.get(url, headers=headers) as reply:
            text = await reply.text()
        if media == "application/json":
            results = json.loads(text)["results"]
    for result in results:
        if result["reference"] in stage.sown.labels:
            stage.sown.ids[result["reference"]] = result["application_id"]
        await party.get(f"/v1/messages/{result['application_id']}")
    await party.post(f"/v1/batches/{batch}/confirm")
    return [result["visa"]["number"] for result in results if result.get("visa")]


async def trespass(stage: Stage, batch: str) -> None:
    """Another center asks for what is not its own, and sends what it may not: an answer tells nothing."""
    other, garden = stage.players.centers["sc-02"], stage.sown.garden
    for path in ("", "/results", "/rejected", "/applications"):
        async with other.session.get(f"/v1/batches/{batch}{path}", headers=other._proof()) as reply:
            if reply.status != 404:
                raise Unexpected(f"another center reads {path}: {reply.status}")
    phantom = {"licensee_id": f"LIC-{garden.name()}", "agent_id": "AGT-2002", "mission_id": "MSN-PAK-ISB"}
    header = {**phantom, "batch_reference": garden.name(), "season": season(stage.today + timedelta(days=10))}
    for field in ("licensee_id",):
        told = Source("unauthorised_activity.reported", field, "public", "", "sc-02")
        garden.sow(header[field], told)
    if (await other.submit(header, [application(garden, today=stage.today)])).status != 403:
        raise Unexpected("a batch for a phantom company is taken")
    await other.try_to_send("licensee.status", licensee_id="LIC-1001", version=9, status="suspended")
    await other.try_to_send("readiness.report", licensee_id="LIC-1001", report_id=garden.name(), season=1448)
    broken = {"case_id": f"{garden.name()} ?", "description": [garden.name()], garden.name(): 1}
    async with other.session.post("/v1/messages/case.report", json=broken, headers=other._proof()) as reply:
        if reply.status != 422:
            raise Unexpected(f"a broken message: {reply.status}")


async def cancel(stage: Stage, batch: str) -> None:
    """A center no longer wants a visa."""
    party = stage.players.centers["sc-01"]
    page = await party.get(f"/v1/batches/{batch}/applications?state=issued&limit=10")
    await party.post(f"/v1/applications/{page['applications'][-1]['application_id']}/cancel")
    await until_rest(stage)


# --- conduct, movements ---------------------------------------------------------------------------------


async def conduct(stage: Stage, visas: Visas) -> None:
    """Everything that is reported, referred, decided and punished, once or twice."""
    players, name = stage.players, stage.sown.garden.name
    visa = visas["sc-01"][0]
    at = f"{stage.today}T09:00:00+03:00"
    for sender, which in ((players.centers["sc-01"], "C"), (players.pilgrim_services, "M")):
        await sender.send(
            "case.report", case_id=f"CASE-{which}-{name()}", revision=1, visa_number=visa, at=at,
            licensee_id="LIC-1001", type="health",
        )  # fmt: skip
        await sender.send(
            "complaint.submission", complaint_id=f"CPL-{which}-{name()}", revision=1, licensee_id="LIC-1002",
            visa_number=visas["sc-02"][0], at=at,
        )  # fmt: skip
    report = {"revision": 1, "licensee_id": "LIC-1001", "package_id": "PKG-3001", "visited_at": at,
              "group_number": "GRP-4001", "visa_numbers": [visa]}  # fmt: skip
    await players.centers["sc-01"].send("compliance.report", report_id=f"CMP-{name()}", **report)
    await players.licensing.send("inspection.report", report_id=f"INS-{name()}", **report)
    await players.licensing.send(
        "violation.recorded", violation_id=f"VIO-{name()}", version=1, licensee_id="LIC-1003", at=at
    )
    for event in await players.committee.notifications():
        if event["kind"] == "committee.referral":
            await players.committee.send(
                "committee.decision", case_id=event["data"]["case_id"], revision=1, decision="upheld"
            )
    await players.licensing.send(
        "investigation.opened", investigation_id=f"INV-{name()}", version=1, licensee_id="LIC-1003"
    )
    await players.licensing.send(
        "penalty.issued", penalty_id=f"PEN-{name()}", version=1, licensee_id="LIC-1003", type="fine",
        from_date=stage.today.isoformat(),
    )  # fmt: skip


async def movements(stage: Stage, visas: Visas) -> None:
    """Some come and leave, one stays and leaves late."""
    arrival = stage.today + timedelta(days=10)
    await step_to(stage, arrival)
    stays, leaves = visas["sc-01"][0], visas["sc-02"][0]
    for visa in (stays, leaves):
        await move(stage, "NotifyArrival", visa, arrival)
    await step_to(stage, arrival + timedelta(days=9))
    await move(stage, "NotifyDeparture", leaves, stage.today)
    for days in (100, 1, 1):  # past the last permitted day, whatever Foreign Affairs made it
        await step_to(stage, stage.today + timedelta(days=days))
        await until_rest(stage)
    await move(stage, "NotifyDeparture", stays, stage.today)
    await step_to(stage, stage.today + timedelta(days=1))


async def move(stage: Stage, action: str, visa: str, day: date) -> None:
    event = f"MOV-{stage.sown.garden.name()}"
    values = {"event_id": event, "visa_number": visa, "at": f"{day}T14:00:00+03:00", "port": "JED"}
    answer = await stage.players.passports.call("movements", action, values)
    if "message_id" not in answer:
        raise Unexpected(f"{action}: {answer}")


async def step_to(stage: Stage, day: date) -> None:
    stage.today = day
    async with stage.players.partners.put("/_business-date", json={"date": day.isoformat()}) as reply:
        reply.raise_for_status()
    await stage.players.operator.put("/v1/admin/business-date", {"date": day.isoformat()})


# --- what is read -----------------------------------------------------------------------------------------


async def everybody_reads(stage: Stage) -> None:
    """Every party its notifications and messages, the departments their reports, the operator everything."""
    players, year = stage.players, season(stage.today)
    for party in (*players.centers.values(), players.licensing, players.pilgrim_services, players.committee):
        await party.notifications()
    for office in (players.licensing, players.pilgrim_services):
        await office.get(f"/v1/reports/season?season={year}")
        day = stage.today - timedelta(days=1)
        await office.get(f"/v1/reports/visa-flow?from={day}&until={day}")
    for label, id in stage.sown.ids.items():
        sender = label.split(" ")[0]
        if sender in players.centers:
            await players.centers[sender].get(f"/v1/messages/{id}")
    await operator_reads(stage)


async def operator_reads(stage: Stage) -> None:
    """Every page of the admin API that only shows."""
    get = stage.players.operator.get
    for path in ("census", "quotas", "webhooks", f"reports/season?season={season(stage.today)}"):
        await get(f"/v1/admin/{path}")
    page = await get("/v1/admin/messages?limit=1000")
    for message in page["messages"]:
        await get(f"/v1/admin/messages/{message['id']}")
        await get(f"/v1/admin/messages/{message['id']}/why")


async def until_rest(stage: Stage, kind: str | None = None) -> None:
    """Until nothing moves by itself. Raises `Unexpected`."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while any(
                _moves(tally) and kind in (None, tally["name"])
                for tally in await stage.players.operator.census()
            ):
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Unexpected("messages do not come to rest") from error


def _moves(tally: Mapping[str, Any]) -> bool:
    """Whether these messages go on by themselves. A contract may await its mission's decision for long."""
    waits = tally["detail"] == "awaiting" and tally["name"] == "visa.application"
    return tally["what"] == "message" and (tally["detail"] in _UNDER_WAY or waits)
