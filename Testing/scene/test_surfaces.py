"""Surfaces for the 3D views: the right place, size and color, and a scene that is as before afterwards."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD  # noqa: E402
from coronary_calcium.scoring.agatston import score_labels  # noqa: E402
from CoronaryCalciumScoringLib.surfaces import (  # noqa: E402
    HEART,
    SURFACE_ATTRIBUTE,
    heart_surface,
    hide_surfaces,
    lesion_surfaces,
    show_surfaces,
)
from CoronaryCalciumScoringLib.synthetic_ct import PLAQUES, SPACING_MM, add_synthetic_ct, synthetic_ct  # noqa: E402
from slicer_cases import ras_of  # noqa: E402


def test_a_lesions_surface_lies_around_its_voxels_in_the_patient(scene):
    node, _ = add_synthetic_ct(scene.mrml)
    volume, labels = synthetic_ct()
    surfaces = lesion_surfaces(score_labels(volume, labels), volume)
    assert set(surfaces) == {"LAD", "RCA"}
    assert surfaces["LAD"].GetPointData().GetScalars() is None  # its color is the artery's
    bounds = np.reshape(surfaces["LAD"].GetBounds(), (3, 2))
    corner = np.array(PLAQUES[0][1])
    assert np.allclose(bounds.mean(axis=1), ras_of(node, corner + (0.5, 0.5, 1.0)), atol=1e-3)
    # Half a voxel around the centers on each side: the plaque's own size.
    assert np.allclose(np.ptp(bounds, axis=1), np.array((3, 2, 2)) * SPACING_MM[::-1], atol=1e-3)


def test_the_hearts_surface_follows_its_region(scene):
    volume, _ = synthetic_ct()
    region = np.zeros(volume.shape, bool)
    region[10:30, 40:80, 50:90] = True
    bounds = np.reshape(heart_surface(region, volume).GetBounds(), (3, 2))
    assert np.allclose(np.ptp(bounds, axis=1), (40 * 2.5, 40 * 2.5, 20 * 3.0), atol=8.0)


def test_surfaces_are_shown_in_3d_only_replaced_and_taken_away(scene):
    volume, labels = synthetic_ct()
    before = scene.content()
    heart = heart_surface(labels > 0, volume)
    show_surfaces(scene.mrml, lesion_surfaces(score_labels(volume, labels), volume), heart)
    models = {node.GetAttribute(SURFACE_ATTRIBUTE): node for node in slicer.util.getNodesByClass("vtkMRMLModelNode")}
    assert set(models) == {"LAD", "RCA", HEART}
    display = models["LAD"].GetDisplayNode()
    assert display.GetColor() == pytest.approx(LAD.color)
    assert not display.GetVisibility2D()
    assert models[HEART].GetDisplayNode().GetOpacity() < 0.5
    labels[labels == LAD.label] = 0
    show_surfaces(scene.mrml, lesion_surfaces(score_labels(volume, labels), volume))
    assert models["LAD"].GetScene() is None
    assert models[HEART].GetScene() is scene.mrml
    hide_surfaces(scene.mrml)
    assert scene.content() == before
