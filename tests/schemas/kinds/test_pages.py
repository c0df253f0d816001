"""The pages and schemas made from the kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.catalogue import CODES
from schemas.kinds import GROUPS, KINDS, json_schema
from schemas.kinds.pages import FOLDER, error_codes, pages, write
from tests.schemas.kinds.bodies import ABSENT, changed, spots


def test_the_committed_pages_are_what_the_generator_writes() -> None:
    committed = {page.name: page.read_text(encoding="utf-8") for page in FOLDER.iterdir()}
    assert committed == pages(), "write them again: python -m schemas.kinds.pages"


def test_writing_takes_away_the_page_of_a_kind_that_is_no_more(tmp_path: Path) -> None:
    (tmp_path / "old.kind.md").write_text("x")
    write(tmp_path)
    assert {page.name for page in tmp_path.iterdir()} == pages().keys()


def test_the_index_leads_to_every_kind() -> None:
    index = pages()["README.md"]
    assert all(f"({kind}.md)" in index for kind in KINDS)
    assert [kind.kind for group in GROUPS.values() for kind in group] == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_tells_every_field_with_its_meaning_and_every_code(kind: str) -> None:
    page = pages()[f"{kind}.md"]
    for spot in spots(kind):
        assert spot.field.description, str(spot)
        if not spot.item:
            name = ".".join(map(str, spot.place)).replace(".0", "[]")
            assert f"| `{name}` |" in page
    for code in error_codes(KINDS[kind]):
        assert CODES[code].en.replace("|", "\\|") in page
    assert ("```xml" in page) == ("service_center" in KINDS[kind].senders)


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_schema_takes_the_example_and_not_a_changed_one(kind: str) -> None:
    from jsonschema import Draft202012Validator  # half a second: not in each process that shares the tests

    document = json_schema(kind)
    Draft202012Validator.check_schema(document)
    judge: Any = Draft202012Validator(document)
    assert judge.is_valid(dict(KINDS[kind].example))
    for spot in spots(kind):
        if spot.field.is_required():
            assert not judge.is_valid(changed(kind, spot.place, None))
        if spot.field.is_required() and not spot.item:
            assert not judge.is_valid(changed(kind, spot.place, ABSENT))
    assert not judge.is_valid({**KINDS[kind].example, "colour": "red"})


def test_a_json_schema_can_point_into_another_document() -> None:
    document = json_schema("plan.submission", ref_template="#/components/schemas/{model}")
    assert document["properties"]["quotas"]["items"] == {"$ref": "#/components/schemas/Quota"}
    assert document["title"] == "Operational plan"
