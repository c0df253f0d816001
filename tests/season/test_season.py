"""The season, played for real over HTTP and SOAP, and looked at again afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from cli.season.run import Wanted, run_proof
from cli.season.telling import WIDTH
from gateway.errors import Misconfigured
from tests.processes import Installation
from tests.season.conftest import Played

pytestmark = pytest.mark.processes


def test_every_flow_of_the_network_is_carried(played: Played) -> None:
    assert [found.row.number for found in played.proof.rows] == list(range(1, 42))
    assert [found.row for found in played.proof.rows if not found.count] == []
    assert played.proof.as_json()["rows_carried"] == 41


def test_everything_that_must_hold_holds(played: Played) -> None:
    assert [what for what, held in played.proof.held if not held] == []
    assert len(played.proof.held) > 90
    assert played.proof.sound


def test_every_flow_has_an_example(played: Played) -> None:
    assert [found.row for found in played.proof.rows if found.example is None] == []


def test_each_act_is_told_in_one_line_with_counts(played: Played) -> None:
    acts = played.progress.splitlines()[1:]
    assert len(acts) == 6 + 7 + 1
    assert all(" messages " in act and act.endswith(" moved") for act in acts)


def test_the_table_fits_and_cuts_no_id(played: Played) -> None:
    *lines, last = played.told.splitlines()
    assert max(map(cell_len, lines)) <= WIDTH
    for found in played.proof.rows:
        assert found.example is not None
        assert found.example in played.told
    assert f"--data-dir {played.data}" in last


def test_the_proof_is_one_json_document(played: Played) -> None:
    document = json.loads(json.dumps(played.proof.as_json()))
    assert document["sound"] is True
    assert document["came_over_the_broker"] == {}
    assert len(document["season"]["countries"]) == 12


@pytest.fixture(scope="module")
def serving(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The gateway again, on what the season left behind, without any partner."""
    installation = Installation(tmp_path_factory.mktemp("serving"))
    try:
        installation.start_gateway(GATEWAY_DATA_DIR=str(played.data))
        yield installation
        assert installation.terminate("gateway") == 0
    finally:
        installation.stop()


@pytest.mark.parametrize("row", [1, 2, 7, 22, 28, 33, 40])
def test_what_was_kept_is_served_and_explained(played: Played, serving: Installation, row: int) -> None:
    found = played.proof.rows[row - 1]
    assert found.example is not None
    shown = serving.run("show", found.example, "--data-dir", str(played.data), "--json")
    assert shown.returncode == 0, shown.stderr.decode()
    document = json.loads(shown.stdout)
    assert document["id"] == found.example
    assert document["timeline"]


def test_nothing_is_kept_in_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(Misconfigured, match="is not empty"):
        run_proof(Wanted(500, keep=tmp_path), Console(stderr=True))
    assert [path.name for path in tmp_path.iterdir()] == ["something"]
