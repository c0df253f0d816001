from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.inventory import ADDED, Inventory
from tests.deploy.promtool import promtool
from tests.deploy.queries import grouped_by, selectors
from tests.deploy.rules import ROOT

_PAGE = ROOT / "docs" / "metrics.md"
_ROW = re.compile(r"\| `(gateway_\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \| `([^`]+)` \|")


@dataclass(frozen=True, slots=True)
class Row:
    """One metric as the page tells of it."""

    name: str
    type: str
    labels: frozenset[str]
    meaning: str
    query: str


def page() -> Iterator[Row]:
    for line in _PAGE.read_text().splitlines():
        if found := _ROW.fullmatch(line):
            name, kind, labels, meaning, query = found.groups()
            yield Row(name, kind, frozenset(re.findall(r"`(\w+)`", labels)), meaning, query)


async def test_the_page_has_every_metric_with_its_type_and_labels(known: Inventory) -> None:
    told = {row.name: (row.type, row.labels) for row in page()}
    exported = {name: (family.type, frozenset(family.labels)) for name, family in known.families.items()}
    assert told == exported


async def test_a_gateway_exports_what_its_outside_is_promised(known: Inventory) -> None:
    """The names and labels that others rely on (docs/metrics.md adds to them, and takes none away)."""
    promised = {
        "gateway_messages_received_total": {"party", "kind", "channel"},
        "gateway_messages_rejected_total": {"party", "kind", "code"},
        "gateway_messages_completed_total": {"kind", "outcome"},
        "gateway_delivery_attempts_total": {"destination", "operation", "result"},
        "gateway_retries_total": {"destination", "operation", "reason"},
        "gateway_inquiries_total": {"destination", "operation", "result"},
        "gateway_parked_total": {"kind", "reason"},
        "gateway_operator_actions_total": {"action"},
        "gateway_queue_wait_seconds": {"kind"},
        "gateway_delivery_duration_seconds": {"destination", "operation"},
        "gateway_end_to_end_seconds": {"kind"},
        "gateway_messages": {"kind", "state"},
        "gateway_oldest_message_timestamp_seconds": {"kind", "state"},
        "gateway_uncertain": {"destination"},
        "gateway_circuit_state": {"destination", "state"},
        "gateway_destination_paused": {"destination"},
        "gateway_last_success_timestamp_seconds": {"destination"},
        "gateway_quota_remaining": {"control", "mission"},
        "gateway_certificate_expiry_timestamp_seconds": {"party"},
        "gateway_audit_head_sequence": set[str](),
        "gateway_config_last_reload_successful": set[str](),
        "gateway_build_info": {"version", "python"},
    }
    exported = {name: set(family.labels) for name, family in known.families.items()}
    missing = {name for name, labels in promised.items() if not labels <= exported.get(name, {"-"})}
    assert missing == set()


async def test_the_examples_ask_for_what_there_is(known: Inventory) -> None:
    samples = known.samples()
    for row in page():
        asked = list(selectors(row.query))
        base = row.name.removesuffix("_total")
        assert any(selector.metric.startswith(base) for selector in asked), row.name
        has = frozenset[str]().union(*(samples[selector.metric] for selector in asked)) | ADDED
        assert grouped_by(row.query) <= has, row.name
        for selector in asked:
            assert {label for label, _, _ in selector.matchers} <= samples[selector.metric], row.name


def test_prometheus_understands_the_examples(tmp_path: Path) -> None:
    lines = "\n".join(
        f"  - record: example:{number}\n    expr: {row.query!r}" for number, row in enumerate(page())
    )
    rules = tmp_path / "examples.yaml"
    rules.write_text(f"groups:\n- name: examples\n  rules:\n{lines}\n")
    promtool("check", "rules", rules)
