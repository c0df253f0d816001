"""A service center's commands against a real gateway with simulated partners."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from adapters.service_centers import MEDIA_TYPES, READERS
from cli.batch_file import BatchFile
from gateway.ports import ReadLine
from tests.cli.command import Command, batch_file


def send(at_gateway: Command, path: Path, *options: object) -> str:
    ended = at_gateway("send", path, "--center", "sc-01", "--json", *options)
    assert ended.code in (0, 3), ended
    return str(ended.document["batch_id"])


@pytest.mark.parametrize("ending", ["json", "ndjson", "csv", "xml"])
def test_a_batch_is_sent_and_waited_for_in_every_format(
    at_gateway: Command, tmp_path: Path, ending: str
) -> None:
    path = batch_file(tmp_path / f"batch.{ending}")
    ended = at_gateway("send", path, "--center", "sc-01", "--wait", "--json")
    assert ended.code == 0, ended
    assert ended.document["state"] == "completed"
    assert ended.document["counts"] == {"total": 3, "issued": 3}
    assert ended.document["timed_out"] is False


def test_without_json_the_end_is_one_line_of_data(at_gateway: Command, tmp_path: Path) -> None:
    ended = at_gateway("send", batch_file(tmp_path / "b.json"), "--center", "sc-01", "--wait")
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 1
    assert "completed  total 3, issued 3" in ended.out
    assert "is recorded" in ended.err


def test_rejected_lines_are_shown_and_exit_with_three(at_gateway: Command, tmp_path: Path) -> None:
    ended = at_gateway("send", batch_file(tmp_path / "b.csv", broken=1), "--center", "sc-01")
    assert ended.code == 3
    assert "/birth_date" in ended.err
    assert "field_missing" in ended.err


def test_the_same_file_again_gets_the_first_answer_packed_or_not(at_gateway: Command, tmp_path: Path) -> None:
    path = batch_file(tmp_path / "b.ndjson")
    first = at_gateway("send", path, "--center", "sc-01", "--json").document
    packed = tmp_path / "b.ndjson.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for again in (
        at_gateway("send", path, "--center", "sc-01", "--json"),
        at_gateway("send", path, "--center", "sc-01", "--gzip", "--json"),
        at_gateway("send", packed, "--center", "sc-01", "--json"),
    ):
        assert again.code == 0
        assert again.document["batch_id"] == first["batch_id"]
        assert again.document["replayed"] is True
    assert first["replayed"] is False


def test_a_key_that_stands_for_another_file_is_refused(at_gateway: Command, tmp_path: Path) -> None:
    send(at_gateway, batch_file(tmp_path / "a.json"), "--key", "monday")
    ended = at_gateway("send", batch_file(tmp_path / "b.json"), "--center", "sc-01", "--key", "monday")
    assert ended.code == 1
    assert "idempotency_key_reused" in ended.err


def test_a_dry_run_records_nothing(at_gateway: Command, tmp_path: Path) -> None:
    path = batch_file(tmp_path / "b.json", broken=1)
    ended = at_gateway("send", path, "--center", "sc-01", "--dry-run", "--wait", "--json")
    assert ended.code == 3
    assert ended.document["batch_id"] is None
    assert ended.document["counts"] == {"total": 3, "accepted": 2, "rejected": 1}
    assert at_gateway("send", path, "--center", "sc-01", "--json").document["replayed"] is False


def test_all_or_nothing_refuses_a_batch_with_one_bad_line(at_gateway: Command, tmp_path: Path) -> None:
    path = batch_file(tmp_path / "b.json", broken=1)
    ended = at_gateway("send", path, "--center", "sc-01", "--mode", "all_or_nothing", "--json")
    assert ended.code == 1
    assert ended.document["error"]["errors"][0]["line"] == 3
    assert "line 3" in ended.err


def test_time_that_is_up_exits_with_four(at_gateway: Command, tmp_path: Path) -> None:
    path = batch_file(tmp_path / "b.json", endings={1: "91"})
    ended = at_gateway("send", path, "--center", "sc-01", "--wait", "--timeout", "0", "--json")
    assert ended.code == 4
    assert ended.document["timed_out"] is True


def test_a_body_that_is_refused_at_its_first_byte_still_gets_its_answer(
    at_gateway: Command, tmp_path: Path
) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(b"\xff\xfe" + b"x" * 30_000_000)
    ended = at_gateway("send", path, "--center", "sc-01")
    assert ended.code == 1
    assert "request " in ended.err, ended.err


def test_a_key_of_another_party_is_refused_before_the_body_is_sent(
    at_gateway: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_file: BatchFile) -> None:
        pytest.fail("the body was read for a request that is refused by its headers")

    path = batch_file(tmp_path / "b.json")
    stolen = Path(os.environ["GATEWAY_DATA_DIR"]) / "keys" / "parties" / "sc-02.pem"
    monkeypatch.setattr(BatchFile, "pieces", lambda file: iter(lambda: never(file), None))
    ended = at_gateway("send", path, "--center", "sc-01", "--key-file", stolen)
    assert ended.code == 1
    assert "unauthenticated" in ended.err
    assert "sc-02.pem" in ended.err


def test_status_tells_people_and_machines(at_gateway: Command, tmp_path: Path) -> None:
    batch = send(at_gateway, batch_file(tmp_path / "b.json"), "--wait")
    assert at_gateway("status", batch, "--json").document["counts"]["issued"] == 3
    shown = at_gateway("status", batch)
    assert shown.code == 0
    assert "completed" in shown.out
    assert "issued 3" in shown.out


def test_another_centers_batch_is_not_found_and_says_which_center_asked(
    at_gateway: Command, tmp_path: Path
) -> None:
    batch = send(at_gateway, batch_file(tmp_path / "b.json"))
    ended = at_gateway("status", batch, "--center", "sc-02")
    assert ended.code == 1
    assert "not_found" in ended.err
    assert "sc-02" in ended.err


def test_results_come_in_every_format(at_gateway: Command, tmp_path: Path) -> None:
    batch = send(at_gateway, batch_file(tmp_path / "b.json"), "--wait")
    assert len(json.loads(at_gateway("results", batch).out)["results"]) == 3
    assert at_gateway("results", batch, "--format", "csv").out.startswith("line,reference,")
    assert at_gateway("results", batch, "--format", "ndjson").out.count('"issued"') >= 3
    assert "<visa_results" in at_gateway("results", batch, "--format", "xml").out


def test_results_go_to_a_file_that_others_cannot_read(at_gateway: Command, tmp_path: Path) -> None:
    batch = send(at_gateway, batch_file(tmp_path / "b.json"), "--wait")
    file = tmp_path / "results.csv"
    ended = at_gateway("results", batch, "--output", file, "--json")
    assert ended.document == {
        "batch_id": batch,
        "format": "csv",
        "file": str(file),
        "bytes": file.stat().st_size,
    }
    assert file.read_text().count("issued") == 3
    assert file.stat().st_mode & 0o077 == 0


def test_results_that_cannot_be_had_leave_no_file(at_gateway: Command, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    assert at_gateway("results", "no-such-batch", "--output", file).code == 1
    assert list(tmp_path.glob("*results*")) == []


@pytest.mark.parametrize("ending", ["json", "ndjson", "csv", "xml"])
def test_rejected_lines_come_back_as_a_batch_that_can_be_mended(
    at_gateway: Command, tmp_path: Path, ending: str
) -> None:
    batch = send(at_gateway, batch_file(tmp_path / "b.json", broken=2))
    file = tmp_path / f"mend.{ending}"
    ended = at_gateway("errors", batch, "--output", file)
    assert ended.code == 0, ended
    assert ended.err.count("field_missing") == 2
    parser = READERS[MEDIA_TYPES[ending]].open(max_line_bytes=100_000, max_lines=10)
    items = [*parser.feed(file.read_bytes()), *parser.close()]
    lines = [item.fields for item in items if isinstance(item, ReadLine)]
    assert [line and line["reference"] for line in lines] == ["A000002", "A000003"]
    assert all(line and "birth_date" not in line and line["passport"]["number"] for line in lines)


def test_errors_as_json_are_one_document(at_gateway: Command, tmp_path: Path) -> None:
    batch = send(at_gateway, batch_file(tmp_path / "b.json", broken=1))
    document = at_gateway("errors", batch, "--json").document
    assert [line["line"] for line in document["rejected"]] == [3]
    file = tmp_path / "mend.csv"
    told = at_gateway("errors", batch, "--json", "--output", file).document
    assert told["file"] == str(file)
    assert told["faults"][0]["code"] == "field_missing"


def test_a_batch_without_errors_writes_nothing(at_gateway: Command, tmp_path: Path) -> None:
    batch = send(at_gateway, batch_file(tmp_path / "b.json"))
    file = tmp_path / "mend.json"
    ended = at_gateway("errors", batch, "--output", file)
    assert ended.code == 0
    assert ended.out == ""
    assert not file.exists()
    assert at_gateway("errors", batch, "--output", file, "--json").document["file"] is None


def test_a_line_that_could_not_be_read_is_told_and_left_out(at_gateway: Command, tmp_path: Path) -> None:
    path = batch_file(tmp_path / "b.ndjson", 3)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], "{broken", *lines[3:]]), encoding="utf-8")
    batch = send(at_gateway, path)
    ended = at_gateway("errors", batch, "--output", tmp_path / "mend.json")
    assert "line 2 could not be read" in ended.err
    assert "no rejected line can be mended" in ended.err
