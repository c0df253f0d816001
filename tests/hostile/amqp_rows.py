"""Commands on the broker that nobody should have sent."""

from __future__ import annotations

import gzip
import json
import pickle
import socket
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.hostile import ministry
from tests.hostile.row import Act, Row
from tests.hostile.site import CANARY, Site


def _sent(body: Callable[[], Any], **properties: Any) -> Callable[[Site], Act]:
    def prepare(site: Site) -> Act:
        made = body()

        def act() -> Any:
            ministry.send(site, made, **properties)
            return ministry.set_aside(site)

        return act

    return prepare


def _command(**given: Any) -> Callable[[], bytes]:
    def body() -> bytes:
        command = ministry.command()
        command["data"] = {**command["data"], "name_en": CANARY}
        return json.dumps({**command, **given}).encode()

    return body


@dataclass
class _Calling:
    """Unpickled, it calls where nobody may come."""

    port: int

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return socket.create_connection, (("127.0.0.1", self.port),)


def _pickled(**properties: Any) -> Callable[[Site], Act]:
    return lambda site: _sent(lambda: pickle.dumps(_Calling(site.partner.elsewhere)), **properties)(site)


_PICKLE: Final = "application/x-python-serialize"


def _rows() -> Iterator[Row]:
    def row(name: str, body: Callable[[], Any], code: str, note: str = "", **properties: Any) -> Row:
        prepare = _sent(body, **properties)
        return Row("AMQP", name, prepare, f"set aside: {code}", door="amqp", note=note)

    said = ("pickle", _pickled(content_type=_PICKLE), "unsupported_media_type")
    unsaid = ("pickle said to be JSON", _pickled(), "encoding_not_utf8")
    for name, prepare, code in (said, unsaid):
        yield Row("AMQP", name, prepare, f"set aside: {code}", door="amqp", note="never unpickled")
    yield row(
        "YAML",
        lambda: b"!!python/object/apply:os.system ['true']",
        "unsupported_media_type",
        content_type="application/x-yaml",
    )
    yield row("bad JSON", lambda: b'{"specversion": ' + CANARY.encode(), "invalid_json")
    yield row("duplicate key", lambda: b'{"id": "1", "id": "2"}', "duplicate_key")
    yield row("nesting 100,000 deep", lambda: b"[" * 100_000, "nesting_too_deep")
    yield row("unknown kind", _command(type="licensee.gossip"), "unknown_kind")
    yield row("unknown version", _command(dataschema="urn:umrah:kind:licensee.status:v9"), "unknown_version")
    yield row("a kind of another sender", _command(type="movement.arrival"), "not_your_message")
    yield row(
        "`compression` header, a bomb of 100 MB",
        lambda: zlib.compress(bytes(100_000_000)),
        "compression_refused",
        "never unpacked",
        headers={"compression": "application/x-gzip"},
    )
    yield row(
        "`content_encoding` gzip",
        lambda: gzip.compress(_command()()),
        "compression_refused",
        content_encoding="gzip",
    )
    yield row("a body of 5 MB", _command(data={"x": CANARY + "x" * 5_000_000}), "body_too_large")
    yield row("no signature", _command(), "unauthenticated", headers={"authorization": ""})
    yield row("another's signature", _command(), "unauthenticated", headers={"authorization": "Bearer a.b.c"})
    yield row("properties that cannot be read", _command(), "properties_unreadable", content_type=b"\xff\xfe")


ROWS: Final = tuple(_rows())
