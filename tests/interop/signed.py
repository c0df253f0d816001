"""Signed messages of stacks that nobody here wrote, taken by our services, and ours, checked by them."""

from __future__ import annotations

import asyncio
import base64
import functools
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from gateway.clock import SystemClock
from gateway.message import PartyId
from gateway.soap.envelope import DIALECTS, Dialect, fault_code, open_envelope
from gateway.soap.security.names import DS, WSSE, WSU
from gateway.soap.security.parties import SigningParties
from gateway.soap.security.signing import Signer
from gateway.soap.wsse import PartySecrets
from gateway.web.soap_services import SoapDoor
from tests.interop.site import Nonces, Site, open_site
from tests.interop.stacks import BUILT, HERE
from tests.soap import signed
from tests.soap.signed import KINDS, part

_ARRIVAL = (
    '<NotifyArrival xmlns="urn:umrah:gateway:movements:v1"><event_id>EV-1</event_id>'
    "<visa_number>6123456789</visa_number><at>2026-11-22T11:58:03+03:00</at><port>JED</port>"
    "<carrier>الخطوط السعودية</carrier></NotifyArrival>"
)
_HEADER = (
    '<MessageHeader xmlns="urn:umrah:types:v1"><message_id>0199c0de-0000-7000-8000-00000000000a</message_id>'
    "<kind>movement.arrival</kind><version>1</version>"
    "<correlation_id>0199c0de-0000-7000-8000-00000000000a</correlation_id><sender>passports</sender>"
    "<receiver>umrah-gateway</receiver><sent_at>2026-11-22T09:00:00Z</sent_at><season>1448</season>"
    "<classification>restricted</classification></MessageHeader>"
)
_ALL_PARTS = {"Body", "MessageHeader", "Timestamp"}
#: How a partner can be told which certificate of ours it is, and we which one of theirs.
_OURS, _THEIRS = (
    ("token", "issuer_serial"),
    ("token", "issuer_serial", "thumbprint", "key_id"),
)
_JARS = [
    f"/usr/share/java/{name}.jar" for name in ("wss4j", "xmlsec", "commons-logging", "slf4j-nop", "slf4j-api")
]
_NODE = HERE / "node/node_modules/soap"
_THEY_SIGN, _WE_SIGN = "their signature, our check", "our signature, their check"


