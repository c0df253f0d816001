from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.batch_file import open_batch, packed
from cli.outcome import CommandError, WrongUsage


@pytest.mark.parametrize(
    ("name", "media_type", "compressed"),
    [
        ("b.json", "application/json", False),
        ("b.ndjson", "application/x-ndjson", False),
        ("b.jsonl", "application/x-ndjson", False),
        ("B.CSV", "text/csv", False),
        ("b.xml", "application/xml", False),
        ("b.csv.gz", "text/csv", True),
    ],
)
def test_the_ending_tells_the_format(tmp_path: Path, name: str, media_type: str, compressed: bool) -> None:
    (tmp_path / name).touch()
    batch = open_batch(tmp_path / name, None)
    assert (batch.media_type, batch.compressed) == (media_type, compressed)


def test_a_format_that_is_given_goes_before_the_ending(tmp_path: Path) -> None:
    (tmp_path / "b.txt").touch()
    assert open_batch(tmp_path / "b.txt", "csv").media_type == "text/csv"
    with pytest.raises(WrongUsage):
        open_batch(tmp_path / "b.txt", None)


def test_the_digest_is_of_what_is_packed(tmp_path: Path) -> None:
    data = b"x" * 200_000
    (tmp_path / "b.json").write_bytes(data)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(data))
    expected = hashlib.sha256(data).hexdigest()
    assert open_batch(tmp_path / "b.json", None).digest() == expected
    assert open_batch(tmp_path / "b.json.gz", None).digest() == expected


@pytest.mark.parametrize("cut", [0, 5, 20])
def test_a_gzip_file_that_is_not_whole_is_refused(tmp_path: Path, cut: int) -> None:
    data = gzip.compress(bytes(range(256)) * 10)
    (tmp_path / "b.json.gz").write_bytes(b"no gzip" if cut == 0 else data[:-cut])
    with pytest.raises(CommandError, match="gzip"):
        open_batch(tmp_path / "b.json.gz", None).digest()


@given(st.lists(st.binary(max_size=50)))
def test_what_is_packed_on_the_way_unpacks_to_the_same(pieces: list[bytes]) -> None:
    assert gzip.decompress(b"".join(packed(iter(pieces)))) == b"".join(pieces)
