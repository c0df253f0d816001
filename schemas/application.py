"""The canonical visa application and the batch it comes in.

These models say what a message looks like: names, kinds, lengths and characters of its fields, and the
confidentiality class of each. What the values must mean together stands in `schemas.rules`.

Every date is a text `YYYY-MM-DD` in the Gregorian calendar and may have a twin `*_hijri` in the Umm
al-Qura calendar. A JSON null stands for an absent field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from schemas.confidentiality import Confidentiality
from schemas.shapes import Shape

PUBLIC: Final = Confidentiality.PUBLIC
RESTRICTED: Final = Confidentiality.RESTRICTED
SECRET: Final = Confidentiality.SECRET

#: The largest photo, in bytes of JPEG.
MAX_PHOTO_BYTES: Final = 200 * 1024
MAX_DISCLOSURES: Final = 10

#: Printable, on one line, and nothing that turns the direction of what follows it.
PRINTABLE: Final = r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]"
_ARABIC_LETTER: Final = r"[\u0621-\u063a\u0641-\u0652\u0670-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06fc]"
_ARABIC_NAME: Final = _ARABIC_LETTER[:-1] + r" '\u200c-]"

#: The only integer, where it comes as text.
YEAR: Final = Shape("[0-9]{4}")

Date = Annotated[str, Shape("[0-9]{4}", "-", "[0-9]{2}", "-", "[0-9]{2}")]
Reference = Annotated[str, Shape("[A-Za-z0-9]", "[A-Za-z0-9._:/-]{0,63}")]
PartyReference = Annotated[str, Shape("[A-Za-z0-9]", "[A-Za-z0-9._-]{0,39}")]
PassportNumber = Annotated[str, Shape("[A-Z0-9]{3,9}")]
MrzLine = Annotated[str, Shape("[A-Z0-9<]{44}")]
CountryCode = Annotated[str, Shape("[A-Z]{3}")]
UpperCode = Annotated[str, Shape("[A-Z]{1,2}")]
LowerCode = Annotated[str, Shape("[a-z]", "[a-z_]{0,39}")]
LatinName = Annotated[str, Shape("[A-Za-z]", "[A-Za-z '.-]{0,59}")]
ArabicName = Annotated[str, Shape(_ARABIC_LETTER, _ARABIC_NAME + "{0,59}")]
ShortText = Annotated[str, Shape(PRINTABLE + "{1,80}")]
LongText = Annotated[str, Shape(PRINTABLE + "{1,500}")]
Phone = Annotated[str, Shape("[+]", "[1-9]", "[0-9]{5,14}")]
Email = Annotated[str, Shape("[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", "@", "[A-Za-z0-9.-]{4,189}")]
PortCode = Annotated[str, Shape("[A-Z]{2}", "[A-Z0-9]{1,3}")]
Flight = Annotated[str, Shape("[A-Z0-9]{2}", "[A-Z0-9]{1,6}")]
Sha256 = Annotated[str, Shape("[0-9a-f]{64}")]
Base64 = Annotated[str, Shape(f"[A-Za-z0-9+/]{{4,{MAX_PHOTO_BYTES * 4 // 3 + 4}}}", "[=]{0,2}")]


class Record(BaseModel):
    """Nothing unknown, nothing converted, nothing changed afterwards, no value in an error's text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Passport(Record):
    """The travel document as its data page shows it."""

    number: Annotated[PassportNumber, RESTRICTED]
    #: A code of `codes/passport_types.csv`: `P` and, where printed, the second letter.
    type: Annotated[UpperCode, RESTRICTED]
    issuing_state: Annotated[CountryCode, RESTRICTED]
    issue_date: Annotated[Date, RESTRICTED]
    issue_date_hijri: Annotated[Date | None, RESTRICTED] = None
    expiry_date: Annotated[Date, RESTRICTED]
    expiry_date_hijri: Annotated[Date | None, RESTRICTED] = None
    issue_place: Annotated[ShortText | None, RESTRICTED] = None
    #: Both lines of the machine readable zone (ICAO Doc 9303-4, TD3), 44 characters each.
    mrz: Annotated[list[MrzLine] | None, Field(min_length=2, max_length=2), RESTRICTED] = None


class Name(Record):
    """The name in Latin letters, as on the data page. A person with one name repeats it in `family`."""

    given: Annotated[LatinName, RESTRICTED]
    father: Annotated[LatinName | None, RESTRICTED] = None
    grandfather: Annotated[LatinName | None, RESTRICTED] = None
    family: Annotated[LatinName, RESTRICTED]


class ArabicNames(Record):
    """The name in Arabic script. Never compared with the Latin one: a transliteration proves nothing."""

    given: Annotated[ArabicName, RESTRICTED]
    father: Annotated[ArabicName | None, RESTRICTED] = None
    grandfather: Annotated[ArabicName | None, RESTRICTED] = None
    family: Annotated[ArabicName, RESTRICTED]


class Mahram(Record):
    """The relative who travels along, where the control set asks for one."""

    #: `reference` of his own application in the same batch.
    reference: Annotated[Reference, RESTRICTED]
    #: A code of `codes/mahram_relationships.csv`: what he is to the pilgrim.
    relationship: Annotated[LowerCode, RESTRICTED]


