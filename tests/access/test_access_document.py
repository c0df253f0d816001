from __future__ import annotations

import re

from tests.access.documents import ACCESS, BEGIN, END
from tests.access.probes import KNOWN, PROBES


def table() -> str:
    return ACCESS.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


def test_the_document_has_every_route_probed_in_the_name_of_each_center() -> None:
    """Fewer probes than at length are enough for a route that is new: see docs/access.md."""
    found = re.findall(r"^\| `(\w+) (\S+)` \| ([\d,]+) / ([\d,]+) \| 0 \| 0 \|", table(), re.MULTILINE)
    assert {(method, path) for method, path, *_ in found} == set(PROBES)
    assert all(int(count.replace(",", "")) >= 100 for row in found for count in row[2:])


def test_what_an_answer_tells_all_the_same_is_told_in_the_document() -> None:
    for family, known in KNOWN.items():
        assert f"| {family} | `{known.code}` | {known.why} |" in table()
