"""Checks of a CT volume that need no file: is it in HU, can it hold a heart, and what must be warned of."""

import re

import numpy as np

from coronary_calcium.errors import InputError
from coronary_calcium.scoring.rules import KVP_WARNING, is_covered
from coronary_calcium.volume import Acquisition, CaseWarning, CTVolume

# A coronary tree spans 70 mm and more from the left main to the tip of the right coronary artery; a shorter scan cannot
# hold it. Scans made for calcium scoring are 120 to 160 mm long.
MINIMUM_EXTENT_MM = 60.0
MINIMUM_SLICES = 8
# The widest slice distance in the project's scope is 8 mm; routine scans end at 10 mm.
MAXIMUM_SLICE_SPACING_MM = 10.0
# Half a millimeter is the thinnest slice that CT detectors make; reconstructions at half that distance exist.
MINIMUM_SLICE_SPACING_MM = 0.2
# Pixels: 50 mm / 512 to 500 mm / 256 of clinical CT, with room.
MINIMUM_PIXEL_MM = 0.08
MAXIMUM_PIXEL_MM = 2.5
# A heart is about 120 mm wide. A smaller field cannot hold it.
MINIMUM_FIELD_MM = 100.0
MAXIMUM_SIDE = 4096
# 2 GiB as int16: 512 x 512 x 4096. No CT that one scan makes is larger.
MAXIMUM_VOXELS = 2**30


# Siemens numbers its kernels by sharpness: the SOMATOM Sensation manual recommends B30 and B40 as standard and B50 to
# B80 for higher sharpness; in the newer names (Br40, Qr36, I50f) the number means the same, and "l" is for lungs.
_SIEMENS = re.compile(r"\b[A-Z]{1,2}(\d{2})[A-Z]?\b")
_SIEMENS_LUNG = re.compile(r"\bBL\d{2}")
SIEMENS_SHARP_FROM = 50
# Canon and Toshiba: FC01-FC19 body, FC20-FC29 brain, FC30-FC39 bone, FC40-FC49 heart and vessels, from FC50 on lung
# and bone.
_CANON = re.compile(r"\bFC\s?(\d{2})")
# Philips: A and B are smooth and standard; D, E, F and the Y family enhance edges, L is for lungs.
_PHILIPS_SHARP = re.compile(r"^(D|E|F|L|LUNG|Y[A-E]|Y-?SHARP.*|DETAIL|BONE)$")
# GE, and anyone who writes words.
_SHARP_WORDS = ("LUNG", "BONE", "EDGE", "ULTRA", "DETAIL", "SHARP")


def is_sharp(kernel: str | None, manufacturer: str | None) -> bool:
    """Whether a kernel's name is that of a sharp one; False for names that are not known."""
    name = (kernel or "").upper().strip()
    maker = (manufacturer or "").upper()
    if any(word in name for word in _SHARP_WORDS):
        return True
    if "PHILIPS" in maker:
        return bool(_PHILIPS_SHARP.match(name))
    canon = _CANON.search(name)
    if canon:
        number = int(canon.group(1))
        return 30 <= number < 40 or number >= 50
    if "SIEMENS" in maker or not maker:
        siemens = _SIEMENS.search(name)
        return bool(_SIEMENS_LUNG.search(name)) or (siemens is not None and int(siemens.group(1)) >= SIEMENS_SHARP_FROM)
    return False


# A slice's mean lies between its neighbors' or close to it: in four real chests of 2.5 to 8 mm spacing it is at most
# 19 HU off their middle, in a thorax phantom 39 HU. A blank slice or one with a wrong rescale intercept (1024 HU) is
# off by 300 HU and more.
MAXIMUM_JUMP_HU = 150.0
# Padding and metal, whose values mean nothing, do not weigh more than air and bone.
_RANGE_HU = (-1024, 3071)


