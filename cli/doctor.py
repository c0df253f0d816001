"""`doctor`: is everything here as a gateway needs it? Each finding says what to do about it."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cli.http import Http
from cli.outcome import CommandError, Unreachable
from cli.target import address, environment
from gateway.errors import Misconfigured
from gateway.settings import Settings, lint, load
from gateway.settings.certificates import certificate_of, named_certificates, read_certificates
from gateway.settings.gateway import Listener
from gateway.web.operators import operators_directory

_OLDEST_PYTHON: Final = (3, 11)
_LITTLE_BYTES: Final = 1 << 30
_TOO_LITTLE_BYTES: Final = 100 << 20
_OTHERS: Final = 0o077
#: No clock that is right shows less.
_EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SKEW_S: Final = 120
_PROBE_S: Final = 3.0
#: A certificate that ends within this is told.
_SOON: Final = timedelta(days=30)


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    level: Level
    about: str
    text: str
    #: What to do, unless all is well.
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What is looked at. `settings` is None where the configuration is at fault."""

    config: Path | None
    data_dir: Path
    env: dict[str, str]
    settings: Settings | None


def examine(config: Path | None, data_dir: Path | None) -> list[Finding]:
    """Every finding, in the order of the checks."""
    place = _place(config, data_dir)
    return [finding for check in CHECKS for finding in check(place)]


def document(findings: list[Finding]) -> dict[str, Any]:
    """For `--json`."""
    worst = max((finding.level for finding in findings), key=list(Level).index)
    return {"result": worst, "findings": [asdict(finding) for finding in findings]}


def _place(config: Path | None, data_dir: Path | None) -> Place:
    env = environment(data_dir)
    try:
        settings = load(config, env)
    except Misconfigured:
        return Place(config, Path(env.get("GATEWAY_DATA_DIR") or "data"), env, None)
    return Place(config, Path(settings.gateway.data_directory), env, settings)


# --- what runs here ------------------------------------------------------------------------------------


def _python(_place: Place) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield Finding(Level.FAIL, "python", version, "install Python 3.11 or newer")
    else:
        yield Finding(Level.OK, "python", version)


def _sqlite(_place: Place) -> Iterator[Finding]:
    from gateway.ledger.sqlite.connection import SQLITE_VERSION, has_wal_fault

    if has_wal_fault():
        text = f"{SQLITE_VERSION} has the WAL-reset fault (3.7.0 to 3.51.2); one writing process avoids it"
        advice = "install pysqlite3 0.6 or newer where it has a wheel; let no other program write the ledger"
        yield Finding(Level.WARN, "sqlite", text, advice)
    else:
        yield Finding(Level.OK, "sqlite", f"{SQLITE_VERSION}, without the WAL-reset fault")


def _libxml2(_place: Place) -> Iterator[Finding]:
    from lxml import etree

    lxml, libxml2 = (".".join(map(str, v)) for v in (etree.LXML_VERSION[:3], etree.LIBXML_VERSION))
    yield Finding(Level.OK, "xml", f"lxml {lxml} with libxml2 {libxml2}")


def _clock(place: Place) -> Iterator[Finding]:
    now = datetime.now(UTC)
    advice = "set the clock and keep it with NTP: tokens and leases depend on it"
    newest = _newest(place.data_dir)
    if now < _EARLIEST or (newest and newest.timestamp() > now.timestamp() + _SKEW_S):
        yield Finding(Level.FAIL, "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC is in the past", advice)
    else:
        yield Finding(Level.OK, "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")
    try:
        ZoneInfo("Asia/Riyadh")
    except ZoneInfoNotFoundError:
        yield Finding(Level.FAIL, "clock", "no time zone Asia/Riyadh", "install the package tzdata")


def _newest(directory: Path) -> datetime | None:
    times = [path.stat().st_mtime for path in directory.glob("*") if path.is_file()]
    return datetime.fromtimestamp(max(times), UTC) if times else None


# --- what it is given ------------------------------------------------------------------------------------


def _configuration(place: Place) -> Iterator[Finding]:
    from cli.bootstrap import OPERATIONS

    faults = lint(place.config, place.env, OPERATIONS)
    for fault in faults:
        yield Finding(Level.FAIL, "configuration", fault, "see `check-config`")
    if not faults:
        yield Finding(Level.OK, "configuration", "clean")


def _certificates(place: Place) -> Iterator[Finding]:
    """Ours and the parties', those that end soon or have ended."""
    found = list(named_certificates(place.settings)) if place.settings else []
    for named in found:
        left = named.certificate.ends - datetime.now(UTC)
        text = f"{named.file.name} of {named.party} ({named.about}) "
        when = f"{named.certificate.ends:%Y-%m-%d %H:%M} UTC"
        if left <= timedelta():
            advice = "put a new one in its place, then kill -HUP"
            yield Finding(Level.FAIL, "certificates", f"{text}ended on {when}", advice)
        elif left < _SOON:
            advice = "renew it: bind the new one beside the old one, then kill -HUP"
            yield Finding(Level.WARN, "certificates", f"{text}ends on {when}, in {left.days} days", advice)
    if found and all(named.certificate.ends - datetime.now(UTC) >= _SOON for named in found):
        first = min(named.certificate.ends for named in found)
        text = f"{len(found)} certificates, the first ends on {first:%Y-%m-%d}"
        yield Finding(Level.OK, "certificates", text)


