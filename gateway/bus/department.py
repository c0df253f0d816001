"""The other side of the broker: a department of the ministry as a client, to write one's own after.

It needs what a department has, and nothing else: the address of the broker, its two private keys, and the
rights on the broker that `docs/bus.md` names. It declares nothing.
"""

from __future__ import annotations

import hmac
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, OKPKey
from kombu import Connection, Consumer, Message, Queue

from gateway.bus.confirms import ConfirmedChannel, Outcome, Parcel
from gateway.bus.event import CONTENT_TYPE, ENCRYPTION, KEY_WRAPPING, binding, data_schema
from gateway.bus.keys import EncryptionKey
from gateway.bus.link import Broker, BrokerSilent, NotPublished
from gateway.bus.proof import sign_command
from gateway.bus.topology import COMMANDS, events_queue_name
from gateway.errors import Misconfigured, Unavailable
from gateway.message import Body, PartyId, new_id

_REGISTRY: Final = JWERegistry(algorithms=[KEY_WRAPPING, ENCRYPTION])
_PREFETCH: Final = 50


@dataclass(frozen=True, slots=True)
class PrivateKeys:
    """What a department keeps to itself."""

    #: Ed25519 or P-256: signs commands.
    signing: Ed25519PrivateKey | EllipticCurvePrivateKey = field(repr=False)
    #: X25519 or P-256: opens events.
    opening: EncryptionKey = field(repr=False)

    @classmethod
    def load(cls, signing: Path, opening: Path) -> PrivateKeys:
        """From two PEM files. Raises `Misconfigured`."""
        key = load_pem_private_key(signing.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
            raise Misconfigured([f"{signing}:1:1: is neither an Ed25519 nor a P-256 key"])
        return cls(key, _opening_key(opening))


def _opening_key(path: Path) -> EncryptionKey:
    for sort in (OKPKey, ECKey):
        try:
            return sort.import_key(path.read_bytes())
        except (ValueError, JoseError):
            continue
    raise Misconfigured([f"{path}:1:1: is neither an X25519 nor a P-256 key"])


@dataclass(frozen=True, slots=True)
class Event:
    """What the gateway told this department."""

    #: The same in every repetition.
    id: str
    kind: str
    #: Grows from one of this department's events to the next.
    sequence: int
    subject: str | None
    data: Body = field(repr=False)


class Department:
    """One party's connection. For one thread at a time; opened by `with`, or by the first use."""

    def __init__(
        self, broker: Broker, party: str, keys: PrivateKeys, *, audience: str = "umrah-gateway"
    ) -> None:
        self._broker = broker
        self._party = party
        self._keys = keys
        self._audience = audience
        self._connection: Connection | None = None
        self._publishing: ConfirmedChannel | None = None
        self._consumer: Consumer | None = None
        self._delivered: deque[Message] = deque()

    def __enter__(self) -> Self:
        self._connected()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, kind: str, data: Mapping[str, Any], *, id: str | None = None, version: int = 1) -> str:
        """Put a command into the gateway's queue; its CloudEvents id. There is no reply.

        It returns once the broker has it for good. After any error send again under the same `id`: it is
        taken once. Raises `Unavailable`.
        """
        id = id or new_id()
        outcomes: list[Outcome] = []
        connection = self._connected()
        try:
            if self._publishing is None:
                self._publishing = ConfirmedChannel(connection)
            self._publishing.publish(self._command(id, kind, data, version), outcomes.append)
            self._publishing.settle(self._broker.confirm_timeout_s)
            if outcomes != [Outcome.CONFIRMED]:
                raise NotPublished
        except _lost(connection) as error:
            self.close()
            raise Unavailable("not_published", f"the broker did not take a command of {kind}") from error
        return id

    def events(self, quiet_s: float) -> Iterator[Event]:
        """What waits in its queue, in order, until nothing has come for `quiet_s` seconds.

        An event is acknowledged when the next one is asked for: keep it durably before. After a crash it
        comes again, under the same id. Raises `Unavailable`, and `ValueError` for data that was not sealed
        for this department and this event.
        """
        connection = self._connected()
        try:
            self._listen(connection)
            while message := self._next(connection, quiet_s):
                yield read_event(bytes(message.body), self._party, self._keys.opening)
                message.ack()
        except _lost(connection) as error:
            self.close()
            raise Unavailable("broker_lost", "the connection to the broker broke") from error

    def close(self) -> None:
        """Give the connection back. What was not acknowledged comes again."""
        connection, self._connection = self._connection, None
        self._publishing = self._consumer = None
        self._delivered.clear()
        if connection is not None:
            connection.release()

    # --- the connection

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._broker.connection()
            try:
                connection.connect()
            except _lost(connection) as error:
                raise Unavailable(
                    "broker_unreachable", "the broker is not there, or lets nobody in"
                ) from error
            self._connection = connection
        return self._connection

    def _listen(self, connection: Connection) -> None:
        if self._consumer is not None:
            return
        channel = connection.channel()
        channel.auto_decode = False
        self._consumer = Consumer(
            channel,
            [Queue(events_queue_name(PartyId(self._party)), no_declare=True)],
            auto_declare=False,
            on_message=self._delivered.append,
            prefetch_count=_PREFETCH,
        )
        self._consumer.consume()

    def _next(self, connection: Connection, quiet_s: float) -> Message | None:
        ends = time.monotonic() + quiet_s
        while not self._delivered and (left := ends - time.monotonic()) > 0:
            try:
                connection.drain_events(timeout=min(1.0, left))
            except TimeoutError:
                connection.heartbeat_check()
        return self._delivered.popleft() if self._delivered else None

    def _command(self, id: str, kind: str, data: Mapping[str, Any], version: int) -> Parcel:
        event = {
            "specversion": "1.0",
            "id": id,
            "source": f"urn:umrah:party:{self._party}",
            "type": kind,
            "dataschema": data_schema(kind, version),
            "datacontenttype": "application/json",
            "data": data,
        }
        body = json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
        proof = sign_command(self._keys.signing, self._party, self._audience, body, datetime.now(UTC))
        return Parcel(
            message_id=id,
            body=body,
            content_type=CONTENT_TYPE,
            exchange=COMMANDS,
            routing_key=COMMANDS,
            headers={"authorization": proof},
        )


def read_event(body: bytes, party: str, key: EncryptionKey) -> Event:
    """The event in a message's body, its data opened. Raises `ValueError`."""
    event = json.loads(body)
    data = event["data"]
    if event["datacontenttype"] == "application/jose":
        data = _opened(data, binding(event["id"], party), key)
    return Event(event["id"], event["type"], int(event["sequence"]), event.get("subject"), data)


def _opened(sealed: str, bound_to: str, key: EncryptionKey) -> Body:
    """Only what was sealed for this very event: data can't have been put under another one."""
    try:
        opened = jwe.decrypt_compact(sealed, key, registry=_REGISTRY)
    except JoseError as error:
        raise ValueError("the data was not sealed for this key") from error
    if not hmac.compare_digest(str(opened.protected.get("apv")), bound_to):
        raise ValueError("the data was sealed for another event")
    found: Body = json.loads(opened.plaintext or b"")
    return found


def _lost(connection: Connection) -> tuple[type[BaseException], ...]:
    return (OSError, BrokerSilent, NotPublished, *connection.connection_errors, *connection.channel_errors)
