"""The same batch in four formats, each against a fresh ledger and simulators, gives the same results."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Installation

pytestmark = pytest.mark.processes

_FORMATS = ("json", "ndjson", "csv", "xml")
#: What differs from run to run by its nature.
_OWN = {"application_id", "updated_at", "batch_id", "received_at", "accepted_at", "completed_at"}


def test_the_same_batch_in_four_formats_gives_the_same_results_byte_for_byte(tmp_path: Path) -> None:
    # Some of the sample's answers take seconds or never come: all four wait for theirs at once.
    with ThreadPoolExecutor(len(_FORMATS)) as threads:
        found = threads.map(lambda name: _results(tmp_path / name, name), _FORMATS)
        documents = dict(zip(_FORMATS, found, strict=True))
    assert documents["json"].count(b'"reference"') == 60
    assert {name: text == documents["json"] for name, text in documents.items()} == dict.fromkeys(
        documents, True
    )


def _results(folder: Path, name: str) -> bytes:
    """The results of a mixed sample sent as `name`, as JSON without ids, times and visa numbers."""
    folder.mkdir()
    home = Installation(folder)
    try:
        home.start_partners()
        home.start_gateway()
        batch = folder / f"batch.{name}"
        sample = home.run("sample", "--applications", "60", "--format", name, "--seed", "3")
        batch.write_bytes(sample.stdout)
        sent = home.run("send", str(batch), "--center", "sc-01", "--wait", "--json", *_addresses(home))
        assert sent.returncode == 3, sent.stderr  # partly rejected
        batch_id = json.loads(sent.stdout)["batch_id"]
        fetched = home.run("results", batch_id, "--format", "json", "--center", "sc-01", *_addresses(home))
        assert fetched.returncode == 0, fetched.stderr
        return json.dumps(_common(json.loads(fetched.stdout)["results"]), sort_keys=True).encode()
    finally:
        home.stop()


def _addresses(home: Installation) -> tuple[str, str]:
    return ("--url", home.url("public"))


def _common(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = []
    for result in results:
        line = {name: value for name, value in result.items() if name not in _OWN}
        if line.get("visa"):
            line["visa"] = {name: value for name, value in line["visa"].items() if name != "number"}
        kept.append(line)
    return kept
