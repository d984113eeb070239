"""The DICOM segmentation says what was marked, where and by whom, and reads back to the last voxel."""

import highdicom
import numpy as np
import pydicom
import pytest
from coronary_calcium.arteries import ARTERIES
from coronary_calcium.dicom_export.export import write_dicom
from coronary_calcium.dicom_export.segmentation import cielab
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.io import open_ct, open_mask
from coronary_calcium.scoring import score_labels
from dicom_factory import write_enhanced
from dicom_tools import PATIENT, calcified_chest, run_tool, scored_series, some_labels
from example_results import CARD, case_result
from pydicom.sr.codedict import codes


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seg")
    result = scored_series(folder / "ct", mask_given=False)
    write_dicom(result, folder / "segmentation.dcm")
    return result, folder / "segmentation.dcm"


def test_the_artery_codes_are_those_of_ps3_16():
    expected = [
        codes.cid3015.LeftMainCoronaryArtery,
        codes.cid3015.LeftAnteriorDescendingCoronaryArtery,
        codes.cid3015.CircumflexCoronaryArtery,
        codes.cid3015.RightCoronaryArtery,
        codes.SCT.CoronaryArtery,
    ]
    assert [artery.code for artery in ARTERIES] == [code.value for code in expected]


def test_each_artery_with_calcium_is_one_coded_segment(written):
    _, path = written
    read = highdicom.seg.segread(path)
    assert read.segmentation_type.value == "BINARY"
    assert [read.get_segment_description(n).segment_label for n in read.segment_numbers] == ["LAD", "RCA", "unassigned"]
    first = read.get_segment_description(1)
    assert first.segmented_property_category == codes.cid7150.MorphologicallyAbnormalStructure
    assert first.segmented_property_type == codes.cid3802.PathologicCalcification
    assert first.anatomic_regions[0] == codes.cid3015.LeftAnteriorDescendingCoronaryArtery


def test_a_segment_says_that_the_network_with_these_weights_made_it(written):
    _, path = written
    segment = highdicom.seg.segread(path).get_segment_description(1)
    assert segment.algorithm_type.value == "AUTOMATIC"
    assert segment.algorithm_identification.family == codes.cid7162.ArtificialIntelligence
    assert segment.algorithm_identification.parameters["weights SHA-256"] == CARD["sha256"]


def test_a_given_label_map_is_not_said_to_be_the_networks(tmp_path):
    write_dicom(scored_series(tmp_path / "ct"), tmp_path / "seg.dcm")
    segment = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "MANUAL"
    assert "SegmentationAlgorithmIdentificationSequence" not in segment


def test_it_refers_to_every_source_image_and_belongs_to_their_patient(written):
    result, path = written
    read = pydicom.dcmread(path)
    source = pydicom.dcmread(result.volume.series.files[0])
    referenced = read.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == result.volume.series.series_uid
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == set(
        result.volume.series.instance_uids
    )
    for keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber", "FrameOfReferenceUID",
    ):  # fmt: skip
        assert read[keyword].value == source[keyword].value, keyword
    assert read.SeriesInstanceUID != source.SeriesInstanceUID
    assert "research use only" in read.ContentDescription.lower()
    assert RESEARCH_USE.startswith("Research use only")


def test_two_runs_make_two_series(tmp_path, written):
    result, path = written
    write_dicom(result, tmp_path / "again.dcm")
    first, second = pydicom.dcmread(path), pydicom.dcmread(tmp_path / "again.dcm")
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert first[keyword].value != second[keyword].value


def test_dcmtk_reads_it(written):
    text, code = run_tool("dcmdump", "+P", "SegmentLabel", written[1])
    assert code == 0
    assert [line.split("[")[1].split("]")[0] for line in text.splitlines()] == ["LAD", "RCA", "unassigned"]


def test_the_standards_checker_finds_no_error(written):
    text, code = run_tool("dciodvfy", written[1])
    assert code == 0
    assert "Error" not in text, text
    assert text.splitlines()[-1] == "Segmentation"


