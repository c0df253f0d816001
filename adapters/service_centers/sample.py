"""Sample batches for the demo's reference data: the same for the same seed, whatever the format.

Unless `clean`, some passports end in the characters by which the simulators choose an outcome
(`docs`: outcomes by passport number), and some lines are wrong in themselves, each in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from datetime import date, timedelta
from itertools import cycle, islice
from random import Random
from typing import Any, Final

from adapters.service_centers.batch_writer import write_batch
from adapters.service_centers.sample_people import ORIGINS, Origin
from schemas import hijri, mrz
from schemas.rules import months_after

__all__ = ["INVALID_KINDS", "sample_batch", "write_batch"]

Application = dict[str, Any]

#: The last two characters by which a simulator does something other than its best, but for `99`.
_OUTCOMES: Final = tuple(str(ending) for ending in range(90, 99))
#: Issues and never answers: the slowest, so at most one line in 200.
_SILENT: Final = "99"
_ONE_IN: Final = 100

#: A passport number is two letters, five digits and the ending; so many differ before the ending.
_LETTERS_A_CENTER: Final = 5
_SERIALS: Final = _LETTERS_A_CENTER * 26 * 100_000
#: Of each center's licensee: its agent works there, and its plan brings pilgrims from there.
_MISSIONS: Final = ("MSN-IDN-JKT", "MSN-PAK-ISB", "MSN-EGY-CAI", "MSN-TUR-ANK", "MSN-NGA-ABJ")
#: From the day of the sample.
_LAST_ARRIVAL: Final = timedelta(days=35)
#: Shares no factor with `_SERIALS`, so that counting by it meets every serial once.
_STRIDE: Final = 7_654_321


def sample_batch(
    count: int, seed: int, today: date, *, clean: bool = False, center: str = "sc-01"
) -> tuple[dict[str, Any], Iterator[Application]]:
    """A batch header and `count` applications, made as they are taken.

    `center` is `sc-01` to `sc-05`; the header names the licensee and agent that the demo's reference
    data gives it. Every passport number is one of its kind within a seed and center.
    """
    number = int(center.removeprefix("sc-"))
    header = {
        "batch_reference": f"{center}-{seed}-{count}",
        "licensee_id": f"LIC-{1000 + number}",
        "agent_id": f"AGT-{2000 + number}",
        "mission_id": _MISSIONS[number - 1],
        "package_id": f"PKG-{3000 + number}",
        "group_number": f"GRP-{4000 + number}",
        "season": hijri.season(today + _LAST_ARRIVAL),
    }
    return header, _applications(count, Random(f"{seed}/{center}"), today, number, clean)


def _first_arrival(today: date) -> int:
    """Days from today: everybody arrives in the season of the batch, also at the end of a Hijri year."""
    season_begins = hijri.first_day(hijri.season(today + _LAST_ARRIVAL), 1)
    return max(7, (season_begins - today).days)


def _applications(count: int, random: Random, today: date, center: int, clean: bool) -> Iterator[Application]:
    endings, faults = ({}, {}) if clean else _plan(count, random)
    first_serial = random.randrange(_SERIALS)
    guardian = model = None
    for index in range(count):
        ending = endings.get(index) or f"{random.randrange(90):02}"
        number = _passport_number(center, first_serial + index * _STRIDE, ending)
        application = _application(random, today, f"A{index + 1:06}", number, guardian)
        fault = faults.get(index)
        if fault:
            yield fault(application, model or application)
            continue
        yield application
        if application["sex"] == "M":
            guardian = application["reference"]
        if index not in endings:
            model = application


def _plan(count: int, random: Random) -> tuple[dict[int, str], dict[int, Fault]]:
    """Which lines end in an outcome's characters, and which are wrong. The first never is."""
    endings = [ending for ending in _OUTCOMES[: count // 4] for _ in range(max(1, count // _ONE_IN))]
    endings += [_SILENT] * (count // (2 * _ONE_IN))
    wrong = max(count // _ONE_IN, min(len(INVALID_KINDS), count // 40))
    faults = list(islice(cycle(INVALID_KINDS.values()), wrong))
    places = random.sample(range(1, count), len(endings) + len(faults)) if count > 1 else []
    return dict(zip(places, endings, strict=False)), dict(zip(places[len(endings) :], faults, strict=True))


def _passport_number(center: int, serial: int, ending: str) -> str:
    letters, digits = divmod(serial % _SERIALS, 100_000)
    first, second = divmod(letters, 26)
    return f"{_letter((center - 1) * _LETTERS_A_CENTER + first)}{_letter(second)}{digits:05}{ending}"


def _letter(place: int) -> str:
    return chr(ord("A") + place % 26)


# --- one pilgrim ------------------------------------------------------------------------------------


def _application(
    random: Random, today: date, reference: str, number: str, guardian: str | None
) -> Application:
    origin = random.choice(ORIGINS)
    sex = random.choice("MF") if guardian else "M"
    application = {"reference": reference, "visa_type": "umrah", **_person(random, today, origin, sex)}
    application["passport"] = _passport(random, today, origin, number)
    application["travel"] = _travel(random, today)
    if sex == "F":
        application["mahram"] = {"reference": guardian, "relationship": random.choice(("husband", "brother"))}
    if random.random() < 0.8:
        application["passport"]["mrz"] = _zone(application)
    if random.random() < 0.3:
        _add_hijri_twins(application)
    if random.random() < 0.03:
        application["disclosures"] = ["Takes insulin, carries it in hand baggage", "لم يسبق رفض طلب تأشيرة"]
    return application


def _person(random: Random, today: date, origin: Origin, sex: str) -> Application:
    given, given_ar = random.choice(origin.men if sex == "M" else origin.women)
    father, father_ar = random.choice(origin.men)
    family, family_ar = random.choice(origin.families)
    street = f"{random.randrange(1, 240)}, {family} Street"
    return {
        "name": {"given": given, "father": father, "family": family},
        "name_ar": {"given": given_ar, "father": father_ar, "family": family_ar},
        "birth_date": (today - timedelta(days=random.randrange(20 * 366, 75 * 365))).isoformat(),
        "birth_place": origin.city,
        "birth_country": origin.country,
        "nationality": origin.country,
        "sex": sex,
        "marital_status": random.choice(("single", "married", "married", "widowed")),
        "profession": random.choice(("Teacher", "Farmer", "Engineer", 'Trader, "wholesale"', "Nurse")),
        "mobile": origin.mobile_prefix + "".join(random.choices("0123456789", k=origin.mobile_digits)),
        "email": f"pilgrim{random.randrange(10**6):06}@example.org",
        "address": f'{street}, "{origin.city}"',
    }


def _passport(random: Random, today: date, origin: Origin, number: str) -> Application:
    issued = today - timedelta(days=random.randrange(60, 6 * 365))
    return {
        "number": number,
        "type": "P",
        "issuing_state": origin.country,
        "issue_date": issued.isoformat(),
        "expiry_date": months_after(issued, 10 * 12).isoformat(),
        "issue_place": origin.city,
    }


def _travel(random: Random, today: date) -> Application:
    arrival = today + timedelta(days=random.randrange(_first_arrival(today), _LAST_ARRIVAL.days + 1))
    airport = random.choice(("JED", "MED"))
    return {
        "arrival_date": arrival.isoformat(),
        "departure_date": (arrival + timedelta(days=random.randrange(7, 22))).isoformat(),
        "entry_port": airport,
        "exit_port": random.choice(("JED", airport)),
        "carrier": random.choice(("Saudia", "flynas", "Garuda Indonesia")),
        "flight": f"SV{random.randrange(100, 1000)}",
    }


def _zone(application: Mapping[str, Any]) -> list[str]:
    passport, name = application["passport"], application["name"]
    return list(
        mrz.compose(
            issuing_state=passport["issuing_state"],
            family=name["family"],
            given=name["given"],
            number=passport["number"],
            nationality=application["nationality"],
            birth_date=date.fromisoformat(application["birth_date"]),
            sex=application["sex"],
            expiry_date=date.fromisoformat(passport["expiry_date"]),
        )
    )


def _add_hijri_twins(application: Application) -> None:
    travel = application["travel"]
    application["birth_date_hijri"] = _hijri(application["birth_date"])
    travel["arrival_date_hijri"] = _hijri(travel["arrival_date"])
    travel["departure_date_hijri"] = _hijri(travel["departure_date"])


def _hijri(day: str) -> str:
    return hijri.to_hijri(date.fromisoformat(day))


# --- lines that are wrong, each in one way ----------------------------------------------------------

#: Makes a line wrong. The second application is an earlier, good one of the same batch.
Fault = Callable[[Application, Application], Application]


def _check_digit(application: Application, _earlier: Application) -> Application:
    first, second = _zone(application)
    wrong = str((int(second[9]) + 1) % 10)
    application["passport"]["mrz"] = [first, second[:9] + wrong + second[10:]]
    return application


def _unknown_country(application: Application, _earlier: Application) -> Application:
    application["passport"].pop("mrz", None)
    application["nationality"] = "QQQ"
    return application


def _missing_field(application: Application, _earlier: Application) -> Application:
    del application["birth_date"]
    application.pop("birth_date_hijri", None)
    return application


def _bad_phone(application: Application, _earlier: Application) -> Application:
    application["mobile"] = "+99912345678"
    return application


def _expired_passport(application: Application, _earlier: Application) -> Application:
    application["passport"].pop("mrz", None)
    application["passport"]["expiry_date"] = application["travel"]["arrival_date"]
    return application


def _arabic_digits(application: Application, _earlier: Application) -> Application:
    application["passport"].pop("mrz", None)
    number = application["passport"]["number"]
    application["passport"]["number"] = number.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    return application


def _duplicate(application: Application, earlier: Application) -> Application:
    return {**deepcopy(earlier), "reference": application["reference"]}


def _departure_first(application: Application, _earlier: Application) -> Application:
    travel = application["travel"]
    travel["arrival_date"], travel["departure_date"] = travel["departure_date"], travel["arrival_date"]
    travel.pop("arrival_date_hijri", None)
    travel.pop("departure_date_hijri", None)
    return application


def _hijri_mismatch(application: Application, _earlier: Application) -> Application:
    travel = application["travel"]
    travel["arrival_date_hijri"] = _hijri(travel["departure_date"])
    return application


#: The code that each wrong line is refused with, and how it is made.
INVALID_KINDS: Final[Mapping[str, Fault]] = {
    "mrz_check_digit": _check_digit,
    "unknown_country": _unknown_country,
    "field_missing": _missing_field,
    "invalid_phone": _bad_phone,
    "passport_expiring": _expired_passport,
    "invalid_format": _arabic_digits,
    "duplicate_in_batch": _duplicate,
    "departure_before_arrival": _departure_first,
    "date_mismatch": _hijri_mismatch,
}
