"""Two kinds of plots as SVG text: bars that lie, and lines. Both are readable on light and on dark ground,
and need no library.

A plot has no ground of its own. Where a viewer says that it prefers dark, text and grid follow; the colours
stand out on either."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 760
_STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#3b4048}.title{font-size:15px;font-weight:600}.note{font-size:12px;fill:#6a717b}"
    ".grid{stroke:#8a919b;stroke-opacity:.3}.axis{stroke:#8a919b}"
    "@media(prefers-color-scheme:dark){text{fill:#d8dce2}.note{fill:#9aa2ad}}"
)
_COLOURS = {
    "holdfast": "#e8590c",
    "nginx": "#2f9e44",
    "tensorzero": "#1c7ed6",
    "portkey": "#ae3ec9",
    "litellm": "#8a7a5c",
}
_OTHER = "#868e96"
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values to pixels, by their logarithm or, `straight`, as they are."""

    low: float
    high: float
    start: float
    end: float
    straight: bool = False

    def at(self, value: float) -> float:
        return self.start + (self._of(value) - self._of(self.low)) / (
            self._of(self.high) - self._of(self.low)
        ) * (self.end - self.start)

    def _of(self, value: float) -> float:
        return value if self.straight else math.log(value)

    def marks(self) -> list[float]:
        """Powers of ten, with 2 and 5 between them where the range is small; on a straight axis about five
        round steps."""
        if self.straight:
            step = next(
                step
                for power in range(-3, 9)
                for one in (1, 2, 5)
                if (step := one * 10.0**power) * 6 >= self.high - self.low
            )
            return [
                value for count in range(round(self.high / step) + 1) if (value := count * step) <= self.high
            ]
        steps = (1, 2, 5) if self.high / self.low < 300 else (1,)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [
            value
            for power in powers
            for step in steps
            if self.low <= (value := step * 10.0**power) <= self.high
        ]


def number(value: float) -> str:
    """A figure with as many digits as say something: 7.3, 26, 37,545."""
    return (
        f"{value:,.0f}"
        if abs(value) >= 20 or value == round(value)
        else f"{value:.1f}"
        if abs(value) >= 1
        else f"{value:.2g}"
    )


def bars(
    title: str,
    unit: str,
    rows: Sequence[tuple[str, Sequence[float]]],
    series: Sequence[str] = ("",),
    *,
    straight: bool = False,
) -> str:
    """One group of bars for each row, one bar for each of the series, named behind its value; the first
    series is the stronger."""
    values = [value for _, row in rows for value in row]
    ends = (120, _WIDTH - (30 if len(series) == 1 else 130))
    axis = (
        Axis(0, max(values), *ends, True)
        if straight
        else Axis(min(values) / 2.5, max(values) * (2.2 if len(series) == 1 else 1), *ends)
    )
    thick, gap = (22, 12) if len(series) == 1 else (16, 14)
    height = 64 + len(rows) * (thick * len(series) + gap) + 34
    parts = [_mark_x(axis, value, 54, height - 34) for value in axis.marks()]
    top = 64.0
    for name, row in rows:
        middle = top + thick * len(row) / 2
        parts.append(_text(110, middle + 5, name, anchor="end"))
        for place, value in enumerate(row):
            y, end = top + place * thick, axis.at(value)
            shade = 1 if place == 0 else 0.5
            parts.append(
                f'<rect x="120" y="{y:.1f}" width="{end - 120:.1f}" height="{thick - 2}" rx="2" fill="{_COLOURS.get(name, _OTHER)}" opacity="{shade}"/>'
            )
            parts.append(_text(end + 6, y + thick / 2 + 4, f"{number(value)} {series[place]}".strip()))
        top += thick * len(row) + gap
    return _drawing(height, title, f"{unit}{'' if straight else ', logarithmic'}; less is better", parts)


def lines(
    title: str,
    unit: str,
    across: str,
    ticks: Sequence[tuple[float, str]],
    series: Mapping[str, Sequence[Point]],
) -> str:
    """One line for each of the series, both axes by their logarithm; each line is named at its end."""
    height, bottom = 420, 366
    xs = Axis(ticks[0][0], ticks[-1][0], 66, _WIDTH - 110)
    values = [y for points in series.values() for _, y in points]
    ys = Axis(min(values) / 1.25, max(values) * 1.25, bottom, 60)
    parts = [
        f'<line class="grid" x1="66" x2="{_WIDTH - 110}" y1="{ys.at(value):.1f}" y2="{ys.at(value):.1f}"/>{_text(58, ys.at(value) + 4, number(value), "end")}'
        for value in ys.marks()
    ]
    parts += [
        f'<line class="axis" x1="{xs.at(x):.1f}" x2="{xs.at(x):.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        for x, _ in ticks
    ]
    parts += [_text(xs.at(x), bottom + 21, label, "middle") for x, label in ticks]
    parts += [
        f'<line class="axis" x1="66" x2="{_WIDTH - 110}" y1="{bottom}" y2="{bottom}"/>',
        _text((66 + _WIDTH - 110) / 2, bottom + 44, across, "middle", "note"),
    ]
    for name, points in series.items():
        path = " ".join(f"{xs.at(x):.1f},{ys.at(y):.1f}" for x, y in points)
        colour = _COLOURS.get(name, _OTHER)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-linejoin="round"/>'
        )
        parts += [
            f'<circle cx="{xs.at(x):.1f}" cy="{ys.at(y):.1f}" r="3.5" fill="{colour}"/>' for x, y in points
        ]
    parts += [
        _text(_WIDTH - 100, y + 4, name, fill=_COLOURS.get(name, _OTHER))
        for name, y in _apart({n: ys.at(p[-1][1]) for n, p in series.items() if p})
    ]
    return _drawing(height, title, f"{unit}, both axes logarithmic; less is better", parts)


def _apart(wanted: Mapping[str, float], least: float = 16.0) -> Iterator[tuple[str, float]]:
    """Names with their heights, moved so that no two overlap."""
    below = -math.inf
    for name, y in sorted(wanted.items(), key=lambda one: one[1]):
        below = max(y, below + least)
        yield name, below


def _mark_x(axis: Axis, value: float, top: float, bottom: float) -> str:
    x = axis.at(value)
    return f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:g}" y2="{bottom:g}"/>{_text(x, bottom + 18, number(value), "middle", "note")}'


def _text(x: float, y: float, said: str, anchor: str = "start", kind: str = "", fill: str = "") -> str:
    more = (f' class="{kind}"' if kind else "") + (f' style="fill:{fill};font-weight:600"' if fill else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(said)}</text>'


def _drawing(height: float, title: str, note: str, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    return "\n".join(
        [
            head,
            f"<style>{_STYLE}</style>",
            _text(12, 22, title, kind="title"),
            _text(12, 42, note, kind="note"),
            *parts,
            "</svg>",
            "",
        ]
    )
