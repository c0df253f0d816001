"""What a caller would like to have: `Accept` and `Accept-Language` (RFC 9110, 12.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from schemas.catalogue import LANGUAGES, Language

_LONGEST = 1_000
_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


def media_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """The best of `offered`, the first of equals; None when nothing will do. No header accepts all."""
    ranges = dict(_weighted(accept or "*/*"))
    weights = {offer: _weight(offer, ranges) for offer in offered}
    best = max(offered, key=lambda offer: weights[offer])
    return best if weights[best] > 0 else None


def _weight(offer: str, ranges: dict[str, float]) -> float:
    """The most exact range decides."""
    kind = offer.partition("/")[0]
    return next((ranges[name] for name in (offer, f"{kind}/*", "*/*") if name in ranges), 0.0)


def language(accept_language: str | None) -> Language:
    """Arabic where it is wanted more than English, else English."""
    weights: dict[str, float] = {}
    for name, weight in _weighted(accept_language or ""):
        primary = name.partition("-")[0]
        weights[primary] = max(weight, weights.get(primary, 0.0))
    return max(LANGUAGES, key=lambda offer: weights.get(offer, weights.get("*", 0.0)))


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    for part in header[:_LONGEST].split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            yield name, _quality(parameters)


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        if found := _QUALITY.fullmatch(parameter):
            return float(found[1])
    return 1.0
