"""The SOAP stacks that nobody here wrote: what they need, how they are started, what version they are."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.soap.contract import VENDORED

HERE = Path(__file__).parent
BUILT = HERE / "built"
_NODE = HERE / "node/node_modules"
_SERVED = VENDORED / "wsdl/served"
_GSOAP = Path("/usr/share/gsoap")
_JARS = Path("/usr/share/java")
#: What the JAX-WS reference implementation needs at run time, as Debian packages it.
_JAX_WS = (
    "FastInfoset", "glassfish-management-api", "glassfish-pfl-basic", "gmbal", "istack-commons-runtime",
    "javax.activation", "jaxb-api", "jaxb-core", "jaxb-runtime", "jaxws-api", "jaxws-rt", "jws-api",
    "metro-policy", "mimepull", "saaj-impl", "stax-ex", "stax2-api", "streambuffer", "txw2", "woodstox-core",
)  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """One of them. Commands are run in the repository's root."""

    id: str
    name: str
    #: Says why it cannot be tried here; None when it can.
    missing: Callable[[], str | None]
    #: Its version, as a command prints it.
    version: tuple[str, ...]
    client: tuple[str, ...]
    server: tuple[str, ...] | None = None
    #: Calls as the client reads them from its standard input.
    written: Callable[[Sequence[Mapping[str, Any]]], bytes] = lambda calls: json.dumps(calls).encode()
    #: Done once before the first call.
    prepare: Callable[[], None] = lambda: None

    @functools.cached_property
    def version_text(self) -> str:
        done = subprocess.run(self.version, capture_output=True, text=True, check=True, timeout=60)
        return (done.stdout or done.stderr).strip().splitlines()[0]


def _answers(*command: str) -> bool:
    """Whether the program is there and does not fail."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def _without_php() -> str | None:
    good = _answers("php", "-r", "exit(extension_loaded('soap') ? 0 : 1);")
    return None if good else "PHP with its soap extension is not installed"


def _without_node() -> str | None:
    good = shutil.which("node") and (_NODE / "soap").is_dir()
    return None if good else "node, or the npm package soap in tests/interop/node, is not installed"


def _without_perl() -> str | None:
    return None if _answers("perl", "-MSOAP::Lite", "-e", "1") else "Perl's SOAP::Lite is not installed"


def _without_java() -> str | None:
    good = all(shutil.which(name) for name in ("wsimport", "javac", "java"))
    return None if good and (_JARS / "jaxws-rt.jar").exists() else "JAX-WS or a JDK is not installed"


def _class_path() -> str:
    return ":".join([str(BUILT / "java"), *(str(_JARS / f"{name}.jar") for name in _JAX_WS)])


def _generate_java() -> None:
    """Classes from our WSDLs, by its own generator, as a partner's developer would do it."""
    if not _is_stale(BUILT / "java/Client.class", HERE / "java"):
        return
    shutil.rmtree(BUILT / "java", ignore_errors=True)
    (BUILT / "java").mkdir(parents=True)
    for wsdl in sorted(_SERVED.glob("*.wsdl")):
        _run(
            "wsimport", "-quiet", "-Xnocompile", "-extension", "-keep", "-s", str(BUILT / "java"),
            "-d", str(BUILT / "java"), "-p", f"generated.{wsdl.stem}", str(wsdl),
        )  # fmt: skip
    sources = [*(BUILT / "java").rglob("*.java"), HERE / "java/Client.java"]
    _run("javac", "-nowarn", "-cp", _class_path(), "-d", str(BUILT / "java"), *map(str, sources))


def _without_gsoap() -> str | None:
    good = all(shutil.which(name) for name in ("wsdl2h", "soapcpp2", "g++"))
    good = good and Path("/usr/include/openssl/ssl.h").exists()
    return (
        None
        if good and (_GSOAP / "plugin/wsseapi.cpp").exists()
        else "gSOAP or a C++ compiler is not installed"
    )


