"""Masks come in on the CT's grid, by value or by segment name, or are rejected."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_mask
from coronary_calcium.reports.segmentation_file import write_segmentation
from coronary_calcium.volume import CTVolume
from dicom_factory import chest_hu

SPACING = (3.0, 1.75, 2.25)
ORIGIN = (-70.0, -60.0, 12.0)
VOLUME = CTVolume(chest_hu(), SPACING, ORIGIN)


def labels_of_all_arteries():
    labels = np.zeros(VOLUME.shape, np.uint8)
    for label in range(1, 6):
        labels[3 * label : 3 * label + 2, 20 + label, 10 + 4 * label : 13 + 4 * label] = label
    return labels


def write(path, labels, *, spacing=SPACING, origin=ORIGIN, direction=None, vector=False, **fields):
    image = sitk.GetImageFromArray(labels, isVector=vector)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(np.asarray(direction, float).ravel().tolist())
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), True)
    return path


def rejection(path):
    with pytest.raises(InputError) as caught:
        open_mask(path, VOLUME)
    assert str(caught.value).endswith(".")
    return caught.value.code


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha", ".mhd"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_label_map_is_read_by_value(tmp_path, suffix, dtype):
    labels = labels_of_all_arteries()
    read = open_mask(write(tmp_path / f"mask{suffix}", labels.astype(dtype)), VOLUME)
    np.testing.assert_array_equal(read, labels)
    assert read.dtype == np.uint8


def test_labels_that_are_whole_numbers_but_for_rounding_are_read(tmp_path):
    labels = labels_of_all_arteries()
    path = write(tmp_path / "mask.nrrd", labels * np.float64(1.00001))
    np.testing.assert_array_equal(open_mask(path, VOLUME), labels)


def test_a_permuted_mask_is_brought_to_the_ct(tmp_path):
    labels = labels_of_all_arteries()
    path = write(
        tmp_path / "mask.nrrd",
        labels.transpose(1, 0, 2)[:, ::-1],
        spacing=(SPACING[1], SPACING[0], SPACING[2]),
        origin=(ORIGIN[0], ORIGIN[1], ORIGIN[2] + SPACING[0] * 23),
        direction=[[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    )
    np.testing.assert_array_equal(open_mask(path, VOLUME), labels)


@pytest.mark.parametrize(
    "options",
    [
        {"origin": (-70.0, -60.0, 15.0)},
        {"origin": (-69.5, -60.0, 12.0)},
        {"spacing": (3.0, 1.75, 2.26)},
        {"direction": [[1, 0, 0], [0, -1, 0], [0, 0, -1]]},
        {"direction": [[0.99995, -0.01, 0], [0.01, 0.99995, 0], [0, 0, 1]]},
    ],
)
def test_another_grid_is_rejected(tmp_path, options):
    assert rejection(write(tmp_path / "mask.nrrd", labels_of_all_arteries(), **options)) == "mask-grid"


def test_another_size_is_rejected(tmp_path):
    assert rejection(write(tmp_path / "mask.nrrd", labels_of_all_arteries()[:-1])) == "mask-grid"


@pytest.mark.parametrize("value", [6, 255, -1, 1.5])
def test_values_that_are_no_arteries_are_rejected(tmp_path, value):
    labels = labels_of_all_arteries().astype(np.float32)
    labels[2, 2, 2] = value
    assert rejection(write(tmp_path / "mask.mha", labels)) == "mask-labels"


def segment(number, name, value=1, layer=0):
    prefix = f"Segment{number}_"
    return {f"{prefix}Name": name, f"{prefix}LabelValue": str(value), f"{prefix}Layer": str(layer), f"{prefix}ID": "x"}


def test_segments_are_known_by_name_not_by_value(tmp_path):
    labels = np.zeros(VOLUME.shape, np.uint8)
    labels[4, 20, 20:24], labels[9, 30, 30] = 7, 1
    path = write(tmp_path / "mask.seg.nrrd", labels, **segment(0, "RCA", 7), **segment(1, "LM", 1))
    read = open_mask(path, VOLUME)
    assert (read[4, 20, 20:24] == 4).all() and read[9, 30, 30] == 1 and np.count_nonzero(read) == 5


def test_layers_are_unpacked(tmp_path):
    layers = np.zeros((*VOLUME.shape, 2), np.uint8)
    layers[4, 20, 20:24, 0], layers[9, 30, 30, 1], layers[9, 31, 30, 1] = 1, 1, 2
    path = write(
        tmp_path / "mask.seg.nrrd",
        layers,
        vector=True,
        **segment(0, "LAD"),
        **segment(1, "LCX", layer=1),
        **segment(2, "unassigned", 2, layer=1),
    )
    read = open_mask(path, VOLUME)
    assert (read[4, 20, 20:24] == 2).all() and read[9, 30, 30] == 3 and read[9, 31, 30] == 5
    assert np.count_nonzero(read) == 6


def test_a_cropped_segmentation_is_put_where_it_belongs(tmp_path):
    labels = labels_of_all_arteries()
    start = np.array([2, 15, 8])
    cropped = labels[2:20, 15:40, 8:40]
    origin = VOLUME.position(tuple(start))
    path = write(
        tmp_path / "mask.seg.nrrd", cropped, origin=origin.tolist(),
        **segment(0, "LM", 1), **segment(1, "LAD", 2), **segment(2, "LCX", 3), **segment(3, "RCA", 4),
        **segment(4, "unassigned", 5),
    )  # fmt: skip
    np.testing.assert_array_equal(open_mask(path, VOLUME), labels)


def test_a_segmentation_may_be_cropped_to_one_voxel(tmp_path):
    path = write(
        tmp_path / "mask.seg.nrrd",
        np.ones((1, 1, 1), np.uint8),
        origin=VOLUME.position((5, 30, 20)).tolist(),
        **segment(0, "RCA"),
    )
    read = open_mask(path, VOLUME)
    assert read[5, 30, 20] == 4 and np.count_nonzero(read) == 1


def test_a_segmentation_that_reaches_beyond_the_ct_is_rejected(tmp_path):
    labels = np.ones((4, 5, 6), np.uint8)
    path = write(tmp_path / "mask.seg.nrrd", labels, origin=VOLUME.position((22, 10, 10)).tolist(), **segment(0, "LAD"))
    assert rejection(path) == "mask-grid"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (segment(0, "Calcium"), "mask-labels"),
        ({**segment(0, "LAD"), **segment(1, "LCX")}, "mask-overlap"),
        (segment(0, "LAD", 3), "mask-labels"),
        (segment(0, "LAD", 1, layer=2), "bad-header"),
        (segment(0, "LAD", "one"), "bad-header"),
    ],
)
def test_segments_that_cannot_be_scored_are_rejected(tmp_path, fields, code):
    labels = np.zeros(VOLUME.shape, np.uint8)
    labels[4, 20, 20:24] = 1
    assert rejection(write(tmp_path / "mask.seg.nrrd", labels, **fields)) == code


def test_our_own_segmentation_reads_back_as_it_was(tmp_path):
    labels = labels_of_all_arteries()
    write_segmentation(VOLUME, labels, tmp_path / "segmentation.seg.nrrd")
    np.testing.assert_array_equal(open_mask(tmp_path / "segmentation.seg.nrrd", VOLUME), labels)


def test_what_is_no_mask_file_is_rejected(tmp_path):
    assert rejection(tmp_path / "gone.nrrd") == "no-file"
    (tmp_path / "mask.png").touch()
    assert rejection(tmp_path / "mask.png") == "unknown-format"
