"""Bodies of every kind with a canary in every field that can hold one.

What a body must say for the network to go on (whom it is about, what is decided) is given; everything else is
filled in by what its schema allows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.application import BatchHeader, VisaApplication, record_in
from schemas.confidentiality import Confidentiality
from schemas.hijri import to_hijri
from schemas.kinds import KINDS
from schemas.kinds.record import Meaning, marks
from schemas.mrz import compose
from schemas.shapes import Shape
from tests.canary.marks import Garden, Source

#: Why a field of a type holds no canary.
WORDS: Final = "one of a few words"
YES_OR_NO: Final = "yes or no"
SMALL: Final = "a number within narrow bounds"
CODED: Final = "a code from a table"
PLAYED: Final = "what the network goes on by; says nothing of its own"

_TEXT: Final = "{} of its own, خاص"
#: The smallest ceiling under which seven digits fit.
_ROOM: Final = 10_000_000
#: The smallest JPEG that the gateway takes: start, frame, scan, end; a comment goes in between.
_FRAME: Final = bytes.fromhex("ffc0000b080001000101011100")
_SCAN: Final = bytes.fromhex("ffda0008010100003f00") + b"\x00"


@dataclass(frozen=True, slots=True)
class Filled:
    """A body, and the fields that it could not be given a canary in, with the reason."""

    body: dict[str, Any]
    without: Mapping[str, str]


def fill(kind: str, given: Mapping[str, Any], garden: Garden) -> Filled:
    """A body of a kind: `given` as it is, and canaries everywhere else."""
    without: dict[str, str] = {}
    body = _record(KINDS[kind].model, given, "", garden, without)
    return Filled(body, without)


def sow_body(
    kind: str, body: Mapping[str, Any], garden: Garden, *, message: str, sender: str, model: Any = None
) -> None:
    """Note what every value of a body stands for."""
    for path, level, value in leaves_of(model or KINDS[kind].model, body):
        garden.sow(value, Source(kind, path, level, message, sender))


def leaves_of(
    model: type[BaseModel], body: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, str, Any]]:
    """Path, class and value of every leaf that is there; one for each item of a list of records."""
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        value, inner = body.get(name), record_in(field.annotation)
        if value is None:
            continue
        if inner is None:
            yield above + name, str(next(marks(field, Confidentiality))), value
            continue
        for item in value if isinstance(value, list) else [value]:
            yield from leaves_of(inner, item, f"{above}{name}.")


def _record(
    model: type[BaseModel], given: Mapping[str, Any], above: str, garden: Garden, without: dict[str, str]
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        path, inner = above + name, record_in(field.annotation)
        if name in given and given[name] is None:
            continue
        if inner is not None:
            made[name] = _inside(inner, field, given.get(name), path, garden, without)
        elif name in given:
            made[name] = given[name]
            if not garden.is_sown(given[name]):
                without[path] = PLAYED
        else:
            value, reason = _leaf(field, garden)
            made[name] = value
            if reason:
                without[path] = reason
    return {name: value for name, value in made.items() if value is not None}


def _inside(
    model: type[BaseModel], field: FieldInfo, given: Any, path: str, garden: Garden, without: dict[str, str]
) -> Any:
    items = given if isinstance(given, list) else [given or {}]
    filled = [_record(model, item, f"{path}.", garden, without) for item in items]
    return filled if _is_list(field.annotation) else filled[0]


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(part) for part in get_args(annotation))


def _leaf(field: FieldInfo, garden: Garden) -> tuple[Any, str | None]:
    """A value for a field, and why it is no canary."""
    if words := _words(field.annotation):
        return words[0], WORDS
    if _has(field.annotation, bool):
        return True, YES_OR_NO
    if _has(field.annotation, float):
        return 0.5, SMALL
    many = _is_list(field.annotation)
    if _has(field.annotation, int):
        value, reason = _number(field, garden)
        return ([value], reason) if many else (value, reason)
    text, reason = _text(field, garden)
    return ([text], reason) if many else (text, reason)


def _number(field: FieldInfo, garden: Garden) -> tuple[int | None, str | None]:
    most = min((each for each in _limits(field, "le")), default=_ROOM)
    least = max((each for each in _limits(field, "ge")), default=0)
    return (garden.count(), None) if most >= _ROOM else (int(least) or 1, SMALL)


def _limits(field: FieldInfo, name: str) -> Iterator[float]:
    for annotation in _everything(field):
        value = getattr(annotation, name, None)
        if isinstance(value, int | float):
            yield value


def _everything(annotation: Any) -> Iterator[Any]:
    for metadata in ("metadata", "__metadata__"):
        for entry in getattr(annotation, metadata, ()):
            yield entry
            yield from _everything(entry) if hasattr(entry, "metadata") else ()
    for part in (getattr(annotation, "annotation", None), *get_args(annotation)):
        if part is not None and not isinstance(part, Shape):
            yield from _everything(part)


def _text(field: FieldInfo, garden: Garden) -> tuple[str, str | None]:
    meanings = set(marks(field, Meaning))
    if Meaning.DAY in meanings:
        return garden.day(), None
    if Meaning.MOMENT in meanings:
        return f"{garden.day()}T09:00:00+03:00", None
    shape = next(marks(field, Shape))
    if shape.longest == 3 or shape.longest < 7:
        return "SAR" if Meaning.COUNTRY not in meanings else "IDN", CODED
    long_enough = shape.longest >= 40 and re.fullmatch(shape.pattern, _TEXT.format("Zq"))
    for value in (
        *([_TEXT.format(garden.name())] if long_enough else []),
        garden.name(),
        garden.capitals(),
        garden.digits(),
        garden.digits(8),
    ):
        if re.fullmatch(shape.pattern, value) and shape.shortest <= len(value) <= shape.longest:
            return value, None
    raise AssertionError(f"no canary for {shape.pattern}")


def _words(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for part in get_args(annotation) if (found := _words(part))), ())


def _has(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_has(part, wanted) for part in get_args(annotation))


# --- visa applications --------------------------------------------------------------------------------

#: From when on people are born, and their passports issued and valid: a day for each of them.
_DAYS: Final = ("1931-01-05", "2016-12-01", "2029-03-01")
#: Fields of an application and its batch that hold no canary, and why.
WITHOUT_ON_A_LINE: Final[Mapping[str, str]] = {
    "visa_type": CODED,
    "passport.type": CODED,
    "passport.issuing_state": CODED,
    "nationality": CODED,
    "birth_country": CODED,
    "sex": CODED,
    "marital_status": CODED,
    "mahram.relationship": CODED,
    "travel.entry_port": CODED,
    "travel.exit_port": CODED,
    "travel.arrival_date": "a day of the season: others travel then too",
    "travel.departure_date": "a day of the season: others travel then too",
    "travel.arrival_date_hijri": "the same day as its Gregorian twin",
    "travel.departure_date_hijri": "the same day as its Gregorian twin",
    "season": PLAYED,
}


def application(
    garden: Garden, *, today: date, ending: str = "10", mahram: str | None = None, everything: bool = True
) -> dict[str, Any]:
    """A line that is valid in every respect; its passport number ends in what its simulators go by."""
    family, given, father = garden.name(), garden.name(), garden.name()
    birth, issued, expiry = map(garden.day_from, _DAYS)
    number = f"{garden.capitals()}{ending}"
    arrival = today + timedelta(days=10)
    line: dict[str, Any] = {
        "reference": garden.name(),
        "visa_type": "umrah",
        "passport": {
            "number": number,
            "type": "P",
            "issuing_state": "IDN",
            "issue_date": issued,
            "expiry_date": expiry,
        },
        "name": {"given": given, "father": father, "grandfather": garden.name(), "family": family},
        "name_ar": {part: garden.arabic() for part in ("given", "father", "grandfather", "family")},
        "birth_date": birth,
        "birth_country": "IDN",
        "nationality": "IDN",
        "sex": "F" if mahram else "M",
        "travel": {
            "arrival_date": arrival.isoformat(),
            "departure_date": (arrival + timedelta(days=9)).isoformat(),
            "entry_port": "JED",
            "exit_port": "MED",
        },
    }
    if everything:
        _complete(line, garden)
    if mahram:
        line["mahram"] = {"reference": mahram, "relationship": "husband"}
    return line


def _complete(line: dict[str, Any], garden: Garden) -> None:
    """The fields that a line may leave out."""
    jpeg = photo(garden)
    passport, travel = line["passport"], line["travel"]
    passport |= {"issue_place": garden.name(), "mrz": zone(line)}
    travel |= {"carrier": garden.name(), "flight": garden.capitals()}
    for record, name in (
        (line, "birth_date"),
        (passport, "issue_date"),
        (passport, "expiry_date"),
        (travel, "arrival_date"),
        (travel, "departure_date"),
    ):
        twin = to_hijri(date.fromisoformat(record[name]))
        record[f"{name}_hijri"] = garden.own(twin) if record is not travel else twin
    line |= {
        "birth_place": garden.name(),
        "marital_status": "married",
        "profession": garden.name(),
        "mobile": garden.own(f"+62812{garden.digits(8)}"),
        "email": f"{garden.letters()}@{garden.letters()}.example.org",
        "address": _TEXT.format(garden.name()),
        "photo": base64.b64encode(jpeg).decode(),
        "photo_sha256": garden.own(hashlib.sha256(jpeg).hexdigest()),
        "disclosures": [_TEXT.format(garden.name()), _TEXT.format(garden.name())],
    }


def zone(line: Mapping[str, Any]) -> list[str]:
    """The machine readable zone of a line's passport."""
    passport = line["passport"]
    return list(
        compose(
            issuing_state=passport["issuing_state"],
            family=line["name"]["family"],
            given=line["name"]["given"],
            number=passport["number"],
            nationality=line["nationality"],
            birth_date=date.fromisoformat(line["birth_date"]),
            sex=line["sex"],
            expiry_date=date.fromisoformat(passport["expiry_date"]),
        )
    )


def photo(garden: Garden) -> bytes:
    """A JPEG with a canary in its comment."""
    comment = _TEXT.format(garden.name()).encode()
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return b"\xff\xd8" + segment + _FRAME + _SCAN + b"\xff\xd9"


def sow_application(line: Mapping[str, Any], garden: Garden, *, message: str, sender: str) -> None:
    """Note a line that is sent. A photo's bytes stand for it too."""
    sow_body("visa.application", line, garden, message=message, sender=sender, model=VisaApplication)
    if "photo" in line:
        source = Source("visa.application", "photo", "secret", message, sender)
        garden.sow(base64.b64decode(line["photo"]).decode("latin-1"), source)


def sow_header(header: Mapping[str, Any], garden: Garden, *, message: str, sender: str) -> None:
    """Note what a batch says of its lines."""
    sow_body("visa.batch", header, garden, message=message, sender=sender, model=BatchHeader)
