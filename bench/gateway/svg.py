"""Two kinds of plots as SVG text, horizontal bars and lines, readable on light and on dark backgrounds.

A plot has no background of its own. Text and grid follow the colour scheme that the viewer prefers; the
colours of the data stand out on either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from xml.sax.saxutils import escape

_WIDTH = 760
_STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#3b4048}"
    ".title{font-size:15px;font-weight:600}.note{font-size:12px;fill:#6a717b}"
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
_SHADES = (1, 0.5, 0.5)
"""The opacity of the first, the second and the third bar of a group."""
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A mapping of values to pixels: logarithmic, or linear where `straight`."""

    low: float
    high: float
    start: float
    end: float
    straight: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return self.start + (self._scaled(value) - low) / (high - low) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        if self.straight:
            return value
        return math.log(value)

    def marks(self) -> list[float]:
        """Return the values that are marked: about five round steps on a straight axis, else powers of ten,
        with 2 and 5 between them where the range is small."""
        if self.straight:
            steps = [factor * 10.0**power for power in range(-3, 9) for factor in (1, 2, 5)]
            step = next(step for step in steps if step * 6 >= self.high - self.low)
            values = [count * step for count in range(round(self.high / step) + 1)]
            return [value for value in values if value <= self.high]
        factors: tuple[int, ...] = (1,)
        if self.high / self.low < 300:
            factors = (1, 2, 5)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [factor * 10.0**power for power in powers for factor in factors]
        return [value for value in values if self.low <= value <= self.high]


def number(value: float) -> str:
    """Return a figure with its significant digits only: 7.3, 26, 37,545."""
    if abs(value) >= 20 or value == round(value):
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.1f}"
    return f"{value:.2g}"


def bars(
    title: str,
    unit: str,
    rows: Sequence[tuple[str, Sequence[float]]],
    series: Sequence[str] = ("",),
    *,
    straight: bool = False,
) -> str:
    """Return a plot with a group of bars for each row, and in it a bar for each of the series.

    The name of a series follows the value of its bar; the first series is drawn strongest.
    """
    values = [value for _, row in rows for value in row]
    note = f"{unit}, logarithmic; less is better"
    if len(series) == 1:
        thick, gap, end_of_axis, room = 22, 12, _WIDTH - 30, 2.2
    else:
        thick, gap, end_of_axis, room = 16, 14, _WIDTH - 130, 1.0
    axis = Axis(low=min(values) / 2.5, high=max(values) * room, start=120, end=end_of_axis)
    if straight:
        note = f"{unit}; less is better"
        axis = Axis(low=0, high=max(values), start=120, end=end_of_axis, straight=True)
    height = 64 + len(rows) * (thick * len(series) + gap) + 34
    parts = [_mark_x(axis, value, 54, height - 34) for value in axis.marks()]
    top = 64.0
    for name, row in rows:
        middle = top + thick * len(row) / 2
        parts.append(_text(110, middle + 5, name, anchor="end"))
        for value, label, shade in zip(row, series, _SHADES, strict=False):
            end = axis.at(value)
            parts.append(
                f'<rect x="120" y="{top:.1f}" width="{end - 120:.1f}" height="{thick - 2}" rx="2"'
                f' fill="{_COLOURS.get(name, _OTHER)}" opacity="{shade}"/>'
            )
            parts.append(_text(end + 6, top + thick / 2 + 4, f"{number(value)} {label}".strip()))
            top += thick
        top += gap
    return _drawing(height, title, note, parts)


def lines(
    title: str,
    unit: str,
    across: str,
    ticks: Sequence[tuple[float, str]],
    series: Mapping[str, Sequence[Point]],
) -> str:
    """Return a plot with a line for each of the series, named at its end; both axes are logarithmic."""
    height, bottom = 420, 366
    xs = Axis(ticks[0][0], ticks[-1][0], 66, _WIDTH - 110)
    values = [y for points in series.values() for _, y in points]
    ys = Axis(min(values) / 1.25, max(values) * 1.25, bottom, 60)
    parts = [_mark_y(ys, value) for value in ys.marks()]
    for x, _ in ticks:
        at = f"{xs.at(x):.1f}"
        parts.append(f'<line class="axis" x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 5}"/>')
    parts += [_text(xs.at(x), bottom + 21, label, anchor="middle") for x, label in ticks]
    parts += [
        f'<line class="axis" x1="66" x2="{_WIDTH - 110}" y1="{bottom}" y2="{bottom}"/>',
        _text((66 + _WIDTH - 110) / 2, bottom + 44, across, anchor="middle", kind="note"),
    ]
    for name, points in series.items():
        path = " ".join(f"{xs.at(x):.1f},{ys.at(y):.1f}" for x, y in points)
        colour = _COLOURS.get(name, _OTHER)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"'
            ' stroke-linejoin="round"/>'
        )
        parts += [
            f'<circle cx="{xs.at(x):.1f}" cy="{ys.at(y):.1f}" r="3.5" fill="{colour}"/>' for x, y in points
        ]
    ends = {name: ys.at(points[-1][1]) for name, points in series.items() if points}
    parts += [_text(_WIDTH - 100, y + 4, name, fill=_COLOURS.get(name, _OTHER)) for name, y in _apart(ends)]
    return _drawing(height, title, f"{unit}, both axes logarithmic; less is better", parts)


def _apart(wanted: Mapping[str, float], least: float = 16.0) -> Iterator[tuple[str, float]]:
    """Return the names with their heights, moved so that no two overlap."""
    below = -math.inf
    for name, y in sorted(wanted.items(), key=itemgetter(1)):
        below = max(y, below + least)
        yield name, below


def _mark_x(axis: Axis, value: float, top: float, bottom: float) -> str:
    x = axis.at(value)
    line = f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:g}" y2="{bottom:g}"/>'
    return line + _text(x, bottom + 18, number(value), anchor="middle", kind="note")


def _mark_y(axis: Axis, value: float) -> str:
    y = axis.at(value)
    line = f'<line class="grid" x1="66" x2="{_WIDTH - 110}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(58, y + 4, number(value), anchor="end")


def _text(x: float, y: float, label: str, *, anchor: str = "start", kind: str = "", fill: str = "") -> str:
    attributes = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    if kind:
        attributes += f' class="{kind}"'
    if fill:
        attributes += f' style="fill:{fill};font-weight:600"'
    return f"<text {attributes}>{escape(label)}</text>"


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
