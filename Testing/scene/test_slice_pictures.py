"""Slice views drawn without a window: the right place, the segments' colors, and a scene that does not notice."""

import io

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD  # noqa: E402 after the check that there is a Slicer
from CoronaryCalciumScoringLib.segmentation import add_segmentation  # noqa: E402
from CoronaryCalciumScoringLib.slice_pictures import FIELD_MM, draw_views, reader_views, views_at  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import PLAQUES, SPACING_MM, add_synthetic_ct  # noqa: E402
from PIL import Image  # noqa: E402
from slicer_cases import ras_of  # noqa: E402

SIDE = 300
PIXELS_PER_MM = SIDE / FIELD_MM
MIDDLE = (SIDE - 1) / 2


def pixels(picture):
    """A picture as numbers (row, column, RGB)."""
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


@pytest.fixture
def nodes(scene):
    """The synthetic CT, its segmentation, and the place in the middle of the plaque in the LAD."""
    volume, labels = add_synthetic_ct(scene.mrml)
    corner = np.array(PLAQUES[0][1])
    return volume, add_segmentation(volume, labels, "Reader"), ras_of(volume, corner + (0.5, 0.5, 1.0))


def test_the_plaque_lies_in_the_middle_of_all_three_views_in_its_arterys_color_and_its_size(nodes):
    volume, segmentation, place = nodes
    for picture, (height_mm, width_mm) in zip(
        draw_views(volume, segmentation, views_at(place), SIDE), ((5.0, 7.5), (6.0, 5.0), (6.0, 7.5)), strict=True
    ):
        drawn = pixels(picture)
        assert drawn.shape == (SIDE, SIDE, 3)
        colored = np.ptp(drawn, axis=2) > 20
        rows, columns = np.nonzero(colored)
        assert abs(rows.mean() - MIDDLE) < 1.5
        assert abs(columns.mean() - MIDDLE) < 1.5
        assert np.ptp(rows) / PIXELS_PER_MM == pytest.approx(height_mm, abs=1.5)
        assert np.ptp(columns) / PIXELS_PER_MM == pytest.approx(width_mm, abs=1.5)
        outline = drawn[colored][np.ptp(drawn[colored], axis=1).argmax()]
        assert np.abs(outline - 255 * np.array(LAD.color)).max() < 40


def test_a_mark_frames_the_lesion_in_all_three_views_and_hides_no_pixel_of_it(nodes):
    volume, segmentation, place = nodes
    views, radius_mm = views_at(place), 4.0
    bare = draw_views(volume, segmentation, views, SIDE)
    for before, after in zip(bare, draw_views(volume, segmentation, views, SIDE, (place, radius_mm)), strict=True):
        changed = (pixels(before) != pixels(after)).any(axis=2)
        rows, columns = np.nonzero(changed)
        distances_mm = np.hypot(rows - MIDDLE, columns - MIDDLE) / PIXELS_PER_MM
        assert distances_mm.min() > radius_mm + 2.0
        assert distances_mm.max() < radius_mm + 6.0
        # All around: some of the ring in each of twelve directions.
        directions = np.floor(np.arctan2(rows - MIDDLE, columns - MIDDLE) / (np.pi / 6))
        assert len(set(directions)) >= 12
        # A line, not a disc: inside it the picture is the one without the mark.
        assert changed.mean() < 0.03


def test_without_segments_the_views_are_gray_and_right_of_the_patient_is_left_of_the_picture(nodes, scene):
    volume, _, place = nodes
    empty = add_segmentation(volume, np.zeros(volume.GetImageData().GetDimensions()[::-1], np.uint8), "Nothing")
    (axial, *_) = draw_views(volume, empty, views_at((place[0] + 20.0, *place[1:])), SIDE)
    drawn = pixels(axial)
    assert np.ptp(drawn, axis=2).max() == 0
    columns = np.nonzero(drawn[SIDE // 2 - 4 : SIDE // 2 + 4].max(axis=(0, 2)) > 150)[0]
    # The view's middle moved 20 mm to the patient's right, so the plaque is 20 mm to the right in the picture.
    assert columns.mean() - MIDDLE == pytest.approx(20 * PIXELS_PER_MM, abs=SPACING_MM[2] * PIXELS_PER_MM)


def test_captions_name_orientation_and_place(nodes):
    assert [view.caption for view in views_at((-12.5, 38.75, 61.5))] == [
        "Axial, S 61.5 mm",
        "Sagittal, L 12.5 mm",
        "Coronal, A 38.8 mm",
    ]


def test_the_readers_views_are_those_of_the_layout_as_they_stand(nodes, scene):
    volume, segmentation, place = nodes
    assert reader_views(scene.mrml) == []
    for name, mapped in (("Red", 1), ("Hidden", 0)):
        node = slicer.vtkMRMLSliceNode()
        node.SetLayoutName(name)
        node.SetName(name)
        node.SetMappedInLayout(mapped)
        node = scene.mrml.AddNode(node)
        node.SetFieldOfView(120.0, 60.0, 1.0)
        node.JumpSlice(*place)
    (view,) = reader_views(scene.mrml)
    assert view.field_mm == (120.0, 60.0)
    assert view.slice_to_ras[2, 3] == pytest.approx(place[2])
    (picture,) = draw_views(volume, segmentation, [view], 200)
    assert pixels(picture).shape == (100, 200, 3)


def test_drawing_leaves_the_scene_as_it_was(nodes, scene):
    volume, segmentation, place = nodes
    before, times = scene.content(), (volume.GetMTime(), volume.GetImageData().GetMTime(), segmentation.GetMTime())
    draw_views(volume, segmentation, views_at(place), 100)
    assert scene.content() == before
    assert (volume.GetMTime(), volume.GetImageData().GetMTime(), segmentation.GetMTime()) == times