def reject_broken_slices(hu: np.ndarray) -> None:
    """Reject a (k, j, i) volume with a broken slice inside; blank slices at its ends, as padding makes them, may stay.

    A slice that a transfer left blank, or that was scaled otherwise than its neighbors, changes the score without any
    sign of it. Raises InputError (``"broken-slice"``).
    """
    means = np.array([np.clip(plane, *_RANGE_HU).mean(dtype=np.float64) for plane in hu])
    filled = np.flatnonzero([plane.min() < plane.max() for plane in hu])
    inside = slice(int(filled[0]), int(filled[-1]) + 1) if filled.size else slice(0)
    blank = sorted(set(range(len(hu))[inside]) - set(filled.tolist()))
    steps = np.diff(means[inside])
    # Out of line with both neighbors, in the same direction.
    jumps = (np.minimum(np.abs(steps[:-1]), np.abs(steps[1:])) > MAXIMUM_JUMP_HU) & (steps[:-1] * steps[1:] < 0)
    broken = blank or [inside.start + 1 + int(place) for place in np.flatnonzero(jumps)]
    if broken:
        raise InputError(
            "broken-slice",
            f"Slice {broken[0]}, counted from the feet from 0, is blank or scaled otherwise than its neighbors "
            f"(mean {means[broken[0]]:.0f} HU, that of the next one {means[broken[0] + 1]:.0f} HU): "
            "export the series again.",
        )


