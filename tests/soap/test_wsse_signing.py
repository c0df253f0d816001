"""What we sign and encrypt, checked by libraries that nobody here wrote; keys, and our UsernameToken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from gateway.errors import Refused
from gateway.soap.envelope import DIALECTS, SOAP_11, Dialect, open_envelope
from gateway.soap.security import demo_keys, keys, signing
from gateway.soap.security.encryption import Decrypter, Encrypter
from gateway.soap.security.keys import Pinned, SigningKey, load_certificate, load_signing_key
from gateway.soap.security.loading import destination_security, ensure_demo_soap_keys, signing_parties
from gateway.soap.security.names import DS, WSU, XENC, canonical
from gateway.soap.security.policy import Introduced, Signatures
from gateway.soap.security.signing import Signer
from gateway.soap.wsse import Freshness, PartySecrets, prove, read_token
from gateway.xml import Element, Limits, parse
from tests.doubles import ManualClock
from tests.pipeline.world import shipped_settings
from tests.soap import signed
from tests.soap.signed import KINDS, part

CLOCK = ManualClock()
HEADER = '<MessageHeader xmlns="urn:umrah:types:v1"><kind>x</kind></MessageHeader>'
#: A default namespace, another one, markup, Arabic, white space: what canonical form is about.
CONTENT = (
    '<q xmlns="urn:q" xmlns:n1="urn:n" xmlns:unused="urn:u"><n1:a b="2" a="1">سيتي &amp; &lt;x&gt;</n1:a>\n  '
    "<b/><c>&#13;</c></q>"
)


def pem(pair: SigningKey) -> bytes:
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(pair: SigningKey) -> bytes:
    return pair.certificate.x509.public_bytes(Encoding.PEM)


def agreed(pair: SigningKey, **options: Any) -> Signatures:
    return Signatures(Signer(pair), Pinned([pair.certificate]), CLOCK, **options)


# --- the other library ------------------------------------------------------------------------------------


def test_both_xml_libraries_use_the_same_libxml2() -> None:
    """Else a tree of the one is rubbish to the other: wheels that do not fit crash, or worse."""
    root = etree.fromstring(f'<x xmlns:d="{DS}"><a Id="a">ا</a></x>')
    node = xmlsec.template.create(root, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256)
    root.append(node)
    assert etree.tostring(root).count(b"SignedInfo") == 2


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
@pytest.mark.parametrize("kind", KINDS)
def test_xmlsec_takes_what_we_sign(kind: str, dialect: Dialect) -> None:
    pair = signed.key("umrah-gateway", kind)
    root = etree.fromstring(Signer(pair).write(dialect, HEADER, CONTENT, CLOCK.now()))
    _verified_by_xmlsec(root, pair)
    references = {each.get("URI") for each in root.iter(f"{{{DS}}}Reference")}
    assert references == {"#Body", "#Timestamp", "#MessageHeader", "#Token"}
    part(root, "a").text = "another"
    with pytest.raises(xmlsec.Error):
        _verified_by_xmlsec(root, pair)


def _verified_by_xmlsec(root: Element, pair: SigningKey) -> None:
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate_pem(pair), xmlsec.KeyFormat.CERT_PEM)
    for name in ("Body", "Timestamp", "MessageHeader", "BinarySecurityToken"):
        context.register_id(part(root, name), "Id", WSU)
    context.verify(part(root, "Signature"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefixes", [None, "s wsu #default"])
def test_we_take_what_xmlsec_signs(kind: str, prefixes: str | None) -> None:
    """With a list of inclusive prefixes too, as many stacks write one."""
    pair = signed.key("partner", kind)
    root = etree.fromstring(Signer(pair).write(SOAP_11, HEADER, CONTENT, CLOCK.now()))
    if prefixes is not None:
        for method in root.iter(f"{{{DS}}}CanonicalizationMethod", f"{{{DS}}}Transform"):
            name = f"{{{method.get('Algorithm')}}}InclusiveNamespaces"
            etree.SubElement(method, name, PrefixList=prefixes)
    for value in root.iter(f"{{{DS}}}DigestValue", f"{{{DS}}}SignatureValue"):
        value.text = None
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pem(pair), xmlsec.KeyFormat.PEM)
    for name in ("Body", "Timestamp", "MessageHeader", "BinarySecurityToken"):
        context.register_id(part(root, name), "Id", WSU)
    context.sign(part(root, "Signature"))
    envelope = agreed(pair).open(parse(etree.tostring(root), Limits()))
    assert envelope.content.tag == "{urn:q}q"


#: What stands for itself, what does not, and what is another markup or none.
TEXTS = (
    *("plain", "سيتي", " ", "", "100 %s %% {0}", "\ue0003\ue000", "a\tb\nc"),
    *("a &amp; b", "&lt;x&gt;", "&#13;", "a > b", "\r\n", "<![CDATA[x]]>", "<!-- x -->", "<b/>", "<b>%s</b>"),
)


@pytest.mark.parametrize("reference", ["token", "issuer_serial"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
def test_what_is_signed_by_a_known_form_is_what_the_parser_makes_of_it(
    dialect: Dialect, reference: signing.KeyReference
) -> None:
    pair = signed.key("form", "ecdsa")
    agreement = Signatures(Signer(pair, reference=reference), Pinned([pair.certificate]), CLOCK)
    for text in (*TEXTS, *TEXTS):
        content = f'<q xmlns="urn:q" xmlns:n="urn:n"><n:a b="1">{text}</n:a><b>x</b></q>'
        header = f'<MessageHeader xmlns="urn:umrah:types:v1"><kind>{text}</kind></MessageHeader>'
        written = agreement.write(dialect, header, content)
        opened = agreement.open(parse(written, Limits()))  # raises for a digest that is not the document's
        assert canonical(opened.content) == canonical(etree.fromstring(content.encode()))


def test_the_next_message_of_the_same_markup_is_signed_without_the_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = signed.key("form", "ecdsa")
    agreement = agreed(pair)
    agreement.write(SOAP_11, HEADER, "<q><a>1</a></q>")

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("it was parsed")

    with monkeypatch.context() as patched:
        patched.setattr(signing, "_by_parser", refuse)
        second = agreement.write(SOAP_11, HEADER, "<q><a>2</a></q>")
        for doubtful in ("&amp;", "\r", "\x00", "\ud800", "<b/>"):
            with pytest.raises(AssertionError, match="it was parsed"):
                agreement.write(SOAP_11, HEADER, f"<q><a>{doubtful}</a></q>")
    assert agreement.open(parse(second, Limits())).content[0].text == "2"


def test_what_is_no_xml_is_not_signed_by_a_known_form() -> None:
    agreement = agreed(signed.key("form", "ecdsa"))
    agreement.write(SOAP_11, HEADER, "<q><a>1</a></q>")
    for bad in ("<q><a>\x00</a></q>", "<q><a>1</a>", "<q><a>1</b></q>", "<q><a<b>1</a></q>"):
        with pytest.raises(etree.XMLSyntaxError):
            agreement.write(SOAP_11, HEADER, bad)
    with pytest.raises(UnicodeEncodeError):
        agreement.write(SOAP_11, HEADER, "<q><a>\ud800</a></q>")


def test_xmlsec_opens_what_we_encrypt() -> None:
    reader = signed.key("partner", "rsa")
    ours = Signer(signed.key("umrah-gateway", "ecdsa"), encrypt=Encrypter(reader.certificate))
    written = ours.write(SOAP_11, HEADER, CONTENT, CLOCK.now())
    assert "سيتي".encode() not in written
    root = etree.fromstring(written)
    context = xmlsec.EncryptionContext()
    context.key = xmlsec.Key.from_memory(pem(reader), xmlsec.KeyFormat.PEM)
    wrapped = context.decrypt(part(root, "EncryptedKey"))
    inner = xmlsec.EncryptionContext()
    inner.key = xmlsec.Key.from_binary_data(xmlsec.KeyData.AES, wrapped)
    inner.decrypt(part(root, "EncryptedData"))
    assert etree.tostring(part(root, "q"), method="c14n", exclusive=True) == etree.tostring(
        etree.fromstring(CONTENT), method="c14n", exclusive=True
    )


def test_we_open_what_we_encrypt_and_the_signature_is_over_what_is_read() -> None:
    reader = signed.key("partner", "rsa")
    pair = signed.key("umrah-gateway", "ecdsa")
    written = Signer(pair, encrypt=Encrypter(reader.certificate)).write(SOAP_11, HEADER, CONTENT, CLOCK.now())
    theirs = agreed(pair, decrypter=Decrypter(reader))
    assert theirs.open(parse(written, Limits())).content.findtext("{urn:n}a") == "سيتي & <x>"
    with pytest.raises(Refused, match="signature_invalid"):
        agreed(pair).open(parse(written, Limits()))


def test_two_encryptions_of_the_same_share_nothing() -> None:
    encrypt = Encrypter(signed.key("partner", "rsa").certificate)
    made = [encrypt("<x/>") for _ in range(2)]
    pieces = [piece for each in made for piece in (each.key, each.content)]
    assert len({part(etree.fromstring(piece), "CipherValue").text for piece in pieces}) == 4


def test_only_rsa_keys_are_encrypted_to() -> None:
    with pytest.raises(ValueError, match="RSA"):
        Encrypter(signed.key("partner", "ecdsa").certificate)
    with pytest.raises(ValueError, match="RSA"):
        Decrypter(signed.key("partner", "ecdsa"))


def test_nothing_weak_is_written() -> None:
    for kind in KINDS:
        encrypt = Encrypter(signed.key("partner", "rsa").certificate)
        written = Signer(signed.key("umrah-gateway", kind), encrypt=encrypt).write(
            SOAP_11, HEADER, CONTENT, CLOCK.now()
        )
        algorithms = {str(each.get("Algorithm")) for each in etree.fromstring(written).iter("{*}*")}
        assert not [each for each in algorithms if "sha1" in each or "cbc" in each or "1_5" in each]
        assert algorithms >= {f"{XENC}sha256", "http://www.w3.org/2009/xmlenc11#aes256-gcm"}


# --- keys ---------------------------------------------------------------------------------------------------


def write_pair(folder: Path, name: str, key: Any) -> tuple[Path, Path]:
    """A self-signed certificate of any key, with it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2126, 1, 1, tzinfo=UTC))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())
    )
    crt, private = folder / f"{name}.crt", folder / f"{name}.key"
    crt.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    return crt, private


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65_537, 1_024),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa-1024", "p-384", "ed25519"],
)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, key: Any) -> None:
    crt, private = write_pair(tmp_path, "weak", key)
    with pytest.raises(ValueError, match="neither a P-256 key nor"):
        load_signing_key(crt, private)


