"""SOAP envelopes of both versions (W3C Note SOAP 1.1, Recommendation SOAP 1.2): written and taken apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
    def message_headers(self) -> Sequence[Element]:
        """Blocks like ours: more than one tell nothing."""
        return [block for block in self.headers if block.tag == HEADER_TAG]

    @property
    def message_header(self) -> Element | None:
        """Our header block, if there is exactly one."""
        found = self.message_headers
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


def whole_text(element: Element) -> str | None:
    """What an element says; None when anything stands in the midst of it, be it a comment."""
    return None if len(element) else element.text


def fault_code(envelope: Envelope) -> str:
    """The most specific code of a fault, without its prefix; empty when there is none, or not one alone."""
    fault = envelope.content
    if envelope.dialect is SOAP_11:
        codes = fault.findall(f"detail/{{{TYPES}}}code") or fault.findall("faultcode")
    else:
        codes = _deepest_codes(fault, f"{{{envelope.dialect.namespace}}}")
    text = whole_text(codes[0]) if len(codes) == 1 else None
    return (text or "").strip().rpartition(":")[2]


def _deepest_codes(fault: Element, ns: str) -> list[Element]:
    """Of SOAP 1.2 (part 1, section 5.4.1), where each subcode is more specific than what it stands in."""
    within = fault.findall(f"{ns}Code")
    while inside := [subcode for code in within for subcode in code.iterchildren(f"{ns}Subcode")]:
        within = inside
    return [value for code in within for value in code.iterchildren(f"{ns}Value")]
