"""A whole gateway to be hostile to: real processes on free ports, a partner that can answer badly, a broker.

There are two gateways. One is as shipped, but for the deadlines of its partners. The other waits for slow
senders for tenths of a second, so that rows on slowness take no longer than the others; it has no partners.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from adapters.service_centers.sample import sample_batch
from gateway.message import new_id
from gateway.web.tokens import demo_key_path
from tests.bus.broker import PrivateBroker
from tests.hostile.partner import HostilePartner
from tests.hostile.wire import Answer, exchange, request
from tests.processes import Installation
from tests.soap import signed

CENTER: Final = "sc-01"
#: Stands in every hostile value that looks like a person's; it may never come back or be logged.
CANARY: Final = "Qanariyya"
_PAGE_KB: Final = 1_024
_WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_DIGEST: Final = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one input cost."""

    seconds: float
    #: Of the gateway's process alone.
    cpu_s: float
    #: Its highest resident memory meanwhile, above what it had before.
    memory_mb: float


@dataclass
class Gateway:
    """One gateway process, and what can be seen of it from outside."""

    home: Installation
    _read_to: int = 0
    _keys: dict[str, PrivateKeyTypes] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.home.processes["gateway"].pid

    @property
    def log(self) -> Path:
        return self.home.folder / "gateway.log"

    def send(self, pieces: Any, *, admin: bool = False) -> Answer:
        """Bytes to a listener, and what came back."""
        return exchange(self.home.ports["admin" if admin else "public"], pieces)

    def token(self, party: str = CENTER) -> str:
        if party not in self._keys:
            pem = demo_key_path(self.home.data, party).read_bytes()
            self._keys[party] = load_pem_private_key(pem, None)
        now = int(time.time())
        claims = {"iss": party, "aud": "umrah-gateway", "iat": now, "exp": now + 240, "jti": new_id()}
        return jwt.encode(claims, self._keys[party], algorithm="EdDSA")  # type: ignore[arg-type]

    @contextmanager
    def measured(self) -> Iterator[list[Cost]]:
        """Gives the cost of what is done inside, once it is done."""
        found: list[Cost] = []
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # the peak begins anew (proc(5))
        resident, cpu, began = self._memory_kb("VmRSS"), self._cpu_s(), time.perf_counter()
        yield found
        took, spent = time.perf_counter() - began, self._cpu_s() - cpu
        grown = max(0, self._memory_kb("VmHWM") - resident)
        found.append(Cost(took, spent, grown / _PAGE_KB))

    def resident_mb(self) -> float:
        """Memory that the process has now."""
        return self._memory_kb("VmRSS") / _PAGE_KB

    def _memory_kb(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise LookupError(name)

    def _cpu_s(self) -> float:
        parts = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def logged(self) -> bytes:
        """What was logged since the last time this was asked."""
        with self.log.open("rb") as log:
            log.seek(self._read_to)
            text = log.read()
            self._read_to = log.tell()
        return text

    def received(self) -> float:
        """Messages that the gateway ever took, over all channels."""
        text = self.home.get("admin", "/metrics")
        assert isinstance(text, bytes)
        name = b"gateway_messages_received_total{"
        return sum(float(line.rpartition(b" ")[2]) for line in text.splitlines() if line.startswith(name))

    def batch(self, body: Any, media: str, **options: Any) -> Answer:
        """Submit a batch of the center (or of `party`)."""
        return self.send(batch_request(self, body, media, **options))

    def get(self, path: str, party: str = CENTER, accept: str = "application/json") -> Answer:
        headers = {"Authorization": f"Bearer {self.token(party)}", "Accept": accept}
        return self.send(request("GET", path, headers))

    def message(self, message_id: str) -> dict[str, Any]:
        """As an operator sees it."""
        token = (self.home.data / "operators" / "operator-1.token").read_text().strip()
        answer = self.send(
            request("GET", f"/v1/admin/messages/{message_id}", {"Authorization": f"Bearer {token}"}),
            admin=True,
        )
        assert answer.status == 200, answer
        return dict(answer.document)


_keys = count()


def batch_request(gateway: Gateway, body: bytes, media: str, **options: Any) -> bytes:
    """`POST /v1/batches` as bytes. `key`, `token`, `party`, `query`, `headers` may be given."""
    token = options.get("token") or gateway.token(options.get("party", CENTER))
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": media,
        "Idempotency-Key": options.get("key") or f"hostile-{os.getpid()}-{next(_keys)}",
        **options.get("headers", {}),
    }
    return request("POST", f"/v1/batches{options.get('query', '')}", headers, body)


_seeds = count(int(time.time() * 1000) % 10**9)


def header(center: str = CENTER) -> dict[str, Any]:
    """The header of a good batch."""
    return sample_batch(1, 1, date.today(), center=center)[0]  # noqa: DTZ011


def application(**changes: Any) -> dict[str, Any]:
    """A good application of a new person, with the canary for a name."""
    lines = sample_batch(1, next(_seeds), date.today(), clean=True)[1]  # noqa: DTZ011
    line = next(iter(lines))
    line["passport"].pop("mrz", None)
    line["name"]["given"] = CANARY
    line["address"] = f"{CANARY} Street"
    return {**line, **changes}


