"""Outlines drawn in OsiriX and exported as a property list, as COCA has them.

``Images[]`` has an entry per slice, with ``ImageIndex`` and ``ROIs[]``; each of those has a ``Name``, the corners
``Point_px`` as text "(x, y)" in pixels, x along the row, and ``Total``, the sum of the HU inside. ``ImageIndex`` counts
from 0 at the lowest slice (feet to head), against InstanceNumber. Filling the corners as they are, not rounded, by
``skimage.draw.polygon`` gives ``Total`` exactly in 90 of 91 outlines looked at; rounded ones in none.
"""

import plistlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np

from coronary_calcium.arteries import LAD, LCX, LM, RCA, UNASSIGNED
from coronary_calcium.errors import InputError
from coronary_calcium.volume import CaseWarning, CTVolume

# COCA's largest have some hundred thousand bytes.
MAXIMUM_BYTES = 2**25
ARTERY_NAMES = {
    "left coronary artery": LM,
    "left anterior descending artery": LAD,
    "left circumflex artery": LCX,
    "right coronary artery": RCA,
}
# With fewer corners an outline has no inside.
_FEWEST_CORNERS = 3
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_CORNER = re.compile(rf"^\s*\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)\s*$")
# Sums of whole HU are whole; they are written with rounding errors of single precision.
_SAME_SUM, _SAME_SUM_SHARE = 0.5, 1e-6


@dataclass(frozen=True, eq=False)
class Outline:
    """One closed outline: slice ``k`` from the feet up, artery ``label`` 1 to 5, ``corners`` (n, 2) as (x, y) pixels.

    ``total`` is the sum of the HU inside, or None when it is not stated.
    """

    k: int
    label: int
    corners: np.ndarray
    total: float | None


def read_outlines(path: Path) -> tuple[tuple[Outline, ...], tuple[CaseWarning, ...]]:
    """The outlines of a file, and what is odd about them; outlines without corners hold nothing and are skipped.

    Raises InputError("data-set-file") for a file that is not such a property list.
    """
    outlines = []
    unknown = degenerate = 0
    for image in _list(_read(path), "Images"):
        k = image.get("ImageIndex") if isinstance(image, dict) else None
        if not isinstance(k, int) or isinstance(k, bool):
            raise _damaged("ImageIndex")
        for roi in _list(image, "ROIs"):
            corners = _corners(roi)
            if not len(corners):
                continue
            if len(corners) < _FEWEST_CORNERS:
                degenerate += 1
                continue
            artery = ARTERY_NAMES.get(" ".join(str(roi.get("Name", "")).lower().split()), UNASSIGNED)
            unknown += artery is UNASSIGNED
            outlines.append(Outline(k, artery.label, corners, _total(roi)))
    warnings = []
    if unknown:
        warnings.append(
            CaseWarning(
                "outline-names", f"{unknown} outline(s) do not have the name of an artery and are assigned to none."
            )
        )
    if degenerate:
        warnings.append(
            CaseWarning("outline-corners", f"{degenerate} outline(s) of one or two points enclose nothing; left out.")
        )
    return tuple(outlines), tuple(warnings)


def draw(outlines: tuple[Outline, ...], volume: CTVolume) -> tuple[np.ndarray, tuple[CaseWarning, ...]]:
    """The outlines' insides as labels (k, j, i) uint8 on a CT; where two arteries overlap, the first one stays.

    The CT's rows and columns must be those of its images. Raises InputError("outline-outside") for an outline that
    does not lie in it.
    """
    labels = np.zeros(volume.shape, np.uint8)
    overlapping = 0
    for outline in outlines:
        j, i = _inside(outline, volume)
        plane = labels[outline.k]
        free = plane[j, i] == 0
        overlapping += int(np.count_nonzero(~free & (plane[j, i] != outline.label)))
        plane[j[free], i[free]] = outline.label
    if not overlapping:
        return labels, ()
    text = f"{overlapping} pixel(s) lie in the outlines of two arteries and were assigned to the one drawn first."
    return labels, (CaseWarning("outline-overlap", text),)


def matching(outlines: tuple[Outline, ...], volume: CTVolume) -> tuple[int, int]:
    """How many outlines hold the sum of HU that they state on this CT, and how many state one."""
    stated = [outline for outline in outlines if outline.total is not None]
    return sum(_holds(outline, volume) for outline in stated), len(stated)


def require_fill() -> None:
    """Raise InputError("needs-package") when scikit-image is not installed."""
    try:
        import skimage.draw  # noqa: PLC0415 - an extra of the package
    except ImportError:
        raise InputError(
            "needs-package",
            "COCA's outlines are filled with scikit-image, which is not installed: pip install "
            "'coronary-calcium-scoring[datasets]'.",
        ) from None
    del skimage


def _holds(outline: Outline, volume: CTVolume) -> bool:
    j, i = _inside(outline, volume)
    total = outline.total or 0.0
    found = float(volume.hu[outline.k, j, i].sum(dtype=np.float64))
    return abs(found - total) <= _SAME_SUM + _SAME_SUM_SHARE * abs(total)


def _inside(outline: Outline, volume: CTVolume) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels inside."""
    from skimage.draw import polygon  # noqa: PLC0415 - see require_fill

    slices, rows, columns = volume.shape
    x, y = outline.corners.T
    # A corner lies within a pixel, whose center is the whole number; half a pixel more is rounding.
    if not (0 <= outline.k < slices and min(x.min(), y.min()) >= -1 and x.max() <= columns and y.max() <= rows):
        raise InputError(
            "outline-outside",
            f"An outline lies outside the CT of {slices} slices of {columns} x {rows} pixels, so it was drawn on "
            "another one: put the CT that belongs to the XML file into the patient's folder.",
        )
    return polygon(y, x, (rows, columns))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ValueError("too large")
        # The XML form only; plistlib rejects declarations of entities in it.
        content = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)
    except (OSError, ExpatError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
        raise _damaged("it is not a property list") from None
    if not isinstance(content, dict):
        raise _damaged("Images")
    return content


def _list(holder: Any, key: str) -> list[Any]:
    found = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(found, list):
        raise _damaged(key)
    return found


def _corners(roi: Any) -> np.ndarray:
    """(n, 2) corners (x, y) in pixels."""
    corners = []
    for text in _list(roi, "Point_px"):
        match = _CORNER.match(text) if isinstance(text, str) else None
        if match is None:
            raise _damaged("Point_px")
        corners.append((float(match[1]), float(match[2])))
    found = np.array(corners, dtype=float).reshape(-1, 2)
    if not np.isfinite(found).all():
        raise _damaged("Point_px")
    return found


def _total(roi: dict[str, Any]) -> float | None:
    total = roi.get("Total")
    if isinstance(total, bool) or not isinstance(total, int | float) or not np.isfinite(total):
        return None
    return float(total)


def _damaged(what: str) -> InputError:
    return InputError(
        "data-set-file", f"The XML file is not an OsiriX list of outlines, or is damaged ({what}): copy it again."
    )
