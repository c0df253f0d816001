"""SOAP envelopes of both versions (W3C Note SOAP 1.1, Recommendation SOAP 1.2): written and taken apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import escape

from msgspec import Struct

from gateway.errors import Refused
from gateway.xml import Element

TYPES: Final = "urn:umrah:types:v1"
HEADER_TAG: Final = f"{{{TYPES}}}MessageHeader"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of SOAP over HTTP."""

    version: str
    namespace: str
    media_type: str
    #: Names of the two fault codes: the message is at fault, the service is at fault.
    sender: str
    receiver: str

    def headers(self, soap_action: str) -> dict[str, str]:
        """HTTP headers of a request."""
        if self is SOAP_11:
            return {"Content-Type": f"{self.media_type}; charset=utf-8", "SOAPAction": f'"{soap_action}"'}
        return {"Content-Type": f'{self.media_type}; charset=utf-8; action="{soap_action}"'}

    def wrap(self, header: str, body: str) -> bytes:
        """An envelope around XML text. Raises `UnicodeEncodeError` for what UTF-8 can't carry."""
        return (
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{self.namespace}">'
            f"<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        ).encode()


SOAP_11: Final = Dialect("1.1", "http://schemas.xmlsoap.org/soap/envelope/", "text/xml", "Client", "Server")
SOAP_12: Final = Dialect(
    "1.2", "http://www.w3.org/2003/05/soap-envelope", "application/soap+xml", "Sender", "Receiver"
)
DIALECTS: Final = (SOAP_11, SOAP_12)
_BY_ENVELOPE: Final[Mapping[object, Dialect]] = MappingProxyType(
    {f"{{{dialect.namespace}}}Envelope": dialect for dialect in DIALECTS}
)


class Envelope(Struct, frozen=True):
    """A well-formed envelope, taken apart."""

    dialect: Dialect
    headers: tuple[Element, ...]
    #: The Body's only child.
    content: Element

    @property
    def fault(self) -> bool:
        return self.content.tag == f"{{{self.dialect.namespace}}}Fault"

    @property
    def message_header(self) -> Element | None:
        """Our header block, if there is exactly one."""
        found = [block for block in self.headers if block.tag == HEADER_TAG]
        return found[0] if len(found) == 1 else None

    def not_understood(self, understood: Collection[str] = ()) -> bool:
        """Whether a block must be understood that is neither our own nor among these tags."""
        mark = f"{{{self.dialect.namespace}}}mustUnderstand"
        return any(
            block.get(mark, "0").strip() in ("1", "true")
            for block in self.headers
            if block.tag != HEADER_TAG and block.tag not in understood
        )


def media_type(content_type: str) -> str:
    """The media type in a `Content-Type`, without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def dialect_of(root: Element) -> Dialect | None:
    """By the envelope's namespace; None when it is no SOAP envelope."""
    return _BY_ENVELOPE.get(root.tag)


def open_envelope(root: Element) -> Envelope:
    """Exactly one Body with exactly one child, at most one Header before it, nothing else.

    Raises `Refused`: `not_soap`, `body_misplaced`, `body_not_single`.
    """
    dialect = dialect_of(root)
    if dialect is None:
        raise Refused("not_soap")
    parts = _elements(root)
    tags = [part.tag for part in parts]
    header, body = f"{{{dialect.namespace}}}Header", f"{{{dialect.namespace}}}Body"
    if tags not in ([body], [header, body]):
        raise Refused("body_misplaced")
    content = _elements(parts[-1])
    if len(content) != 1:
        raise Refused("body_not_single")
    return Envelope(dialect, _elements(parts[0]) if len(parts) == 2 else (), content[0])


def _elements(parent: Element) -> tuple[Element, ...]:
    """Without comments and processing instructions."""
    return tuple([child for child in parent if isinstance(child.tag, str)])


def write_fault(dialect: Dialect, code: str, text: str, detail_code: str | None) -> str:
    """A fault as XML text. `detail_code` is the service's own code, more specific than SOAP's few.

    It stands in the detail in both versions: many clients show no subcode.
    """
    detail = f'<code xmlns="{TYPES}">{escape(detail_code)}</code>' if detail_code else ""
    if dialect is SOAP_11:
        return (
            f"<s:Fault><faultcode>s:{code}</faultcode><faultstring>{escape(text)}</faultstring>"
            f"{f'<detail>{detail}</detail>' if detail else ''}</s:Fault>"
        )
    subcode = (
        f'<s:Subcode><s:Value xmlns:t="{TYPES}">t:{escape(detail_code)}</s:Value></s:Subcode>'
        if detail_code
        else ""
    )
    return (
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(text)}</s:Text></s:Reason>'
        f"{f'<s:Detail>{detail}</s:Detail>' if detail else ''}</s:Fault>"
    )


def fault_code(envelope: Envelope) -> str:
    """The most specific code of a fault, without its prefix; empty when it has none."""
    ns = f"{{{envelope.dialect.namespace}}}"
    paths = (
        (f"detail/{{{TYPES}}}code", "faultcode")
        if envelope.dialect is SOAP_11
        else (f"{ns}Code/{ns}Subcode/{ns}Value", f"{ns}Code/{ns}Value")
    )
    found = (envelope.content.findtext(path) for path in paths)
    return next((text.strip().rpartition(":")[2] for text in found if text), "")
