"""The shape of the configuration: one frozen model a file, and `Settings` that holds them all.

Durations are seconds and say so in their key (`deadline_s`). Every number has an upper bound, so that a slip
of a zero is found by `check-config` and not at night. Collections are tuples and read-only mappings.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.settings.access import FIRST_OPERATORS, Operators, Role
from gateway.settings.checkpoints import Checkpoints
from gateway.settings.document import Document
from gateway.settings.retention import Retention
from gateway.settings.soap_security import DestinationSecurity, PartySecurity
from gateway.settings.transport import ClientTls, Connections, ListenerTls, PartyCertificate, Rates


def _with_a_port(url: str) -> str:
    try:
        _ = urlsplit(url).port
    except ValueError as error:  # it tells the value, which may hold a password
        raise ValueError("host or port of the address cannot be read") from error
    return url


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
LongSeconds = Annotated[float, Field(gt=0, le=90 * 86_400, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=1, le=3_650)]
Port = Annotated[int, Field(ge=0, le=65_535)]
#: An id that may become a metric label and part of a path.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Version = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
FieldPath = Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=120)]
#: No user, password, query or fragment: secrets never stand in a URL of ours.
Url = Annotated[str, Field(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?$", max_length=500)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
#: What the bus's own library reads as an address: found here and not by a bus that never connects.
BrokerUrl = Annotated[
    str, Field(pattern=r"^(memory://|amqps?://[^\s?#]*$)", max_length=500), AfterValidator(_with_a_port)
]
#: Relative to the directory of `gateway.yaml`, unless absolute.
FileName = Annotated[str, Field(min_length=1, max_length=500)]
#: The values of `schemas.confidentiality.Confidentiality` (عام، مقيد، سري، سري للغاية).
ClassName = Literal["public", "restricted", "secret", "top_secret"]


class Part(BaseModel):
    """A mapping in a file: nothing unknown, no silent conversion, unchangeable once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


# --- gateway.yaml ---------------------------------------------------------------------------------


class Listener(Part):
    """Where one of our servers listens. Port 0 takes a free one."""

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port
    tls: ListenerTls | None = None


class Listeners(Part):
    """The service centers' side, and the operators' side."""

    public: Listener = Listener(port=8080)
    admin: Listener = Listener(port=8081)


class Intake(Part):
    """Limits of what is taken in. Beyond them the answer is 413, 408 or 429."""

    #: Of the decoded body.
    max_batch_bytes: Annotated[int, Field(gt=0, le=4_000_000_000)] = 200_000_000
    max_line_bytes: Annotated[int, Field(ge=1_024, le=16_777_216)] = 524_288
    max_lines: Annotated[int, Field(gt=0, le=10_000_000)] = 200_000
    #: Lines recorded in one transaction.
    chunk_lines: Annotated[int, Field(gt=0, le=10_000)] = 200
    #: How long a half-received batch holds its idempotency key after its receiver fell silent.
    lease_s: Seconds = 60.0
    header_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 300.0
    max_concurrent_batches: Annotated[int, Field(gt=0, le=10_000)] = 32


class Carrying(Part):
    """How messages are taken through their itineraries."""

    #: Messages carried at the same time by one process.
    in_flight: Annotated[int, Field(gt=0, le=10_000)] = 128
    claim_size: Annotated[int, Field(gt=0, le=10_000)] = 64
    #: Longer than the longest stage's deadline; `check-config` compares.
    lease_s: Seconds = 60.0
    sweep_interval_s: Seconds = 0.2
    #: Lines of an accepted batch made ready in one transaction.
    release_chunk: Annotated[int, Field(gt=0, le=100_000)] = 500


class Tokens(Part):
    """What a party's bearer token must say (RFC 7519)."""

    audience: Text = "umrah-gateway"
    #: Longest accepted life, from `iat` or now until `exp`.
    max_age_s: Annotated[int, Field(gt=0, le=3_600)] = 300
    #: Allowed difference between a party's clock and ours.
    leeway_s: Annotated[int, Field(ge=0, le=60)] = 5


class Gateway(Part):
    """`gateway.yaml`: this process and its stores."""

    listeners: Listeners = Listeners()
    #: The address under which parties reach the public listener; written into WSDLs and `Location`.
    base_url: Url = "http://127.0.0.1:8080"
    #: Relative to the working directory.
    data_directory: Annotated[str, Field(min_length=1, max_length=500)] = "data"
    #: Not shown, like the next: from the environment it may hold a password.
    database_url: Annotated[str, Field(pattern=r"^(sqlite:///.+|postgresql\+psycopg://.+)$")] = Field(
        default_factory=lambda given: f"sqlite:///{given.get('data_directory', 'data')}/gateway.db",
        repr=False,
    )
    #: None: no broker; the outbox is the bus.
    broker_url: BrokerUrl | None = Field(default=None, repr=False)
    intake: Intake = Intake()
    carrying: Carrying = Carrying()
    tokens: Tokens = Tokens()
    connections: Connections = Connections()
    rates: Rates = Rates()
    retention: Retention = Retention()
    operators: Operators = FIRST_OPERATORS
    checkpoints: Checkpoints = Checkpoints()
    log_level: Literal["debug", "info", "warning", "error"] = "info"


