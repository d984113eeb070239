"""`coronary-calcium score` scores the real phantom, and any scan however it is stored."""

import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from command_cases import AGATSTON, ORIGIN, SPACING, marked, patient_hu, run, scores_in, validate, write_image
from coronary_calcium.io import open_ct
from coronary_calcium.reports.segmentation_file import write_segmentation
from coronary_calcium.scoring import score_labels
from dicom_factory import write_series
from phantom import TOTAL, inserts, phantom_mask
from shared_data import real_series


@pytest.fixture(scope="module")
def phantom_run(tmp_path_factory):
    """The phantom's volume, its mask and the scores that the command wrote."""
    folder = tmp_path_factory.mktemp("phantom")
    series = real_series("qrm-phantom")
    volume = open_ct(series).volume
    mask = phantom_mask(volume)
    write_image(folder / "mask.nrrd", mask, volume.spacing, volume.origin)
    outcome = run("score", series, "--mask", folder / "mask.nrrd", "--output", folder / "result")
    assert outcome.code == 0, outcome
    return volume, mask, scores_in(folder / "result"), outcome


def test_the_phantom_scores_966_63(phantom_run):
    volume, mask, scores, outcome = phantom_run
    assert round(scores["agatston"]["total"], 2) == TOTAL
    assert scores["agatston"]["total"] == score_labels(volume, mask).total.agatston
    assert f"{TOTAL:.2f}" in outcome.out
    validate(scores)


def test_every_insert_of_the_phantom_scores_what_is_published(phantom_run):
    volume, _, scores, _ = phantom_run
    found = dict.fromkeys((insert.name for insert in inserts()), 0.0)
    for lesion in scores["lesions"]:
        place = volume.direction.T @ np.subtract(lesion["centroid_lps_mm"], volume.origin)
        index = place[::-1] / volume.spacing
        nearest = min(inserts(), key=lambda insert: np.linalg.norm((index - insert.center) * volume.spacing))
        found[nearest.name] += lesion["agatston"]
    assert {name: round(score, 2) for name, score in found.items()} == {
        insert.name: insert.agatston for insert in inserts()
    }


def test_the_phantom_scores_the_same_in_slicer_to_the_last_digit(phantom_run, request):
    pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")
    from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic
    from CoronaryCalciumScoringLib.volume_node import add_volume_node

    volume, mask, scores, _ = phantom_run
    scene = request.getfixturevalue("scene")
    logic = CoronaryCalciumScoringLogic()
    case = logic.prepare(add_volume_node(scene.mrml, volume, "phantom"))
    result = logic.score(add_volume_node(scene.mrml, volume, "again"), labels=case.ct.order.undo(mask)).result
    assert result.score.total.agatston == scores["agatston"]["total"]
    assert {name: tally.agatston for name, tally in result.score.by_artery.items()} == scores["agatston"]["by_artery"]
    assert result.score.total.volume_mm3 == scores["volume_mm3"]["total"]


def _stored(tmp_path, name):
    """The patient's scan stored in one of the ways that must not matter."""
    hu = patient_hu()
    far = np.array(ORIGIN) + np.array(SPACING[::-1]) * (np.array(hu.shape[::-1]) - 1)
    x, y, z = ORIGIN
    layouts = {
        "descending": (hu, {"edit": lambda k, dataset: setattr(dataset, "InstanceNumber", 100 - k)}),
        "prone": (hu[:, ::-1, ::-1], {"orientation": (-1, 0, 0, 0, -1, 0), "origin": (far[0], far[1], z)}),
        "feet first": (hu[::-1, :, ::-1], {"orientation": (-1, 0, 0, 0, 1, 0), "origin": (far[0], y, far[2])}),
        "on the side": (
            np.transpose(hu, (0, 2, 1))[:, :, ::-1],
            {"orientation": (0, -1, 0, 1, 0, 0), "origin": (x, far[1], z)},
        ),
        "half a slope": (hu, {"slope": 0.5}),
        "signed": (hu, {"signed": True, "intercept": 0}),
        **{syntax: (hu, {"syntax": syntax}) for syntax in ("implicit", "big", "rle", "jpeg-lossless", "jpeg2000")},
    }
    if name in layouts:
        array, options = layouts[name]
        write_series(tmp_path / "ct", array, **{"spacing": SPACING, "origin": ORIGIN, **options})
        return tmp_path / "ct"
    image = sitk.ReadImage(str(write_image(tmp_path / "ct.nrrd", hu)))
    image = {
        "coronal file": lambda: sitk.PermuteAxes(image, (0, 2, 1)),
        "flipped file": lambda: sitk.Flip(image, (True, False, True)),
        "float file": lambda: sitk.Cast(image, sitk.sitkFloat64),
    }[name]()
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    return tmp_path / "ct.nii.gz"


