"""A good message of each door: what must pass after every hostile one."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final
from uuid import uuid4

from adapters.service_centers import MEDIA_TYPES
from adapters.service_centers.batch_writer import write_batch
from gateway.soap.envelope import SOAP_11, SOAP_12, Dialect
from tests.hostile import ministry
from tests.hostile.row import lines_of
from tests.hostile.site import Site, SoapCaller, application, header
from tests.hostile.wire import Answer, request
from tests.soap import signed

_numbers = count(6_100_000_000)


def batch_passes(name: str, site: Site, *, hasty: bool = False) -> bool:
    """A batch of one good line in that format is accepted."""
    out = io.BytesIO()
    write_batch(name, header(), [application()], out)
    answer = (site.hasty if hasty else site.gateway).batch(out.getvalue(), MEDIA_TYPES[name])
    return lines_of(answer).answer == "202, 1 accepted"


def arrival(**values: Any) -> str:
    """A `NotifyArrival` of a visa that nobody knows yet."""
    found = {
        "event_id": f"EV-{uuid4()}",
        "visa_number": str(next(_numbers)),
        "at": "2026-11-22T11:58:03+03:00",
        "port": "JED",
        "carrier": "flynas",
        "flight": "SV816",
        **values,
    }
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in found.items())
    return f'<NotifyArrival xmlns="urn:umrah:gateway:movements:v1">{fields}</NotifyArrival>'


def envelope(
    site: Site, body: str | None = None, header: str | None = None, dialect: Dialect = SOAP_12
) -> bytes:
    """An envelope with a fresh token around `body`, or around a good call."""
    caller = SoapCaller(site.gateway)
    return dialect.wrap(caller.security() if header is None else header, arrival() if body is None else body)


def soap_passes(site: Site) -> bool:
    """A good call in each version of SOAP is accepted."""
    caller = SoapCaller(site.gateway)
    answers = [caller.call(envelope(site, dialect=each), each.media_type) for each in (SOAP_11, SOAP_12)]
    return all(each.status == 200 and b"accepted" in each.body for each in answers)


def amqp_passes(site: Site) -> bool:
    """A good command is taken."""
    before = site.gateway.received()
    ministry.send(site, ministry.command())
    return ministry.until(lambda: site.gateway.received() > before)


#: With which Foreign Affairs signs what it sends to the gateway that waits shortly for slow senders.
SIGNING: Final = signed.key("foreign-affairs", "ecdsa")
_versions = count(int(time.time()))


def capacity(mission: str = "MSN-IDN-JKT") -> str:
    """A `PublishMissionCapacity`, newer than the one before."""
    return (
        f'<PublishMissionCapacity xmlns="urn:umrah:gateway:capacity:v1"><mission_id>{mission}</mission_id>'
        f"<version>{next(_versions)}</version><window><opens>2026-12-01</opens><closes>2027-12-31</closes>"
        "</window><ceiling>100000</ceiling></PublishMissionCapacity>"
    )


def signed_call(site: Site, body: bytes, dialect: Dialect) -> Answer:
    """A call of Foreign Affairs."""
    return site.hasty.send(request("POST", "/soap/capacity", {"Content-Type": dialect.media_type}, body))


def signed_passes(site: Site) -> bool:
    """A good signed call is accepted."""
    sent = signed.Sender(SIGNING, SOAP_12, datetime.now(UTC)).signed("", capacity())
    answer = signed_call(site, signed.sent(sent), SOAP_12)
    return answer.status == 200 and b"accepted" in answer.body


PASSES: Final[Mapping[str, Callable[[Site], bool]]] = {
    **{name: (lambda site, name=name: batch_passes(name, site)) for name in MEDIA_TYPES},  # type: ignore[misc]
    "soap": soap_passes,
    "signed": signed_passes,
    "amqp": amqp_passes,
}


def told(document: bytes) -> Any:
    """JSON, for rows that look into an answer."""
    return json.loads(document)
