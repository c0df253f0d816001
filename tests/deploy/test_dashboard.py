from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.deploy.inventory import ADDED, Inventory
from tests.deploy.promtool import promtool
from tests.deploy.queries import grouped_by, selectors
from tests.deploy.rules import DEPLOY, alerts, recorded

_DASHBOARD = json.loads((DEPLOY / "grafana" / "gateway.json").read_text())
_PANELS: list[dict[str, Any]] = _DASHBOARD["panels"]
_DRAWN = [panel for panel in _PANELS if panel["type"] != "row"]


def _queries() -> list[tuple[str, str, str]]:
    """Title of the panel, expression, and how the series are named."""
    return [(p["title"], t["expr"], t["legendFormat"]) for p in _DRAWN for t in p["targets"]]


def test_every_part_of_the_gateway_has_its_row() -> None:
    rows = [panel["title"] for panel in _PANELS if panel["type"] == "row"]
    assert rows == [
        "Flow now",
        "Latency",
        "Backlog and oldest",
        "Uncertain and review",
        "Partners",
        "Retries and circuits",
        "Bus and webhooks",
        "Resources",
    ]


def test_panels_stand_beside_each_other_and_have_ids_of_their_own() -> None:
    assert len({panel["id"] for panel in _PANELS}) == len(_PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in _PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


async def test_panels_ask_for_what_a_gateway_exports(known: Inventory) -> None:
    samples = known.samples()
    for title, expression, legend in _queries():
        asked = list(selectors(expression))
        assert asked, title
        for selector in asked:
            assert selector.metric in {*samples, *recorded()}, f"{title}: {selector.metric}"
            labels = samples.get(selector.metric, frozenset()) | ADDED
            assert {label for label, _, _ in selector.matchers} <= labels, title
        has = frozenset[str]().union(*(samples.get(s.metric, frozenset()) for s in asked)) | ADDED
        assert grouped_by(expression) <= has, title
        left = grouped_by(expression) or {"instance", "job"}
        assert set(re.findall(r"{{(\w+)}}", legend)) <= left, f"{title}: names series by what is not there"


def test_prometheus_understands_every_panel(tmp_path: Path) -> None:
    rules = {
        "groups": [
            {
                "name": "panels",
                "rules": [
                    {"record": f"panel:{n}", "expr": query} for n, (_, query, _) in enumerate(_queries())
                ],
            }
        ]
    }
    path = tmp_path / "panels.yaml"  # JSON is YAML
    path.write_text(json.dumps(rules))
    assert f"{len(_queries())} rules found" in promtool("check", "rules", path)


def test_whatever_an_alert_watches_can_be_looked_at() -> None:
    """Somebody who was woken opens the dashboard: the alert's metrics are there."""
    shown = {selector.metric for _, expression, _ in _queries() for selector in selectors(expression)}
    for alert in alerts():
        for selector in selectors(alert.expression):
            assert selector.metric in shown or selector.metric in recorded(), (
                f"{alert.name}: {selector.metric}"
            )


def test_every_panel_has_a_unit_and_the_chosen_datasource() -> None:
    for panel in _DRAWN:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
