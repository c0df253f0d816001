from __future__ import annotations

import re

from tests.deploy.rules import ROOT


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_traces_add_packages_and_change_none() -> None:
    """`requirements-tracing.lock` can be installed over, or in place of, `requirements.lock`."""
    runtime, tracing, dev = (_pins(f"requirements{suffix}.lock") for suffix in ("", "-tracing", "-dev"))
    assert runtime.items() <= tracing.items()
    added = tracing.keys() - runtime.keys()
    assert {name for name in added if name.startswith("opentelemetry")}
    # So the audit, which reads the lock for tests, has looked at each of them.
    assert {name: tracing[name] for name in added}.items() <= dev.items()


def test_every_line_of_the_lock_has_its_hash() -> None:
    text = (ROOT / "requirements-tracing.lock").read_text()
    for entry in re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