@dataclass(frozen=True)
class Row:
    """Messages of one kind of key over one version."""

    direction: str
    kind: str
    soap: str
    #: What was tried, and what of it did not come out as it should.
    tried: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Stack:
    """One implementation of WS-Security or of XML Signature."""

    id: str
    name: str
    missing: Callable[[], str | None]
    version: tuple[str, ...]
    rows: Callable[[Path], AsyncIterator[Row]]

    @functools.cached_property
    def version_text(self) -> str:
        done = subprocess.run(self.version, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip().splitlines()[0]


# --- keys, and our side of it -----------------------------------------------------------------------------


def _files(folder: Path, who: str, kind: str) -> tuple[Path, Path]:
    """Certificate and key as PEM files."""
    pair = signed.key(who, kind)
    certificate, key = folder / f"{who}.{kind}.crt", folder / f"{who}.{kind}.key"
    certificate.write_bytes(pair.certificate.x509.public_bytes(Encoding.PEM))
    key.write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key


@asynccontextmanager
async def _site() -> AsyncIterator[Site]:
    """The services, for which Passports have both kinds of key."""
    certificates = [signed.key("passports", kind).certificate for kind in KINDS]
    clock = SystemClock()
    parties = SigningParties({PartyId("passports"): certificates}, {}, clock)
    async with open_site() as site:
        site.services.use(site.desk, SoapDoor(PartySecrets({}), Nonces(), clock, signatures=parties))
        yield site


async def _posted(site: Site, dialect: Dialect, envelope: bytes) -> str:
    """`accepted`, or the code of what it was answered with."""
    async with aiohttp.ClientSession() as session:
        headers = {"Content-Type": dialect.media_type}
        async with session.post(f"{site.url}/soap/movements", data=envelope, headers=headers) as reply:
            answer = open_envelope(etree.fromstring(await reply.read()))
    if answer.fault:
        return fault_code(answer)
    return etree.QName(answer.content[0]).localname


def _signed_by_us(dialect: Dialect, kind: str, reference: str = "token") -> bytes:
    signer = Signer(signed.key("passports", kind), reference=reference)  # type: ignore[arg-type]
    return signer.write(dialect, _HEADER, _ARRIVAL, datetime.now(UTC))


def _spoilt(envelope: bytes) -> bytes:
    assert envelope.count(b">JED<") == 1
    return envelope.replace(b">JED<", b">MED<")


def _row(direction: str, kind: str, dialect: Dialect, found: Iterable[tuple[str, str, str]]) -> Row:
    """`found`: what was tried, what was to come of it, what did."""
    outcomes = list(found)
    wrong = tuple(f"{name}: {outcome}" for name, expected, outcome in outcomes if outcome != expected)
    return Row(direction, kind, dialect.version, tuple(name for name, _, _ in outcomes), wrong)


# --- Apache WSS4J -----------------------------------------------------------------------------------------


def _without_wss4j() -> str | None:
    good = all(shutil.which(name) for name in ("javac", "java")) and all(Path(jar).exists() for jar in _JARS)
    return None if good else "WSS4J (libwss4j-java) or a JDK is not installed"


def _wss4j(jobs: list[tuple[str, ...]]) -> list[str]:
    """Each job's answer."""
    built, source = BUILT / "wss4j", HERE / "wss4j/Wss4j.java"
    if (
        not (built / "Wss4j.class").exists()
        or (built / "Wss4j.class").stat().st_mtime < source.stat().st_mtime
    ):
        built.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["javac", "-nowarn", "-cp", ":".join(_JARS), "-d", str(built), str(source)],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    done = subprocess.run(
        ["java", "-cp", ":".join([str(built), *_JARS]), "Wss4j"],
        input="".join("\t".join(job) + "\n" for job in jobs),
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.splitlines()


async def _wss4j_rows(folder: Path) -> AsyncIterator[Row]:
    for row in itertools.chain(*[_checked_by_wss4j(folder, dialect) for dialect in DIALECTS]):
        yield row
    async with _site() as site:
        for kind, dialect in itertools.product(KINDS, DIALECTS):
            certificate, key = _files(folder, "passports", kind)
            algorithm = signed.key("passports", kind).certificate.algorithm
            unsigned = _encoded(dialect.wrap(_HEADER, _ARRIVAL))
            found = _wss4j(
                [("sign", str(certificate), str(key), algorithm, each, unsigned) for each in _THEIRS]
            )
            envelopes = [base64.b64decode(each) for each in found]
            outcomes = [
                (name, "accepted", await _posted(site, dialect, envelope))
                for name, envelope in zip(_THEIRS, envelopes, strict=True)
            ]
            changed = await _posted(site, dialect, _spoilt(envelopes[0]))
            yield _row(_THEY_SIGN, kind, dialect, [*outcomes, ("changed", "SIGNATURE_INVALID", changed)])


def _checked_by_wss4j(folder: Path, dialect: Dialect) -> Iterator[Row]:
    for kind in KINDS:
        certificate, _ = _files(folder, "passports", kind)
        stranger, _ = _files(folder, "mallory", kind)
        envelopes = {each: _signed_by_us(dialect, kind, each) for each in _OURS}
        envelopes |= {"changed": _spoilt(envelopes["token"]), "of a stranger": envelopes["token"]}
        jobs = [
            ("verify", str(stranger if name == "of a stranger" else certificate), _encoded(envelope))
            for name, envelope in envelopes.items()
        ]
        outcomes = zip(envelopes, map(_wss4j_outcome, _wss4j(jobs)), strict=True)
        expected = {"changed": "refused", "of a stranger": "refused"}
        yield _row(
            _WE_SIGN, kind, dialect, [(name, expected.get(name, "good"), found) for name, found in outcomes]
        )


def _wss4j_outcome(answer: str) -> str:
    said, _, names = answer.partition("\t")
    if said != "signed":
        return said
    return "good" if _ALL_PARTS.issubset(names.split()) else f"signed: {names}"


def _encoded(envelope: bytes) -> str:
    return base64.b64encode(envelope).decode()


# --- the xmlsec1 command ----------------------------------------------------------------------------------


def _without_xmlsec1() -> str | None:
    return None if shutil.which("xmlsec1") else "xmlsec1 is not installed"


def _ids(dialect: Dialect) -> Iterator[str]:
    for name in (
        f"{dialect.namespace}:Body",
        "urn:umrah:types:v1:MessageHeader",
        f"{WSU}:Timestamp",
        f"{WSSE}:BinarySecurityToken",
    ):
        yield from ("--id-attr:Id", name)


def _xmlsec1(*command: str) -> bool:
    done = subprocess.run(["xmlsec1", *command], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


async def _xmlsec1_rows(folder: Path) -> AsyncIterator[Row]:
    for kind, dialect in itertools.product(KINDS, DIALECTS):
        certificate, _ = _files(folder, "passports", kind)
        ours = _signed_by_us(dialect, kind)
        found = []
        for name, envelope in (("good", ours), ("changed", _spoilt(ours))):
            (folder / "sent.xml").write_bytes(envelope)
            check = ("--verify", "--pubkey-cert-pem", str(certificate), "--enabled-key-data", "key-name")
            good = _xmlsec1(*check, *_ids(dialect), str(folder / "sent.xml"))
            found.append((name, name, "good" if good else "changed"))
        yield _row(_WE_SIGN, kind, dialect, found)
    async with _site() as site:
        for kind, dialect in itertools.product(KINDS, DIALECTS):
            envelope = _signed_by_xmlsec1(folder, kind, dialect)
            outcomes = [("good", "accepted", await _posted(site, dialect, envelope))]
            changed = await _posted(site, dialect, _spoilt(envelope))
            yield _row(_THEY_SIGN, kind, dialect, [*outcomes, ("changed", "SIGNATURE_INVALID", changed)])


def _signed_by_xmlsec1(folder: Path, kind: str, dialect: Dialect) -> bytes:
    """Our own message as a template: its digests and its value are made by the command."""
    root = etree.fromstring(_signed_by_us(dialect, kind))
    for value in root.iter(f"{{{DS}}}DigestValue", f"{{{DS}}}SignatureValue"):
        value.text = None
    template, out = folder / "template.xml", folder / "signed.xml"
    template.write_bytes(etree.tostring(root))
    _, key = _files(folder, "passports", kind)
    made = _xmlsec1("--sign", "--privkey-pem", str(key), *_ids(dialect), "--output", str(out), str(template))
    assert made, "xmlsec1 could not sign"
    assert part(etree.parse(out).getroot(), "SignatureValue").text
    return out.read_bytes()


# --- npm soap ---------------------------------------------------------------------------------------------


def _without_node() -> str | None:
    good = shutil.which("node") and _NODE.is_dir()
    return None if good else "node, or the npm package soap in tests/interop/node, is not installed"


async def _node_rows(folder: Path) -> AsyncIterator[Row]:
    """It signs with RSA only, and takes no signed answer apart."""
    async with _site() as site:
        for dialect in DIALECTS:
            calls = [_node_call(site, folder, who, dialect) for who in ("passports", "mallory")]
            # Not `run`: the loop serves what it calls.
            process = await asyncio.create_subprocess_exec(
                "node",
                str(HERE / "node/client.js"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                out, _ = await process.communicate(json.dumps(calls).encode())
            good, stranger = json.loads(out)
            found = [
                ("good", "accepted", "accepted" if good.get("accepted") else str(good)),
                ("of a stranger", "SIGNATURE_INVALID", (stranger.get("fault") or {}).get("code")),
            ]
            yield _row(_THEY_SIGN, "rsa", dialect, found)


def _node_call(site: Site, folder: Path, who: str, dialect: Dialect) -> dict[str, object]:
    certificate, key = _files(folder, who, "rsa")
    url = f"{site.url}/soap/movements"
    values = {child.tag.rpartition("}")[2]: child.text for child in etree.fromstring(_ARRIVAL)}
    return {
        "url": url,
        "wsdl": f"{url}?wsdl",
        "service_name": "MovementsService",
        "port": f"MovementsSoap{dialect.version.replace('.', '')}",
        "soap": dialect.version,
        "operation": "NotifyArrival",
        "values": values,
        "certificate": certificate.read_text(),
        "key": key.read_text(),
    }


STACKS = (
    Stack(
        "wss4j",
        "Apache WSS4J",
        _without_wss4j,
        ("dpkg-query", "-W", "-f", "WSS4J ${Version}", "libwss4j-java"),
        _wss4j_rows,
    ),
    Stack("xmlsec1", "`xmlsec1`", _without_xmlsec1, ("xmlsec1", "--version"), _xmlsec1_rows),
    Stack(
        "node",
        "npm `soap`, `WSSecurityCert`",
        _without_node,
        ("node", "-p", f"`soap ${{require('{_NODE}/package.json').version}}`"),
        _node_rows,
    ),
)  # fmt: skip


async def rows(stack: Stack) -> list[Row]:
    """Everything tried with one of them."""
    with tempfile.TemporaryDirectory() as folder:
        return [row async for row in stack.rows(Path(folder))]
