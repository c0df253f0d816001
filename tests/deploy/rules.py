"""The alert and recording rules as they are shipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
RULES: Final = tuple(sorted((DEPLOY / "prometheus" / "rules").glob("*.yaml")))
TESTS: Final = tuple(sorted((DEPLOY / "prometheus" / "tests").glob("*.yaml")))
RUNBOOKS: Final = ROOT / "docs" / "runbooks"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: an alert, or a series that is recorded."""

    name: str
    is_alert: bool
    expression: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def rules() -> tuple[Rule, ...]:
    return tuple(_rule(found) for path in RULES for group in read(path)["groups"] for found in group["rules"])


def alerts() -> tuple[Rule, ...]:
    return tuple(rule for rule in rules() if rule.is_alert)


def recorded() -> frozenset[str]:
    return frozenset(rule.name for rule in rules() if not rule.is_alert)


def alert_tests() -> Iterable[tuple[str, bool]]:
    """The alert of each evaluation in the tests of rules, and whether it is to fire there."""
    for path in TESTS:
        for group in read(path)["tests"]:
            for case in group["alert_rule_test"]:
                yield case["alertname"], bool(case["exp_alerts"])


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def read_all(path: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(path.read_text()))


def _rule(found: Mapping[str, Any]) -> Rule:
    return Rule(
        name=found.get("alert") or found["record"],
        is_alert="alert" in found,
        expression=found["expr"],
        labels=found.get("labels", {}),
        annotations=found.get("annotations", {}),
    )
