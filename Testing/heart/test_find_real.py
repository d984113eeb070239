"""The search for the heart in real scans, against boxes that were read by eye."""

import csv
import functools

import numpy as np
import pytest
from coronary_calcium.datasets.labeled_scans import UNSURE, find_labeled, read_labels
from coronary_calcium.heart.contrast import blood_hu, contrast_warning
from coronary_calcium.heart.find import find_heart
from coronary_calcium.io import open_ct
from coronary_calcium.volume import CTVolume
from scipy import ndimage
from shared_data import real_scans, real_series, truth_table
from window_cover import covered

# First and last slice, row and column that hold the heart with its coronary arteries. The sharp series is part of the
# soft one; the box of A0002 was read for these tests, the others come with the data.
BOXES = {
    "chest-A0001-soft": ((11, 36), (160, 318), (210, 372)),
    "chest-A0001-sharp": ((5, 30), (160, 318), (210, 372)),
    "chest-A0002-B40f": ((7, 18), (105, 240), (150, 355)),
    "chest-TCGA-DE-A4MA": ((25, 77), (236, 345), (190, 325)),
}
# Coronary calcium and the places where it would lie (k, j, i).
CORONARY = {
    "chest-A0001-soft": ((30, 250, 308), (31, 250, 308), (28, 275, 320)),
    "chest-A0001-sharp": ((24, 250, 310), (21, 277, 324), (22, 277, 324)),
}


@functools.cache
def scan(name):
    return open_ct(real_series(name)).volume


def box_mask(volume, box):
    mask = np.zeros(volume.shape, bool)
    mask[tuple(slice(first, last + 1) for first, last in box)] = True
    return mask


def crop(volume, box, millimeters, length=None):
    """A square field around the box, and ``length`` mm above and below it along z (None: all); with the box in it."""
    parts = []
    for axis, (first, last) in enumerate(box):
        if axis == 0:
            margin = volume.shape[0] if length is None else round(length / volume.spacing[0])
            low, high = first - margin, last + 1 + margin
        else:
            middle, half = (first + last) / 2, millimeters / 2 / volume.spacing[axis]
            low, high = round(middle - half), round(middle + half)
        parts.append(slice(max(0, low), min(high, volume.shape[axis])))
    small = CTVolume(volume.hu[tuple(parts)].copy(), volume.spacing, volume.origin)
    return small, box_mask(volume, box)[tuple(parts)]


@pytest.mark.parametrize("name", BOXES)
def test_the_heart_s_box_is_in_one_window(name):
    volume = scan(name)
    field = find_heart(volume)
    assert field.found
    assert not field.warnings
    assert len(field.windows) == 1
    assert covered(field, volume)[box_mask(volume, BOXES[name])].all()


def test_a_heart_whose_arteries_hold_calcium_is_in_one_window_too():
    # Two windows would be two passes of the network for each slice.
    for images, labels in find_labeled(real_scans()).values():
        volume = open_ct(images).volume
        field = find_heart(volume)
        assert field.found
        assert len(field.windows) == 1
        coronary = read_labels(labels, volume)
        assert covered(field, volume)[(coronary > 0) & (coronary < UNSURE)].all()


@pytest.mark.parametrize("name", CORONARY)
def test_the_coronary_arteries_are_in_the_region(name):
    field = find_heart(scan(name))
    for place in CORONARY[name]:
        assert field.region[place]


@pytest.mark.parametrize("name", BOXES)
def test_bones_are_out_of_the_region(name):
    """Of dense bone in the window (opened by 3 mm, so that noise and small calcium do not count) 1 % may be in."""
    volume = scan(name)
    field = find_heart(volume)
    width = round(3.0 / volume.spacing[1])
    bone = ndimage.binary_opening(volume.hu > 250, np.ones((1, width, width)))
    bone &= covered(field, volume)
    assert bone.any()
    assert np.count_nonzero(bone & field.region) <= 0.01 * np.count_nonzero(bone)


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("field_mm", [150, 180, 220, 250])
@pytest.mark.parametrize("length", [10, None])
def test_the_heart_s_box_is_covered_in_narrow_and_short_fields(name, field_mm, length):
    volume, box = crop(scan(name), BOXES[name], field_mm, length)
    field = find_heart(volume)
    assert field.found
    assert covered(field, volume)[box].all()


@pytest.mark.parametrize("padding", [-1000, -2048])
def test_empty_corners_of_the_field_do_not_matter(padding):
    volume, box = crop(scan("chest-TCGA-DE-A4MA"), BOXES["chest-TCGA-DE-A4MA"], 220, 10)
    j, i = np.ogrid[: volume.shape[1], : volume.shape[2]]
    radius = min(volume.shape[1:]) / 2
    volume.hu[:, (j - radius) ** 2 + (i - radius) ** 2 > radius**2] = padding
    field = find_heart(volume)
    assert field.found
    assert covered(field, volume)[box].all()


@pytest.mark.parametrize("thickness", [0.5, 1.5])
def test_thin_slices_do_not_matter(thickness):
    volume, box = crop(scan("chest-A0002-B40f"), BOXES["chest-A0002-B40f"], 250, 10)
    factor = volume.spacing[0] / thickness
    thin = CTVolume(
        ndimage.zoom(volume.hu, (factor, 1, 1), order=1, grid_mode=True, mode="nearest"),
        (thickness, *volume.spacing[1:]),
        volume.origin,
    )
    field = find_heart(thin)
    assert field.found
    place = np.minimum((np.arange(thin.shape[0]) + 0.5) / factor, volume.shape[0] - 1).astype(int)
    assert covered(field, thin)[box[place]].all()


def test_a_scan_that_starts_in_the_middle_of_the_heart_is_warned_of():
    for name in ("chest-A0001-soft", "chest-A0002-B40f", "chest-TCGA-DE-A4MA"):
        volume = scan(name)
        first, last = BOXES[name][0]
        middle = (first + last) // 2
        for part in (volume.hu[middle:], volume.hu[:middle]):
            field = find_heart(CTVolume(part, volume.spacing, volume.origin))
            assert "heart-cut" in {warning.code for warning in field.warnings}


def test_the_abdomen_alone_is_searched_whole_with_a_warning():
    volume = scan("chest-TCGA-DE-A4MA")
    part = CTVolume(volume.hu[:20], volume.spacing, volume.origin)
    field = find_heart(part)
    assert not field.found
    assert {warning.code for warning in field.warnings} == {"heart-not-found"}
    assert covered(field, part)[field.region].all()


def test_from_the_aortic_arch_up_there_is_no_heart():
    # What the lower end of a neck scan shows: both lungs, and the great vessels between them.
    volume = scan("chest-A0001-soft")
    field = find_heart(CTVolume(volume.hu[38:], volume.spacing, volume.origin))
    assert not field.found


@pytest.mark.parametrize("name", BOXES)
def test_native_blood_gives_no_contrast_warning(name):
    volume = scan(name)
    field = find_heart(volume)
    assert 25 < blood_hu(volume, field) < 60
    assert contrast_warning(volume, field) == ()


def test_the_phantom_s_inserts_are_in_the_region_and_in_a_window():
    volume = scan("qrm-phantom")
    field = find_heart(volume)
    seen = covered(field, volume) & field.region
    with truth_table().open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["z_index"]]
    assert len(rows) == 7  # the other two are too faint to be seen
    for row in rows:
        k, j, i = int(row["z_index"]), int(row["y"]), int(row["x"])
        assert seen[k - 1 : k + 2, j - 8 : j + 9, i - 8 : i + 9].all()