def _data_directory(place: Place) -> Iterator[Finding]:
    path = place.data_dir
    if not path.exists():
        yield from _missing_data_directory(path)
    elif not path.is_dir():
        yield Finding(Level.FAIL, "data directory", f"{path} is not a directory", "give another --data-dir")
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            Level.FAIL, "data directory", f"{path} can't be written", f"chown it to uid {os.getuid()}"
        )
    elif _mode(path) & _OTHERS:
        text = f"{path} is open to others (mode {_mode(path):04o})"
        yield Finding(Level.FAIL, "data directory", text, f"chmod 700 {path}")
    else:
        yield Finding(Level.OK, "data directory", f"{path} is ours alone")


def _missing_data_directory(path: Path) -> Iterator[Finding]:
    parent = _existing(path)
    if os.access(parent, os.W_OK | os.X_OK):
        yield Finding(Level.OK, "data directory", f"{path} is made when `serve` first starts")
    else:
        text = f"{path} can't be made in {parent}"
        yield Finding(Level.FAIL, "data directory", text, "give another --data-dir, or change who owns it")


def _secrets(place: Place) -> Iterator[Finding]:
    """Private keys, the vault's keys, operators' tokens, the ledger."""
    files = list(_secret_files(place.data_dir))
    open_to_others = [path for path in files if _mode(path) & _OTHERS]
    for path in open_to_others:
        text = f"{path} can be read by others (mode {_mode(path):04o})"
        yield Finding(
            Level.FAIL, "key files", text, f"chmod 600 {path}; if others may have read it, replace it"
        )
    if not open_to_others:
        yield Finding(Level.OK, "key files", f"{len(files)} files, none open to others")


def _secret_files(data_dir: Path) -> Iterator[Path]:
    for pattern in ("keys/**/*", "operators/*.token", "*.db*"):
        for path in sorted(data_dir.glob(pattern)):
            if path.is_file() and not path.name.endswith(".pub.pem"):
                yield path


def _operators(place: Place) -> Iterator[Finding]:
    """Whether tokens and roles go together. Before the first start there are no tokens."""
    there = {path.stem for path in operators_directory(place.data_dir).glob("*.token")}
    if place.settings is None or not there:
        return
    named = set(place.settings.gateway.operators)
    if without := sorted(named - there):
        text = f"no token for {', '.join(without)}"
        advice = "make the file operators/NAME.token (mode 0600), or take the name out of gateway.yaml"
        yield Finding(Level.WARN, "operators", text, advice)
    if unknown := sorted(there - named):
        text = f"no role for {', '.join(unknown)}"
        yield Finding(Level.WARN, "operators", text, "give it a role under operators in gateway.yaml")
    if there == named:
        yield Finding(Level.OK, "operators", f"{len(there)}, each with a token and a role")


def _disk(place: Place) -> Iterator[Finding]:
    free = shutil.disk_usage(_existing(place.data_dir)).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < _TOO_LITTLE_BYTES:
        yield Finding(Level.FAIL, "disk", text, "make room: a full disk closes the intake")
    elif free < _LITTLE_BYTES:
        yield Finding(Level.WARN, "disk", text, "make room: a season of ledgers takes some GiB")
    else:
        yield Finding(Level.OK, "disk", text)


def _listeners(place: Place) -> Iterator[Finding]:
    if place.settings is None:
        return
    listeners = place.settings.gateway.listeners
    for name, listener in (("public", listeners.public), ("admin", listeners.admin)):
        if listener.tls is not None and listener.port and not _is_free(listener):
            yield _shown(f"{name} port", listener, place.settings.file(listener.tls.certificate))
        else:
            probe = "/openapi.json" if name == "public" else "/readyz"
            yield _listener(f"{name} port", listener, probe)


def _shown(about: str, listener: Listener, file: Path) -> Finding:
    """Whether whoever listens there shows the certificate that stands in its file now."""
    url = address(listener)
    where = urlsplit(url)
    try:
        pem = ssl.get_server_certificate((where.hostname or "", where.port or 0), timeout=_PROBE_S)
        shown, wanted = certificate_of(ssl.PEM_cert_to_DER_cert(pem)), read_certificates(file)[0]
    except (OSError, ValueError):
        return Finding(Level.FAIL, about, f"{url} is taken by something else", "stop it, or change the port")
    if shown.sha256 != wanted.sha256:
        text = f"{url} shows another certificate than {file.name}"
        return Finding(Level.WARN, about, text, "kill -HUP the gateway, so that it takes the new one")
    return Finding(Level.OK, about, f"the gateway at {url} shows {file.name}")


def _listener(about: str, listener: Listener, probe: str) -> Finding:
    """Free, or a gateway that answers there, or someone else."""
    url = address(listener)
    if listener.port == 0 or _is_free(listener):
        return Finding(Level.OK, about, f"{url} is free: no gateway is running there")
    try:
        answer = Http(url).get(probe).document
    except Unreachable:
        return Finding(Level.FAIL, about, f"{url} is taken by something else", "stop it, or change the port")
    except CommandError as error:
        return Finding(Level.WARN, about, f"{url} answers, and is not ready: {error.message}", "see its log")
    state = answer.get("status", "answers") if isinstance(answer, dict) else "answers"
    return Finding(Level.OK, about, f"the gateway at {url} {'is ' if state == 'ready' else ''}{state}")


def _is_free(listener: Listener) -> bool:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError:
            return False
    return True


def _existing(path: Path) -> Path:
    """The nearest directory above that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.is_dir())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


Check = Callable[[Place], Iterator[Finding]]
CHECKS: Final[tuple[Check, ...]] = (
    _python,
    _sqlite,
    _libxml2,
    _configuration,
    _certificates,
    _data_directory,
    _secrets,
    _operators,
    _disk,
    _listeners,
    _clock,
)
