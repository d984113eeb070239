"""The network beside a reading by eye: what is certain, unsure, false, and how probable it was."""

from dataclasses import replace

import numpy as np
import pytest
from coronary_calcium.datasets.labeled_scans import UNSURE, find_labeled, read_labels
from coronary_calcium.evaluation.measure import measure
from coronary_calcium.evaluation.patients import find_patients
from coronary_calcium.evaluation.reading_comparison import compare_with_reading, reading_lines
from coronary_calcium.evaluation.results import PatientResult, from_json
from coronary_calcium.io import open_ct
from coronary_calcium.volume import CTVolume
from evaluation_cases import BONE_BOX, LAD_BOX, MISSED_BOX, RCA_BOX, model, opened
from shared_data import real_scans

# A pixel of 1 mm2 in a slice of 3 mm counts its weight.
LAD, LCX_UNSURE, RCA = np.s_[1, 2:4, 2:6], np.s_[1, 8:10, 2:6], np.s_[2, 2:4, 8:10]
ROOT, NOWHERE = np.s_[2, 8:10, 8:12], np.s_[0, 12:14, 12:14]


def _scan():
    """A scan with its reading: weight 4 in the LAD, 1 in the RCA, 2 in the aortic root and where nothing is labeled."""
    hu, reading = np.full((4, 16, 16), 40, np.int16), np.zeros((4, 16, 16), np.uint8)
    for place, value, label in ((LAD, 500, 2), (LCX_UNSURE, 500, 5), (RCA, 150, 4), (ROOT, 250, 6), (NOWHERE, 250, 0)):
        hu[place], reading[place] = value, label
    return CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0)), reading


def test_what_is_found_in_part_counts_in_part_and_what_is_false_has_a_name():
    volume, reading = _scan()
    labels = np.zeros(reading.shape, np.uint8)
    labels[1, 2:4, 2:5] = 2  # six of the LAD's eight pixels
    for place in (ROOT, NOWHERE, LCX_UNSURE):
        labels[place] = 2
    found = compare_with_reading(volume, reading, labels, np.zeros(reading.shape, np.float16))
    assert found.certain == 8 * 4 + 4 * 1
    assert found.recovered == 6 * 4
    assert found.false == {"aortic wall, root or valve": 8 * 2.0, "not labeled": 4 * 2.0}
    assert found.unsure == 8 * 4
    assert [(lesion.artery, lesion.found) for lesion in found.lesions] == [("LAD", 0.75), ("RCA", 0.0)]


def test_each_lesion_tells_its_highest_mean_and_core_probability():
    volume, reading = _scan()
    volume.hu[1, 2, 2:4] = 600  # the brightest quarter
    probability = np.zeros(reading.shape, np.float16)
    probability[LAD], probability[1, 2, 2:4], probability[1, 3, 5] = 0.25, 0.5, 1.0
    lesion = compare_with_reading(volume, reading, reading * 0, probability).lesions[0]
    assert (lesion.highest, lesion.core, lesion.mean) == (1.0, 0.5, (5 * 0.25 + 2 * 0.5 + 1) / 8)


def test_unsure_calcium_is_in_no_figure_of_an_evaluation():
    patient = opened()
    reading = patient.labels.copy()
    reading[BONE_BOX], reading[RCA_BOX] = 10, 5
    truth = np.where(reading < 5, reading, 0).astype(np.uint8)
    measured, labels = measure(replace(patient, labels=truth, reading=reading), model(), every_slice=False)
    assert labels[LAD_BOX].all() and labels[BONE_BOX].all()
    assert not labels[RCA_BOX].any() and not labels[MISSED_BOX].any()
    assert measured.true_agatston["RCA"] == 0
    assert measured.reading.unsure > 0 and list(measured.reading.false) == ["bone or cartilage"]
    assert measured.reading.recovered == measured.true_agatston["LAD"] == measured.found_agatston["LAD"] - 12
    result = PatientResult("scan", {}, measured)
    assert from_json(result.as_json()) == result
    lines = reading_lines("scan", measured.true_agatston, measured.found_agatston, measured.reading)
    assert lines[0].startswith("scan: ") and "  false: 12.0 bone or cartilage" in lines


def test_a_label_map_beside_its_images_is_a_scan_with_a_reading(tmp_path):
    for name in ("b-labels.nrrd", "b.nrrd", "a-labels.nrrd", "c-labels.nrrd"):
        (tmp_path / name).touch()
    (tmp_path / "a").mkdir()
    assert [(one.name, one.path.name, one.reading.name) for one in find_patients(tmp_path)] == [
        ("a", "a", "a-labels.nrrd"),
        ("b", "b.nrrd", "b-labels.nrrd"),
    ]


@pytest.mark.parametrize(
    ("scan", "arteries"),
    [
        ("ACRIN-NSCLC-FDG-PET-042", {"LM": 41.6, "LAD": 574.8, "RCA": 30.1}),
        ("NLST-101287", {"LM": 8.9, "LAD": 70.8}),
    ],
)
def test_the_readings_of_real_scans_have_their_published_scores(scan, arteries):
    images, path = find_labeled(real_scans())[scan]
    volume = open_ct(images).volume
    reading = read_labels(path, volume)
    coronary = np.where(reading < UNSURE, reading, 0)
    found = compare_with_reading(volume, reading, coronary, np.zeros(volume.shape, np.float16))
    assert found.certain == pytest.approx(sum(arteries.values()), abs=0.2)
    assert found.recovered == pytest.approx(found.certain)
    assert {lesion.artery for lesion in found.lesions} == set(arteries)
