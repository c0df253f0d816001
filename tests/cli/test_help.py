from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from cli.main import app
from tests.cli.command import Command

ROOT = Path(__file__).parents[2]
#: Of the interface, as far as this version has them.
COMMANDS = (
    "demo", "season", "serve", "simulate", "sample", "send", "status", "results", "errors", "token",
    "check-config", "messages", "show", "why", "retry", "cancel", "resolve", "doctor", "version",
    "message", "notifications", "kinds", "calendar",
    "partners", "pause", "resume", "report", "quotas", "census", "webhooks", "audit", "disclosures", "keys",
    "retention",
    "backup", "restore", "reconcile",
)  # fmt: skip
#: What serves until it is stopped has no document to give; of those with commands of their own, each has one.
WITHOUT_JSON = ("serve", "simulate", "report", "audit", "keys", "retention")


def test_every_command_is_there_and_no_other() -> None:
    group = typer.main.get_command(app)
    assert set(group.commands) == set(COMMANDS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is_for(run: Command, name: str) -> None:
    ended = run(name, "--help")
    assert ended.code == 0
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert len(command.help) > 20
    for parameter in command.params:
        assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "version"])
def test_every_command_shows_an_example_that_its_options_allow(run: Command, name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert f"umrah-gateway {name}" in command.epilog
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    used = set(re.findall(r"(?<= )--[a-z-]+", command.epilog))
    assert used <= known


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WITHOUT_JSON])
def test_every_command_has_json(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert any("--json" in parameter.opts for parameter in command.params)


def test_no_arguments_show_the_help(run: Command) -> None:
    ended = run()
    assert ended.code == 2
    assert "Service centers" in ended.out + ended.err


def test_version_tells_the_projects_own(run: Command) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ended = run("version", "--json")
    assert ended.document["umrah-gateway"] == project["version"]
    assert ended.document["sqlite"].startswith("3.")
    assert project["version"] in run("version").out


def test_version_loads_nothing_heavy() -> None:
    script = (
        "import sys; from cli.main import main; main(['version']); "
        "heavy = {'aiohttp', 'zeep', 'lxml', 'ruamel', 'phonenumbers', 'cryptography', 'gateway.settings'}; "
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_the_script_hands_the_exit_code_on() -> None:
    ended = subprocess.run(
        [sys.executable, "run_gateway.py", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "nonsense" in ended.stderr
    assert ended.stdout == ""