@pytest.mark.parametrize(
    "name",
    ["descending", "prone", "feet first", "on the side", "half a slope", "signed", "implicit", "big", "rle",
     "jpeg-lossless", "jpeg2000", "coronal file", "flipped file", "float file"],
)  # fmt: skip
def test_the_score_does_not_depend_on_how_the_scan_is_stored(name, tmp_path):
    mask = write_image(tmp_path / "mask.nrrd", marked(patient_hu()))
    outcome = run("score", _stored(tmp_path, name), "--mask", mask, "--output", tmp_path / "result")
    assert outcome.code == 0, outcome
    scores = scores_in(tmp_path / "result")
    assert scores["agatston"]["total"] == AGATSTON
    assert scores["lesions"][0]["slices"] == {"first": 8, "last": 10, "main": 8}


def _converted(series, folder, suffix):
    """A series as a ZIP, or read and written by a common toolkit."""
    path = folder / f"ct{suffix}"
    if suffix == ".zip":
        return shutil.make_archive(str(path.with_suffix("")), "zip", series)
    reader = sitk.ImageSeriesReader()
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(os.fspath(series))
    reader.SetFileNames(files)
    sitk.WriteImage(reader.Execute(), str(path), True)
    return path


@pytest.mark.parametrize("suffix", [".zip", ".nrrd", ".nii", ".nii.gz", ".mha", ".mhd"])
def test_every_number_is_the_same_to_the_last_digit_in_every_format(suffix, tmp_path):
    """The pixel sizes lie halfway between two roundings, and the patient lies half a degree askew."""
    spacing, turn = (2.53, 868 / 512, 932 / 512), np.radians(0.5)
    orientation = (np.cos(turn), np.sin(turn), 0, -np.sin(turn), np.cos(turn), 0)
    hu = patient_hu()
    hu[15:17, 20:24, 30:33] = 210
    write_series(tmp_path / "ct", hu, spacing=spacing, origin=ORIGIN, orientation=orientation)
    volume = open_ct(tmp_path / "ct").volume
    labels = marked(hu)
    labels[15:17, 20:24, 30:33] = 4
    write_segmentation(volume, labels, tmp_path / "mask.seg.nrrd")
    results = []
    for name, source in (("dicom", tmp_path / "ct"), ("other", _converted(tmp_path / "ct", tmp_path, suffix))):
        outcome = run("score", source, "--mask", tmp_path / "mask.seg.nrrd", "--output", tmp_path / name)
        assert outcome.code == 0, outcome
        scores = scores_in(tmp_path / name)
        for lesion in scores["lesions"]:
            # A NIfTI header has 32-bit numbers: the patient's place in the room is known to a thousandth of a mm.
            lesion["centroid_lps_mm"] = np.round(lesion["centroid_lps_mm"], 2).tolist()
        results.append({key: scores[key] for key in ("agatston", "volume_mm3", "mass_mg", "lesions", "risk_category")})
        results[-1]["spacing"] = scores["acquisition"]["spacing_mm"]
    assert results[0]["agatston"]["by_artery"]["RCA"] > 0
    assert results[0] == results[1]