def test_a_key_file_that_does_not_fit_is_told(tmp_path: Path) -> None:
    one = write_pair(tmp_path, "one", ec.generate_private_key(ec.SECP256R1()))
    two = write_pair(tmp_path, "two", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ValueError, match="does not belong"):
        load_signing_key(one[0], two[1])
    with pytest.raises(ValueError, match="cannot be read"):
        load_certificate(tmp_path / "absent.crt")
    with pytest.raises(ValueError, match="not a PEM certificate"):
        load_certificate(one[1])
    with pytest.raises(ValueError, match="private key"):
        load_signing_key(one[0], one[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_has_one_form(kind: str) -> None:
    pair = signed.key("partner", kind)
    value = pair.sign(b"x")
    assert pair.certificate.verifies(value, b"x")
    assert not pair.certificate.verifies(value, b"y")
    for other in (b"", value[:-1], value[:32], b"\0" + value, value[:32] + b"\0" + value[32:], value + b"\0"):
        assert not pair.certificate.verifies(other, b"x")
    assert not pair.certificate.verifies(bytes(len(value)), b"x")


def test_nothing_of_a_key_shows_in_its_repr() -> None:
    assert "PrivateKey" not in repr(signed.key("partner", "ecdsa"))


def test_demo_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    for algorithm in ("ecdsa", "rsa"):
        demo_keys.ensure_demo_pair(tmp_path / "soap", "nic", algorithm)  # type: ignore[arg-type]
    files = {path.name: path.read_bytes() for path in (tmp_path / "soap").iterdir()}
    assert set(files) == {"nic.ecdsa.crt", "nic.ecdsa.key", "nic.rsa.crt", "nic.rsa.key"}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "soap").iterdir()} == {0o600}
    demo_keys.ensure_demo_pair(tmp_path / "soap", "nic", "rsa")
    assert (tmp_path / "soap/nic.rsa.key").read_bytes() == files["nic.rsa.key"]


