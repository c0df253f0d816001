"""What the tests of signed messages share: keys, a way to sign whatever one likes, and the attacks.

An attacker has a good message, signed by its sender, and changes whatever the signature does not cover. Some
rows go further: the key's own holder signs something that our policy does not take.
"""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from gateway.soap.envelope import Dialect
from gateway.soap.security.keys import Certificate, SigningKey
from gateway.soap.security.names import DS, EXCLUSIVE, ID, WSSE, canonical
from gateway.soap.security.signing import Signer
from gateway.xml import Element

HMAC_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
RSA_SHA1 = f"{DS}rsa-sha1"
ECDSA_SHA1 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"
SHA1_DIGEST = f"{DS}sha1"
KINDS = ("ecdsa", "rsa")


@functools.cache
def key(who: str, kind: str, *, ends: str = "2126-01-01", bits: int = 2048) -> SigningKey:
    """The same pair each time: a name is a person."""
    private = (
        rsa.generate_private_key(65_537, bits) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime.fromisoformat(ends).replace(tzinfo=UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, SHA256())
    )
    der = certificate.public_bytes(Encoding.DER)
    return SigningKey(Certificate(certificate, der, private.public_key()), private)


@dataclass(frozen=True)
class Sender:
    """Who signs, when, in which version."""

    key: SigningKey
    dialect: Dialect
    now: datetime

    def signed(self, header: str, content: str, **options: Any) -> Element:
        """A good message, as a tree to be spoilt."""
        written = Signer(self.key, **options).write(self.dialect, header, content, self.now)
        return etree.fromstring(written)

    def tag(self, name: str) -> str:
        return f"{{{self.dialect.namespace}}}{name}"


def sent(root: Element) -> bytes:
    return etree.tostring(root)


# --- finding one's way, and signing again ----------------------------------------------------------------


def part(root: Element, name: str) -> Element:
    """The first element of that local name."""
    return next(root.iter(f"{{*}}{name}"))


def resigned(root: Element, sender: Sender, method: str | None = None, secret: bytes | None = None) -> None:
    """Digests of every `#id` reference and the value over `SignedInfo` anew, whatever stands in it."""
    info = part(root, "SignedInfo")
    by_id = {str(element.get(ID, element.get("Id"))): element for element in root.iter()}
    for reference in info.iter(f"{{{DS}}}Reference"):
        uri = reference.get("URI", "")
        if uri.startswith("#") and uri[1:] in by_id:
            hashed = (
                hashlib.sha1
                if part(reference, "DigestMethod").get("Algorithm") == SHA1_DIGEST
                else hashlib.sha256
            )
            prefixes = [
                each.get("PrefixList", "").split() for each in reference.iter("{*}InclusiveNamespaces")
            ]
            data = canonical(by_id[uri[1:]], prefixes[0] if prefixes else None)
            part(reference, "DigestValue").text = base64.b64encode(hashed(data).digest()).decode()
    if method is not None:
        part(info, "SignatureMethod").set("Algorithm", method)
    data = canonical(info)
    chosen = part(info, "SignatureMethod").get("Algorithm")
    if secret is not None:
        value = hmac.digest(secret, data, "sha256")
    else:
        value = _value(sender.key, data, SHA1() if chosen in (RSA_SHA1, ECDSA_SHA1) else SHA256())
    part(root, "SignatureValue").text = base64.b64encode(value).decode()


