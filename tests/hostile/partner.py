"""A partner that answers badly: a proxy before the simulators that spoils single replies when it is told to.

What it spoils was done by the simulator all the same, as with a real partner whose answer goes wrong on the
way; only the tricks in `UNDONE` answer without doing anything.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from gateway.soap.envelope import SOAP_11, SOAP_12

#: One that may be repeated, and one that never is.
OPERATIONS: Final = ("VerifyPassport", "IssueVisa")
_OPERATION: Final = re.compile(rb"<(?:[a-z]+:)?(%s)[ >]" % "|".join(OPERATIONS).encode())
_ID: Final = re.compile(rb"(?<=<correlation_id>)[^<]+|(?<=:correlation_id>)[^<]+")
_STATUS: Final = re.compile(rb"<(status|visa_number)>([^<]*)</\1>")
_OTHER_ID: Final = b"0199c0de-ffff-7fff-8fff-ffffffffffff"
_HTML: Final = b"<html><h1>Bad gateway</h1></html>"
#: Nobody asked this partner for more than this in one reply.
_BOMB: Final = gzip.compress(bytes(100_000_000), 1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the simulator answered."""

    status: bytes
    media_type: bytes
    body: bytes

    def as_bytes(self, *, body: bytes | None = None, status: bytes | None = None, more: bytes = b"") -> bytes:
        """On the wire, with what is given in place of its own."""
        content = self.body if body is None else body
        return http(status or self.status, self.media_type, content, more)


def http(status: bytes, media_type: bytes, body: bytes, more: bytes = b"") -> bytes:
    """One answer, its connection closed after it."""
    return (
        b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n"
        % (status, media_type, len(body), more)
        + body
    )


Trick = Callable[[Reply, int], AsyncIterator[bytes]]


def _at_once(make: Callable[[Reply, int], bytes]) -> Trick:
    async def pieces(reply: Reply, elsewhere: int) -> AsyncIterator[bytes]:
        yield make(reply, elsewhere)

    return pieces


async def _dripping(reply: Reply, _elsewhere: int) -> AsyncIterator[bytes]:
    for byte in reply.as_bytes():
        yield bytes([byte])
        await asyncio.sleep(1.0)


async def _endless_body(reply: Reply, _elsewhere: int) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % reply.media_type
    while True:
        yield b"10000\r\n" + b" " * 65_536 + b"\r\n"


async def _endless_head(_reply: Reply, _elsewhere: int) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: " + b"x" * 8_000 + b"\r\n"


def _envelope(reply: Reply) -> tuple[bytes, bytes]:
    """The namespace of the reply's envelope, and that of the other version."""
    ours, other = SOAP_11.namespace.encode(), SOAP_12.namespace.encode()
    return (ours, other) if ours in reply.body else (other, ours)


def _other_versions_fault(reply: Reply, _elsewhere: int) -> bytes:
    _, other = _envelope(reply)
    if other == SOAP_12.namespace.encode():
        fault = (
            b"<s:Code><s:Value>s:Receiver</s:Value></s:Code>"
            b"<s:Reason><s:Text xml:lang='en'>x</s:Text></s:Reason>"
        )
    else:
        fault = b"<faultcode>s:Server</faultcode><faultstring>x</faultstring>"
    body = b'<s:Envelope xmlns:s="%s"><s:Body><s:Fault>%s</s:Fault></s:Body></s:Envelope>' % (other, fault)
    return reply.as_bytes(body=body, status=b"500 Error")


def _changed(pattern: re.Pattern[bytes], new: bytes) -> Callable[[Reply, int], bytes]:
    def change(reply: Reply, _elsewhere: int) -> bytes:
        body, count = pattern.subn(new, reply.body)
        assert count, pattern
        return reply.as_bytes(body=body)

    return change


def _before(mark: bytes, new: bytes) -> Callable[[Reply, int], bytes]:
    return _changed(re.compile(re.escape(mark)), new + mark)