# --- parties.yaml ---------------------------------------------------------------------------------


class PartyKey(Part):
    """A public key that a party signs its tokens with (PEM)."""

    file: FileName
    algorithm: Literal["EdDSA", "ES256"]


class Webhook(Part):
    """Where a service center wants to be told at once that there is something to fetch."""

    #: https. http only together with `allow_private`, for demonstrations.
    url: Url
    #: One secret a line (`whsec_…`), two while it is being changed; mode 0600. With `demo_key` it is made
    #: in the data directory unless given.
    secret_file: FileName | None = None
    #: Calls into private networks are refused unless this is set.
    allow_private: bool = False

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if not self.allow_private and not self.url.startswith("https://"):
            raise ValueError("url is not https")
        return self


class Party(Part):
    """Anything that sends or receives."""

    id: Name
    kind: Literal["service_center", "ministry", "committee", "system"]
    name_en: Text
    name_ar: Text
    #: More than one while a key is being changed.
    keys: tuple[PartyKey, ...] = ()
    #: Client certificates that prove this party, and no other. Several while one is being renewed.
    certificates: tuple[PartyCertificate, ...] = ()
    #: The highest class that it may be told, in events and results. Unless given, restricted for a service
    #: center and secret for everybody else. What is sent to a system is judged by its destination's.
    clearance: ClassName | None = None
    #: A key pair is made in the data directory at the first start. For demonstrations only.
    demo_key: bool = False
    #: Public key (X25519, PEM) that events on the bus are encrypted to. With `demo_key` one is made.
    encryption_key: FileName | None = None
    #: None: it asks for its notifications itself.
    webhook: Webhook | None = None
    #: How it proves itself when it calls our SOAP services.
    soap_security: PartySecurity = PartySecurity()

    @property
    def cleared(self) -> ClassName:
        """The highest class that it may be told."""
        return self.clearance or ("restricted" if self.kind == "service_center" else "secret")

    @model_validator(mode="after")
    def _center_with_secret(self) -> Self:
        if self.webhook is None:
            return self
        if self.kind != "service_center":
            raise ValueError("only a service center can have a webhook")
        if self.webhook.secret_file is None and not self.demo_key:
            raise ValueError("webhook: secret_file is missing")
        return self

    @model_validator(mode="after")
    def _keys_or_demo(self) -> Self:
        if self.keys and self.demo_key:
            raise ValueError("give keys or demo_key, not both")
        proof = self.keys or self.certificates or self.demo_key
        if not proof and self.kind != "system":
            raise ValueError("has no way to prove itself: give keys, certificates, or demo_key: true")
        return self


class Parties(Part):
    """`parties.yaml`."""

    parties: Annotated[tuple[Party, ...], Field(min_length=1)]


# --- destinations.yaml ----------------------------------------------------------------------------


class Retry(Part):
    """How calls that provably had no effect are repeated (`gateway.policies.retry`)."""

    first_s: Seconds = 2.0
    ceiling_s: LongSeconds = 300.0
    factor: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 2.0
    #: Since the first attempt. None: never.
    give_up_after_s: LongSeconds | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.ceiling_s < self.first_s:
            raise ValueError("ceiling_s is smaller than first_s")
        return self


class DeferredWaits(Part):
    """How soon a partner that said "not now" is asked again, by the reason it gave."""

    answer_pending_s: LongSeconds = 60.0
    mission_capacity_s: LongSeconds = 900.0


class Inquiry(Part):
    """How it is found out what became of a call whose answer was lost."""

    #: False: the partner cannot be asked, and such a call goes to a person.
    enabled: bool = False
    interval_s: LongSeconds = 60.0
    #: Still undecided this long after the call: to a person.
    review_after_s: LongSeconds = 86_400.0


class Destination(Part):
    """A partner's system, as it is reached and what it can be relied on for."""

    party: Name
    url: Url
    #: The highest class of a field that may be sent there.
    clearance: ClassName
    #: For one whole call, waiting for a free connection included.
    deadline_s: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]
    connect_timeout_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 3.0
    #: Calls at the same time from one process.
    concurrency: Annotated[int, Field(gt=0, le=10_000)] = 32
    #: A request may still take effect this long after it was sent; "absent" means nothing before that.
    longest_processing_s: LongSeconds
    retry: Retry = Retry()
    deferred: DeferredWaits = DeferredWaits()
    inquiry: Inquiry = Inquiry()
    #: Replays what it issued for the same `request_reference` instead of issuing again.
    deduplicates: bool = False
    #: What is proven absent is sent again although the partner does not deduplicate.
    resend_when_absent: bool = False
    #: An unused connection is closed after this long: less than the partner's own limit.
    idle_s: Seconds = 15.0
    tls: ClientTls | None = None
    #: WS-Security, for a partner that speaks SOAP.
    soap_security: DestinationSecurity = DestinationSecurity()

    @model_validator(mode="after")
    def _connects_in_time(self) -> Self:
        if self.connect_timeout_s > self.deadline_s:
            raise ValueError("connect_timeout_s is longer than deadline_s")
        return self