def json_batch(*applications: Mapping[str, Any], center: str = CENTER) -> bytes:
    """A JSON batch of these, or of one good application."""
    return json.dumps({**header(center), "applications": applications or [application()]}).encode()


def ndjson_batch(*applications: Mapping[str, Any]) -> bytes:
    """An NDJSON batch of these, or of one good application."""
    return b"".join(
        json.dumps(each).encode() + b"\n" for each in (header(), *(applications or [application()]))
    )


class SoapCaller:
    """A partner as it calls the gateway, with a WS-Security digest of its own making."""

    def __init__(self, gateway: Gateway, party: str = "passports") -> None:
        self._gateway = gateway
        self._party = party
        self._secret = (gateway.home.data / "soap" / f"{party}.secret").read_bytes().strip()

    def security(self, *, created: datetime | None = None, nonce: bytes | None = None) -> str:
        """A `wsse:Security` block; `s` is the prefix of the envelope."""
        salt = nonce or os.urandom(16)
        at = (created or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hashlib.sha1(salt + at.encode() + self._secret, usedforsecurity=False).digest()
        return (
            f'<w:Security xmlns:w="{_WSSE}" xmlns:u="{_WSU}" s:mustUnderstand="1"><w:UsernameToken>'
            f'<w:Username>{self._party}</w:Username><w:Password Type="{_DIGEST}">{_b64(digest)}</w:Password>'
            f"<w:Nonce>{_b64(salt)}</w:Nonce><u:Created>{at}</u:Created></w:UsernameToken></w:Security>"
        )

    def call(self, body: bytes, media: str = "application/soap+xml", **headers: str) -> Answer:
        sent = {"Content-Type": f"{media}; charset=utf-8", **headers}
        return self._gateway.send(request("POST", "/soap/movements", sent, body))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass(eq=False)
class Site:
    """Everything that rows need, up between `start` and `stop`."""

    folder: Path
    #: Of the partners' calls.
    deadline_s: float = 0.9
    with_broker: bool = True
    broker: PrivateBroker | None = None
    partner: HostilePartner = field(init=False)
    gateway: Gateway = field(init=False)
    #: The one that waits for slow senders only shortly.
    hasty: Gateway = field(init=False)
    _gateways: tuple[Gateway, ...] = ()

    def start(self) -> None:
        for name in ("main", "hasty"):
            (self.folder / name).mkdir()
        home = Installation(self.folder / "main", changes=self._main())
        changes = {"gateway.yaml": _HASTY, "parties.yaml": _SIGNING}
        hasty = Installation(self.folder / "hasty", changes=changes)
        certificate = signed.key("foreign-affairs", "ecdsa").certificate.x509
        pinned = hasty.folder / "config" / "foreign-affairs.crt"
        pinned.write_bytes(certificate.public_bytes(Encoding.PEM))
        self.partner = HostilePartner(home.ports["partners"])
        self.partner.start()
        self.gateway, self.hasty = self._gateways = (Gateway(home), Gateway(hasty))
        for service in ("nic", "passports", "foreign-affairs"):
            old = f"127.0.0.1:{home.ports['partners']}/{service}"
            home._replace("destinations.yaml", old, f"127.0.0.1:{self.partner.port}/{service}")
        # What a hostile or careless environment says of proxies and authorities is not looked at.
        env = {"HTTP_PROXY": "http://127.0.0.1:9", "REQUESTS_CA_BUNDLE": "/nonexistent"}
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(home.start_partners), pool.submit(hasty.start_gateway)]
            broker = self._broker()
            home.start_gateway(**env, **({"GATEWAY_BROKER_URL": broker} if broker else {}))
            for each in waiting:
                each.result()
        for gateway in self._gateways:
            assert gateway.home.alive("gateway"), gateway.log.read_text()[-2000:]
            gateway.logged()

    def _main(self) -> dict[str, list[tuple[str, str]]]:
        deadlines = [(f"deadline_s: {old}\n", f"deadline_s: {self.deadline_s}\n") for old in (10, 15, 30)]
        return {"destinations.yaml": [*deadlines, ("connect_timeout_s: 3\n", "connect_timeout_s: 0.5\n")]}

    def _broker(self) -> str | None:
        if not self.with_broker or PrivateBroker.script() is None:
            return None
        if self.broker is None:
            folder = self.folder / "broker"
            folder.mkdir()
            self.broker = PrivateBroker(folder)
            self.broker.start()
        return self.broker.url

    def stop(self) -> None:
        """End what was started; nothing else."""
        for gateway in self._gateways:
            gateway.home.stop()
        if self._gateways:
            self.partner.stop()
        if self.broker is not None:
            self.broker.close()


_SIGNING: Final = [
    (
        "    name_ar: وزارة الخارجية\n",
        "    name_ar: وزارة الخارجية\n"
        "    soap_security: {policy: signature, trusted: [foreign-affairs.crt]}\n",
    )
]
_HASTY: Final = [
    ("header_timeout_s: 10 ", "header_timeout_s: 0.5 "),
    ("body_timeout_s: 300 ", "body_timeout_s: 0.8 "),
    ("max_batch_bytes: 200000000 ", "max_batch_bytes: 5000000 "),
]
