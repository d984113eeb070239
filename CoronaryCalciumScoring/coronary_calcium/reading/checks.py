"""Checks of a CT volume that need no file: is it in HU, does its size hold a heart, and what must be warned of."""

import numpy as np

from coronary_calcium.errors import InputRefused
from coronary_calcium.reading import limits
from coronary_calcium.reading.broken_slices import refuse_broken_slices
from coronary_calcium.reading.kernels import is_sharp
from coronary_calcium.tube_voltage import KVP_WARNING, is_covered
from coronary_calcium.volume import Acquisition, CaseWarning, CTVolume

# Agatston's thresholds were set at 120 kVp (rules.py); vendors write 119.9 or 120.
REFERENCE_KVP = 120.0
_KVP_TOLERANCE = 1.0
THICK_SLICE_MM = 3.0
# Differences between spacing and thickness below this are rounding.
_THICKNESS_TOLERANCE_MM = 0.05
# Every CT of a chest or a heart holds air or lung and soft tissue. In five real series (four chests and a thorax
# phantom), 45 to 86 % of voxels lie in the range of air and 12 to 38 % in that of soft tissue.
_AIR_HU = (-1100, -650)
_MINIMUM_AIR = 0.005
_TISSUE_HU = (-200, 200)
_MINIMUM_TISSUE = 0.02
# Noise of a sharp kernel reaches -1300 HU in air. Below -1500 HU there is only padding, which is one constant value.
_IMPOSSIBLE_HU = -1500
_MAXIMUM_IMPOSSIBLE = 0.01
_LABELS_UP_TO = 255
NOT_FINITE = "The image holds values that are not numbers (NaN or infinite): convert it again from DICOM."
# Intensities are clipped if this many voxels share the largest one. Natural maxima are reached by a few voxels; 12-bit
# CT ends at 3071 HU, where metal may pile up without harm, so only lower ceilings are of interest.
_CLIPPED_VOXELS = 30
_CLIP_BELOW_HU = 1500
# Where all of this many intensities or more lie a multiple of the same step apart, they were stored coarsely, as in 8
# bits; thresholds 100 HU apart want steps well below 10 HU.
_COARSE_VALUES = 32
_COARSE_STEP_HU = 4
_COARSE_RANGE_HU = (-900, 900)


def check_ct(volume: CTVolume) -> CTVolume:
    """The same volume with the warnings that its voxels and acquisition facts give rise to.

    Checking twice adds nothing. Raises InputRefused: ``"not-ct"``, ``"too-few-slices"``, ``"too-short"``,
    ``"slice-spacing"``, ``"pixel-size"``, ``"field-too-small"``, ``"nan"``, ``"label-map"``, ``"not-hu"``,
    ``"broken-slice"``.
    """
    modality = volume.acquisition.modality
    if modality is not None and modality != "CT":
        raise InputRefused("not-ct", f"The image is not a CT (its modality is {modality}): give a non-contrast CT.")
    _refuse_size(volume)
    histogram, lowest = _histogram(volume.hu)
    _refuse_not_hu(histogram, lowest, volume.hu)
    refuse_broken_slices(volume.hu)
    found = [
        *_clipping(volume, histogram, lowest),
        *_coarse(histogram, lowest),
        *_acquisition_warnings(volume.acquisition, volume.spacing[0]),
    ]
    known = {warning.code for warning in volume.warnings}
    return volume.with_warnings(*(warning for warning in found if warning.code not in known))


