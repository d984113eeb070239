"""A DICOM segmentation is scored as it was drawn, or rejected."""

import numpy as np
import pydicom
import pytest
from coronary_calcium.dicom_export.export import write_dicom
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct, open_mask
from coronary_calcium.volume import CTVolume
from dicom_factory import write_series
from dicom_tools import PATIENT, calcified_chest, scored_series


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mask")
    result = scored_series(folder / "ct")
    write_dicom(result, folder / "seg.dcm")
    return result.volume, result.labels, folder / "seg.dcm"


@pytest.fixture
def edited(drawn, tmp_path):
    """A function that writes the segmentation with changes, and tells why it is rejected (None if it is not)."""

    def write(change):
        dataset = pydicom.dcmread(drawn[2])
        change(dataset)
        dataset.save_as(tmp_path / "changed.dcm")
        return rejection(tmp_path / "changed.dcm", drawn[0])

    return write


def rejection(path, volume):
    try:
        open_mask(path, volume)
    except InputError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
        return error.code
    return None


def test_the_name_of_the_file_does_not_matter(drawn, tmp_path):
    volume, labels, path = drawn
    (tmp_path / "1.2.826").write_bytes(path.read_bytes())
    np.testing.assert_array_equal(open_mask(tmp_path / "1.2.826", volume), labels)


def test_a_label_map_segmentation_is_read_as_it_was_drawn(tmp_path):
    import highdicom
    from pydicom.sr.codedict import codes

    result = scored_series(tmp_path / "ct")
    images = [pydicom.dcmread(path) for path in result.volume.series.files]
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=number, segment_label=name, algorithm_type="MANUAL",
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
        )
        for number, name in enumerate(("LM", "LAD", "LCX", "RCA", "unassigned"), 1)
    ]  # fmt: skip
    highdicom.seg.Segmentation(
        images, result.labels, "LABELMAP", described, highdicom.UID(), 9, highdicom.UID(), 1, "x", "y", "1", "1"
    ).save_as(tmp_path / "map.dcm")
    np.testing.assert_array_equal(open_mask(tmp_path / "map.dcm", result.volume), result.labels)


def test_a_segment_without_an_arterys_name_is_known_by_its_code(drawn, tmp_path):
    volume, labels, path = drawn
    dataset = pydicom.dcmread(path)
    for segment in dataset.SegmentSequence:
        segment.SegmentLabel = "Calcium"
    dataset.save_as(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(open_mask(tmp_path / "seg.dcm", volume), labels)


def test_a_segment_without_a_code_is_known_by_its_name(drawn, tmp_path):
    volume, labels, path = drawn
    dataset = pydicom.dcmread(path)
    for segment in dataset.SegmentSequence:
        del segment.AnatomicRegionSequence
        segment.SegmentLabel = segment.SegmentLabel.lower()
    dataset.save_as(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(open_mask(tmp_path / "seg.dcm", volume), labels)


def test_a_segment_of_neither_is_rejected(edited):
    def change(dataset):
        dataset.SegmentSequence[0].SegmentLabel = "Calcium"
        del dataset.SegmentSequence[0].AnatomicRegionSequence

    assert edited(change) == "mask-labels"


def test_a_segment_whose_name_and_code_contradict_each_other_is_rejected(edited):
    def change(dataset):
        dataset.SegmentSequence[0].SegmentLabel = "LCX"

    assert edited(change) == "mask-labels"


def test_overlapping_segments_are_rejected(edited):
    def change(dataset):
        frames = dataset.PerFrameFunctionalGroupsSequence
        frames[1].PlanePositionSequence = frames[0].PlanePositionSequence
        pixels = dataset.pixel_array
        pixels[1] = pixels[0]
        frames[1].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2
        dataset.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes()

    assert edited(change) == "mask-overlap"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", [-63.0, -70.0, -288.0]),
        ("ImagePositionPatient", [-64.0, -70.0, -286.5]),
        ("ImagePositionPatient", [-64.0, -70.0, 900.0]),
    ],
)
def test_frames_elsewhere_are_rejected(edited, keyword, value):
    def change(dataset):
        setattr(dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0], keyword, value)

    assert edited(change) == "mask-grid"


@pytest.mark.parametrize("spacing", [[2.0, 2.1], [1.0, 1.0]])
def test_pixels_of_another_size_are_rejected(edited, spacing):
    def change(dataset):
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = spacing

    assert edited(change) == "mask-grid"


def test_coronal_frames_are_rejected(edited):
    def change(dataset):
        shared = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        shared.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    assert edited(change) == "mask-grid"


def test_a_segmentation_of_another_series_is_rejected_though_its_grid_fits(drawn, tmp_path):
    write_series(tmp_path / "other", calcified_chest(), **PATIENT)
    assert rejection(drawn[2], open_ct(tmp_path / "other").volume) == "mask-other-series"


def test_an_image_file_of_the_same_scan_may_be_scored_with_it(drawn):
    volume, labels, path = drawn
    copy = CTVolume(volume.hu, volume.spacing, volume.origin, volume.direction)
    np.testing.assert_array_equal(open_mask(path, copy), labels)


def test_other_dicom_files_are_rejected(drawn, edited):
    assert rejection(drawn[0].series.files[0], drawn[0]) == "unknown-format"
    assert edited(lambda dataset: setattr(dataset, "SegmentationType", "FRACTIONAL")) == "unknown-format"


def test_a_damaged_file_is_rejected(drawn, edited, tmp_path):
    whole = drawn[2].read_bytes()
    for share in (0.3, 0.6, 0.95):
        (tmp_path / "cut.dcm").write_bytes(whole[: int(len(whole) * share)])
        assert rejection(tmp_path / "cut.dcm", drawn[0]) in ("truncated", "unknown-format")
    assert edited(lambda dataset: setattr(dataset, "NumberOfFrames", 2**30)) == "truncated"
    assert edited(lambda dataset: delattr(dataset, "PerFrameFunctionalGroupsSequence")) == "truncated"
