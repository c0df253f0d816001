"""Activation: every source is asked whether anything prevents a licensee's work in a season.

Scatter and gather: partial answers are kept and told, a late source completes them. A source that did not
answer is unknown, and unknown is not clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from gateway.flows.authority import acts_for, refused
from gateway.flows.desk import Desk
from gateway.flows.flow import Flow, Standing, newer
from gateway.message import Body
from schemas.kinds.offers import PLAN_PARTS

#: The sources that are partners, by the step that asks each.
PARTNERS: Final[Mapping[str, str]] = {
    "interior.licensee_hold_nic": "nic",
    "interior.licensee_hold_passports": "passports",
    "registries.gosi_certificate": "gosi",
    "registries.dues": "dues",
}
#: An office in each of these is asked of every licensee.
SITES: Final = frozenset({"makkah", "madinah", "jeddah"})

_Source = Mapping[str, Any]
_UNKNOWN: Final = {"standing": "UNKNOWN"}


def readiness_report(body: Body, desk: Desk) -> None:
    """Staff, the three sites, vehicles and equipment: what a licensee has made ready."""
    licensee, season = body["licensee_id"], body["season"]
    acts_for(desk, licensee)
    id = f"{licensee}/{season}"
    facts = {
        "report_id": body["report_id"],
        "revision": body["revision"],
        "staff": body["administrative_staff"],
        "sites": sorted(site["city"] for site in body["sites"]),
        "vehicles": body["vehicles"],
    }
    known = desk.fact("readiness", id)
    if known is not None and known["report_id"] == body["report_id"]:
        newer(desk, "readiness", id, body["revision"])
    desk.put("readiness", id, facts, version=body["revision"], owner=licensee)
    desk.publish("readiness.report", body, about=body["report_id"])
    reconsider(licensee, season, desk)


def activation_check(body: Body, desk: Desk) -> None:
    """The ministry asks. The partners are asked next; until they answer nothing is known of them."""
    licensee, season = body["licensee_id"], body["season"]
    if desk.books.record("licensee", licensee) is None:
        raise refused("licensee_unknown", "/licensee_id", status=422)
    known = desk.fact("activation", f"{licensee}/{season}")
    if known is not None and known["check_id"] == body["check_id"] and known["version"] >= body["version"]:
        newer(desk, "activation", f"{licensee}/{season}", 0)
    partners = {source: _earlier(known, source, desk.books.today) for source in PARTNERS.values()}
    _conclude(licensee, season, body["check_id"], body["version"], partners, desk)


def _earlier(known: Mapping[str, Any] | None, source: str, today: date) -> _Source:
    """What the source said before, for as long as it said that this holds."""
    found: _Source = (known or {}).get("sources", {}).get(source, _UNKNOWN)
    until = found.get("valid_until")
    return found if until is not None and date.fromisoformat(until) >= today else _UNKNOWN


def gathered(body: Body, standing: Standing, desk: Desk) -> None:
    """Some sources have answered, perhaps all. An answer to a check that was overtaken changes nothing."""
    licensee, season = body["licensee_id"], body["season"]
    known = desk.fact("activation", f"{licensee}/{season}") or {}
    if (known.get("check_id"), known.get("version")) != (body["check_id"], body["version"]):
        return
    today = desk.books.today
    partners = {
        source: _answer(standing.results[step])
        if step in standing.results
        else _earlier(known, source, today)
        for step, source in PARTNERS.items()
    }
    _conclude(licensee, season, body["check_id"], body["version"], partners, desk)


def _answer(result: Mapping[str, Any] | None) -> _Source:
    if not result or result.get("standing") not in ("CLEAR", "BLOCK"):
        return _UNKNOWN
    return {name: result[name] for name in ("standing", "valid_until", "code") if result.get(name)}


def reconsider(licensee: str, season: int, desk: Desk) -> None:
    """Something that the gateway itself knows of a licensee has changed."""
    known = desk.fact("activation", f"{licensee}/{season}")
    if known is None:
        return
    partners = {source: known["sources"].get(source, _UNKNOWN) for source in PARTNERS.values()}
    _conclude(licensee, season, known["check_id"], known["version"], partners, desk)


def end_expired(desk: Desk) -> None:
    """On a new day: what an activation rests on may hold no longer, and those concerned are told."""
    for record in desk.books.records("activation"):
        until = record.facts["valid_until"]
        if record.facts["active"] and until is not None and date.fromisoformat(until) < desk.books.today:
            licensee, _, season = record.id.rpartition("/")
            reconsider(licensee, int(season), desk)


def _conclude(
    licensee: str, season: int, check: str, version: int, partners: Mapping[str, _Source], desk: Desk
) -> None:
    """Record and tell, when it is not what was told before."""
    sources = {**partners, **own_sources(licensee, season, desk)}
    shown = {source: _without_code(found) for source, found in sources.items()}
    id = f"{licensee}/{season}"
    known = desk.fact("activation", id)
    same_check = known is not None and (known["check_id"], known["version"]) == (check, version)
    active = all(_is_clear(found, desk.books.today) for found in sources.values())
    if known is not None and same_check and (known["sources"], known["active"]) == (shown, active):
        return
    revision = known["revision"] + 1 if known is not None else 1
    facts = {
        "check_id": check,
        "version": version,
        "revision": revision,
        "active": active,
        "valid_until": _earliest(sources),
        "sources": shown,
    }
    desk.put("activation", id, facts, version=revision, owner=licensee)
    event = {
        "licensee_id": licensee,
        "season": season,
        "check_id": check,
        "revision": revision,
        "active": active,
        "sources": [{"source": source, **found} for source, found in sources.items()],
    }
    desk.publish("licensee.activation", event, about=check, to=desk.centers_of(licensee))


def _without_code(found: _Source) -> dict[str, Any]:
    """As it stands in clear: what prevents it may be secret."""
    return {name: value for name, value in found.items() if name != "code"}


def _is_clear(found: _Source, today: date) -> bool:
    until = found.get("valid_until")
    return found["standing"] == "CLEAR" and (until is None or date.fromisoformat(until) >= today)


def _earliest(sources: Mapping[str, _Source]) -> str | None:
    """How long all of it holds."""
    return min((found["valid_until"] for found in sources.values() if found.get("valid_until")), default=None)


def own_sources(licensee: str, season: int, desk: Desk) -> dict[str, _Source]:
    """What the ministry's own records say: the licence, readiness, packages and plans."""
    status = (desk.fact("licensee", licensee) or {}).get("status")
    return {
        "record": _when(status == "active", f"licensee_{status}"),
        "readiness": _readiness(desk.fact("readiness", f"{licensee}/{season}")),
        "packages": _approved_packages(licensee, season, desk),
        "plans": _approved_plans(licensee, season, desk),
    }