def _refuse_size(volume: CTVolume) -> None:
    """Refuse a volume whose geometry cannot be that of a CT of a heart."""
    (slices, rows, columns), (dk, dj, di) = volume.shape, volume.spacing
    if slices < limits.MINIMUM_SLICES:
        raise InputRefused(
            "too-few-slices",
            f"The volume has {slices} axial slices, fewer than the {limits.MINIMUM_SLICES} that a heart needs: give "
            "the whole series.",
        )
    if not limits.MINIMUM_SLICE_SPACING_MM <= dk <= limits.MAXIMUM_SLICE_SPACING_MM:
        raise InputRefused(
            "slice-spacing",
            f"The slices are {dk:g} mm apart; a score needs {limits.MINIMUM_SLICE_SPACING_MM:g} to "
            f"{limits.MAXIMUM_SLICE_SPACING_MM:g} mm: check the spacing in the file, or give thinner slices.",
        )
    if slices * dk < limits.MINIMUM_EXTENT_MM:
        raise InputRefused(
            "too-short",
            f"The volume is {slices * dk:.0f} mm long, less than the {limits.MINIMUM_EXTENT_MM:.0f} mm that a heart "
            "needs: give a scan of the whole heart.",
        )
    if min(dj, di) < limits.MINIMUM_PIXEL_MM or max(dj, di) > limits.MAXIMUM_PIXEL_MM:
        raise InputRefused(
            "pixel-size",
            f"The pixels measure {dj:g} x {di:g} mm, outside {limits.MINIMUM_PIXEL_MM:g} to "
            f"{limits.MAXIMUM_PIXEL_MM:g} mm: check the spacing in the file, or give the original series.",
        )
    if min(rows * dj, columns * di) < limits.MINIMUM_FIELD_MM:
        raise InputRefused(
            "field-too-small",
            f"The slices cover {rows * dj:.0f} x {columns * di:.0f} mm, less than the {limits.MINIMUM_FIELD_MM:.0f} mm "
            "that a heart needs: give a reconstruction of the whole heart.",
        )


def _histogram(hu: np.ndarray) -> tuple[np.ndarray, int]:
    """How many voxels have each (rounded) HU, and the HU of the first bin; refuses values that are not finite."""
    low, high = -4096, 32768
    counts = np.zeros(high - low, np.int64)
    for plane in hu:
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            raise InputRefused("nan", NOT_FINITE)
        rounded = np.clip(np.rint(plane) if plane.dtype.kind == "f" else plane, low, high - 1).astype(np.intp)
        counts += np.bincount((rounded - low).ravel(), minlength=counts.size)
    return counts, low


def _refuse_not_hu(histogram: np.ndarray, low: int, hu: np.ndarray) -> None:
    """Refuse label maps and images whose intensities are not HU."""
    present = np.flatnonzero(histogram) + low
    lowest, highest = int(present[0]), int(present[-1])
    if lowest == highest:
        raise InputRefused("not-hu", f"Every voxel of the image has the value {lowest}: give a CT in Hounsfield units.")
    if lowest >= 0 and highest <= _LABELS_UP_TO:
        integral = all(np.array_equal(plane, np.rint(plane)) for plane in hu)
        raise InputRefused(
            "label-map" if integral else "not-hu",
            f"The image's values, {lowest} to {highest}, are those of a label map or an 8-bit picture, not Hounsfield "
            "units: give the CT itself.",
        )
    total = int(histogram.sum())

    def share(first: int, last: int) -> float:
        return float(histogram[max(0, first - low) : last - low + 1].sum()) / total

    # Padding is one value; all others below -1500 HU would have to be measured ones.
    below = histogram[: _IMPOSSIBLE_HU - low]
    impossible = float(below.sum() - (below.max() if below.size else 0)) / total
    if impossible > _MAXIMUM_IMPOSSIBLE:
        raise InputRefused(
            "not-hu",
            f"{100 * impossible:.0f} % of the voxels lie below {_IMPOSSIBLE_HU} HU, where nothing is: the rescale of "
            "the image is wrong; export it again in Hounsfield units.",
        )
    if share(*_AIR_HU) < _MINIMUM_AIR:
        raise InputRefused(
            "not-hu",
            f"The image's values ({lowest} to {highest}) hold no air or lung near -1000 HU, so they are not Hounsfield "
            "units: give the CT with its rescale applied, not an MR image, a windowed copy or raw detector values.",
        )
    if share(*_TISSUE_HU) < _MINIMUM_TISSUE:
        raise InputRefused(
            "not-hu",
            f"The image's values ({lowest} to {highest}) hold no soft tissue near 0 HU, so they are not Hounsfield "
            "units: give the CT with its rescale applied once.",
        )


