"""A judge that cannot find a fault proves nothing: each kind of fault is made once, and found."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.hostile.judge import judge
from tests.hostile.row import Row, Told, lines_of, of
from tests.hostile.site import Gateway, Site, json_batch

pytestmark = pytest.mark.processes

_JSON = "application/json"


def _get(path: str) -> Callable[[Site], Callable[[], Told]]:
    return lambda site: lambda: of(site.gateway.get(path))


def _stranger(site: Site) -> Callable[[], Told]:
    def act() -> Told:
        with socket.create_connection(("127.0.0.1", site.partner.elsewhere)) as line:
            line.recv(1)
        return Told("200")

    return act


GOOD = Row("judge", "nothing there", _get("/v1/batches/none"), "404 not_found", canaries=())
FAULTY = {
    "the answer was": replace(GOOD, answer="400 bad_request"),
    "it took 0": replace(GOOD, input="late"),
    "a value came out in the answer": replace(GOOD, canaries=("request_id",)),
    "a value came out in the log": replace(GOOD, canaries=('"route": "/v1/batches/{id}"',)),
    "something was recorded": Row(
        "judge",
        "a good batch",
        lambda site: lambda: lines_of(site.gateway.batch(json_batch(), _JSON)),
        "202, 1 accepted",
    ),
    "an address that the message names was asked": Row("judge", "asked", _stranger, "200"),
    "a traceback": Row("judge", "traceback", lambda _site: lambda: Told("", b"Traceback")),
    "it took 100 MB": Row("judge", "much", lambda _site: lambda: Told("", memory_mb=100.0)),
}


def test_a_row_without_a_fault_has_none(site: Site) -> None:
    (result,) = judge([GOOD], site, longest_s=15.0, tries=1)
    assert result.faults == ()


@pytest.mark.parametrize("fault", FAULTY)
def test_each_kind_of_fault_is_found(site: Site, fault: str) -> None:
    longest_s = 0.0 if FAULTY[fault].input == "late" else 15.0
    (result,) = judge([FAULTY[fault]], site, longest_s=longest_s, tries=1)
    assert any(found.startswith(fault) for found in result.faults), result.faults


def test_a_gateway_that_takes_no_good_message_any_more_is_found(site: Site) -> None:
    """Nobody listens at this door."""

    def no_more(_site: Site) -> bool:
        return False

    from tests.hostile import door

    before = dict(door.PASSES)
    try:
        door.PASSES["json"] = no_more  # type: ignore[index]
        (result,) = judge([GOOD], site, longest_s=15.0, tries=1)
    finally:
        door.PASSES.update(before)  # type: ignore[attr-defined]
    assert result.faults == ("the next good message did not pass",)


def test_memory_is_seen_that_was_given_back_before_the_answer() -> None:
    work = (
        "import sys; sys.stdin.readline(); x = b'x' * 50_000_000; del x; print(flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", work], **pipes) as child:  # type: ignore[call-overload]
        process = Gateway(SimpleNamespace(processes={"gateway": child}))  # type: ignore[arg-type]
        with process.measured() as cost:
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
        child.stdin.close()
    assert cost[0].memory_mb > 40