def configured(**of_destination: Mapping[str, Any]) -> Any:
    """The shipped settings, with another agreement for some destinations."""
    settings = shipped_settings()
    destinations = {
        name: destination.model_copy(
            update={
                "soap_security": type(destination.soap_security).model_validate(of_destination.get(name, {}))
            }
        )
        for name, destination in settings.destinations.items()
    }
    return settings.model_copy(update={"destinations": destinations})


def test_a_call_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configured(nic={"policy": "signature", "demo_keys": "rsa"})
    ensure_demo_soap_keys(settings, tmp_path)
    security = destination_security(settings.destinations["nic"], settings, tmp_path, CLOCK)

    def never(*_: object) -> None:
        raise AssertionError("a file is read")

    monkeypatch.setattr(keys, "_read", never)
    for path in demo_keys.demo_keys_directory(tmp_path).iterdir():
        path.unlink()
    assert b"SignatureValue" in security.write(SOAP_11, HEADER, CONTENT)


def test_as_shipped_nothing_is_signed_and_no_key_is_made(tmp_path: Path) -> None:
    settings = shipped_settings()
    ensure_demo_soap_keys(settings, tmp_path)
    assert list(tmp_path.iterdir()) == []
    for destination in settings.destinations.values():
        security = destination_security(destination, settings, tmp_path, CLOCK)
        assert security.write(SOAP_11, HEADER, CONTENT) == SOAP_11.wrap(HEADER, CONTENT)
    assert not signing_parties(settings, tmp_path, CLOCK).must_sign("passports")  # type: ignore[arg-type]


# --- the UsernameToken of our calls -------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.version)
def test_our_username_token_is_taken_by_its_own_rules(dialect: Dialect, tmp_path: Path) -> None:
    secret = tmp_path / "nic.secret"
    secret.write_text("a secret of thirty-two characters\n")
    secret.chmod(0o600)
    settings = configured(nic={"policy": "username_token", "secret_file": str(secret)})
    security = destination_security(settings.destinations["nic"], settings, tmp_path, CLOCK)
    assert isinstance(security, Introduced)
    known = PartySecrets({"umrah-gateway": [b"a secret of thirty-two characters"]})
    nonces = set()
    for _ in range(2):
        envelope = open_envelope(parse(security.write(dialect, HEADER, CONTENT), Limits()))
        token = read_token(envelope.headers, CLOCK.now(), Freshness())
        proven = prove(token, known, CLOCK.now(), Freshness(), clear_allowed=False)
        assert proven.party == "umrah-gateway"
        nonces.add(proven.nonce_id)
    assert len(nonces) == 2
    assert "thirty-two" not in repr(security)
