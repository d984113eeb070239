"""Bland-Altman plots as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from coronary_calcium.evaluation.statistics import BlandAltman

# Okabe and Ito's blue and vermilion, which readers with any of the common colour vision deficiencies can tell apart.
COLORS = {"chest": "#0072b2", "cardiac": "#d55e00"}
OTHER_COLOR = "#5c646d"
_X_TICKS = (0, 1, 10, 100, 400, 1000, 4000)
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 40


@dataclass(frozen=True)
class Point:
    """A patient: true and found score, its kind of scan, and its name."""

    true: float
    found: float
    kind: str | None
    name: str


def bland_altman_svg(points: Sequence[Point], limits: BlandAltman | None, width: int, height: int, label: str) -> str:
    """The differences found - true over the means of both, as an SVG of ``width`` x ``height``.

    The means' axis is that of log(1 + score), on which scores of 0 have a place; the bias is a line, the limits of
    agreement are dashed. ``label`` says what is shown.
    """
    differences = [point.found - point.true for point in points]
    extremes = [*differences, 0.0] + ([limits.low, limits.high] if limits else [])
    step = _nice((max(extremes) - min(extremes)) / 5 or 1.0)
    low, high = floor(min(extremes) / step) * step, ceil(max(extremes) / step) * step
    if low == high:
        low, high = -step, step
    most = max([(point.true + point.found) / 2 for point in points], default=0.0)
    right = log10(1 + max(most * 1.05, 10))

    def x(score: float) -> float:
        return _LEFT + log10(1 + score) / right * (width - _LEFT - _RIGHT)

    def y(difference: float) -> float:
        return _TOP + (high - difference) / (high - low) * (height - _TOP - _BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">']
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        parts.append(_line(x(0), y(value), width - _RIGHT, y(value), "grid" if value else "zero"))
        parts.append(_text(_LEFT - 6, y(value) + 4, f"{value:g}".replace("-", "−"), "end"))
    for score in _X_TICKS:
        if log10(1 + score) <= right:
            parts.append(_line(x(score), height - _BOTTOM, x(score), height - _BOTTOM + 4, "tick"))
            parts.append(_text(x(score), height - _BOTTOM + 17, f"{score}", "middle"))
    if limits is not None:
        for value, style in ((limits.bias, "bias"), (limits.low, "limit"), (limits.high, "limit")):
            parts.append(_line(x(0), y(value), width - _RIGHT, y(value), style))
    for point, difference in zip(points, differences):
        color = COLORS.get(point.kind or "", OTHER_COLOR)
        parts.append(
            f'<circle cx="{x((point.true + point.found) / 2):.1f}" cy="{y(difference):.1f}" r="3" fill="{color}" '
            f'fill-opacity="0.65"><title>{escape(point.name)}: true {point.true:.1f}, found {point.found:.1f}'
            "</title></circle>"
        )
    parts.append(_text((_LEFT + width - _RIGHT) / 2, height - 6, "mean of true and found", "middle"))
    return "".join([*parts, "</svg>"])


def _nice(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _line(x0: float, y0: float, x1: float, y1: float, style: str) -> str:
    return f'<line class="{style}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
