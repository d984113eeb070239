"""The label map as a DICOM segmentation (SEG), one coded segment an artery."""

from typing import TYPE_CHECKING

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

import coronary_calcium
from coronary_calcium.arteries import ARTERIES, CALCIFICATION, CATEGORY, UNASSIGNED, Artery, region
from coronary_calcium.dicom_export.equipment import (
    MANUFACTURER,
    NETWORK,
    SEGMENTATION_SERIES,
    concept,
    new_object,
    tracking,
    weights_checksum,
)
from coronary_calcium.dicom_export.sources import Sources

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

# PS3.3 C.10.7.1.1: CIELab as 16-bit integers, L* 0..100 and a*, b* -128..127 over the whole range.
_CIELAB_RANGE = 65535
# sRGB to CIE XYZ (IEC 61966-2-1), and the white point D50 with the Bradford adaptation, which PS3.3 prescribes.
_SRGB_TO_XYZ_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_WHITE_D50 = np.array([0.96422, 1.0, 0.82521])


def segmentation(result: "CaseResult", sources: Sources) -> Segmentation:
    """The result's labels as a binary SEG on the source images' own grid.

    Segments are numbered from 1 and only those with voxels are there: an empty segment has no frame, and programs
    differ in what they make of it. Without any calcium there is one segment, "unassigned", whose frames are all empty.
    """
    present = [artery for artery in ARTERIES if np.any(result.labels == artery.label)]
    numbers = np.zeros(max(artery.label for artery in ARTERIES) + 1, np.uint8)
    for number, artery in enumerate(present, 1):
        numbers[artery.label] = number
    return Segmentation(
        source_images=sources.images,
        pixel_array=numbers[sources.to_images(result.labels)],
        segmentation_type="BINARY",
        segment_descriptions=[
            _describe(number, artery, result) for number, artery in enumerate(present or [UNASSIGNED], 1)
        ],
        **new_object(SEGMENTATION_SERIES),
        content_label="CORONARY_CALCIUM",
        content_description="Coronary calcium by artery. Research use only.",
        series_description="Coronary calcium (research use only)",
        omit_empty_frames=bool(present),
    )


def _describe(number: int, artery: Artery, result: "CaseResult") -> SegmentDescription:
    described = SegmentDescription(
        segment_number=number,
        segment_label=artery.name,
        segmented_property_category=concept(CATEGORY),
        segmented_property_type=concept(CALCIFICATION),
        algorithm_type="MANUAL" if result.mask_given else "AUTOMATIC",
        algorithm_identification=None if result.mask_given else _algorithm(result),
        tracking_uid=generate_uid(),
        tracking_id=tracking(artery),
        anatomic_regions=[concept(region(artery))],
    )
    described.RecommendedDisplayCIELabValue = cielab(artery.color)
    return described


def _algorithm(result: "CaseResult") -> AlgorithmIdentificationSequence:
    return AlgorithmIdentificationSequence(
        name=NETWORK,
        family=codes.DCM.ArtificialIntelligence,
        version=coronary_calcium.__version__,
        source=MANUFACTURER,
        parameters={"weights SHA-256": str(weights_checksum(result)), "rules": result.rules.title},
    )


def cielab(color: tuple[float, float, float]) -> list[int]:
    """An sRGB color in 0..1 as DICOM's three 16-bit CIELab values (PS3.3 C.10.7.1.1)."""
    channels = np.array(color)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    ratio = _SRGB_TO_XYZ_D50 @ linear / _WHITE_D50
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    scaled = np.array([lightness / 100, (a + 128) / 255, (b + 128) / 255])
    return [int(value) for value in np.rint(np.clip(scaled, 0, 1) * _CIELAB_RANGE)]
