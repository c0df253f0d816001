"""The stub in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import ROOT


@dataclass(frozen=True, slots=True)
class Partner:
    """Where it is, and what it says it did."""

    url: str
    pid: int
    #: Whether it and whoever calls it agreed to sign.
    signs: bool = False

    def evidence(self) -> dict[str, Any]:
        """See `stub.Register.evidence`."""
        found: dict[str, Any] = json.loads(_get(f"{self.url}/_evidence"))
        return found

    def take_ms(self, latency: float) -> None:
        """Let every answer wait so long from now on."""
        _get(f"{self.url}/_latency/{latency}")


@contextmanager
def partner(port: int = 0, soap_keys: Path | None = None) -> Iterator[Partner]:
    """Ended at the end."""
    signing = [] if soap_keys is None else ["--soap-keys", str(soap_keys)]
    command = [sys.executable, "-m", "benchmarks.peers.stub", "--port", str(port), *signing]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield Partner(json.loads(process.stdout.readline())["url"], process.pid, soap_keys is not None)
        finally:
            process.kill()


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as reply:
        body: bytes = reply.read()
        return body
