"""Client certificates: whom each proves, what is refused, and renewal while connections go on."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from lxml import etree

from cli.bootstrap import FORMATS, INBOUND, SERVED
from gateway.errors import Misconfigured
from gateway.settings import Settings
from gateway.settings.transport import ListenerTls, PartyCertificate
from gateway.soap import wsse
from gateway.values import replace
from gateway.web.authentication import PartyKeys
from gateway.web.host import WebHost
from gateway.web.operators import OperatorTokens, ensure_operator_tokens
from gateway.web.soap_services import SoapDoor, SoapServices, ensure_demo_secrets, load_secrets, taking
from gateway.web.tls import PartyCertificates
from gateway.web.tokens import ensure_demo_keys
from tests.pipeline.world import World
from tests.web.certificates import LONG_PAST, NOT_YET, Authority, Pair
from tests.web.site import Answer, Site, with_free_ports
from tests.web.test_soap_services import ARRIVAL, SOAP_11, security


@dataclass
class Place:
    """A gateway with TLS on both listeners, an authority, and certificates of two centers and a system."""

    world: World
    data: Path
    authority: Authority
    host: WebHost
    pairs: dict[str, Pair]
    soap: SoapServices

    @asynccontextmanager
    async def as_(self, pair: Pair | None, trusted: Path | None = None) -> AsyncIterator[Site]:
        """Calls that show this certificate."""
        connector = aiohttp.TCPConnector(ssl=client(trusted or self.authority.file, pair))
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            yield Site(self.world, self.data, self.host, session)
        await asyncio.sleep(0)

    async def submit(self, pair: Pair | None, *, token: str = "", key: str = "k") -> Answer:
        async with self.as_(pair) as site:
            return await site.submit(token=token, key=key)

    def token(self, party: str) -> str:
        return Site(self.world, self.data, self.host, None).token(party)  # type: ignore[arg-type]

    def bind(self, bound: Mapping[str, list[Pair]]) -> None:
        """Other bindings, taken by the running host."""
        self.world.engine = replace(self.world.engine, settings=with_bound(self.world.engine.settings, bound))
        self.reload()

    def reload(self) -> None:
        settings = self.world.engine.settings
        self.host.use(self.world.engine, PartyKeys.load(settings, self.data), OperatorTokens.load(self.data))


def client(trusted: Path, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(trusted)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def with_bound(settings: Settings, bound: Mapping[str, list[Pair]]) -> Settings:
    """By file and by fingerprint in turn: both are the same to a caller."""
    parties = tuple(
        party.model_copy(
            update={
                "certificates": tuple(
                    PartyCertificate(sha256=pair.sha256)
                    if n
                    else PartyCertificate(file=str(pair.certificate))
                    for n, pair in enumerate(bound.get(party.id, []))
                )
            }
        )
        for party in settings.parties
    )
    return settings.model_copy(update={"parties": parties})


def with_tls(settings: Settings, **tls: ListenerTls) -> Settings:
    gateway = settings.gateway
    listeners = gateway.listeners.model_copy(
        update={
            name: getattr(gateway.listeners, name).model_copy(update={"tls": made})
            for name, made in tls.items()
        }
    )
    return settings.model_copy(update={"gateway": gateway.model_copy(update={"listeners": listeners})})


@asynccontextmanager
async def opened(world: World, folder: Path, required: bool = False) -> AsyncIterator[Place]:
    authority = Authority(folder)
    server = authority.pair("server")
    pairs = {name: authority.pair(name) for name in ("sc-01", "sc-01-new", "sc-02", "passports", "stranger")}
    pairs["ended"] = authority.pair("ended", ends=LONG_PAST)
    pairs["early"] = authority.pair("early", begins=NOT_YET)
    tls = ListenerTls(
        certificate=str(server.certificate),
        key=str(server.key),
        client_ca=str(authority.file),
        client_certificates="required" if required else "optional",
    )
    bound = {
        "sc-01": [pairs["sc-01"], pairs["sc-01-new"], pairs["ended"], pairs["early"]],
        "sc-02": [pairs["sc-02"]],
        "passports": [pairs["passports"]],
    }
    settings = with_tls(with_bound(with_free_ports(world.engine.settings), bound), public=tls, admin=tls)
    world.engine = replace(world.engine, settings=settings)
    ensure_demo_keys(settings, folder)
    ensure_operator_tokens(folder)
    ensure_demo_secrets(settings, folder, {"passports", "foreign-affairs"})
    door = SoapDoor(
        load_secrets(settings, folder),
        world.engine.ledger.use_token,
        world.clock,
        certificates=PartyCertificates.load(settings),
    )
    soap = SoapServices(INBOUND, SERVED, taking(world.engine), door)
    keys = PartyKeys.load(settings, folder)
    host = WebHost(world.engine, FORMATS, keys, OperatorTokens.load(folder), soap, grace_s=1.0)
    await host.start()
    try:
        yield Place(world, folder, authority, host, pairs, soap)
    finally:
        await host.stop()


@pytest.fixture
async def place(world: World, tmp_path: Path) -> AsyncIterator[Place]:
    async with opened(world, tmp_path) as made:
        yield made


# --- REST ----------------------------------------------------------------------------------------


async def test_a_bound_certificate_proves_its_party_without_a_token(place: Place) -> None:
    async with place.as_(place.pairs["sc-01"]) as site:
        receipt = await site.submit(token="")
        assert receipt.status == 202
        path = f"/v1/batches/{receipt.json['batch_id']}"
        assert (await site.get(path, token="")).status == 200
        # What a lost answer needs: the same key gets the first answer again, and nothing is used up.
        assert (await site.submit(token="")).json["batch_id"] == receipt.json["batch_id"]
    async with place.as_(place.pairs["sc-02"]) as site:
        assert (await site.get(path, token="")).status == 404
    async with place.as_(None) as site:
        assert (await site.get(path, token=place.token("sc-01"))).status == 200


async def test_every_certificate_of_a_party_proves_it_while_one_is_renewed(place: Place) -> None:
    first = await place.submit(place.pairs["sc-01"])
    again = await place.submit(place.pairs["sc-01-new"])
    assert again.json["batch_id"] == first.json["batch_id"]


async def test_without_a_certificate_a_token_still_does(place: Place) -> None:
    assert (await place.submit(None)).code == "unauthenticated"
    assert (await place.submit(None, token=place.token("sc-01"))).status == 202


async def test_a_certificate_and_a_token_of_different_parties_are_refused(place: Place) -> None:
    answer = await place.submit(place.pairs["sc-01"], token=place.token("sc-02"))
    assert (answer.status, answer.code) == (401, "credentials_differ")


async def test_a_token_beside_a_certificate_is_used_once_as_ever(place: Place) -> None:
    token = place.token("sc-01")
    assert (await place.submit(place.pairs["sc-01"], token=token, key="a")).status == 202
    assert (await place.submit(place.pairs["sc-01"], token=token, key="b")).code == "token_replayed"
    assert (await place.submit(place.pairs["sc-01"], token="not.a.token")).code == "unauthenticated"


@pytest.mark.parametrize(
    ("shown", "code"),
    [("stranger", "certificate_unknown"), ("ended", "certificate_expired"), ("early", "certificate_expired")],
)
async def test_a_certificate_that_proves_nobody_refuses_the_request(
    place: Place, shown: str, code: str
) -> None:
    for token in ("", place.token("sc-01")):
        answer = await place.submit(place.pairs[shown], token=token)
        assert (answer.status, answer.code) == (401, code)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="umrah-gateway"'


async def test_a_certificate_of_another_authority_gets_no_connection(place: Place, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").pair("sc-01-forged")
    with pytest.raises(aiohttp.ClientError):
        await place.submit(other, token=place.token("sc-01"))
    assert (await place.submit(place.pairs["sc-01"])).status == 202


async def test_the_same_name_and_key_under_another_certificate_prove_nobody(place: Place) -> None:
    """What is bound is the certificate: a name in it is nothing."""
    again = place.authority.pair("sc-01")
    assert (await place.submit(again)).code == "certificate_unknown"


@pytest.mark.parametrize(
    "header",
    [
        "X-Client-Cert",
        "X-SSL-Client-S-DN",
        "X-Forwarded-Client-Cert",
        "Forwarded",
        "X-Forwarded-User",
        "X-SSL-Cert",
    ],
)
async def test_no_header_says_who_calls(place: Place, header: str) -> None:
    pem = place.pairs["sc-01"].certificate.read_text().replace("\n", "")
    for value in ("sc-01", pem, f'Hash={place.pairs["sc-01"].sha256};Subject="CN=sc-01"'):
        async with place.as_(None) as site:
            answer = await site.submit(token="", headers={header: value, "X-SSL-Client-Verify": "SUCCESS"})
        assert (answer.status, answer.code) == (401, "unauthenticated")


async def test_where_certificates_are_required_nobody_connects_without(world: World, tmp_path: Path) -> None:
    async with opened(world, tmp_path, required=True) as place:
        with pytest.raises(aiohttp.ClientError):
            await place.submit(None, token=place.token("sc-01"))
        assert (await place.submit(place.pairs["sc-01"])).status == 202
        for shown, answers in (("stranger", True), ("ended", False)):  # operators show a token besides
            async with place.as_(place.pairs[shown]) as site:
                if answers:
                    assert (await site.get("/livez", admin=True, token="")).status == 200
                    assert (await site.get("/v1/admin/messages", admin=True, token="")).status == 401
                else:
                    with pytest.raises(aiohttp.ClientError):
                        await site.get("/livez", admin=True, token="")


async def test_nothing_older_than_tls_1_2_is_spoken(place: Place) -> None:
    url = urlsplit(place.host.public_url)
    for version, spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = client(place.authority.file, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = version
        connecting = asyncio.open_connection(url.hostname, url.port, ssl=context)
        if spoken:
            (await connecting)[1].close()
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await connecting


async def test_what_is_no_handshake_costs_nothing_and_the_next_caller_is_answered(place: Place) -> None:
    url = urlsplit(place.host.public_url)
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 300, b""):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(30):
            with suppress(ConnectionError):
                await reader.read()
        writer.close()
    assert (await place.submit(place.pairs["sc-01"])).status == 202
    acceptor = place.host._public.acceptor  # type: ignore[union-attr]
    async with asyncio.timeout(30):
        while acceptor._open:
            await asyncio.sleep(0.01)


async def test_over_tls_browsers_are_told_to_stay_there(place: Place) -> None:
    async with place.as_(None) as site:
        for answer in (await site.get("/docs", token=""), await site.get("/none", token="")):
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


# --- renewal -------------------------------------------------------------------------------------


async def test_a_renewed_certificate_is_shown_while_open_connections_go_on(
    place: Place, tmp_path: Path
) -> None:
    before = await _server_sha256(place)
    async with place.as_(place.pairs["sc-01"]) as site:
        path = f"/v1/batches/{(await site.submit(token='')).json['batch_id']}"
        renewed = place.authority.pair("server")  # in the same files
        place.reload()
        assert (await site.get(path, token="")).status == 200
        assert len(site.session.connector._conns) == 1  # type: ignore[union-attr]
    assert before != await _server_sha256(place) == renewed.sha256


async def test_an_authority_that_was_replaced_is_trusted_no_more(place: Place, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    replacing = Authority(tmp_path / "new")
    theirs = replacing.pair("sc-02")
    trusted = tmp_path / "still-ours.crt"  # who verifies the server
    trusted.write_bytes(place.authority.file.read_bytes())
    place.authority.file.write_bytes(replacing.file.read_bytes())
    place.bind({"sc-01": [place.pairs["sc-01"]], "sc-02": [theirs]})
    async with place.as_(theirs, trusted) as site:
        assert (await site.get("/v1/notifications", token="")).status == 200
    with pytest.raises(aiohttp.ClientError):
        async with place.as_(place.pairs["sc-01"], trusted) as site:
            await site.submit(token="")


async def test_a_binding_that_was_taken_away_ends_at_once_on_open_connections_too(place: Place) -> None:
    async with place.as_(place.pairs["sc-01"]) as site:
        assert (await site.submit(token="")).status == 202
        place.bind({"sc-01": [place.pairs["sc-01-new"]]})
        assert (await site.submit(token="")).code == "certificate_unknown"
        place.bind({"sc-02": [place.pairs["sc-01"]]})
        assert (await site.get("/v1/notifications", token="")).status == 200


async def test_tls_files_that_do_not_fit_are_refused_and_the_old_ones_kept(place: Place) -> None:
    before = await _server_sha256(place)
    server = place.world.engine.settings.gateway.listeners.public.tls
    assert server is not None
    Path(server.key).write_text("nonsense")
    with pytest.raises(Misconfigured):
        place.reload()
    assert await _server_sha256(place) == before


async def _server_sha256(place: Place) -> str:
    url = urlsplit(place.host.public_url)
    context = client(place.authority.file, None)
    _, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return hashlib.sha256(der).hexdigest()


# --- SOAP ----------------------------------------------------------------------------------------


async def _notify(
    place: Place, pair: Pair | None, header: str = "", path: str = "movements"
) -> tuple[int, str]:
    """An arrival; the status, and the text of a fault or of the answer."""
    body = (
        f'<s:Envelope xmlns:s="{SOAP_11.namespace}"><s:Header>{header}</s:Header>'
        f"<s:Body>{ARRIVAL}</s:Body></s:Envelope>"
    )
    headers = {"Content-Type": "text/xml; charset=utf-8"}
    async with place.as_(pair) as site:
        answer = await site.post(f"/soap/{path}", token="", headers=headers, data=body.encode())
    return answer.status, etree.tostring(etree.fromstring(answer.body), encoding="unicode")


async def test_a_system_is_known_by_its_certificate_in_soap_too(place: Place) -> None:
    for duplicate in ("false", "true"):
        status, text = await _notify(place, place.pairs["passports"])
        assert (status, re.findall(r"duplicate>(\w+)<", text)) == (200, [duplicate])


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (None, "UNAUTHENTICATED"),
        ("stranger", "CERTIFICATE_UNKNOWN"),
        ("ended", "CERTIFICATE_EXPIRED"),
        ("sc-02", "FORBIDDEN"),
    ],
)
async def test_other_certificates_get_a_fault(place: Place, shown: str | None, code: str) -> None:
    status, text = await _notify(place, place.pairs[shown] if shown else None)
    assert (status, code in text) == (500, True)


async def test_a_username_token_beside_a_certificate_is_of_the_same_party(place: Place) -> None:
    secret = (place.data / "soap" / "passports.secret").read_text().strip()
    token = security("passports", secret, wsse.PASSWORD_TEXT)
    assert (await _notify(place, place.pairs["passports"], token))[0] == 200
    status, text = await _notify(place, place.pairs["sc-02"], token)
    assert (status, "CREDENTIALS_DIFFER" in text) == (500, True)
    wrong = security("passports", "x" * 40, wsse.PASSWORD_TEXT)
    assert "UNAUTHENTICATED" in (await _notify(place, place.pairs["passports"], wrong))[1]
