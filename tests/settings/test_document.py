"""Any bytes at all are either read, or refused with a place inside the file."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.settings import lint
from gateway.settings.document import Document, read
from tests.settings.sets import CLASSES, FILES, OPERATIONS, write

YAML_PIECES = st.sampled_from(
    [
        *":-[]{}&*!|>'\"#%@?,\n\t",
        *("\n  ", "- ", "key: ", "<<: ", "&a ", "*a", "!!int x", "--- ", "...", "1e999", "0x_", "0o9", "~"),
        *("2024-13-45", "1" * 5_000, "\x85", "\ufeff", "null", "="),
    ]
)


def read_bytes(content: bytes) -> tuple[Document, list[str]]:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "x.yaml"
        path.write_bytes(content)
        document, faults = read(path)
        lines = content.count(b"\n") + content.count(b"\r") + content.count("\x85".encode()) + 2
        assert all(1 <= fault.line <= lines + 10 and fault.column >= 1 for fault in faults)
        return document, [fault.text for fault in faults]


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60) | st.lists(YAML_PIECES, max_size=25).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    document, faults = read_bytes(content)
    assert faults or () in document.values


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_damaged_file_is_always_answered_with_lines_never_with_a_crash(
    file: str, data: st.DataObject
) -> None:
    text = FILES[file]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    damaged = text[:start] + "".join(data.draw(st.lists(YAML_PIECES, max_size=3))) + text[end:]
    with TemporaryDirectory() as directory:
        main = write(Path(directory), **{file: damaged})
        for line in lint(main, {}, OPERATIONS, CLASSES):
            place, row, column, message = line.split(":", 3)
            assert place.startswith(directory)
            assert int(row) >= 1
            assert int(column) >= 1
            assert message.strip()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{" * 50_000, "is nested too deep"),
        (b"x" * 4_000_001, "cannot be read: is larger than 4000000 bytes"),
        (b"1: x\n", "a key must be text: put it in quotes"),
        (b"? [a]\n: x\n", "a key must be text: put it in quotes"),
        (b"a: 2024-13-45\n", "a value that cannot be read: put it in quotes"),
        (b"a: 1\n---\nb: 2\n", "not YAML: but found another document"),
    ],
)
def test_what_is_refused_is_told_in_plain_words(content: bytes, text: str) -> None:
    assert read_bytes(content)[1] == [text]


def test_a_place_that_is_not_there_is_that_of_what_would_hold_it(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a:\n  b: 1\n", encoding="utf-8")
    document, _ = read(tmp_path / "x.yaml")
    assert str(document.at_value(("a", "c", 3), "no")).endswith("x.yaml:2:3: no")
    assert str(document.at_key(("a", "b"), "no")).endswith("x.yaml:2:3: no")
    assert str(document.at_value(("a", "b"), "no")).endswith("x.yaml:2:6: no")


def test_places_move_up_when_an_item_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: [p, q, {r: s}]\n", encoding="utf-8")
    document, _ = read(tmp_path / "x.yaml")
    moved = document.moved_up(("a", 0))
    assert moved.at_value(("a", 0), "") == document.at_value(("a", 1), "")
    assert moved.at_key(("a", 1, "r"), "") == document.at_key(("a", 2, "r"), "")
    assert moved.data == document.data


def test_an_anchor_that_is_set_twice_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("a: &x 1\nb: &x 2\n")
    _, (fault,) = read(path)
    assert fault.text == "sets one anchor twice"