def _value(pair: SigningKey, data: bytes, algorithm: HashAlgorithm) -> bytes:
    if isinstance(pair.key, rsa.RSAPrivateKey):
        return pair.key.sign(data, padding.PKCS1v15(), algorithm)
    r, s = decode_dss_signature(pair.key.sign(data, ec.ECDSA(algorithm)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def mirrored(root: Element) -> None:
    """The other ECDSA signature over the same: r stays, s becomes n - s."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    value = base64.b64decode(part(root, "SignatureValue").text or "")
    s = order - int.from_bytes(value[32:], "big")
    part(root, "SignatureValue").text = base64.b64encode(value[:32] + s.to_bytes(32, "big")).decode()


# --- attacks ---------------------------------------------------------------------------------------------

#: Changes the message. `evil` is what the attacker wants to be read: a Body's content.
Attack = Callable[[Element, Sender, Element], None]


def _evil_body(root: Element, sender: Sender, evil: Element, **ids: str) -> Element:
    """Takes the signed Body out, puts an unsigned one in its place, and gives back the signed one."""
    signed = part(root, "Body")
    body = etree.Element(sender.tag("Body"))
    for name, value in ids.items():
        body.set({"wsu": ID, "xml": "{http://www.w3.org/XML/1998/namespace}id"}.get(name, name), value)
    body.append(evil)
    root.replace(signed, body)
    return signed


def _into(parent: Element, tag: str, *children: Element) -> None:
    wrapper = etree.SubElement(parent, tag)
    wrapper.extend(children)


def body_moved_to_the_header(root: Element, sender: Sender, evil: Element) -> None:
    _into(part(root, "Header"), "{urn:x}Wrapper", _evil_body(root, sender, evil, wsu="Other"))


def body_moved_and_its_id_given_again(root: Element, sender: Sender, evil: Element) -> None:
    _into(part(root, "Header"), "{urn:x}Wrapper", _evil_body(root, sender, evil, wsu="Body"))


def body_moved_under_an_object(root: Element, sender: Sender, evil: Element) -> None:
    _into(part(root, "Signature"), f"{{{DS}}}Object", _evil_body(root, sender, evil, wsu="Other"))


def body_moved_into_the_security_block(root: Element, sender: Sender, evil: Element) -> None:
    part(root, "Security").append(_evil_body(root, sender, evil))


def evil_body_first(root: Element, sender: Sender, evil: Element) -> None:
    signed = _evil_body(root, sender, evil)
    root.append(signed)


def evil_body_last(root: Element, sender: Sender, evil: Element) -> None:
    signed = _evil_body(root, sender, evil)
    root.insert(1, signed)


def body_moved_into_a_sibling(root: Element, sender: Sender, evil: Element) -> None:
    _into(root, "{urn:x}Wrapper", _evil_body(root, sender, evil))


def body_moved_inside_the_evil_one(root: Element, sender: Sender, evil: Element) -> None:
    signed = _evil_body(root, sender, evil)
    evil.append(signed)


def body_known_by_another_attribute(root: Element, sender: Sender, evil: Element) -> None:
    _into(part(root, "Header"), "{urn:x}Wrapper", _evil_body(root, sender, evil, Id="Body"))


def body_known_by_xml_id(root: Element, sender: Sender, evil: Element) -> None:
    signed = _evil_body(root, sender, evil, xml="Body")
    del signed.attrib[ID]
    signed.set("ID", "Body")
    _into(part(root, "Header"), "{urn:x}Wrapper", signed)


def whole_envelope_wrapped(root: Element, sender: Sender, evil: Element) -> None:
    inner = copy.deepcopy(root)
    _evil_body(root, sender, evil)
    part(root, "Header").append(inner)


def timestamp_moved(root: Element, sender: Sender, _evil: Element) -> None:
    signed = part(root, "Timestamp")
    fresh = copy.deepcopy(signed)
    fresh.attrib.pop(ID)
    security = part(root, "Security")
    security.replace(signed, fresh)
    _into(part(root, "Header"), "{urn:x}Wrapper", signed)


def header_moved(root: Element, sender: Sender, _evil: Element) -> None:
    signed = part(root, "MessageHeader")
    ours = copy.deepcopy(signed)
    ours.attrib.pop(ID)
    header = part(root, "Header")
    header.replace(signed, ours)
    _into(header, "{urn:x}Wrapper", signed)


def timestamp_moved_out_of_the_block(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "Header").append(part(root, "Timestamp"))


def signature_moved_out_of_the_block(root: Element, sender: Sender, _evil: Element) -> None:
    """Another signature stays in its place, that of nobody."""
    signed = part(root, "Signature")
    part(root, "Security").replace(signed, etree.Element("{urn:x}Signature"))
    part(root, "Header").append(signed)


def header_hidden(root: Element, sender: Sender, _evil: Element) -> None:
    _into(part(root, "Header"), "{urn:x}Wrapper", part(root, "MessageHeader"))


def header_moved_into_the_body(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "Body").append(part(root, "MessageHeader"))


def id_given_to_another_block(root: Element, sender: Sender, evil: Element) -> None:
    block = etree.Element("{urn:x}Block")
    block.set(ID, "Body")
    block.append(evil)
    part(root, "Header").append(block)


def body_named_by_a_plain_id(root: Element, sender: Sender, _evil: Element) -> None:
    body = part(root, "Body")
    body.set("Id", str(body.attrib.pop(ID)))
    resigned(root, sender)


def something_more_in_the_block(root: Element, sender: Sender, _evil: Element) -> None:
    etree.SubElement(part(root, "Security"), f"{{{WSSE}}}UsernameToken")


def signed_header_only(root: Element, sender: Sender, evil: Element) -> None:
    _without_reference(root, sender, "Body")
    body = part(root, "Body")
    body.replace(body[0], evil)


def timestamp_not_signed(root: Element, sender: Sender, _evil: Element) -> None:
    _without_reference(root, sender, "Timestamp")


def message_header_not_signed(root: Element, sender: Sender, _evil: Element) -> None:
    _without_reference(root, sender, "MessageHeader")


def _without_reference(root: Element, sender: Sender, name: str) -> None:
    info = part(root, "SignedInfo")
    for reference in info.findall(f"{{{DS}}}Reference[@URI='#{name}']"):
        info.remove(reference)
    resigned(root, sender)


def reference_to_the_whole_document(root: Element, sender: Sender, _evil: Element) -> None:
    reference = _reference(root, "Body")
    reference.set("URI", "")
    part(reference, "Transform").set("Algorithm", f"{DS}enveloped-signature")
    resigned(root, sender)


def reference_to_a_file(root: Element, sender: Sender, _evil: Element) -> None:
    _reference(root, "Body").set("URI", "file:///etc/hostname")
    resigned(root, sender)


def reference_without_its_mark(root: Element, sender: Sender, _evil: Element) -> None:
    _reference(root, "Body").set("URI", "_Body")
    resigned(root, sender)


def reference_by_xpointer(root: Element, sender: Sender, _evil: Element) -> None:
    _reference(root, "Body").set("URI", "#xpointer(id('Body'))")
    resigned(root, sender)


def reference_given_twice(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "SignedInfo").append(copy.deepcopy(_reference(root, "Body")))
    resigned(root, sender)


def reference_to_a_part_of_the_body(root: Element, sender: Sender, _evil: Element) -> None:
    body = part(root, "Body")
    body.attrib.pop(ID)
    body[0].set(ID, "Body")
    resigned(root, sender)


def reference_to_something_else(root: Element, sender: Sender, _evil: Element) -> None:
    """Beside all that is needed."""
    inside = part(root, "Body")[0][0]
    inside.set(ID, "Inside")
    more = copy.deepcopy(_reference(root, "Body"))
    more.set("URI", "#Inside")
    part(root, "SignedInfo").append(more)
    resigned(root, sender)


def _reference(root: Element, name: str) -> Element:
    found = part(root, "SignedInfo").find(f"{{{DS}}}Reference[@URI='#{name}']")
    assert found is not None
    return found


def _transformed(name: str, algorithm: str, inside: str) -> Attack:
    def attack(root: Element, sender: Sender, _evil: Element) -> None:
        transforms = part(_reference(root, "Body"), "Transforms")
        more = etree.fromstring(f'<d:Transform xmlns:d="{DS}" Algorithm="{algorithm}">{inside}</d:Transform>')
        transforms.insert(0, more)
        resigned(root, sender)

    attack.__name__ = name
    return attack


xpath_transform = _transformed(
    "xpath_transform",
    "http://www.w3.org/TR/1999/REC-xpath-19991116",
    f'<d:XPath xmlns:d="{DS}">not(//Body)</d:XPath>',
)
xslt_transform = _transformed(
    "xslt_transform",
    "http://www.w3.org/TR/1999/REC-xslt-19991116",
    '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"/>',
)
base64_transform = _transformed("base64_transform", f"{DS}base64", "")


def other_transform(root: Element, sender: Sender, _evil: Element) -> None:
    """With comments: then a comment is signed that the reader may not see."""
    part(_reference(root, "Body"), "Transform").set("Algorithm", f"{EXCLUSIVE}WithComments")
    resigned(root, sender)


def other_canonicalization(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "CanonicalizationMethod").set("Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")
    resigned(root, sender)


def hmac_with_the_public_key(root: Element, sender: Sender, evil: Element) -> None:
    """Whoever lets the message choose takes the certificate's key for a shared secret."""
    body = part(root, "Body")
    body.replace(body[0], evil)
    public = sender.key.certificate.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    resigned(root, sender, HMAC_SHA256, public)


def sha1_signature(root: Element, sender: Sender, _evil: Element) -> None:
    is_rsa = isinstance(sender.key.key, rsa.RSAPrivateKey)
    resigned(root, sender, RSA_SHA1 if is_rsa else ECDSA_SHA1)


def sha1_digest(root: Element, sender: Sender, _evil: Element) -> None:
    part(_reference(root, "Body"), "DigestMethod").set("Algorithm", SHA1_DIGEST)
    resigned(root, sender)


def key_swapped(root: Element, sender: Sender, evil: Element) -> None:
    """The attacker's own certificate, and everything signed by it."""
    mallory = Sender(key("mallory", "ecdsa"), sender.dialect, sender.now)
    body = part(root, "Body")
    body.replace(body[0], evil)
    token = part(root, "BinarySecurityToken")
    token.text = base64.b64encode(mallory.key.certificate.der).decode()
    resigned(root, mallory, mallory.key.certificate.algorithm)


def key_inside_the_signature(root: Element, sender: Sender, evil: Element) -> None:
    mallory = Sender(key("mallory", "ecdsa"), sender.dialect, sender.now)
    body = part(root, "Body")
    body.replace(body[0], evil)
    info = part(root, "KeyInfo")
    info.clear()
    data = etree.SubElement(etree.SubElement(info, f"{{{DS}}}X509Data"), f"{{{DS}}}X509Certificate")
    data.text = base64.b64encode(mallory.key.certificate.der).decode()
    resigned(root, mallory, mallory.key.certificate.algorithm)


def key_swapped_behind_our_name(root: Element, sender: Sender, evil: Element) -> None:
    """Named is the pinned certificate; signed with another key."""
    mallory = Sender(key("mallory", "rsa"), sender.dialect, sender.now)
    body = part(root, "Body")
    body.replace(body[0], evil)
    resigned(root, mallory, sender.key.certificate.algorithm)


def key_info_left_out(root: Element, sender: Sender, _evil: Element) -> None:
    info = part(root, "KeyInfo")
    parent = info.getparent()
    assert parent is not None
    parent.remove(info)


def two_signatures(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "Security").append(copy.deepcopy(part(root, "Signature")))


def two_security_blocks(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "Header").append(etree.Element(f"{{{WSSE}}}Security"))


def two_timestamps(root: Element, sender: Sender, _evil: Element) -> None:
    second = copy.deepcopy(part(root, "Timestamp"))
    second.set(ID, "Second")
    part(root, "Security").append(second)


def security_for_another_role(root: Element, sender: Sender, _evil: Element) -> None:
    name = "actor" if sender.dialect.version == "1.1" else "role"
    part(root, "Security").set(sender.tag(name), "urn:another")


def body_changed(root: Element, sender: Sender, evil: Element) -> None:
    body = part(root, "Body")
    body.replace(body[0], evil)


def digest_changed_with_the_body(root: Element, sender: Sender, evil: Element) -> None:
    """A digest that fits, under the old signature value."""
    old = part(root, "SignatureValue").text
    body_changed(root, sender, evil)
    resigned(root, sender)
    part(root, "SignatureValue").text = old


def value_emptied(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "SignatureValue").text = ""


def many_prefixes(root: Element, sender: Sender, _evil: Element) -> None:
    method = part(root, "CanonicalizationMethod")
    etree.SubElement(
        method, f"{{{EXCLUSIVE}}}InclusiveNamespaces", PrefixList=" ".join(f"p{n}" for n in range(99))
    )
    resigned(root, sender)


def old_timestamp(root: Element, sender: Sender, _evil: Element) -> None:
    _stamped(root, sender, sender.now - timedelta(minutes=6))


def timestamp_from_tomorrow(root: Element, sender: Sender, _evil: Element) -> None:
    _stamped(root, sender, sender.now + timedelta(days=1))


def timestamp_that_ended(root: Element, sender: Sender, _evil: Element) -> None:
    part(root, "Expires").text = _written(sender.now - timedelta(seconds=30))
    part(root, "Created").text = _written(sender.now - timedelta(seconds=60))
    resigned(root, sender)


def timestamp_without_time(root: Element, sender: Sender, _evil: Element) -> None:
    stamp = part(root, "Timestamp")
    stamp.remove(part(stamp, "Created"))
    resigned(root, sender)


def _stamped(root: Element, sender: Sender, created: datetime) -> None:
    part(root, "Created").text = _written(created)
    part(root, "Expires").text = _written(created + timedelta(days=2))
    resigned(root, sender)


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def signature_taken_off(root: Element, sender: Sender, _evil: Element) -> None:
    security = part(root, "Security")
    security.remove(part(root, "Signature"))


_INVALID, _UNSUPPORTED = "signature_invalid", "security_unsupported"
#: Every attack, and the code that it is refused with.
ATTACKS: dict[Attack, str] = {
    body_moved_to_the_header: _INVALID,
    body_moved_and_its_id_given_again: _INVALID,
    body_moved_under_an_object: _INVALID,
    body_moved_into_the_security_block: _INVALID,
    evil_body_first: "body_misplaced",
    evil_body_last: "body_misplaced",
    body_moved_into_a_sibling: "body_misplaced",
    body_moved_inside_the_evil_one: _INVALID,
    body_known_by_another_attribute: _INVALID,
    body_known_by_xml_id: _INVALID,
    whole_envelope_wrapped: _INVALID,
    timestamp_moved: _INVALID,
    header_moved: _INVALID,
    timestamp_moved_out_of_the_block: _INVALID,
    signature_moved_out_of_the_block: _INVALID,
    header_hidden: _INVALID,
    header_moved_into_the_body: "body_not_single",
    id_given_to_another_block: _INVALID,
    body_named_by_a_plain_id: _INVALID,
    something_more_in_the_block: _UNSUPPORTED,
    signed_header_only: _INVALID,
    timestamp_not_signed: _INVALID,
    message_header_not_signed: _INVALID,
    reference_to_the_whole_document: _INVALID,
    reference_to_a_file: _INVALID,
    reference_without_its_mark: _INVALID,
    reference_by_xpointer: _INVALID,
    reference_given_twice: _INVALID,
    reference_to_a_part_of_the_body: _INVALID,
    reference_to_something_else: _INVALID,
    xpath_transform: _INVALID,
    xslt_transform: _INVALID,
    base64_transform: _INVALID,
    other_transform: _UNSUPPORTED,
    other_canonicalization: _UNSUPPORTED,
    hmac_with_the_public_key: _UNSUPPORTED,
    sha1_signature: _UNSUPPORTED,
    sha1_digest: _UNSUPPORTED,
    key_swapped: _INVALID,
    key_inside_the_signature: _INVALID,
    key_swapped_behind_our_name: _INVALID,
    key_info_left_out: _INVALID,
    two_signatures: _INVALID,
    two_security_blocks: _INVALID,
    two_timestamps: _INVALID,
    security_for_another_role: _UNSUPPORTED,
    body_changed: _INVALID,
    digest_changed_with_the_body: _INVALID,
    value_emptied: _INVALID,
    many_prefixes: _INVALID,
    old_timestamp: "token_expired",
    timestamp_from_tomorrow: "token_expired",
    timestamp_that_ended: "token_expired",
    timestamp_without_time: _INVALID,
    signature_taken_off: "signature_missing",
}