def _when(clear: bool, code: str) -> _Source:
    return {"standing": "CLEAR"} if clear else {"standing": "BLOCK", "code": code}


def _readiness(report: Mapping[str, Any] | None) -> _Source:
    if report is None:
        return _UNKNOWN
    if not report["staff"]:
        return _when(False, "staff_missing")
    if set(report["sites"]) != SITES:
        return _when(False, "sites_missing")
    return _when(report["vehicles"] > 0, "vehicles_missing")


def _approved_packages(licensee: str, season: int, desk: Desk) -> _Source:
    packages = [record.facts for record in desk.books.records("package", owner=licensee)]
    if not packages:
        return _UNKNOWN
    usable = (one for one in packages if one["status"] == "approved" and one.get("season", season) == season)
    return _when(any(usable), "no_package_approved")


def _approved_plans(licensee: str, season: int, desk: Desk) -> _Source:
    """Both parts of the season's plan."""
    plans = [record.facts for record in desk.books.records("plan", owner=licensee)]
    parts = {plan["part"] for plan in plans if plan["season"] == season and plan["approved"]}
    if not plans:
        return _UNKNOWN
    return _when(parts >= PLAN_PARTS.keys(), "plan_part_missing")


FLOWS: Final = (
    Flow("readiness.report", readiness_report),
    Flow("licensee.activation_check", activation_check, gathered),
)