TRICKS: Final[Mapping[str, Trick]] = {
    "html_502": _at_once(lambda _r, _e: http(b"502 Bad Gateway", b"text/html", _HTML)),
    "empty_200": _at_once(lambda r, _e: r.as_bytes(body=b"")),
    "empty_202": _at_once(lambda r, _e: r.as_bytes(body=b"", status=b"202 Accepted")),
    "valid_body_with_500": _at_once(lambda r, _e: r.as_bytes(status=b"500 Error")),
    "other_versions_fault": _at_once(_other_versions_fault),
    "truncated": _at_once(lambda r, _e: r.as_bytes(body=r.body[: len(r.body) // 2])),
    "shorter_than_announced": _at_once(lambda r, _e: r.as_bytes()[:-30]),
    "wrong_namespace": _at_once(_changed(re.compile(rb"(Response xmlns=\"urn:umrah:)"), rb"\1other:")),
    "anothers_correlation_id": _at_once(_changed(_ID, _OTHER_ID)),
    "field_missing": _at_once(_changed(_STATUS, b"")),
    "maybe": _at_once(_changed(_STATUS, rb"<\1>maybe</\1>")),
    "two_body_children": _at_once(_before(b"</s:Body>", b"<x/>")),
    "must_understand": _at_once(_before(b"</s:Header>", b'<x xmlns="urn:x" s:mustUnderstand="1"/>')),
    "doctype": _at_once(_before(b"<s:Envelope", b"<!DOCTYPE x [<!ENTITY e 'e'>]>")),
    "utf7": _at_once(lambda r, _e: r.as_bytes(body=b'<?xml version="1.0" encoding="utf-7"?>' + r.body[38:])),
    "dripping": _dripping,
    "redirect": _at_once(
        lambda _r, e: http(b"307 Elsewhere", b"text/plain", b"", b"Location: http://127.0.0.1:%d/\r\n" % e)
    ),
    "gzip_bomb": _at_once(lambda r, _e: r.as_bytes(body=_BOMB, more=b"Content-Encoding: gzip\r\n")),
    "multipart": _at_once(lambda r, _e: http(b"200 OK", b"multipart/related; type=text/xml", r.body)),
    "endless_body": _endless_body,
    "endless_head": _endless_head,
    "not_http": _at_once(lambda _r, _e: b"220 mail.example ESMTP\r\n\r\n"),
    "closed": _at_once(lambda _r, _e: b""),
}
#: Answered without asking the simulator: nothing was done.
UNDONE: Final = frozenset({"html_502"})


@dataclass
class HostilePartner:
    """Listens in a thread of its own between `start` and `stop`. Good until a trick is armed."""

    simulators: int
    port: int = 0
    #: How often somebody came where only a redirect, an entity or a schema location of a message leads.
    strangers: int = 0
    elsewhere: int = 0
    _armed: dict[tuple[bytes, bytes], str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Returns when it listens."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def stop(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def arm(self, passport: str, trick: str) -> None:
        """Spoil the first reply of each operation in `OPERATIONS` about that passport."""
        with self._lock:
            self._armed |= {(operation.encode(), passport.encode()): trick for operation in OPERATIONS}

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        servers = [
            await asyncio.start_server(handle, "127.0.0.1", 0) for handle in (self._serve, self._stranger)
        ]
        self.port, self.elsewhere = (server.sockets[0].getsockname()[1] for server in servers)
        ready.set()
        await self._stopping.wait()
        for server in servers:
            server.close()
        own = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _stranger(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.strangers += 1
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One call; whether the connection is good for another."""
        request = await _message(reader)
        trick = self._trick(request)
        if trick is None:
            writer.write(await self._forwarded(request))
            await writer.drain()
            return True
        undone = Reply(b"200 OK", b"text/xml", b"")
        reply = undone if trick in UNDONE else _reply(await self._forwarded(request))
        async for piece in TRICKS[trick](reply, self.elsewhere):
            writer.write(piece)
            await writer.drain()
        return False

    def _trick(self, request: bytes) -> str | None:
        """The trick that waits for this call; it comes once."""
        found = _OPERATION.search(request)
        with self._lock:
            waiting = [key for key in self._armed if found and found[1] == key[0] and key[1] in request]
            return self._armed.pop(waiting[0]) if waiting else None

    async def _forwarded(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.simulators)
        try:
            writer.write(request)
            await writer.drain()
            return await _message(reader)
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A whole HTTP message that announces its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def _reply(message: bytes) -> Reply:
    head, _, body = message.partition(b"\r\n\r\n")
    media = re.search(rb"(?i)\r\ncontent-type: *([^\r]*)", head)
    assert media, head
    return Reply(head.partition(b"\r\n")[0].partition(b" ")[2], media[1], body)
