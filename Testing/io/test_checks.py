"""Volumes that are no CT in HU are rejected, and what a reader of the score must know becomes a warning."""

from dataclasses import replace

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.io import check_ct
from coronary_calcium.io.checks import is_sharp
from coronary_calcium.volume import Acquisition, CTVolume
from dicom_factory import chest_hu

FACTS = Acquisition(modality="CT", kvp=120.0, kernel="B35f", slice_thickness_mm=3.0, manufacturer="SIEMENS")


def volume(hu=None, spacing=(3.0, 2.0, 2.0), **facts):
    hu = chest_hu() if hu is None else hu
    return CTVolume(hu, spacing, (0, 0, 0), acquisition=replace(FACTS, **facts))


def warned(*args, **facts):
    return [warning.code for warning in check_ct(volume(*args, **facts)).warnings]


def rejection(hu=None, spacing=(3.0, 2.0, 2.0), **facts):
    with pytest.raises(InputError) as caught:
        check_ct(volume(hu, spacing, **facts))
    assert str(caught.value).endswith(".") and ": " in str(caught.value)
    return caught.value.code


def test_a_plain_ct_raises_no_warning():
    assert warned() == []
    assert warned(chest_hu().astype(np.float32)) == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"kvp": 100.0}, "kvp"),
        ({"kvp": 140.0}, "kvp"),
        ({"kernel": "B70f"}, "sharp-kernel"),
        ({"slice_thickness_mm": 5.0}, "thick-slices"),
        ({"slice_thickness_mm": 3.2}, "overlapping-slices"),
        ({"slice_thickness_mm": 1.0}, "slice-gaps"),
        ({"contrast_agent": "Iopromide"}, "contrast-stated"),
        ({"lossy_compression": True}, "lossy-compression"),
        ({"kvp": None}, "missing-tags"),
        ({"kernel": None}, "missing-tags"),
        ({"slice_thickness_mm": None}, "missing-tags"),
    ],
)
def test_what_changes_the_score_is_warned_of(facts, code):
    assert code in warned(**facts)


def test_checking_twice_warns_once():
    once = check_ct(volume(kvp=100.0))
    assert check_ct(once).warnings == once.warnings and len(once.warnings) == 1


def test_thick_spacing_counts_where_the_thickness_is_not_stated():
    assert warned(chest_hu(), (5.0, 2.0, 2.0), slice_thickness_mm=None) == ["thick-slices", "missing-tags"]


@pytest.mark.parametrize(
    ("kernel", "manufacturer", "sharp"),
    [
        ("B35f", "SIEMENS", False),
        ("B50f", "SIEMENS", True),
        ("B46s", "SIEMENS", False),
        ("Br40d 3", "Siemens Healthineers", False),
        ("Bl57d 3", "SIEMENS", True),
        ("Qr36", "SIEMENS", False),
        ("I70f 3", "SIEMENS", True),
        ("Sa36f", "SIEMENS", False),
        ("STANDARD", "GE MEDICAL SYSTEMS", False),
        ("SOFT", "GE MEDICAL SYSTEMS", False),
        ("LUNG", "GE MEDICAL SYSTEMS", True),
        ("BONEPLUS", "GE MEDICAL SYSTEMS", True),
        ("B", "Philips", False),
        ("L", "Philips", True),
        ("YB", "Philips", True),
        ("D", "PHILIPS", True),
        ("FC12", "TOSHIBA", False),
        ("FC51", "CANON_MEC", True),
        ("FC30", "TOSHIBA", True),
        (None, "SIEMENS", False),
        (None, None, False),
    ],
)
def test_sharp_kernels_are_known_by_name(kernel, manufacturer, sharp):
    assert is_sharp(kernel, manufacturer) is sharp


def with_nan(value):
    hu = chest_hu().astype(np.float32)
    hu[3, 4, 5] = value
    return hu


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers_are_rejected(value):
    assert rejection(with_nan(value)) == "nan"


@pytest.mark.parametrize(
    ("hu", "code"),
    [
        (np.zeros((24, 64, 64), np.int16), "not-hu"),
        (np.full((24, 64, 64), -1000, np.int16), "not-hu"),
        ((chest_hu() > 0).astype(np.int16), "label-map"),
        ((chest_hu() > 0).astype(np.float32) * 4, "label-map"),
        (np.clip((chest_hu() + 160) / 400 * 255, 0, 255).astype(np.int16), "label-map"),
        (np.clip((chest_hu() + 160) / 400, 0, 1).astype(np.float32), "not-hu"),
        (chest_hu() + np.int16(1024), "not-hu"),
        (chest_hu() - np.int16(1024), "not-hu"),
        (chest_hu() // 2, "not-hu"),
        (chest_hu() * np.int16(2), "not-hu"),
        (np.clip(chest_hu(), -200, 300), "not-hu"),
        ((chest_hu() + 1024) // 4, "not-hu"),
        (-chest_hu(), "not-hu"),
        (np.random.default_rng(1).integers(0, 2000, (24, 64, 64)).astype(np.int16), "not-hu"),
    ],
)
def test_images_that_are_not_in_hu_are_rejected(hu, code):
    assert rejection(hu) == code


@pytest.mark.parametrize(
    ("shape", "spacing", "code"),
    [
        ((7, 64, 64), (10.0, 2.0, 2.0), "too-few-slices"),
        ((24, 64, 64), (2.4, 2.0, 2.0), "too-short"),
        ((24, 64, 64), (12.0, 2.0, 2.0), "slice-spacing"),
        ((24, 64, 64), (0.003, 2.0, 2.0), "slice-spacing"),
        ((24, 64, 64), (3.0, 0.002, 0.002), "pixel-size"),
        ((24, 64, 64), (3.0, 20.0, 20.0), "pixel-size"),
        ((24, 40, 64), (3.0, 2.0, 2.0), "field-too-small"),
    ],
)
def test_sizes_that_cannot_hold_a_heart_are_rejected(shape, spacing, code):
    assert rejection(chest_hu(shape), spacing) == code


def test_pixels_need_not_be_square():
    assert warned(chest_hu(), (3.0, 2.0, 1.7)) == []


def test_another_modality_is_rejected():
    assert rejection(modality="MR") == "not-ct"


@pytest.mark.parametrize(("ceiling", "warns"), [(255, True), (1023, True), (3071, False)])
def test_a_ceiling_that_calcium_reaches_is_warned_of(ceiling, warns):
    hu = chest_hu()
    hu[:, 50, 30:34] = 5000
    assert ("clipped-hu" in warned(np.minimum(hu, ceiling))) is warns


def test_one_bright_voxel_is_no_ceiling():
    hu = chest_hu()
    hu[10, 50, 30] = 1200
    assert warned(hu) == []
