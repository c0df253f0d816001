"""Until when certificates hold: `doctor` says it, and the metric."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cli.doctor import Finding, examine
from cli.gateway import tell_expiries
from gateway.observe.metrics import Metrics
from gateway.settings import load
from tests.settings.sets import FILES, write
from tests.web.certificates import FAR_OFF, LONG_PAST, Authority


def configured(folder: Path, ends: datetime) -> Path:
    """One certificate of ours that ends then, and one of a center that ends in the far future."""
    authority = Authority(folder)
    authority.pair("us", ends=ends)
    authority.pair("theirs")
    tls = "tls: {certificate: us.crt, key: us.key, client_ca: ca.crt}"
    bound = "name_ar: واحد, demo_key: true, certificates: [{file: theirs.crt}]}"
    return write(
        folder,
        gateway=FILES["gateway"] + f"listeners: {{public: {{port: 0, {tls}}}, admin: {{port: 0}}}}\n",
        parties=("name_ar: واحد, demo_key: true}", bound),
    )


def found(main: Path, data: Path) -> list[Finding]:
    return [finding for finding in examine(main, data) if finding.about == "certificates"]


@pytest.mark.parametrize(
    ("left", "level", "text"),
    [
        (timedelta(days=400), "ok", "2 certificates, the first ends on"),
        (timedelta(days=10, hours=1), "warn", "in 10 days"),
        (None, "fail", "us.crt of gateway (listeners.public) ended on 2021-01-01 00:00 UTC"),
    ],
)
def test_doctor_says_which_certificate_ends(
    tmp_path: Path, left: timedelta | None, level: str, text: str
) -> None:
    main = configured(tmp_path, LONG_PAST if left is None else datetime.now(UTC) + left)
    (finding,) = found(main, tmp_path / "data")
    assert finding.level == level
    assert text in finding.text
    assert bool(finding.advice) == (level != "ok")


def test_doctor_says_when_a_listener_shows_an_older_certificate(tmp_path: Path) -> None:
    main = configured(tmp_path, FAR_OFF)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(tmp_path / "us.crt", tmp_path / "us.key")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        text = main.read_text().replace("port: 0, tls", f"port: {listening.getsockname()[1]}, tls")
        main.write_text(text)
        for level, says in (("ok", "shows us.crt"), ("warn", "shows another certificate than us.crt")):
            answering = threading.Thread(target=_handshake, args=(listening, shown))
            answering.start()
            findings = [each for each in examine(main, tmp_path / "data") if each.about == "public port"]
            answering.join(30)
            assert [each.level for each in findings] == [level]
            assert says in findings[0].text
            Authority(tmp_path).pair("us")


def _handshake(listening: socket.socket, context: ssl.SSLContext) -> None:
    taken, _ = listening.accept()
    taken.settimeout(30)
    with suppress(OSError), context.wrap_socket(taken, server_side=True) as connection:
        connection.recv(1)
    taken.close()


def test_without_certificates_doctor_says_nothing_of_them(tmp_path: Path) -> None:
    assert found(write(tmp_path), tmp_path / "data") == []


def test_the_metric_says_until_when_each_party_can_prove_itself(tmp_path: Path) -> None:
    class Running:
        metrics = Metrics(CollectorRegistry())
        settings = load(configured(tmp_path, LONG_PAST), {})

    def value(party: str) -> float | None:
        name = "gateway_certificate_expiry_timestamp_seconds"
        return Running.metrics.registry.get_sample_value(name, {"party": party})

    tell_expiries(Running)  # type: ignore[arg-type]
    assert (value("gateway"), value("sc-01")) == (LONG_PAST.timestamp(), FAR_OFF.timestamp())
    Running.settings = load(write(tmp_path), {})
    tell_expiries(Running)  # type: ignore[arg-type]
    assert (value("gateway"), value("sc-01")) == (None, None)
