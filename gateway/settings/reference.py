"""`reference.yaml`: who is known at the first start."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.types import Country, Name, Part, Text, Version

Standing = Literal["active", "suspended", "unlicensed"]


class Licensee(Part):
    """A licensed Umrah company or establishment."""

    id: Name
    name_en: Text
    name_ar: Text
    status: Standing


class ServiceCenter(Part):
    """A licensed service center and the licensees it serves."""

    id: Name
    status: Standing
    licensees: tuple[Name, ...]


class Agent(Part):
    """A licensee's agent abroad."""

    id: Name
    licensees: tuple[Name, ...]
    country: Country
    status: Standing
    #: Last day of the contract; None: no end is known.
    contract_until: date | None = None


class Mission(Part):
    """An embassy or consulate that issues visas."""

    id: Name
    country: Country
    status: Literal["open", "closed"]


class Package(Part):
    """A service package. Only an approved one can be used."""

    id: Name
    licensee: Name
    status: Literal["submitted", "approved", "refused", "withdrawn"]


class Group(Part):
    """A group of pilgrims, registered to one licensee."""

    number: Name
    licensee: Name


class Plan(Part):
    """An approved operational plan, both parts of it, for the season at hand and the next."""

    licensee: Name
    country: Country
    pilgrims_a_month: Annotated[int, Field(gt=0, le=10_000_000)]


class Reference(Part):
    """`reference.yaml`: who is known at the first start."""

    version: Version
    licensees: tuple[Licensee, ...]
    service_centers: tuple[ServiceCenter, ...]
    agents: tuple[Agent, ...]
    missions: tuple[Mission, ...]
    packages: tuple[Package, ...]
    groups: tuple[Group, ...]
    plans: tuple[Plan, ...] = ()
