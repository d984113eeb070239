"""Error and repeatability of each quantity, condition by condition, as one picture."""

import dataclasses
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import coronary_calcium
from coronary_calcium.atomic_write import write_whole
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.errors import not_written
from coronary_calcium.phantom.scan_conditions import ConditionErrors

# What is compared, with Okabe and Ito's colors, which readers with any of the common color vision deficiencies can
# tell apart, and a shape of its own. The volume-fraction mass of the digital insert, whose body is water, is the
# integrated one.
_SHOWN = (
    ("agatston", "Agatston score", "#000000", "square"),
    ("mass_mg", "mass of counted voxels", "#d55e00", "triangle"),
    ("integrated_mass_mg", "integrated mass", "#0072b2", "circle"),
    ("integrated_volume_mm3", "integrated volume", "#cc79a7", "diamond"),
    ("spatially_weighted_mm3", "spatially weighted", "#009e73", "cross"),
)
_SCALE = 2  # drawn larger and made smaller, for smooth edges
_WIDTH, _ROW, _TOP, _BOTTOM, _LEFT, _GAP, _RIGHT = 940, 34, 92, 46, 190, 34, 24
_PANELS = (("error", "Mean absolute error, %", 80), ("variation", "Variation between scans (CV), %", 60))
_INK, _GRID, _MARK = "#1b1f24", "#d8dce1", 6


def write_errors(conditions: Sequence[ConditionErrors], folder: Path, *, picture: bool) -> None:
    """Write quantities.json and, with ``picture``, quantities.png into a folder, which is made.

    Raises InputError("output") when the folder cannot be written to.
    """
    content = {
        "intended_use": RESEARCH_USE,
        "version": coronary_calcium.__version__,
        "cylinders": "5 and 3 mm",
        "conditions": [dataclasses.asdict(condition) for condition in conditions],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "quantities.json", json.dumps(content, indent=2) + "\n")
        if picture:
            write_whole(folder / "quantities.png", draw_errors(conditions))
    except OSError as error:
        raise not_written("The results", folder, error) from error


def draw_errors(conditions: Sequence[ConditionErrors]) -> bytes:
    """A PNG: a row a condition; on the left the error against the truth, on the right how scans of it vary."""
    height = _TOP + _ROW * len(conditions) + _BOTTOM
    picture = Image.new("RGB", (_WIDTH * _SCALE, height * _SCALE), "white")
    draw = ImageDraw.Draw(picture)
    width = (_WIDTH - _LEFT - _GAP - _RIGHT) / len(_PANELS)
    _legend(draw)
    for row, condition in enumerate(conditions):
        _text(draw, _LEFT - 12, _TOP + _ROW * (row + 0.5), condition.title, "rm")
    for number, (measure, title, largest) in enumerate(_PANELS):
        left = _LEFT + number * (width + _GAP)
        _text(draw, left, _TOP - 24, title, "lm")
        for tick in range(0, largest + 1, 20):
            x = left + width * tick / largest
            _line(draw, x, _TOP, x, height - _BOTTOM)
            _text(draw, x, height - _BOTTOM + 14, f"{tick}", "mm")
        for row, condition in enumerate(conditions):
            y = _TOP + _ROW * (row + 0.5)
            _line(draw, left, y, left + width, y)
            for name, _, color, shape in _SHOWN:
                value = getattr(condition.errors[name], measure)
                if value is not None:
                    _mark(draw, left + width * min(100 * value / largest, 1.0), y, color, shape)
    small = picture.resize((_WIDTH, height), Image.Resampling.LANCZOS).quantize(64)
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _legend(draw: ImageDraw.ImageDraw) -> None:
    x = 16.0
    for _, title, color, shape in _SHOWN:
        _mark(draw, x, 22, color, shape)
        _text(draw, x + 12, 22, title, "lm")
        x += 24 + 7.4 * len(title)
    note = "Digital QRM insert, cylinders of 5 and 3 mm, four scans per row; marks at the right edge lie beyond it."
    _text(draw, 16, 44, note, "lm", "#5c646d")


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, color: str, shape: str) -> None:
    x, y, r = x * _SCALE, y * _SCALE, _MARK * _SCALE
    if shape == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
    elif shape == "square":
        draw.rectangle((x - r, y - r, x + r, y + r), outline=color, width=2 * _SCALE)
    elif shape == "cross":
        for sign in (1, -1):
            draw.line((x - r, y - sign * r, x + r, y + sign * r), fill=color, width=2 * _SCALE)
    else:
        corners, turn = (3, -math.pi / 2) if shape == "triangle" else (4, 0.0)
        angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
        draw.polygon([(x + 1.2 * r * math.cos(a), y + 1.2 * r * math.sin(a)) for a in angles], fill=color)


def _line(draw: ImageDraw.ImageDraw, x0: float, y0: float, x1: float, y1: float) -> None:
    draw.line([value * _SCALE for value in (x0, y0, x1, y1)], fill=_GRID, width=_SCALE)


def _text(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, anchor: str, color: str = _INK) -> None:
    font = ImageFont.load_default(13 * _SCALE)
    draw.text((x * _SCALE, y * _SCALE), text, fill=color, font=font, anchor=anchor)
