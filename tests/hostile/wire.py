"""HTTP as bytes on a socket: nothing in between mends what is sent, and the answer is read as it comes."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_PIECE: Final = 262_144
_LONGEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `status` 0: the connection was closed without a word."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: All bytes, head included.
    raw: bytes

    @property
    def document(self) -> Any:
        """The JSON body; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str:
        """The stable code of a problem; empty without one."""
        return str((self.document or {}).get("code", "")) if isinstance(self.document, dict) else ""


def request(method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """A whole request, its connection closed after it. `Content-Length` is added unless framing is given."""
    given = {"Host": "127.0.0.1", "Connection": "close", **headers}
    if body is not None and not {"Content-Length", "Transfer-Encoding"} & given.keys():
        given["Content-Length"] = str(len(body))
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*head, "", ""]).encode() + (body or b"")


def chunked(pieces: Iterable[bytes], *, ends: bool = True) -> Iterator[bytes]:
    """The pieces in HTTP's chunked coding."""
    for piece in pieces:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    if ends:
        yield b"0\r\n\r\n"


def exchange(port: int, pieces: bytes | Iterable[bytes], *, longest_s: float = _LONGEST_S) -> Answer:
    """Send the pieces and read to the end; whoever answers early is heard, as a patient sender would."""
    waiting = iter([pieces] if isinstance(pieces, bytes) else pieces)
    ends = time.monotonic() + longest_s
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=longest_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        left = memoryview(next(waiting, b""))
        while time.monotonic() < ends:
            readable, writable, _ = select.select(
                [connection], [connection] if left else [], [], ends - time.monotonic()
            )
            if writable:
                left = _sent(connection, left, waiting)
            if readable and (not _took(connection, received) or is_whole(received)):
                break
    return answer_in(bytes(received))


def _sent(connection: socket.socket, left: memoryview, waiting: Iterator[bytes]) -> memoryview:
    try:
        left = left[connection.send(left[:_PIECE]) :]
    except BlockingIOError:
        return left
    except OSError:  # nobody takes the rest; what was answered is still read
        return memoryview(b"")
    return left if left else memoryview(next(waiting, b""))


def _took(connection: socket.socket, received: bytearray) -> bool:
    try:
        data = connection.recv(65_536)
    except BlockingIOError:
        return True
    except OSError:
        return False
    received += data
    return bool(data)


def is_whole(received: bytes | bytearray) -> bool:
    """Whether a final answer that announces its length is here to its end: a refusal is heard at once."""
    raw = bytes(received)
    if b"\r\n\r\n" not in raw:
        return False
    found = answer_in(raw)
    return found.status >= 200 and len(found.body) >= int(found.headers.get("content-length", len(raw)))


def answer_in(raw: bytes) -> Answer:
    """The answer in these bytes, behind any interim one."""
    rest = raw
    while True:
        head, _, body = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if not 100 <= status < 200:
            break
        rest = body
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        body = _joined(body)
    return Answer(status, headers, body, raw)


def _joined(body: bytes) -> bytes:
    whole = bytearray()
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length or not body:
            return bytes(whole)
        whole += body[:length]
        body = body[length + 2 :]
