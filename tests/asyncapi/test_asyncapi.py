"""The AsyncAPI document of the bus, judged by the official parser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.bus.asyncapi import document
from gateway.message import PartyId
from gateway.settings import load
from schemas.kinds import KINDS
from tests.required import required

HERE = Path(__file__).parent
RECEIVERS = {
    PartyId("licensing"): "ministry",
    PartyId("pilgrim-services"): "ministry",
    PartyId("committee"): "committee",
}
#: The parser's levels: 0 is an error, 1 a warning.
ERRORS_AND_WARNINGS = (0, 1)


@pytest.fixture(scope="module")
def parser() -> Path:
    """The script, its locked packages installed beside it. Their install scripts are not run."""
    required("Node.js (node, npm)", shutil.which("node") and shutil.which("npm"))
    if not (HERE / "node_modules" / "@asyncapi" / "parser").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, timeout=300, check=False)
        required("the npm package @asyncapi/parser", done.returncode == 0)
    return HERE / "validate.mjs"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document(KINDS, RECEIVERS, "1.0.0")


def judged(parser: Path, document: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        ["node", parser], input=json.dumps(document), capture_output=True, text=True, timeout=120, check=True
    )
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def test_the_official_parser_finds_nothing_wrong(parser: Path, made: dict[str, Any]) -> None:
    verdict = judged(parser, made)
    assert verdict["parsed"]
    assert [each for each in verdict["findings"] if each["severity"] in ERRORS_AND_WARNINGS] == []


def test_the_parser_would_find_a_broken_document(parser: Path, made: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(made).replace("#/components/schemas/cloudevent", "#/components/schemas/x"))
    assert not judged(parser, broken)["parsed"]


def test_every_kind_that_the_ministry_sends_is_a_command(made: dict[str, Any]) -> None:
    sent = {kind.kind for kind in KINDS.values() if kind.senders & {"ministry", "committee"}}
    assert set(made["channels"]["commands"]["messages"]) == {f"{kind}.command" for kind in sent}


@pytest.mark.parametrize("party", RECEIVERS)
def test_each_queue_lists_the_kinds_its_party_is_told(made: dict[str, Any], party: PartyId) -> None:
    told = {kind.kind for kind in KINDS.values() if RECEIVERS[party] in kind.receivers}
    channel = made["channels"][f"events.{party}"]
    assert channel["address"] == f"umrah.events.{party}"
    assert set(channel["messages"]) == {f"{kind}.event" for kind in told}


def test_nothing_that_is_told_is_promised_since_each_receiver_is_told_less(made: dict[str, Any]) -> None:
    schemas = made["components"]["schemas"]
    told = {name: schema for name, schema in schemas.items() if ".told" in name}
    assert any(name.rpartition(".told")[2] for name in told), "records inside are looked at too"
    assert [name for name, schema in told.items() if "required" in schema] == []
    assert "required" in schemas["licensee.status"], "what is commanded must be whole"


@pytest.mark.parametrize("party", RECEIVERS)
def test_every_field_that_a_party_is_granted_is_described(made: dict[str, Any], party: PartyId) -> None:
    policy = load(None, {}).confidentiality
    schemas = made["components"]["schemas"]
    for kind, grant in policy.events[party].items():
        if f"{kind}.told" not in schemas:
            continue
        unknown = [path for path in grant.fields if not _described(f"{kind}.told", path, schemas)]
        assert unknown == [], kind


def _described(name: str, path: str, schemas: dict[str, Any]) -> bool:
    first, _, rest = path.partition(".")
    described = schemas[name]["properties"].get(first)
    inside = _record(described)
    return described is not None and (not rest or (inside is not None and _described(inside, rest, schemas)))


def _record(schema: Any) -> str | None:
    """The record that a field holds, alone, in a list, or not at all."""
    parts = [schema, *(schema or {}).get("anyOf", ())]
    parts += [part["items"] for part in parts if part and "items" in part]
    references = (part["$ref"] for part in parts if part and "$ref" in part)
    return next((reference.rpartition("/")[2] for reference in references), None)


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for member in value.values() for found in references(member)]
        return [found for member in value for found in references(member)] if isinstance(value, list) else []

    for reference in references(made):
        target: Any = made
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
