"""Files and configurations in the hands of the command line: each a command of its own."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters.service_centers import MEDIA_TYPES
from gateway.values import replace
from tests.hostile.row import Act, Row, Told
from tests.hostile.site import CENTER, Site, application, json_batch
from tests.processes import ROOT

#: Commands take a second of the processor each: all of them are tried by `make hostile`.
_IN_SHORT: Final = (
    "same content under another name",
    "formulas in rejected lines, fetched with `errors --format csv`",
    "unknown key",
)
#: How often a command's memory is looked at.
_LOOK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str
    #: Of the processor: a command waits for nothing but the gateway.
    cpu_s: float
    peak_mb: float


def _run(site: Site, *arguments: object) -> Ended:
    """One command to its end, in the installation's environment."""
    folder = Path(mkdtemp(dir=site.folder))
    command = [sys.executable, str(ROOT / "run_gateway.py"), *map(str, arguments)]
    env = {**os.environ, **site.gateway.home.environment()}
    with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=ROOT, env=env)
        peak_kb, cpu_s = _watched(child)
    said, told = ((folder / name).read_text(errors="replace") for name in ("out", "err"))
    return Ended(child.returncode, said, told, cpu_s, peak_kb / 1024)


def _watched(child: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Its highest resident memory in kB, and its CPU time.

    `wait4` tells memory too, but of a child it counts what this process had when it forked.
    """
    peak_kb = 0
    while True:
        with suppress(OSError):  # it may end while it is looked at
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{child.pid}/status").read_text())
            peak_kb = max(peak_kb, int(found[1]) if found else 0)
        pid, status, used = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return peak_kb, used.ru_utime + used.ru_stime
        time.sleep(_LOOK_S)


@lru_cache(maxsize=8)
def _usual(site: Site, command: str) -> Ended:
    """What a command costs with nothing wrong."""
    if command == "send":
        ended = _run(site, "send", _good_file(site), "--center", CENTER, "--json")
    else:
        ended = _run(site, "check-config", ROOT / "config" / "gateway.yaml")
    assert ended.code == 0, ended
    return ended


def _good_file(site: Site) -> Path:
    return _file(Path(mkdtemp(dir=site.folder)) / "good.json", json_batch())


def _told(ended: Ended, usual: Ended, answer: str) -> Told:
    """What the input cost beyond what the same command costs with nothing wrong."""
    seconds, memory = ended.cpu_s - usual.cpu_s, ended.peak_mb - usual.peak_mb
    said = (ended.out + ended.err).encode()
    return Told(f"exit {ended.code}{answer}", said, max(0.0, seconds), max(0.0, memory))


# --- files ------------------------------------------------------------------------------------------------

Put = Callable[[Path], Path]


def _sent(put: Put, *more: str) -> Callable[[Site], Act]:
    """`send` of the file that `put` leaves in a folder."""

    def prepare(site: Site) -> Act:
        usual = _usual(site, "send")
        file = put(Path(mkdtemp(dir=site.folder)))

        def act() -> Told:
            ended = _run(site, "send", file, "--center", CENTER, "--json", *more)
            return _told(ended, usual, _code(ended))

        return act

    return prepare


def _code(ended: Ended) -> str:
    try:
        document = json.loads(ended.out)
    except ValueError:
        return " without a document"
    found = document.get("error") or document.get("fault")
    return f" {found['code']}" if found else ""


def _half_gzip(folder: Path) -> Path:
    return _file(folder / "half.json.gz", gzip.compress(json_batch())[:-20])


def _half_json(folder: Path) -> Path:
    return _file(folder / "half.json", json_batch()[:-200])


def _bad_checksum(folder: Path) -> Path:
    packed = bytearray(gzip.compress(json_batch()))
    packed[-8] ^= 1  # RFC 1952, 2.3.1: CRC32 and ISIZE are the last eight bytes
    return _file(folder / "bad.json.gz", bytes(packed))


def _bomb(folder: Path) -> Path:
    return _file(folder / "bomb.json.gz", gzip.compress(b" " * 100_000_000, 9))


def _archive(folder: Path) -> Path:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("../../escaped", b"x")
    return _file(folder / "batch.zip", made.getvalue())


def _link_to_endless(folder: Path) -> Path:
    (folder / "link.json").symlink_to("/dev/zero")
    return folder / "link.json"


def _link_elsewhere(folder: Path) -> Path:
    (folder / "link.json").symlink_to("/etc/passwd")
    return folder / "link.json"


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _same_content(site: Site) -> Act:
    folder, body = Path(mkdtemp(dir=site.folder)), json_batch()
    first, second = (_file(folder / name, body) for name in ("one.json", "two.json"))
    usual = _usual(site, "send")
    batch = json.loads(_run(site, "send", first, "--center", CENTER, "--json").out)["batch_id"]

    def act() -> Told:
        ended = _run(site, "send", second, "--center", CENTER, "--json")
        same = json.loads(ended.out)["batch_id"] == batch and json.loads(ended.out)["replayed"]
        return _told(ended, usual, ", the first batch again" if same else ", another batch")

    return act


def _formulas_to_mend(site: Site) -> Act:
    """A rejected line comes back to its sender as a file for a spreadsheet."""
    line = application(reference='=HYPERLINK("http://evil.example/")', profession="@SUM(1)", sex="none")
    batch = site.gateway.batch(json_batch(line), MEDIA_TYPES["json"]).document["batch_id"]
    usual = _usual(site, "send")

    def act() -> Told:
        ended = _run(site, "errors", batch, "--center", CENTER, "--format", "csv")
        cells = [cell for row in csv.reader(io.StringIO(ended.out)) for cell in row]
        assert any("HYPERLINK" in cell for cell in cells), ended
        live = [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
        told = _told(ended, usual, f", {len(live)} cells that begin like a formula")
        return replace(told, bytes_back=ended.err.encode())  # the file is its sender's own

    return act


# --- an exported log ---------------------------------------------------------------------------------------

Damage = Callable[[bytes], bytes]


def _verified(damage: Damage) -> Callable[[Site], Act]:
    """`audit verify` of an exported log that something was done to."""

    def prepare(site: Site) -> Act:
        folder = Path(mkdtemp(dir=site.folder))
        exported = folder / "log.txt"
        assert _run(site, "audit", "export", exported).code == 0
        key = site.gateway.home.data / "keys" / "checkpoint.pub"
        usual = _run(site, "audit", "verify", exported, "--key", key)
        assert usual.code == 0, usual
        damaged = _file(folder / "damaged.txt", damage(exported.read_bytes()))

        def act() -> Told:
            return _told(*_both(_run(site, "audit", "verify", damaged, "--key", key, "--json"), usual))

        return act

    return prepare


def _both(ended: Ended, usual: Ended) -> tuple[Ended, Ended, str]:
    return ended, usual, _code(ended)


def _inside(new: bytes) -> Damage:
    """In the place of the log's middle line."""

    def damage(log: bytes) -> bytes:
        lines = log.splitlines(keepends=True)
        lines[len(lines) // 2] = new + b"\n"
        return b"".join(lines)

    return damage


# --- configuration ----------------------------------------------------------------------------------------

Spoil = Callable[[Path], object]


def _checked(spoil: Spoil, message: str) -> Callable[[Site], Act]:
    """`check-config` of a configuration with one thing wrong; `message` is what one fault must tell."""

    def prepare(site: Site) -> Act:
        usual = _usual(site, "check-config")
        bad = Path(mkdtemp(dir=site.folder)) / "config"
        copytree(ROOT / "config", bad)
        spoil(bad)

        def act() -> Told:
            ended = _run(site, "check-config", bad / "gateway.yaml")
            placed = re.compile(rf"^\S+\.yaml:\d+:\d+: .*{re.escape(message)}", re.MULTILINE)
            return _told(ended, usual, ", with its place" if placed.search(ended.out) else f": {ended.out}")

        return act

    return prepare


def _in_file(name: str, old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> None:
        file = folder / name
        text = file.read_text(encoding="utf-8")
        assert old in text, old
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    return spoil


def _with_tls(*, mode: int, fits: bool) -> Spoil:
    def spoil(folder: Path) -> None:
        ours, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        (folder / "us.crt").write_bytes(_certificate(ours))
        pem = (ours if fits else other).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "us.key").write_bytes(pem)
        (folder / "us.key").chmod(mode)
        tls = "    idle_s: 15\n    tls: {certificate: us.crt, key: us.key}\n"
        _in_file("destinations.yaml", "    idle_s: 15\n", tls)(folder)

    return spoil


def _certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _no_start(site: Site) -> Act:
    """`serve` with a configuration that `check-config` would refuse."""
    bad = Path(mkdtemp(dir=site.folder)) / "config"
    copytree(ROOT / "config", bad)
    _in_file("gateway.yaml", "data_directory:", "data_directorry:")(bad)
    usual = _usual(site, "check-config")

    def act() -> Told:
        ended = _run(site, "serve", "--config", bad / "gateway.yaml")
        return _told(ended, usual, ", with its place" if "gateway.yaml:" in ended.err else f": {ended.err}")

    return act


def _rows() -> Iterator[Row]:
    def file(
        name: str, prepare: Callable[[Site], Act], answer: str, note: str = "", *, refused: bool = True
    ) -> Row:
        long = name not in _IN_SHORT
        return Row("Files (`send`)", name, prepare, answer, note=note, refused=refused, long=long)

    yield file("half-written, packed", _sent(_half_gzip), "exit 1 invalid_gzip")
    yield file("half-written, not packed", _sent(_half_json), "exit 1 invalid_json")
    yield file("bad checksum", _sent(_bad_checksum), "exit 1 invalid_gzip")
    yield file(
        "same content under another name", _same_content, "exit 0, the first batch again", refused=False
    )
    yield file("archive with `../`", _sent(_archive), "exit 2 usage", "archives are never unpacked")
    yield file(
        "archive with `../`, said to be JSON",
        _sent(_archive, "--format", "json"),
        "exit 1 invalid_json",
        "archives are never unpacked",
    )
    yield file(
        "a symlink to another file of this machine",
        _sent(_link_elsewhere),
        "exit 1 invalid_json",
        "sent as its user asked; nothing of it is told back",
    )
    yield file("a symlink to a device without end", _sent(_link_to_endless), "exit 2 usage")
    yield file("1000:1 (100 MB)", _sent(_bomb), "exit 1 invalid_gzip")
    yield file(
        "formulas in rejected lines, fetched with `errors --format csv`",
        _formulas_to_mend,
        "exit 0, 0 cells that begin like a formula",
        "they mean the same when they are sent again",
        refused=False,
    )
    yield Row(
        "Files (`send`)",
        "files laid into a folder that the gateway watches",
        not_applicable="it watches none, and opens no file that a message names",
    )

    def log(name: str, damage: Damage, answer: str) -> Row:
        return Row("Files (`audit verify`)", name, _verified(damage), answer, long=name not in _IN_SHORT)

    yield log("half-written", lambda found: found[: len(found) // 2], "exit 1 line_cut")
    yield log("one byte changed", lambda found: found[:-900] + b"X" + found[-899:], "exit 1 line_unreadable")
    yield log("empty", lambda _found: b"", "exit 1 log_cut")
    yield log("not a log", lambda _found: b"\x80\x04\x95" + b"\xff" * 10_000, "exit 1 line_cut")
    yield log("UTF-16", lambda found: found.decode().encode("utf-16"), "exit 1 not_a_log")
    yield log("a line of 100 MB", _inside(b"x" * 100_000_000), "exit 1 line_cut")
    yield log("a line nested 100,000 deep", _inside(b"[" * 100_000), "exit 1 line_unreadable")
    yield log(
        "a number of 100,000 digits", _inside(b'{"seq": ' + b"9" * 100_000 + b"}"), "exit 1 line_unreadable"
    )

    def config(name: str, spoil: Spoil, message: str) -> Row:
        long = name not in _IN_SHORT
        return Row("Configuration", name, _checked(spoil, message), "exit 2, with its place", long=long)

    yield config(
        "unknown key", _in_file("gateway.yaml", "data_directory:", "data_directorry:"), "data_directory"
    )
    yield config(
        "negative timeout", _in_file("destinations.yaml", "deadline_s: 15", "deadline_s: -15"), "deadline_s"
    )
    yield config(
        "a timeout that is no number",
        _in_file("destinations.yaml", "deadline_s: 15", "deadline_s: .nan"),
        "deadline_s",
    )
    yield config("key file readable by all", _with_tls(mode=0o644, fits=True), "can be read by others")
    yield config(
        "key and certificate that do not match",
        _with_tls(mode=0o600, fits=False),
        "does not belong to certificate",
    )
    yield config(
        "an itinerary naming an unknown operation",
        _in_file("routes.yaml", "interior.security_clearance", "interior.gossip"),
        "interior.gossip",
    )
    yield config(
        "a need-to-know list without a field that the converter needs",
        _in_file("confidentiality.yaml", "        - passport.number\n", ""),
        "passport.number",
    )
    yield config(
        "YAML that builds objects",
        _in_file("gateway.yaml", "log_level: info", "log_level: !!python/object/apply:os.system ['true']"),
        "",
    )
    yield config("a billion laughs in YAML", _in_file("gateway.yaml", "log_level: info", _yaml_laughs()), "")
    yield Row(
        "Configuration",
        "the gateway is started with any of these",
        _no_start,
        "exit 2, with its place",
        note="before it listens",
        long=True,
    )


def _yaml_laughs() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(9)]
    return "\n".join(lines)


ROWS: Final = tuple(_rows())