# Code of the warning that the axial slices were put together from a series of another orientation.
REFORMATTED = "reformatted"
# Agatston's thresholds were set at 120 kVp (rules.py); vendors write 119.9 or 120.
REFERENCE_KVP = 120.0
KVP_TOLERANCE = 1.0
THICK_SLICE_MM = 3.0
# Noise grows as the slice gets thinner: against 3 mm by 1.7 at 1 mm, with which single pixels reach 130 HU.
THIN_SLICE_MM = 1.0
# Differences between spacing and thickness below this are rounding.
THICKNESS_TOLERANCE_MM = 0.05
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
NOT_FINITE = "The image holds values that are not finite numbers (NaN or infinity): convert it again from DICOM."
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

    Checking twice adds nothing. Raises InputError: ``"not-ct"``, ``"too-few-slices"``, ``"too-short"``,
    ``"slice-spacing"``, ``"pixel-size"``, ``"field-too-small"``, ``"nan"``, ``"label-map"``, ``"not-hu"``,
    ``"broken-slice"``.
    """
    modality = volume.acquisition.modality
    if modality is not None and modality != "CT":
        raise InputError("not-ct", f"The image is not a CT (its modality is {modality}): give a non-contrast CT.")
    _reject_size(volume)
    histogram, lowest = _histogram(volume.hu)
    _reject_not_hu(histogram, lowest, volume.hu)
    reject_broken_slices(volume.hu)
    found = [
        *_clipping(volume, histogram, lowest),
        *_coarse(histogram, lowest),
        *_acquisition_warnings(volume.acquisition, volume.spacing[0]),
    ]
    known = {warning.code for warning in volume.warnings}
    return volume.with_warnings(*(warning for warning in found if warning.code not in known))


def _reject_size(volume: CTVolume) -> None:
    """Reject a volume whose geometry cannot be that of a CT of a heart."""
    (slices, rows, columns), (dk, dj, di) = volume.shape, volume.spacing
    reformatted = any(warning.code == REFORMATTED for warning in volume.warnings)
    if slices < MINIMUM_SLICES:
        raise InputError(
            "too-few-slices",
            f"The volume has {slices} axial slices, fewer than the {MINIMUM_SLICES} that a heart needs: give "
            "the whole series.",
        )
    if not MINIMUM_SLICE_SPACING_MM <= dk <= MAXIMUM_SLICE_SPACING_MM:
        raise InputError(
            "slice-spacing",
            f"The slices are {dk:g} mm apart; a score needs {MINIMUM_SLICE_SPACING_MM:g} to "
            f"{MAXIMUM_SLICE_SPACING_MM:g} mm: check the spacing in the file, or give thinner slices.",
        )
    if slices * dk < MINIMUM_EXTENT_MM:
        raise InputError(
            "too-short",
            f"The volume is {slices * dk:.0f} mm long, less than the {MINIMUM_EXTENT_MM:.0f} mm that a heart "
            "needs: give a scan of the whole heart.",
        )
    if reformatted and (max(dj, di) > MAXIMUM_PIXEL_MM or min(rows * dj, columns * di) < MINIMUM_FIELD_MM):
        # The slices' distance has become a side of the pixels, and their stack a side of the field.
        thick = 1 if dj >= di else 2
        raise InputError(
            "pixel-size" if max(dj, di) > MAXIMUM_PIXEL_MM else "field-too-small",
            f"The series is not axial: its {volume.shape[thick]} slices, {max(dj, di):g} mm apart, cover "
            f"{volume.shape[thick] * max(dj, di):.0f} mm of the patient, and no axial slices of a whole heart can be "
            "made of them: give the axial series.",
        )
    if min(dj, di) < MINIMUM_PIXEL_MM or max(dj, di) > MAXIMUM_PIXEL_MM:
        raise InputError(
            "pixel-size",
            f"The pixels measure {dj:g} x {di:g} mm, outside {MINIMUM_PIXEL_MM:g} to "
            f"{MAXIMUM_PIXEL_MM:g} mm: check the spacing in the file, or give the original series.",
        )
    if min(rows * dj, columns * di) < MINIMUM_FIELD_MM:
        raise InputError(
            "field-too-small",
            f"The slices cover {rows * dj:.0f} x {columns * di:.0f} mm, less than the {MINIMUM_FIELD_MM:.0f} mm "
            "that a heart needs: give a reconstruction of the whole heart.",
        )


def _histogram(hu: np.ndarray) -> tuple[np.ndarray, int]:
    """How many voxels have each (rounded) HU, and the HU of the first bin; rejects values that are not finite."""
    low, high = -4096, 32768
    counts = np.zeros(high - low, np.int64)
    for plane in hu:
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            raise InputError("nan", NOT_FINITE)
        rounded = np.clip(np.rint(plane) if plane.dtype.kind == "f" else plane, low, high - 1).astype(np.intp)
        counts += np.bincount((rounded - low).ravel(), minlength=counts.size)
    return counts, low


def _reject_not_hu(histogram: np.ndarray, low: int, hu: np.ndarray) -> None:
    """Reject label maps and images whose intensities are not HU."""
    present = np.flatnonzero(histogram) + low
    lowest, highest = int(present[0]), int(present[-1])
    if lowest == highest:
        raise InputError("not-hu", f"Every voxel of the image has the value {lowest}: give a CT in Hounsfield units.")
    if lowest >= 0 and highest <= _LABELS_UP_TO:
        integral = all(np.array_equal(plane, np.rint(plane)) for plane in hu)
        raise InputError(
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
        raise InputError(
            "not-hu",
            f"{100 * impossible:.0f} % of the voxels lie below {_IMPOSSIBLE_HU} HU, where nothing is: the rescale of "
            "the image is wrong; export it again in Hounsfield units.",
        )
    if share(*_AIR_HU) < _MINIMUM_AIR:
        raise InputError(
            "not-hu",
            f"The image's values ({lowest} to {highest}) hold no air or lung near -1000 HU, so they are not Hounsfield "
            "units: give the CT with its rescale applied, not an MR image, a windowed copy or raw detector values.",
        )
    if share(*_TISSUE_HU) < _MINIMUM_TISSUE:
        raise InputError(
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
            f"The intensities are stored in steps of {step} HU, as in an 8-bit copy, and the score's thresholds are "
            "met only roughly: use the original series.",
        )
    ]


def _kvp_warning(kvp: float, tin_filter: bool) -> CaseWarning:
    """Another tube voltage than the thresholds hold for, or a tin filter, behind which the beam is harder."""
    if tin_filter:
        return CaseWarning(
            KVP_WARNING,
            f"The scan was made at {kvp:g} kVp with a tin filter, which hardens the beam; the thresholds hold for "
            "120 kVp without one, and no published thresholds are built in for it: the score may be lower or higher.",
        )
    offer = ""
    if is_covered(kvp):
        offer = " Thresholds adapted to it can be chosen (--kvp-adapted; Rules in Slicer)."
    return CaseWarning(
        KVP_WARNING,
        f"The tube voltage was {kvp:g} kVp; the thresholds hold for 120 kVp, and "
        f"{'lower voltages raise' if kvp < REFERENCE_KVP else 'higher voltages lower'} the score.{offer}",
    )


def _acquisition_warnings(facts: Acquisition, spacing_mm: float) -> list[CaseWarning]:
    """Warnings that the acquisition facts give rise to."""
    return [
        *_intensity_warnings(facts),
        *_slice_warnings(facts.slice_thickness_mm, spacing_mm),
        *_header_warnings(facts),
    ]


def _intensity_warnings(facts: Acquisition) -> list[CaseWarning]:
    """Of tube voltage and kernel."""
    found = []
    if facts.kvp is not None and (abs(facts.kvp - REFERENCE_KVP) > KVP_TOLERANCE or facts.tin_filter):
        found.append(_kvp_warning(facts.kvp, facts.tin_filter))
    if is_sharp(facts.kernel, facts.manufacturer):
        found.append(
            CaseWarning(
                "sharp-kernel",
                f"The reconstruction kernel {facts.kernel} is sharp: noise and edge enhancement raise the score.",
            )
        )
    return found


def _slice_warnings(thickness: float | None, spacing_mm: float) -> list[CaseWarning]:
    """Of slice thickness and distance."""
    found = []
    thinnest = spacing_mm if thickness is None else thickness
    if thinnest <= THIN_SLICE_MM:
        found.append(
            CaseWarning(
                "thin-slices",
                f"The slices are {thinnest:g} mm thick; the score is defined for 3 mm, and thinner slices are noisier, "
                "which raises the score: use a series of 3 mm if there is one.",
            )
        )
    thickest = max(thickness or 0.0, spacing_mm)
    if thickest > THICK_SLICE_MM + THICKNESS_TOLERANCE_MM:
        found.append(
            CaseWarning(
                "thick-slices",
                f"The slices are {thickest:g} mm thick or apart; the score is defined for 3 mm, and small or faint "
                "calcium is lost in thicker ones.",
            )
        )
    if thickness is not None and spacing_mm < thickness - THICKNESS_TOLERANCE_MM:
        found.append(
            CaseWarning(
                "overlapping-slices",
                f"The slices overlap: {thickness:g} mm thick, every {spacing_mm:g} mm; the score is scaled by the "
                "distance between slices.",
            )
        )
    if thickness is not None and spacing_mm > thickness + THICKNESS_TOLERANCE_MM:
        found.append(
            CaseWarning(
                "slice-gaps",
                f"There are gaps between the slices: {thickness:g} mm thick, every {spacing_mm:g} mm; calcium in the "
                "gaps is not seen.",
            )
        )
    return found


def _header_warnings(facts: Acquisition) -> list[CaseWarning]:
    """Of contrast medium, compression, and what is not stated."""
    found = []
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
    stated = {
        "tube voltage": facts.kvp,
        "reconstruction kernel": facts.kernel,
        "slice thickness": facts.slice_thickness_mm,
    }
    missing = [name for name, value in stated.items() if value is None]
    if missing:
        found.append(
            CaseWarning(
                "missing-tags",
                f"The input does not state its {', '.join(missing)}, so whether the rules suit it is not known.",
            )
        )
    return found
