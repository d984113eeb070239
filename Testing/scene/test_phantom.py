"""The real phantom in Slicer's scene scores what the engine gives and what is published."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

import vtk  # noqa: E402 after the check that there is a Slicer
from coronary_calcium.io import open_ct  # noqa: E402
from coronary_calcium.scoring import score_labels  # noqa: E402
from CoronaryCalciumScoringLib.logic import CoronaryCalciumScoringLogic  # noqa: E402
from CoronaryCalciumScoringLib.score_table import score_rows  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import add_volume_node  # noqa: E402
from phantom import TOTAL, phantom_mask  # noqa: E402
from shared_data import real_series  # noqa: E402


@pytest.fixture(scope="module")
def engine_volume():
    return open_ct(real_series("qrm-phantom")).volume


def as_slicer_reads_it(scene, volume):
    """The series as a volume node by Slicer's own reader, given the files in the order of their slices (trap 3)."""
    names = vtk.vtkStringArray()
    for file in volume.series.files:
        names.InsertNextValue(str(file))
    return scene.logics["Volumes"].AddArchetypeVolume(str(volume.series.files[0]), "phantom", 0, names)


@pytest.mark.parametrize("reader", ["engine", "slicer"])
def test_the_phantom_scores_966_63_through_the_logic_to_the_engines_last_digit(scene, engine_volume, reader):
    mask = phantom_mask(engine_volume)
    expected = score_labels(engine_volume, mask)
    if reader == "engine":
        node = add_volume_node(scene.mrml, engine_volume, "phantom")
    else:
        node = as_slicer_reads_it(scene, engine_volume)
    logic = CoronaryCalciumScoringLogic()
    case = logic.prepare(node)
    assert np.array_equal(case.volume.hu, engine_volume.hu)
    scored = logic.score(node, labels=case.ct.order.undo(mask))
    total = score_rows(scored.tableNode)[-1]
    assert total.agatston == expected.total.agatston
    assert round(total.agatston, 2) == TOTAL
    assert scored.result.score.by_artery == expected.by_artery
