"""Every operation of the vendored WSDLs, and values for its requests and replies by chance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from typing import Any, Final

import zeep.xsd
from hypothesis import strategies as st

from adapters import foreign_affairs, interior
from gateway.soap import Contract, SoapService, load_contract
from gateway.soap.codec import CompiledCodec

SERVICES: Final[Mapping[str, SoapService]] = {
    **interior.SERVICES,
    **interior.SERVED,
    **foreign_affairs.SERVICES,
    **foreign_affairs.SERVED,
}
CONTRACTS: Final[Mapping[str, Contract]] = {name: load_contract(one) for name, one in SERVICES.items()}
#: Service, action, side.
ELEMENTS: Final = [
    (name, action, side)
    for name, contract in CONTRACTS.items()
    for action in contract.actions
    for side in ("request", "reply")
]

DATES = st.dates(date(1950, 1, 1), date(2070, 1, 1))
MOMENTS = st.builds(
    lambda day, seconds, hours: (
        datetime.combine(day, time.min, timezone(timedelta(hours=hours))) + timedelta(seconds=seconds)
    ),
    DATES,
    st.integers(0, 86_399),
    st.sampled_from([0, 3]),
)
NAMES = st.text("ABCDEFGHIJabc '.-", min_size=1, max_size=20).map(lambda text: f"A{text}")
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=60)
#: What the types of our schemas may hold, by name.
LEAVES: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "Date": DATES,
    "HijriDate": st.just("1448-06-10"),
    "Timestamp": MOMENTS,
    "Moment": MOMENTS,
    "LatinName": NAMES,
    "ArabicNamePart": TEXTS,
    "Text": TEXTS,
    "ShortText": TEXTS,
    "Pointer": st.just("/window/opens"),  # zeep reads an empty one as none
    "ErrorType": st.sampled_from(["Business", "Technical"]),
    "ErrorCode": st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True),
    "MessageId": st.uuids().map(str),
    "PartyId": st.just("nic"),
    "PassportNumber": st.from_regex(r"[A-Z0-9]{3,9}", fullmatch=True),
    "PassportType": st.sampled_from(["P", "PD"]),
    "CountryCode": st.sampled_from(["IDN", "EGY"]),
    "Sex": st.sampled_from(["M", "F", "X"]),
    "PortCode": st.just("JED"),
    "LowerCode": st.just("umrah"),
    "Registration": st.just("LIC-1"),
    "RequestReference": st.just("0199/visa_issuance"),
    "ClearanceStatus": st.sampled_from(["CLEAR", "HIT", "PENDING"]),
    "ClearanceReference": st.just("ab-12"),
    "PassportStatus": st.sampled_from(["VALID", "LOST"]),
    "VisaNumber": st.from_regex(r"[0-9]{10}", fullmatch=True),
    "BorderNumber": st.from_regex(r"[0-9]{10}", fullmatch=True),
    "Flight": st.just("SV816"),
    "CancellationReason": st.just("REQUESTED"),
    "Season": st.integers(1440, 1499),
    "Standing": st.sampled_from(["CLEAR", "BLOCK"]),
    "TenDigits": st.from_regex(r"[0-9]{10}", fullmatch=True),
    "OverstayLevel": st.integers(1, 99),
    "OverstayStatus": st.just("ACKNOWLEDGED"),
    "PassportsReference": st.just("OVS-1"),
    "ContractRevision": st.integers(1, 2**31 - 1),
    "AgentName": TEXTS,
    "AttestationStatus": st.just("RECEIVED"),
    "AttestationReference": st.just("ATT-1"),
    "Decision": st.sampled_from(["ATTESTED", "REJECTED"]),
    "Ceiling": st.integers(0, 2**31 - 1),
    "Version": st.integers(1, 2**31 - 1),
    "boolean": st.booleans(),
}


def codec(name: str, action: str, side: str) -> CompiledCodec:
    """Of one side of an operation."""
    found = getattr(CONTRACTS[name].actions[action], side)
    assert isinstance(found, CompiledCodec)
    return found


def values_of(type_: Any) -> st.SearchStrategy[Any]:
    """Values that are valid for a type of zeep's."""
    if not isinstance(type_, zeep.xsd.ComplexType):
        return LEAVES[type_.name]
    return st.tuples(*(_particle(item) for _, item in type_.elements_nested)).map(_merged)


def _particle(item: Any, *, chosen: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    if isinstance(item, zeep.xsd.Element):
        one = values_of(item.type)
        many = one if item.max_occurs == 1 else st.lists(one, min_size=1, max_size=3)
        value = many.map(partial(_named, item.name))
        # zeep calls the branches of a choice optional; one of them is not.
        return value if item.min_occurs or chosen else st.one_of(st.just({}), value)
    if isinstance(item, zeep.xsd.Choice):
        return st.one_of([_particle(one, chosen=True) for one in item])
    return st.tuples(*(_particle(one, chosen=chosen and one is item[0]) for one in item)).map(_merged)


def _named(name: Any, value: Any) -> dict[str, Any]:
    return {name: value}


def _merged(parts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.items()}