@pytest.mark.parametrize(
    "orientation",
    [
        (1, 0, 0, 0, 1, 0),
        (-1, 0, 0, 0, -1, 0),
        (-1, 0, 0, 0, 1, 0),
        (0, 1, 0, 1, 0, 0),
        (0, 1, 0, -1, 0, 0),
        (0.99998477, 0.00552, 0, -0.00552, 0.99998477, 0),
    ],
)
def test_it_reads_back_as_it_was_however_the_patient_lay(tmp_path, orientation):
    result = scored_series(tmp_path / "ct", orientation=orientation, spacing=(3.0, 1.9, 2.1))
    write_dicom(result, tmp_path / "seg.dcm")
    labels = open_mask(tmp_path / "seg.dcm", result.volume)
    np.testing.assert_array_equal(labels, result.labels)
    assert score_labels(result.volume, labels).total == result.score.total


def test_its_pixels_lie_on_those_of_the_source_images(tmp_path):
    """Patient lying feet first and face down: the file's rows and columns, not the volume's, hold the marks."""
    result = scored_series(tmp_path / "ct", orientation=(-1, 0, 0, 0, -1, 0))
    write_dicom(result, tmp_path / "seg.dcm")
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    uid = result.volume.series.instance_uids[4]
    (pixels,) = read.get_pixels_by_source_instance([uid], segment_numbers=[1])
    np.testing.assert_array_equal(pixels[..., 0] > 0, result.labels[4, ::-1, ::-1] == 2)


def test_frames_of_a_multi_frame_ct_are_found_by_their_position(tmp_path):
    volume = open_ct(write_enhanced(tmp_path / "ct" / "one", calcified_chest())).volume
    result = case_result(volume, some_labels(volume), mask_given=True)
    write_dicom(result, tmp_path / "seg.dcm", tmp_path / "sr.dcm")
    np.testing.assert_array_equal(open_mask(tmp_path / "seg.dcm", volume), result.labels)
    assert pydicom.dcmread(tmp_path / "sr.dcm").Modality == "SR"


def test_headers_that_lack_or_misstate_entries_still_make_valid_objects(tmp_path):
    """What anonymizers remove and scanners get wrong: type 2 entries, thickness, spacing, orientation's last digit."""

    def spoil(k, dataset):
        for keyword in [*PATIENT, "SliceThickness", "PatientID", "PatientName"]:
            if keyword in dataset:
                delattr(dataset, keyword)
        dataset.SpacingBetweenSlices = 99
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0.000001 * (k % 2)]

    result = scored_series(tmp_path / "ct", edit=spoil)
    write_dicom(result, tmp_path / "seg.dcm", tmp_path / "sr.dcm")
    np.testing.assert_array_equal(open_mask(tmp_path / "seg.dcm", result.volume), result.labels)
    measures = pydicom.dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SpacingBetweenSlices == 3.0
    assert pydicom.dcmread(tmp_path / "sr.dcm").PatientName == ""
    for name in ("seg.dcm", "sr.dcm"):
        assert "Error" not in run_tool("dciodvfy", tmp_path / name)[0]


def test_no_calcium_makes_one_segment_of_empty_frames(tmp_path):
    write_dicom(scored_series(tmp_path / "ct", labels=np.zeros((24, 64, 64), np.uint8)), tmp_path / "seg.dcm")
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [segment.SegmentLabel for segment in read.SegmentSequence] == ["unassigned"]
    assert not read.pixel_array.any()
    assert not open_mask(tmp_path / "seg.dcm", open_ct(tmp_path / "ct").volume).any()
    assert "Error" not in run_tool("dciodvfy", tmp_path / "seg.dcm")[0]


def test_colors_are_those_of_dicom():
    """White is L* 100, a* = b* = 0 (PS3.3 C.10.7.1.1: 65535, 32896, 32896); red is L* 54.3, a* 80.8, b* 69.9 at D50."""
    assert cielab((1.0, 1.0, 1.0)) == pytest.approx([65535, 32896, 32896], abs=3)
    red = cielab((1.0, 0.0, 0.0))
    assert red[0] / 65535 * 100 == pytest.approx(54.29, abs=0.05)
    assert red[1] / 65535 * 255 - 128 == pytest.approx(80.81, abs=0.1)
    assert red[2] / 65535 * 255 - 128 == pytest.approx(69.89, abs=0.1)
