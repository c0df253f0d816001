"""`gateway.yaml`: this process and its stores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.access import FIRST_OPERATORS, Operators
from gateway.settings.broker import BrokerQueues
from gateway.settings.checkpoints import Checkpoints
from gateway.settings.pressure import Pressure
from gateway.settings.retention import Retention
from gateway.settings.transport import Connections, ListenerTls, Rates
from gateway.settings.types import BrokerUrl, Part, Port, Seconds, Text, Url


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
    #: How long a batch may stand in line while others have all of these places.
    wait_for_place_s: Annotated[float, Field(ge=0, le=60)] = 5.0


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
    broker: BrokerQueues = BrokerQueues()
    intake: Intake = Intake()
    carrying: Carrying = Carrying()
    tokens: Tokens = Tokens()
    connections: Connections = Connections()
    rates: Rates = Rates()
    retention: Retention = Retention()
    operators: Operators = FIRST_OPERATORS
    checkpoints: Checkpoints = Checkpoints()
    pressure: Pressure = Pressure()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
