"""A whole gateway, killed between a call and the commit that would tell of it; then asked."""

from __future__ import annotations

import io
import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.service_centers.sample import sample_batch, write_batch
from cli.disclosures import PersonsApi
from cli.target import find
from gateway.web.tokens import demo_key_path, sign_token
from tests.processes import Installation

_SETTLED_S = 60.0
_SIGKILL = 9


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.stop()


def test_a_call_that_a_kill_cut_short_is_told_as_perhaps(home: Installation) -> None:
    home.start_partners()
    home.start_gateway(GATEWAY_CRASH_POINT="after_checks")
    person = _send_one(home)
    assert home.processes["gateway"].wait(timeout=_SETTLED_S) == -_SIGKILL
    home.start_gateway()
    found = _settled(home, person["passport"])
    first, *later = found["disclosures"]
    assert (first["action"], first["receiver"], first["certain"]) == ("lease_ended", None, False)
    told = {(one["receiver"], one["certain"]) for one in later}
    assert {("nic", True), ("passports", True), ("foreign-affairs", True)} <= told
    assert person["passport"]["number"] not in json.dumps(found)


def _send_one(home: Installation) -> dict[str, Any]:
    header, lines = sample_batch(1, 7, datetime.now(UTC).date(), clean=True)
    (person,) = lines
    out = io.BytesIO()
    write_batch("ndjson", header, [person], out)
    now = datetime.now(UTC)
    token = sign_token(demo_key_path(home.data, "sc-01"), "sc-01", "umrah-gateway", 300, now)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": "key-1",
    }
    request = urllib.request.Request(f"{home.url('public')}/v1/batches", out.getvalue(), headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 202
    return dict(person)


def _settled(home: Installation, passport: dict[str, Any]) -> dict[str, Any]:
    api = PersonsApi(find(home.folder / "config" / "gateway.yaml", home.data), "auditor-1")
    asked = {name: passport[name] for name in ("number", "issuing_state")}
    until = time.monotonic() + _SETTLED_S
    while time.monotonic() < until:
        found = api.disclosures(asked, "the person asks")
        if found["messages"][0]["state"] == "completed":
            return found
    raise TimeoutError("the application did not settle")
