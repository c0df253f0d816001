"""Faults of TLS and of bound certificates, each told at its place; and until when certificates hold."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.settings import lint, load
from gateway.settings.certificates import expiries, read_certificates
from tests.settings.sets import CLASSES, FILES, OPERATIONS, place, write
from tests.web.certificates import FAR_OFF, Authority

PARTY = "name_ar: واحد, demo_key: true}"
NIC = "name_ar: المركز, demo_key: true}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.pair("us")
    return made


def with_listener(tls: str) -> str:
    return FILES["gateway"] + f"listeners: {{public: {{port: 8080, tls: {{{tls}}}}}}}\n"


LISTENER = "certificate: us.crt, key: us.key, client_ca: ca.crt"


def faults(main: Path) -> list[str]:
    return lint(main, {}, OPERATIONS, CLASSES)


def test_parties_may_be_bound_by_file_and_by_fingerprint(tmp_path: Path, authority: Authority) -> None:
    old, new = authority.pair("old"), authority.pair("new")
    colons = ":".join(new.sha256[n : n + 2] for n in range(0, 64, 2)).upper()
    bound = f"name_ar: واحد, certificates: [{{file: old.crt}}, {{sha256: '{colons}'}}]}}"
    main = write(tmp_path, gateway=with_listener(LISTENER), parties=(PARTY, bound))
    assert faults(main) == []
    party = load(main, {}).party("sc-01")
    assert party is not None
    assert [each.sha256 for each in party.certificates] == [None, new.sha256]
    assert read_certificates(old.certificate)[0].sha256 == old.sha256


def test_one_certificate_is_bound_to_one_party(tmp_path: Path, authority: Authority) -> None:
    pair = authority.pair("theirs")
    parties = (
        FILES["parties"]
        .replace(PARTY, "name_ar: واحد, demo_key: true, certificates: [{file: theirs.crt}]}")
        .replace(NIC, f"name_ar: المركز, demo_key: true, certificates: [{{sha256: {pair.sha256}}}]}}")
    )
    main = write(tmp_path, gateway=with_listener(LISTENER), parties=parties)
    assert faults(main) == [
        f"{place(main, 'parties', pair.sha256)}: this certificate is bound to sc-01 already"
    ]


@pytest.mark.parametrize(
    ("written", "at", "text"),
    [
        ("{file: no.crt}", "no.crt", "cannot be read"),
        ("{file: us.key}", "us.key", "holds no PEM certificates"),
        ("{file: two.crt}", "two.crt", "more than one certificate"),
        ("{sha256: abc}", "abc", "sha256: String should match pattern"),
        ("{}", "{}", "give file or sha256"),
    ],
)
def test_a_certificate_that_can_not_be_bound_is_told(
    tmp_path: Path, authority: Authority, written: str, at: str, text: str
) -> None:
    (tmp_path / "two.crt").write_bytes(authority.file.read_bytes() * 2)
    bound = f"name_ar: واحد, demo_key: true, certificates: [{written}]}}"
    main = write(tmp_path, gateway=with_listener(LISTENER), parties=(PARTY, bound))
    (fault,) = faults(main)
    assert fault.startswith(f"{place(main, 'parties', at)}: ")
    assert text in fault


def test_certificates_that_nobody_asks_for_are_told(tmp_path: Path, authority: Authority) -> None:
    pair = authority.pair("theirs")
    bound = f"name_ar: واحد, certificates: [{{sha256: {pair.sha256}}}]}}"
    for gateway in (FILES["gateway"], with_listener("certificate: us.crt, key: us.key")):
        main = write(tmp_path, gateway=gateway, parties=(PARTY, bound))
        (fault,) = faults(main)
        assert fault.startswith(f"{place(main, 'parties', 'certificates')}: certificates are given, but")


def test_a_listener_that_requires_certificates_says_whose(tmp_path: Path, authority: Authority) -> None:
    tls = "certificate: us.crt, key: us.key, client_certificates: required"
    (fault,) = faults(write(tmp_path, gateway=with_listener(tls)))
    assert "client_certificates: required needs client_ca" in fault


@pytest.mark.parametrize(("ca", "text"), [("no.crt", "cannot be read"), ("us.key", "holds no PEM")])
def test_an_authority_that_can_not_be_read_is_told(
    tmp_path: Path, authority: Authority, ca: str, text: str
) -> None:
    main = write(tmp_path, gateway=with_listener(f"certificate: us.crt, key: us.key, client_ca: {ca}"))
    (fault,) = faults(main)
    assert text in fault
    assert "/gateway.yaml:" in fault
    destinations = FILES["destinations"].replace("http:", "https:") + f"    tls: {{ca: {ca}}}\n"
    main = write(tmp_path, destinations=destinations)
    (fault,) = faults(main)
    assert fault.startswith(f"{place(main, 'destinations', ca)}: file")
    assert text in fault


def test_tls_for_a_partner_that_is_called_without_it_is_told(tmp_path: Path, authority: Authority) -> None:
    main = write(tmp_path, destinations=FILES["destinations"] + "    tls: {ca: ca.crt}\n")
    assert faults(main) == [
        f"{place(main, 'destinations', 'http://127')}: tls is given, but url is not https"
    ]


def test_a_party_is_told_by_its_latest_certificate_and_we_by_our_first(
    tmp_path: Path, authority: Authority
) -> None:
    early, late = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    authority.pair("old", ends=early)
    authority.pair("new", ends=late)
    authority.pair("out", ends=early)
    bound = "name_ar: واحد, certificates: [{file: old.crt}, {file: new.crt}]}"
    destinations = FILES["destinations"].replace("http:", "https:")
    destinations += "    tls: {ca: ca.crt, certificate: out.crt, key: out.key}\n"
    main = write(tmp_path, gateway=with_listener(LISTENER), parties=(PARTY, bound), destinations=destinations)
    assert faults(main) == []
    assert expiries(load(main, {})) == {"sc-01": late, "gateway": early}
    assert expiries(load(write(tmp_path, gateway=with_listener(LISTENER)), {})) == {"gateway": FAR_OFF}
