"""Golden files: the element of a request as it is written, and of a reply as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.message import CallContext, Exchange, Projection, Verdict
from gateway.soap import Contract


class RecordingFields(dict[str, Any]):
    """Remembers which paths were read."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.read: set[str] = set()

    def __getitem__(self, path: str) -> Any:
        self.read.add(path)
        return super().__getitem__(path)


def paths_read(exchange: Exchange, fields: Mapping[str, Any], context: CallContext) -> set[str]:
    """Every canonical path that the request's converter reads."""
    recording = RecordingFields(fields)
    exchange.request(Projection(recording), context)
    return recording.read


def written(contract: Contract, exchange: Exchange, projection: Projection, context: CallContext) -> str:
    """The request's element, indented, after it was found valid."""
    codec = contract.actions[exchange.action].request
    element = etree.fromstring(codec.write(exchange.request(projection, context)))
    contract.check(element)
    etree.indent(element)
    return etree.tostring(element, encoding="unicode") + "\n"


def verdict(contract: Contract, exchange: Exchange, reply: Path | str, context: CallContext) -> Verdict:
    """What a reply's element, valid by the contract, means."""
    text = reply.read_text("utf-8") if isinstance(reply, Path) else reply
    element = etree.fromstring(text.encode())
    contract.check(element)
    return exchange.reply(contract.actions[exchange.action].reply.read(element), context)
