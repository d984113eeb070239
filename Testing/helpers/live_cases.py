"""Cases for the tests of live scores: a small CT full of calcium, and a hand that edits its segments at random."""

import dataclasses
import types

import numpy as np
import slicer
from coronary_calcium.arteries import ARTERIES
from coronary_calcium.errors import InputError
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import CTVolume
from CoronaryCalciumScoringLib.live_scores import LiveScores
from CoronaryCalciumScoringLib.segmentation import (
    BINARY_LABELMAP,
    add_segment,
    add_segmentation,
    cropped_labelmap,
    read_labels,
)
from CoronaryCalciumScoringLib.volume_node import add_volume_node, array_of, scene_ct

# As few voxels as the field of a heart allows, so that thousands of edits take seconds.
SHAPE = (24, 64, 64)
SPACING_MM = (3.0, 1.6, 1.6)
# Three of these large pixels are the smallest part that counts.
RULES = dataclasses.replace(LITERATURE, minimum_area_mm2=7.0)
# Where calcium lies and edits are made (k, j, i).
REGION = (slice(2, 22), slice(14, 50), slice(12, 52))
# Where a single stroke goes.
BOX = (slice(8, 9), slice(20, 32), slice(20, 34))


def calcium_ct(seed):
    """A body in air whose middle is speckled with voxels from 60 to 550 HU, and labels of half of them (k, j, i)."""
    rng = np.random.default_rng(seed)
    hu = np.full(SHAPE, 40, dtype=np.int16)
    hu[:, :8] = -1000
    part = hu[REGION]
    speckles = rng.random(part.shape) < 0.35
    part[speckles] = rng.integers(60, 550, np.count_nonzero(speckles))
    labels = np.zeros(SHAPE, dtype=np.uint8)
    rough = rng.integers(0, 2 * len(ARTERIES), [(size + 3) // 4 for size in part.shape])
    blocks = rough.repeat(4, 0).repeat(4, 1).repeat(4, 2)[tuple(slice(size) for size in part.shape)]
    labels[REGION] = np.where(blocks <= len(ARTERIES), blocks, 0)
    return CTVolume(hu, SPACING_MM, (-50.0, 20.0, 5.0)), labels


def add_calcium_case(scene, seed=0):
    """Nodes of such a CT and of its segmentation."""
    volume, labels = calcium_ct(seed)
    volume_node = add_volume_node(scene, volume, "CT")
    return add_segmentation(volume_node, labels, "Calcium"), volume_node


def full_score(segmentation_node, volume_node):
    """The engine's score of all voxels; None and the reason where they cannot be scored."""
    try:
        ct = scene_ct(volume_node)
        read = read_labels(segmentation_node, volume_node)
        score = score_labels(ct.volume, ct.order.apply(read.labels), RULES)
    except InputError as rejection:
        return types.SimpleNamespace(score=None, reason=str(rejection), warnings=())
    return types.SimpleNamespace(score=score, reason="", warnings=ct.volume.warnings + read.warnings)


def assert_equal_to_full(live, segmentation_node, volume_node):
    """Fail unless the live scores are the engine's, to the last digit and voxel."""
    expected = full_score(segmentation_node, volume_node)
    assert live.reason == expected.reason
    assert live.score == expected.score
    assert live.warnings == expected.warnings
    if live.score is not None:
        assert all(
            np.array_equal(one.voxels, other.voxels)
            for one, other in zip(live.score.lesions, expected.score.lesions, strict=True)
        )


class Editor:
    """The Segment Editor's own logic on one segmentation, as its effects use it."""

    def __init__(self, scene, segmentation_node, volume_node):
        self.segmentation_node, self.volume_node = segmentation_node, volume_node
        self.segmentation = segmentation_node.GetSegmentation()
        self.node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(scene)
        self.logic.SetSegmentEditorNode(self.node)
        self.logic.SetSegmentationNode(segmentation_node)
        self.logic.SetSourceVolumeNode(volume_node)

    def stroke(self, segment_id, box, *, erase=False, overwrite=None):
        """Paint or erase a box (k, j, i) of slices; ``overwrite`` as in vtkMRMLSegmentEditorNode."""
        if overwrite is not None:
            self.node.SetOverwriteMode(overwrite)
        self.logic.SaveStateForUndo()
        self.logic.SetCurrentSegmentID(segment_id)
        self.logic.ResetModifierLabelmapToDefault()
        modifier = self.logic.GetModifierLabelmap()
        array_of(modifier)[box] = 1
        modifier.Modified()
        mode = self.logic.ModificationModeRemove if erase else self.logic.ModificationModeAdd
        extent = [bound for axis in box[::-1] for bound in (axis.start, axis.stop - 1)]
        self.logic.ModifySegmentByLabelmap(self.segmentation_node, segment_id, modifier, mode, extent, False, False)

    def undo(self):
        self.logic.Undo()

    def redo(self):
        self.logic.Redo()


class Watched:
    """A case that is watched, and what the live scores have said."""

    def __init__(self, scene, seed=0):
        self.segmentation_node, self.volume_node = self.nodes = add_calcium_case(scene.mrml, seed)
        self.segmentation = self.segmentation_node.GetSegmentation()
        self.editor = Editor(scene.mrml, *self.nodes)
        self.scheduled, self.told = [], []
        self.live = LiveScores(lambda: self.scheduled.append(True), RULES)
        self.live.watch(*self.nodes)
        self.live.onChanged.append(self.told.append)

    def settle(self):
        """What the application's timer does; fails unless the events had it started once."""
        assert len(self.scheduled) == 1
        self.scheduled.clear()
        self.live.update()
        assert_equal_to_full(self.live, *self.nodes)

    def paint(self):
        self.editor.stroke("LAD", BOX)


class RandomHand:
    """Edits a segmentation in all the ways that there are, by chance; each ``edit`` returns the edit's name."""

    def __init__(self, scene, segmentation_node, volume_node, seed):
        self.rng = np.random.default_rng(seed)
        self.editor = Editor(scene, segmentation_node, volume_node)
        self.segmentation_node, self.volume_node = segmentation_node, volume_node
        self.segmentation = segmentation_node.GetSegmentation()
        self.edits = {
            self.paint: 10,
            self.erase: 10,
            self.set_voxels: 6,
            self.move: 6,
            self.undo: 8,
            self.redo: 5,
            self.clear: 2,
            self.rename: 4,
            self.remove: 2,
            self.add: 3,
            self.add_overlapping: 1,
            self.reorder: 1,
            self.write_by_numpy: 3,
            self.color: 1,
            self.change_ct: 1,
        }

    def edit(self):
        weights = np.array(list(self.edits.values()))
        chosen = list(self.edits)[self.rng.choice(weights.size, p=weights / weights.sum())]
        chosen()
        return chosen.__name__

    def _segment(self):
        """The identifier of a segment; one is added where there is none."""
        ids = self.segmentation.GetSegmentIDs()
        if not ids:
            add_segment(self.segmentation_node, ARTERIES[0])
            return self.segmentation.GetSegmentIDs()[0]
        return ids[self.rng.integers(len(ids))]

    def _box(self):
        low = [self.rng.integers(side.start, side.stop) for side in REGION]
        size = self.rng.integers(1, (3, 12, 12))
        return tuple(
            slice(int(a), int(min(a + b, side.stop + 4, n))) for a, b, side, n in zip(low, size, REGION, SHAPE)
        )

    def _voxels(self):
        box = self._box()
        chosen = self.rng.random([side.stop - side.start for side in box]) < 0.7
        return np.argwhere(chosen) + [side.start for side in box]

    def paint(self):
        self.editor.stroke(self._segment(), self._box(), overwrite=int(self.rng.integers(3)))

    def erase(self):
        self.editor.stroke(self._segment(), self._box(), erase=True)

    def set_voxels(self):
        """As scripts do, with every mode that there is."""
        voxels = self._voxels()
        if voxels.size:
            logic = slicer.vtkSlicerSegmentationsModuleLogic
            mode = [logic.MODE_REPLACE, logic.MODE_MERGE_MAX, logic.MODE_MERGE_MIN, logic.MODE_MERGE_MASK]
            image = cropped_labelmap(self.volume_node, voxels)
            logic.SetBinaryLabelmapToSegment(image, self.segmentation_node, self._segment(), mode[self.rng.integers(4)])

    def move(self):
        """Give voxels to another segment in one go, which takes them from the one that had them."""
        self.editor.stroke(self._segment(), self._box(), overwrite=self.editor.node.OverwriteAllSegments)

    def undo(self):
        self.editor.undo()

    def redo(self):
        self.editor.redo()

    def clear(self):
        self.editor.logic.SaveStateForUndo()
        slicer.vtkSlicerSegmentationsModuleLogic.ClearSegment(self.segmentation_node, self._segment())

    def rename(self):
        names = ["LM", "LAD", "LCX", "RCA", "unassigned", "rca", "valve", "Segment_1"]
        self.segmentation.GetSegment(self._segment()).SetName(names[self.rng.integers(len(names))])

    def remove(self):
        self.editor.logic.SaveStateForUndo()
        self.segmentation.RemoveSegment(self._segment())

    def add(self):
        if self.rng.random() < 0.7:
            add_segment(self.segmentation_node, ARTERIES[self.rng.integers(len(ARTERIES))])
        else:
            self.segmentation.AddEmptySegment("", "drawn by hand")

    def add_overlapping(self):
        """A copy of a segment, in a layer of its own; a few at most."""
        if self.segmentation.GetNumberOfSegments() < 12:
            copied = slicer.vtkSegment()
            copied.DeepCopy(self.segmentation.GetSegment(self._segment()))
            self.segmentation.AddSegment(copied, self.segmentation.GenerateUniqueSegmentID("copy"))

    def reorder(self):
        self.segmentation.ReorderSegments(list(self.rng.permutation(self.segmentation.GetSegmentIDs())))

    def write_by_numpy(self):
        """Voxels written behind the labelmap's back, and only the segment told."""
        segment = self.segmentation.GetSegment(self._segment())
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image.GetNumberOfPoints() > 0:
            voxels = array_of(image).reshape(-1)
            voxels[self.rng.integers(voxels.size, size=20)] = self.rng.integers(2) * segment.GetLabelValue()
            segment.Modified()

    def color(self):
        self.segmentation.GetSegment(self._segment()).SetColor(*self.rng.random(3))

    def change_ct(self):
        voxels = array_of(self.volume_node.GetImageData())
        voxels[self._box()] = self.rng.integers(60, 550)
        self.volume_node.GetImageData().GetPointData().GetScalars().Modified()
        self.volume_node.GetImageData().Modified()
