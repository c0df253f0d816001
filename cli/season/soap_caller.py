"""A partner's system as a SOAP client of the gateway, knowing nothing but the published WSDLs."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

import aiohttp

from gateway.soap.wsse import PASSWORD_DIGEST, WSSE, WSU
from gateway.xml import Limits, parse

_ENVELOPES: Final = {
    "1.1": ("http://schemas.xmlsoap.org/soap/envelope/", "text/xml; charset=utf-8"),
    "1.2": ("http://www.w3.org/2003/05/soap-envelope", "application/soap+xml; charset=utf-8"),
}
_BASE64: Final = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)


class SoapCaller:
    """Calls one party's services with a UsernameToken."""

    def __init__(self, session: aiohttp.ClientSession, party: str, secret: str, version: str = "1.1") -> None:
        self._session = session
        self._party = party
        self._secret = secret
        self._version = version

    async def call(self, service: str, action: str, values: Mapping[str, Any]) -> dict[str, str]:
        """The texts of the answer's leaves, by name; a refusal has a `code`. Raises for a fault."""
        namespace, media_type = _ENVELOPES[self._version]
        envelope = (
            f'<s:Envelope xmlns:s="{namespace}"><s:Header>{self._security()}</s:Header><s:Body>'
            f'<{action} xmlns="urn:umrah:gateway:{service}:v1">{_elements(values)}</{action}>'
            "</s:Body></s:Envelope>"
        )
        headers = {"Content-Type": media_type}
        if self._version == "1.1":
            headers["SOAPAction"] = '""'
        url = f"/soap/{service}"
        async with self._session.post(url, data=envelope.encode(), headers=headers) as reply:
            body = await reply.read()
        leaves = _leaves(body)
        if reply.status != 200:
            raise RuntimeError(f"{action}: HTTP {reply.status} {leaves}")
        return leaves

    def _security(self) -> str:
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        nonce = os.urandom(16)
        digest = hashlib.sha1(nonce + created.encode() + self._secret.encode(), usedforsecurity=False)
        return (
            f'<w:Security xmlns:w="{WSSE}" xmlns:u="{WSU}"><w:UsernameToken>'
            f"<w:Username>{escape(self._party)}</w:Username>"
            f'<w:Password Type="{PASSWORD_DIGEST}">{base64.b64encode(digest.digest()).decode()}</w:Password>'
            f'<w:Nonce EncodingType="{_BASE64}">{base64.b64encode(nonce).decode()}</w:Nonce>'
            f"<u:Created>{created}</u:Created></w:UsernameToken></w:Security>"
        )


def _elements(values: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_elements(value) if isinstance(value, Mapping) else escape(str(value))}</{name}>"
        for name, value in values.items()
        if value is not None
    )


def _leaves(body: bytes) -> dict[str, str]:
    root = parse(body, Limits(max_bytes=262_144, max_elements=1_000))
    return {
        str(element.tag).rpartition("}")[2]: (element.text or "").strip()
        for element in root.iter()
        if not len(element)
    }
