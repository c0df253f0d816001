"""A service's WSDL and schemas, as others fetch them: every address in them is the configured one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.soap.contract import VENDORED, SoapService


def published(service: SoapService, address: str) -> Mapping[str, bytes]:
    """Documents by query string: `wsdl`, and `xsd=…` for each schema. Blocks; for start-up.

    `address` is where the service is reached, from the configuration and never from a request.
    """
    documents: dict[str, bytes] = {}
    _add("wsdl", VENDORED / "wsdl" / service.wsdl, address, documents)
    return documents


def _add(query: str, path: Path, address: str, documents: dict[str, bytes]) -> None:
    tree = etree.parse(path, etree.XMLParser(no_network=True))
    documents[query] = b""  # seen: schemas may import one another
    for port in tree.iter("{*}address"):
        port.set("location", address)
    for reference in _imports(tree):
        target = (path.parent / reference.get("schemaLocation", "")).resolve()
        name = f"xsd={target.relative_to((VENDORED / 'xsd').resolve()).as_posix()}"
        reference.set("schemaLocation", f"{address}?{name}")
        if name not in documents:
            _add(name, target, address, documents)
    documents[query] = etree.tostring(tree, xml_declaration=True, encoding="utf-8")


def _imports(tree: Any) -> list[Any]:
    return [node for node in tree.iter("{*}import", "{*}include") if node.get("schemaLocation")]
