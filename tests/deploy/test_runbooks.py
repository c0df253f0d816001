from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.main import app
from tests.deploy.inventory import Inventory
from tests.deploy.rules import ROOT, RUNBOOKS, alerts

_HEADINGS = ["What it means", "Who is affected", "Look", "Do", "Whom to wake", "Over when"]
_GATEWAY = ("python", "run_gateway.py")
#: What stands on the machines beside the gateway.
_OTHERS = {"curl", "systemctl", "journalctl", "df", "du", "ls", "grep", "openssl", "rabbitmqctl"}
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.stem != "README")


def _lines(text: str) -> Iterator[str]:
    """Commands: every line of a block of shell, and whatever in the text begins with ours."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from block.strip().splitlines()
    yield from (" ".join(found.split()) for found in re.findall(r"`(python\s+run_gateway\.py[^`]+)`", text))


@cache
def _tree() -> Any:
    return typer.main.get_command(app)


def _fault(words: list[str]) -> str | None:
    """What is wrong with a command of ours, if anything."""
    command, rest = _tree(), list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    if command is _tree():
        return f"no command {words[:1]}"
    if getattr(command, "commands", None) and not command.invoke_without_command:
        return f"{words[0]} needs a command"
    known = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    wanted = sum(option.required and option.nargs == 1 for option in command.params if _is_place(option))
    places = 0
    given = iter(rest)
    for word in given:
        if not word.startswith("-"):
            places += 1
        elif word not in known:
            return f"no option {word}"
        elif not known[word].is_flag:
            next(given)
    missing = [name for name, option in known.items() if option.required and name in {*option.opts} - {*rest}]
    missing = [name for name in missing if not _is_place(known[name])]
    most = sum(
        abs(option.nargs) if option.nargs > 0 else 99 for option in command.params if _is_place(option)
    )
    if missing or not wanted <= places <= most:
        return f"arguments do not fit: {missing} {places}"
    return None


def _is_place(option: Any) -> bool:
    return bool(option.param_type_name == "argument")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_runbook_answers_the_questions_of_whoever_is_woken(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == _HEADINGS
    assert text.startswith(f"# {path.stem}\n")
    severity = {alert.name: alert.labels["severity"] for alert in alerts()}[path.stem]
    assert f"**{severity.capitalize()}**" in text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_commands_of_a_runbook_exist(path: Path) -> None:
    lines = list(_lines(path.read_text()))
    assert any(line.startswith(" ".join(_GATEWAY)) for line in lines)
    for line in lines:
        for part in re.split(r"\s\|\s", line):
            words = shlex.split(part)
            if tuple(words[:2]) == _GATEWAY:
                assert _fault(words[2:]) is None, f"{part}: {_fault(words[2:])}"
            else:
                assert words[0] in {*_OTHERS, "tail", "sort"}, part


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    for wrong in ("resolv MESSAGE --confirm", "retry --all", "show", "status A B", "audit", "keys x"):
        assert _fault(shlex.split(wrong)) is not None, wrong
    for right in ("resolve MESSAGE --confirm", "retry A B --reason x", "webhooks", "audit verify"):
        assert _fault(shlex.split(right)) is None, right


async def test_what_a_runbook_looks_for_in_logs_and_metrics_exists(known: Inventory) -> None:
    """A word that nobody writes any more would be looked for in vain at night."""
    written = "".join(path.read_text() for top in ("gateway", "cli") for path in (ROOT / top).rglob("*.py"))
    samples: Mapping[str, Any] = known.samples()
    for path in PAGES:
        for line in _lines(path.read_text()):
            for word in re.findall(r"\bgateway_\w+", line):
                assert word in samples, f"{path.stem}: {word}"
            for pattern in re.findall(r"\| grep (?:-E )?\"?([\w|()]+)", line):
                for word in _words(pattern):
                    assert word in written or word in samples, f"{path.stem}: {word}"


def _words(pattern: str) -> Iterator[str]:
    """Of an attempt's line the action is put together: `call_` and how the call ended."""
    yield from filter(None, (word.removeprefix("call_") for word in re.split(r"[|()]", pattern)))


@pytest.mark.parametrize("path", [*PAGES, RUNBOOKS / "README.md"], ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_list_of_runbooks_is_whole() -> None:
    told = dict(re.findall(r"\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text()))
    assert told == {alert.name: alert.labels["severity"] for alert in alerts()}
