"""`coronary-calcium score` scores the real phantom, and any scan however it is stored."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from command_cases import AGATSTON, ORIGIN, SPACING, marked, patient_hu, run, scores_in, validate, write_image
from coronary_calcium.reading import open_ct
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