def _clipping(volume: CTVolume, histogram: np.ndarray, low: int) -> list[CaseWarning]:
    """A warning if the intensities end at a ceiling that calcium reaches."""
    top = int(np.flatnonzero(histogram)[-1])
    if top + low >= _CLIP_BELOW_HU or histogram[top] < _CLIPPED_VOXELS:
        return []
    highest = volume.hu.max()
    at_top = sum(int(np.count_nonzero(plane == highest)) for plane in volume.hu)
    if at_top < _CLIPPED_VOXELS:
        return []
    return [
        CaseWarning(
            "clipped-hu",
            f"{at_top} voxels share the image's largest value of {float(highest):g} HU: intensities were probably "
            "clipped there, and dense calcium may get too low a weight.",
        )
    ]


def _coarse(histogram: np.ndarray, low: int) -> list[CaseWarning]:
    """A warning if the intensities are multiples of a step that is coarse beside the thresholds."""
    first, last = _COARSE_RANGE_HU
    present = np.flatnonzero(histogram[first - low : last - low])
    if present.size < _COARSE_VALUES:
        return []
    step = int(np.gcd.reduce(np.diff(present)))
    if step < _COARSE_STEP_HU:
        return []
    return [
        CaseWarning(
            "coarse-hu",
            f"The intensities are stored in steps of {step} HU, as in a copy of 8 bits, and the score's thresholds are "
            "met only roughly: use the original series.",
        )
    ]


def _acquisition_warnings(facts: Acquisition, spacing_mm: float) -> list[CaseWarning]:
    """Warnings that the acquisition facts give rise to."""
    found = []
    thickness = facts.slice_thickness_mm
    if facts.kvp is not None and abs(facts.kvp - REFERENCE_KVP) > _KVP_TOLERANCE:
        adaptable = is_covered(facts.kvp)
        offer = (
            " Thresholds adapted to it can be chosen (--kvp-adapted; Rules and outputs in Slicer)." if adaptable else ""
        )
        found.append(
            CaseWarning(
                KVP_WARNING,
                f"The tube voltage was {facts.kvp:g} kVp; the thresholds hold for 120 kVp, and "
                f"{'lower voltages raise' if facts.kvp < REFERENCE_KVP else 'higher voltages lower'} the score.{offer}",
            )
        )
    if is_sharp(facts.kernel, facts.manufacturer):
        found.append(
            CaseWarning(
                "sharp-kernel",
                f"The reconstruction kernel {facts.kernel} is sharp: noise and edge enhancement raise the score.",
            )
        )
    thickest = max(thickness or 0.0, spacing_mm)
    if thickest > THICK_SLICE_MM + _THICKNESS_TOLERANCE_MM:
        found.append(
            CaseWarning(
                "thick-slices",
                f"The slices are {thickest:g} mm thick or apart; the score is defined for 3 mm, and small or faint "
                "calcium is lost in thicker ones.",
            )
        )
    if thickness is not None and spacing_mm < thickness - _THICKNESS_TOLERANCE_MM:
        found.append(
            CaseWarning(
                "overlapping-slices",
                f"The slices overlap: {thickness:g} mm thick, every {spacing_mm:g} mm; the score is scaled by the "
                "distance between slices.",
            )
        )
    if thickness is not None and spacing_mm > thickness + _THICKNESS_TOLERANCE_MM:
        found.append(
            CaseWarning(
                "slice-gaps",
                f"There are gaps between the slices: {thickness:g} mm thick, every {spacing_mm:g} mm; calcium in the "
                "gaps is not seen.",
            )
        )
    if facts.contrast_agent is not None:
        found.append(
            CaseWarning(
                "contrast-stated",
                f"The header states a contrast medium ({facts.contrast_agent}): a calcium score is not valid with it.",
            )
        )
    if facts.lossy_compression:
        found.append(
            CaseWarning(
                "lossy-compression",
                "The images were compressed with loss of information, which can change intensities and the score.",
            )
        )
    stated = {"tube voltage": facts.kvp, "reconstruction kernel": facts.kernel, "slice thickness": thickness}
    missing = [name for name, value in stated.items() if value is None]
    if missing:
        found.append(
            CaseWarning(
                "missing-tags",
                f"The input does not state its {', '.join(missing)}, so whether the rules suit it is not known.",
            )
        )
    return found