def _generate_cpp() -> None:
    """The same: its own generators, and its own plugin for the security block."""
    built, ours = BUILT / "gsoap", HERE / "gsoap"
    if not _is_stale(built / "client", ours):
        return
    built.mkdir(parents=True, exist_ok=True)
    header = built / "services.h"
    wsdls = [f"{name}.wsdl" for name in ("attestations", "capacity", "movements")]
    _run("wsdl2h", "-Nport", "-t", str(ours / "typemap.dat"), "-o", str(header), *wsdls, cwd=_SERVED)
    header.write_text(header.read_text() + '#import "wsse.h"\n')
    _run("soapcpp2", "-C", "-L", "-x", f"-I{_GSOAP}/import", header.name, cwd=built)
    plugins = [_GSOAP / f"plugin/{name}" for name in ("wsseapi.cpp", "smdevp.c", "mecevp.c", "threads.c")]
    sources = [
        ours / "client.cpp",
        "soapC.cpp",
        "soapClient.cpp",
        *plugins,
        _GSOAP / "custom/struct_timeval.c",
    ]
    _run(
        "g++", "-w", "-O0", "-DWITH_OPENSSL", "-DWITH_DOM", "-I.", f"-I{_GSOAP}/plugin", f"-I{_GSOAP}",
        "-o", "client", *map(str, sources), "-lgsoapssl++", "-lssl", "-lcrypto", "-lz", cwd=built,
    )  # fmt: skip


def _is_stale(built: Path, ours: Path) -> bool:
    """Whether something that it was made from is newer."""
    sources = [*ours.iterdir(), *_SERVED.iterdir(), *(VENDORED / "xsd").rglob("*.xsd")]
    return not built.exists() or built.stat().st_mtime < max(path.stat().st_mtime for path in sources)


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


def _lines(calls: Sequence[Mapping[str, Any]]) -> bytes:
    """For a client without JSON: name, tab, value; an empty line ends a call."""
    return "".join(
        f"{name}\t{value}\n" if name else "\n" for call in calls for name, value in _flat(call)
    ).encode()


def _flat(call: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in call.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
    if not prefix:
        yield "", ""


STACKS = (
    Stack(
        "php",
        "PHP `SoapClient`, `SoapServer`",
        _without_php,
        version=("php", "-r", "echo 'PHP ' . PHP_VERSION;"),
        client=("php", str(HERE / "php/client.php")),
        # Port 0: it takes a free one and says which.
        server=("php", "-S", "127.0.0.1:0", str(HERE / "php/server.php")),
    ),
    Stack(
        "node",
        "npm `soap`",
        _without_node,
        version=(
            "node", "-p",
            f"`soap ${{require('{_NODE}/soap/package.json').version}}, node ${{process.version}}`",
        ),
        client=("node", str(HERE / "node/client.js")),
        server=("node", str(HERE / "node/server.js")),
    ),
    Stack(
        "perl",
        "Perl `SOAP::Lite`",
        _without_perl,
        version=("perl", "-MSOAP::Lite", "-e", "print 'SOAP::Lite ' . SOAP::Lite->VERSION . \", perl $^V\""),
        client=("perl", str(HERE / "perl/client.pl")),
    ),
    Stack(
        "java",
        "JAX-WS (`wsimport`)",
        _without_java,
        version=("dpkg-query", "-W", "-f", "JAX-WS RI ${Version}", "jaxws"),
        client=("java", "-cp", _class_path(), "Client"),
        written=_lines,
        prepare=_generate_java,
    ),
    Stack(
        "gsoap",
        "gSOAP (C++)",
        _without_gsoap,
        version=("dpkg-query", "-W", "-f", "gSOAP ${Version}", "gsoap"),
        client=(str(BUILT / "gsoap/client"),),
        written=_lines,
        prepare=_generate_cpp,
    ),
)  # fmt: skip
