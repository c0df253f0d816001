"""The verifier that stands in docs/audit-log.md, run as it stands there."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.ledger.audit_file import Receipt

PAGE = Path(__file__).parents[2] / "docs" / "audit-log.md"


def source() -> str:
    """The page's Python, whole."""
    (found,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def plain_verifier() -> Callable[[Sequence[bytes], Receipt | None], bool]:
    """Whether the page's verifier finds a log whole. It checks the same signature only once: it is slow."""
    names: dict[str, Any] = {"__name__": "verify"}
    exec(compile(source(), str(PAGE), "exec"), names)
    names["signed"] = functools.cache(names["signed"])

    def whole(lines: Sequence[bytes], receipt: Receipt | None = None) -> bool:
        try:
            names["verify"](iter(lines), receipt and json.loads(as_json(receipt))["checkpoint"])
        except Exception:
            return False
        return True

    return whole


def as_json(receipt: Receipt) -> str:
    """As the gateway answers."""
    kept = {"document": receipt.document.decode(), "signature": receipt.signature.hex()}
    return json.dumps({"batch_id": "b", "checkpoint": kept}, ensure_ascii=False)