class Travel(Record):
    """The journey. Ports are IATA (three characters) or UN/LOCODE (five) codes."""

    arrival_date: Annotated[Date, RESTRICTED]
    arrival_date_hijri: Annotated[Date | None, RESTRICTED] = None
    departure_date: Annotated[Date, RESTRICTED]
    departure_date_hijri: Annotated[Date | None, RESTRICTED] = None
    entry_port: Annotated[PortCode | None, RESTRICTED] = None
    exit_port: Annotated[PortCode | None, RESTRICTED] = None
    carrier: Annotated[ShortText | None, RESTRICTED] = None
    flight: Annotated[Flight | None, RESTRICTED] = None


class VisaApplication(Record):
    """One line of a batch: one pilgrim asks for one visa."""

    #: The center's own name for the line, unique in its batch.
    reference: Annotated[Reference, RESTRICTED]
    #: A code of `codes/visa_types.csv`.
    visa_type: Annotated[LowerCode, PUBLIC]
    passport: Passport
    name: Name
    name_ar: ArabicNames | None = None
    birth_date: Annotated[Date, RESTRICTED]
    birth_date_hijri: Annotated[Date | None, RESTRICTED] = None
    birth_place: Annotated[ShortText | None, RESTRICTED] = None
    birth_country: Annotated[CountryCode | None, RESTRICTED] = None
    nationality: Annotated[CountryCode, RESTRICTED]
    #: A code of `codes/sexes.csv`. `X` stands for the `<` of a machine readable zone.
    sex: Annotated[UpperCode, RESTRICTED]
    #: A code of `codes/marital_statuses.csv`.
    marital_status: Annotated[LowerCode | None, RESTRICTED] = None
    profession: Annotated[ShortText | None, RESTRICTED] = None
    #: E.164 with the plus sign.
    mobile: Annotated[Phone | None, RESTRICTED] = None
    email: Annotated[Email | None, RESTRICTED] = None
    address: Annotated[LongText | None, RESTRICTED] = None
    mahram: Mahram | None = None
    travel: Travel
    #: A JPEG in base64, at most `MAX_PHOTO_BYTES` when decoded.
    photo: Annotated[Base64 | None, SECRET] = None
    #: SHA-256 of the JPEG, in hexadecimal, of a photo that was sent before or comes with `photo`.
    photo_sha256: Annotated[Sha256 | None, SECRET] = None
    #: What the pilgrim declares (earlier refusals, illnesses that need care), a sentence each.
    disclosures: Annotated[list[LongText] | None, Field(min_length=1, max_length=MAX_DISCLOSURES), SECRET] = (
        None
    )


def _season(value: object) -> object:
    """CSV and XML know only text: exactly four ASCII digits become the number."""
    return int(value) if isinstance(value, str) and re.fullmatch(YEAR.pattern, value) else value


class BatchHeader(Record):
    """What a batch says of all its lines."""

    batch_reference: Annotated[Reference, PUBLIC]
    licensee_id: Annotated[PartyReference, PUBLIC]
    agent_id: Annotated[PartyReference, PUBLIC]
    mission_id: Annotated[PartyReference, PUBLIC]
    package_id: Annotated[PartyReference | None, PUBLIC] = None
    group_number: Annotated[PartyReference | None, PUBLIC] = None
    #: Hijri year, as a number or four digits.
    season: Annotated[int, Field(ge=1343, le=1500), BeforeValidator(_season), PUBLIC]


def person_fields(application: Mapping[str, Any]) -> tuple[str, str, str]:
    """What makes two applications one person's: passport number, issuing state, visa type.

    Of a canonical application. Normalised (upper case, no filler), so that one passport has one spelling.
    """
    passport = application["passport"]
    number = passport["number"].upper().replace("<", "")
    return number, passport["issuing_state"].upper(), application["visa_type"]


@cache
def field_classes() -> Mapping[str, Confidentiality]:
    """The confidentiality class of every leaf of an application, by dotted path. A list is one leaf.

    Raises `LookupError` for a leaf without exactly one class.
    """
    return MappingProxyType({path: _class_of(path, field) for path, field in leaves(VisaApplication)})


@cache
def leaf_paths() -> tuple[str, ...]:
    """The dotted paths of an application in its order, each slot of a list apart (`passport.mrz.1`).

    These are the columns of CSV: slots count from 1 there, while JSON pointers count from 0.
    """
    return tuple(slot for path, field in leaves(VisaApplication) for slot in _slots(path, field))


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field of `model` that holds no record of its own, with its dotted path."""
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        record = record_in(field.annotation)
        if record:
            yield from leaves(record, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def record_in(annotation: Any) -> type[BaseModel] | None:
    """The record that `annotation` is, may be, or is a list of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((record for part in get_args(annotation) if (record := record_in(part))), None)


def _class_of(path: str, field: FieldInfo) -> Confidentiality:
    classes = [entry for entry in field.metadata if isinstance(entry, Confidentiality)]
    if len(classes) != 1:
        raise LookupError(f"{path} needs exactly one confidentiality class")
    return classes[0]


def _slots(path: str, field: FieldInfo) -> Iterator[str]:
    longest = next((entry.max_length for entry in field.metadata if hasattr(entry, "max_length")), None)
    if longest is None:
        yield path
    else:
        yield from (f"{path}.{slot}" for slot in range(1, longest + 1))
