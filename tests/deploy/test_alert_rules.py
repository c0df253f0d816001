from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.inventory import ADDED, Inventory
from tests.deploy.promtool import promtool
from tests.deploy.queries import grouped_by, selectors
from tests.deploy.rules import ROOT, RULES, RUNBOOKS, TESTS, Rule, alert_tests, alerts, recorded, rules

SEVERITIES = {"page", "ticket"}


def test_prometheus_takes_the_rules() -> None:
    told = promtool("check", "rules", *RULES)
    assert "SUCCESS" in told


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_seen_to_fire_and_seen_not_to() -> None:
    tried = set(alert_tests())
    assert {(alert.name, fires) for alert in alerts() for fires in (True, False)} == tried


def test_no_two_rules_have_one_name() -> None:
    names = [rule.name for rule in rules()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_says_how_bad_it_is_and_where_help_stands(alert: Rule) -> None:
    assert alert.labels.keys() == {"severity"}
    assert alert.labels["severity"] in SEVERITIES
    assert alert.annotations.keys() == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"docs/runbooks/{alert.name}.md"
    assert (ROOT / alert.annotations["runbook_url"]).is_file()


def test_every_runbook_belongs_to_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {alert.name for alert in alerts()}


async def test_rules_ask_for_metrics_and_labels_that_a_gateway_has(known: Inventory) -> None:
    samples = known.samples()
    for rule in rules():
        asked = list(selectors(rule.expression))
        assert asked, rule.name
        labels: set[str] = set()
        for selector in asked:
            if selector.metric in recorded():
                continue
            assert selector.metric in samples, f"{rule.name}: nobody exports {selector.metric}"
            has = samples[selector.metric] | ADDED
            labels |= has
            for label, _, _ in selector.matchers:
                assert label in has, f"{rule.name}: {selector.metric} has no label {label}"
        made = set(re.findall(r'label_replace\(.*?"(\w+)"', rule.expression, re.DOTALL))
        assert grouped_by(rule.expression) <= labels | made, rule.name


async def test_the_limits_of_histograms_that_rules_name_exist(known: Inventory) -> None:
    """`le="900"` would match nothing where the exporter writes 900.0, and the alert would never fire."""
    named = {
        (selector.metric, value)
        for rule in rules()
        for selector in selectors(rule.expression)
        for label, operator, value in selector.matchers
        if (label, operator) == ("le", "=")
    }
    assert named
    for metric, limit in named:
        assert limit in known.seen[metric, "le"]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_texts_use_labels_that_the_alert_still_has(alert: Rule) -> None:
    """Grouping drops labels: a text that names a dropped one would show a hole."""
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values())))
    grouped = grouped_by(alert.expression)
    assert not used or not grouped or used <= grouped
