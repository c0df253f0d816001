"""The result as a drawing: throughput and CPU of each contender, as SVG written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_LABEL, _BARS, _NUMBER, _ROW, _GAP = 170, 420, 70, 26, 44
_WIDTH: Final = _LABEL + _BARS + _NUMBER
#: Of components, in the order in which they are stacked. They can be told apart without colours' names.
_COLOURS: Final = {"workers": "#20639b", "broker": "#f6a21e", "database": "#3caea3"}
_GREY: Final = "#8a8f98"


def chart(runs: Mapping[str, Mapping[str, Any]], caption: str) -> str:
    """Bars for applications a second, and stacked ones for CPU an application."""
    height = 2 * (_GAP + _ROW * len(runs)) + 64
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13" role="img">',
        f"<title>{escape(caption)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        *_panel("applications a second (more is better)", 0, _speeds(runs)),
        *_panel("CPU ms an application (less is better)", _GAP + _ROW * len(runs), _costs(runs)),
        *_legend(height - 40),
        f'<text x="8" y="{height - 10}" fill="{_GREY}" font-size="11">{escape(caption)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


Bars = Mapping[str, Mapping[str, float]]


def _speeds(runs: Mapping[str, Mapping[str, Any]]) -> Bars:
    return {name: {"workers": run["applications_per_second"]} for name, run in runs.items()}


def _costs(runs: Mapping[str, Mapping[str, Any]]) -> Bars:
    """The partner is the same for all, and no part of what is compared."""
    return {
        name: {part: ms for part, ms in run["cpu_ms_by_component"].items() if part in _COLOURS}
        for name, run in runs.items()
    }


def _panel(title: str, top: int, bars: Bars) -> Iterator[str]:
    most = max((sum(parts.values()) for parts in bars.values()), default=1.0) or 1.0
    yield f'<text x="8" y="{top + 26}" font-weight="bold">{escape(title)}</text>'
    for row, (name, parts) in enumerate(bars.items()):
        y = top + _GAP - 4 + row * _ROW
        yield f'<text x="{_LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>'
        x = float(_LABEL)
        for part, value in parts.items():
            width = _BARS * value / most
            yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{_COLOURS[part]}"/>'
            x += width
        yield f'<text x="{x + 6:.1f}" y="{y + 15}">{sum(parts.values()):.3g}</text>'


def _legend(y: int) -> Iterator[str]:
    words = {"workers": "gateway, or workers and intake", "broker": "RabbitMQ", "database": "PostgreSQL"}
    for place, (part, colour) in enumerate(_COLOURS.items()):
        x = 8 + place * 220
        yield f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{x + 18}" y="{y}">{words[part]}</text>'