class Destinations(Part):
    """`destinations.yaml`."""

    destinations: Mapping[Name, Destination]


# --- routes.yaml ----------------------------------------------------------------------------------


class Route(Part):
    """An itinerary: stages one after the other, the operations of a stage at the same time."""

    stages: Annotated[
        tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...],
        Field(min_length=1),
    ]


class Routes(Part):
    """`routes.yaml`: an itinerary for each kind of message."""

    version: Version
    itineraries: Mapping[Name, Route]


# --- confidentiality.yaml -------------------------------------------------------------------------


class Grant(Part):
    """What one destination may see in one operation, and what for."""

    purpose: Text
    fields: tuple[FieldPath, ...]


class ConfidentialityPolicy(Part):
    """`confidentiality.yaml`: the need-to-know lists. What is not granted is never sent."""

    version: Version
    #: By destination, then by operation.
    grants: Mapping[Name, Mapping[Name, Grant]]
    #: By kind of receiver: the fields of a result that it is shown.
    results: Mapping[Name, tuple[FieldPath, ...]]
    #: By party or kind of party, then by kind of event: what of it that receiver is told. A department
    #: receives the events that are granted to it, and no others.
    events: Mapping[Name, Mapping[Name, Grant]] = {}
    #: By role, then by kind of message: what of it an operator of that role may reveal.
    operators: Mapping[Role, Mapping[Name, Grant]] = {}


# --- controls.yaml --------------------------------------------------------------------------------


class Mahram(Part):
    """Who must name a companion (محرم): applicants of `sex` younger than `below_age`, if `required`."""

    required: bool = False
    sex: Literal["M", "F"] = "F"
    #: Age in full years on the day of arrival; None: at any age.
    below_age: Annotated[int, Field(gt=0, le=120)] | None = None


class RequestWindow(Part):
    """Days, both included, on which applications are taken."""

    opens: date
    closes: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes < self.opens:
            raise ValueError("closes before it opens")
        return self


class OverstayLimits(Part):
    """How many pilgrims of a licensee or an agent may stay too long before the gate closes for them."""

    #: Overstays over arrivals, in the season; None: no such limit.
    max_ratio: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    max_count: Annotated[int, Field(gt=0, le=10_000_000)] | None = None
    #: A ratio says nothing of fewer arrivals than this.
    minimum_arrivals: Annotated[int, Field(gt=0, le=10_000_000)] = 1
    #: Days after `stay_until` before a stay counts as too long.
    grace_days: Annotated[int, Field(ge=0, le=90)] = 0


class Controls(Part):
    """`controls.yaml`: the initial control set, until the authorities publish another."""

    version: Version
    passport_validity_months: Annotated[int, Field(ge=0, le=60)]
    #: None: no limit of ours.
    max_stay_days: Annotated[int, Field(gt=0, le=366)] | None = None
    mahram: Mahram = Mahram()
    #: Empty: always open.
    request_windows: tuple[RequestWindow, ...] = ()
    #: Months that no part of an operational plan covers.
    unplanned_months: Literal["closed", "open", "quota"] = "closed"
    #: None: no limits.
    overstay: OverstayLimits | None = None
    #: Days after the due day on which a first, second … notice of an overstay is given.
    overstay_levels_days: Annotated[tuple[Days, ...], Field(min_length=1, max_length=20)] = (1, 7, 30)
    #: Passports of the specimen issuer UTO (ICAO 9303), for tests only.
    specimen_issuers_allowed: bool = False

    @model_validator(mode="after")
    def _levels_rise(self) -> Self:
        levels = self.overstay_levels_days
        if any(later <= earlier for earlier, later in pairwise(levels)):
            raise ValueError("overstay_levels_days must rise")
        return self


# --- reference.yaml -------------------------------------------------------------------------------

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


# --- all of them ----------------------------------------------------------------------------------


class Settings(BaseModel):
    """The whole configuration, checked. Made by `load`; a changed copy by `model_copy`."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    gateway: Gateway
    parties: tuple[Party, ...]
    destinations: Mapping[str, Destination]
    routes: Routes
    confidentiality: ConfidentialityPolicy
    controls: Controls
    reference: Reference
    #: Of `gateway.yaml`; files that the configuration names are relative to it.
    directory: Path = Path()
    #: Where each value stands, for messages; by the file's name without its ending.
    documents: Mapping[str, Document] = Field(default_factory=dict, exclude=True, repr=False)

    def file(self, name: str) -> Path:
        """The path of a file that the configuration names."""
        return self.directory / name

    def party(self, party_id: str) -> Party | None:
        """The party of that id, if there is one."""
        return next((party for party in self.parties if party.id == party_id), None)

    def __str__(self) -> str:
        """Short, and without the URLs: they may hold a password from the environment."""
        return f"Settings({self.directory})"

    __repr__ = __str__
