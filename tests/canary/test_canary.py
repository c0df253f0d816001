"""Every field of every kind holds a canary, which turns up where the lists allow it, and only there."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.values import replace
from schemas.application import field_classes as of_applications
from schemas.kinds import KINDS, field_classes
from tests.canary.filling import WITHOUT_ON_A_LINE
from tests.canary.judge import Judge
from tests.canary.marks import Garden, Source, tokens_of
from tests.canary.performance import Performed
from tests.canary.search import found_in, found_raw

pytestmark = pytest.mark.processes


def test_no_canary_is_where_it_must_not_be(performed: Performed) -> None:
    assert [str(leak) for leak in performed.leaks] == []


def test_every_canary_is_where_it_may_be_and_was_sent(performed: Performed) -> None:
    """Else the capture saw nothing, and the test before it says nothing."""
    assert performed.unseen == []


def test_everything_that_leaves_was_captured(performed: Performed) -> None:
    looked_at = performed.verdict.looked_at
    assert set(looked_at) >= {
        "partner", "answer", "webhook", "operator", "command", "metrics", "log", "audit", "database",
        "keys and tokens",
    }  # fmt: skip
    assert {item.receiver for item in performed.capture.of("partner")} == set(performed.lists.grants)


def test_the_journal_says_what_each_partner_was_sent_field_by_field(performed: Performed) -> None:
    assert performed.disagreements == []
    assert performed.compared > 50


def test_every_field_of_every_kind_held_a_canary_or_is_excused(performed: Performed) -> None:
    sown = {(source.kind, source.path) for found in performed.sown.garden.sown.values() for source in found}
    fields = {("visa.application", path) for path in of_applications()}
    for kind, schema in KINDS.items():
        if not schema.outgoing:
            fields |= {(kind, path) for path in field_classes(kind)}
    excused = {("visa.application", path) for path in WITHOUT_ON_A_LINE} | set(performed.sown.without)
    assert fields - sown - excused == set()


# --- the judge itself: it sees what there is to be seen


@pytest.mark.parametrize(
    ("written"),
    [
        lambda text: text.encode(),
        lambda text: text.upper().encode(),
        lambda text: json.dumps(text).encode(),
        lambda text: b"x" + base64.b64encode(text.encode()),
        lambda text: base64.urlsafe_b64encode(b"ab" + text.encode() + b"c"),
        lambda text: b"{" + text.encode().hex().upper().encode() + b"}",
        lambda text: gzip.compress(b"before" + text.encode()),
        lambda text: base64.b64encode(gzip.compress(text.encode() * 3)),
        lambda text: text.encode("utf-16"),
        lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    ],
    ids=[
        "plain",
        "capitals",
        "escaped",
        "base64",
        "base64url",
        "hex",
        "gzip",
        "gzip in base64",
        "utf-16",
        "url",
    ],
)
def test_a_canary_is_found_however_it_is_written(written: Callable[[str], bytes]) -> None:
    garden = Garden()
    values = [garden.name(), garden.arabic(), garden.digits(), str(garden.count()), garden.day()]
    source = Source("case.report", "place", "restricted")
    for value in values:
        garden.sow(value, source)
        if not value.isascii() and written("a") == b"a\0"[:0]:
            continue
        found = found_in(written(f"[{value}]"), garden.sown)
        assert found == set(tokens_of(value)) & set(garden.sown) or not value.isascii(), value


def test_a_digest_is_found_in_text_and_as_bytes() -> None:
    garden = Garden()
    digest = garden.own("ab" * 32)
    garden.sow(digest, Source("visa.application", "photo_sha256", "secret"))
    assert found_raw(b"..." + bytes.fromhex(digest), garden.sown) == set(tokens_of(digest))
    assert found_in(digest.encode(), garden.sown) == set(tokens_of(digest))


def _cells(performed: Performed) -> Iterator[tuple[str, str, str]]:
    for destination, operations in performed.lists.grants.items():
        for operation, fields in operations.items():
            for path in sorted(fields):
                if ("partner", destination, operation, path) in performed.verdict.seen:
                    yield destination, operation, path


def test_without_any_one_grant_the_judge_sees_a_leak(performed: Performed) -> None:
    """Whatever is granted to a partner in an operation, and was sent, would be told were it not granted."""
    sorts = dict.fromkeys(("sc-01", "sc-02"), "service_center")
    cells = [cell for cell in _cells(performed) if not _said_twice(performed, *cell)]
    assert len(cells) > 30
    for destination, operation, path in cells:
        grants = {
            name: {
                one: fields - {path} if (name, one) == (destination, operation) else fields
                for one, fields in lists.items()
            }
            for name, lists in performed.lists.grants.items()
        }
        judge = Judge(replace(performed.lists, grants=grants), performed.sown, sorts)
        for item in performed.capture.of("partner"):
            if item.receiver == destination:
                judge.partner(item)
                if judge.verdict.leaks:
                    break
        assert judge.verdict.leaks, (destination, operation, path)


def _said_twice(performed: Performed, destination: str, operation: str, path: str) -> bool:
    """Whether the same is granted in the header block too."""
    granted = performed.lists.grants[destination][operation]
    return path.startswith("batch.") or f"batch.{path}" in granted


def test_the_lists_are_read_from_the_files_and_not_from_the_gateway(tmp_path: Path) -> None:
    from tests.canary.performance import CONFIG
    from tests.canary.policy import Lists

    for name in ("confidentiality.yaml", "routes.yaml"):
        shutil.copy(CONFIG / name, tmp_path)
    text = (tmp_path / "confidentiality.yaml").read_text("utf-8")
    (tmp_path / "confidentiality.yaml").write_text(text.replace("        - birth_date\n", "", 1), "utf-8")
    source = Source("visa.application", "birth_date", "restricted")
    assert Lists.read(CONFIG).to_partner("nic", ["interior.security_clearance"], source)
    assert not Lists.read(tmp_path).to_partner("nic", ["interior.security_clearance"], source)
