"""Names of XML Signature, XML Encryption and WS-Security, and the few algorithms of them that we take."""

from __future__ import annotations

from typing import Final

from lxml import etree

from gateway.soap.wsse import WSSE, WSU
from gateway.xml import Element

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11: Final = "http://www.w3.org/2009/xmlenc11#"
_X509_PROFILE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0"
#: `ValueType` of a token that is one certificate, and of a name of one.
X509_V3: Final = f"{_X509_PROFILE}#X509v3"
X509_KEY_ID: Final = f"{_X509_PROFILE}#X509SubjectKeyIdentifier"
X509_SHA1: Final = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"

#: Exclusive canonicalisation without comments: the only canonicalisation and the only transform.
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256_DIGEST: Final = f"{XENC}sha256"
AES_256_GCM: Final = f"{XENC11}aes256-gcm"
RSA_OAEP: Final = f"{XENC11}rsa-oaep"
MGF_SHA256: Final = f"{XENC11}mgf1sha256"
CONTENT: Final = f"{XENC}Content"

ID: Final = f"{{{WSU}}}Id"
TOKEN_TAG: Final = f"{{{WSSE}}}BinarySecurityToken"
SIGNATURE_TAG: Final = f"{{{DS}}}Signature"
ENCRYPTED_KEY_TAG: Final = f"{{{XENC}}}EncryptedKey"
ENCRYPTED_DATA_TAG: Final = f"{{{XENC}}}EncryptedData"


def canonical(element: Element, inclusive: list[str] | None = None) -> bytes:
    """The element's canonical form: what digests and signatures are taken over.

    `inclusive` are the prefixes of an `InclusiveNamespaces` list, "" for the default namespace. Comments are
    left out by the definition, so whoever reads a value has to refuse one that is interrupted by a comment.
    """
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=inclusive
    )
