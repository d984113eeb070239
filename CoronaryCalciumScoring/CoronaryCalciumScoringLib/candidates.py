"""Candidates: everything in the heart's region that could be calcium, shown for the reader to choose from."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from coronary_calcium.arteries import UNASSIGNED
from coronary_calcium.heart.field import Window
from coronary_calcium.heart.find import find_heart
from coronary_calcium.io.axes import AxialOrder
from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.scoring.agatston import score_labels
from coronary_calcium.scoring.components import find_components
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.rules import KVP_THRESHOLDS_HU, LITERATURE, RULE_SETS, RuleSet
from coronary_calcium.volume import CaseWarning, CTVolume

from .edits import MOST_VOLUME_MM3
from .segmentation import box_of, labels_in_box, write_only
from .volume_node import place_beside

SEGMENT = "candidates"
# No artery's color, and not white, which cannot be seen on calcium.
COLOR = (1.0, 0.2, 0.2)
FILL_OPACITY, OUTLINE_OPACITY = 0.25, 1.0
# How the list calls a candidate, and how many it shows at most.
CANDIDATE, MOST_LISTED = "candidate", 100
# No rules count a voxel below this: what reaches it is kept, so that other rules need no second search for the heart.
LOWEST_HU = min(
    *(rules.for_volume.threshold_hu for rules in RULE_SETS.values()),
    *(threshold for threshold, *_limits in KVP_THRESHOLDS_HU.values()),
)


@dataclass(frozen=True, eq=False)
class Candidates:
    """What could be calcium in a CT.

    Attributes
    ----------
    voxels : flat (k, j, i) indices on the axial CT, of the parts in the heart's region that would count by ``rules``.
    rules : the rules.
    lesions : the connected ones as lesions, by descending score.
    bright : flat indices of all voxels of the region from ``LOWEST_HU`` on.
    windows : where the heart is (``heart.field``).
    warnings : what the search for the heart found.

    """

    voxels: np.ndarray
    rules: RuleSet
    lesions: tuple[Lesion, ...]
    bright: np.ndarray
    windows: tuple[Window, ...]
    warnings: tuple[CaseWarning, ...]

    def by(self, volume: CTVolume, rules: RuleSet) -> "Candidates":
        """The candidates of the same CT by other rules."""
        if rules == self.rules:
            return self
        voxels = _counting(volume, self.bright, rules)
        return replace(self, voxels=voxels, rules=rules, lesions=_as_lesions(volume, voxels, rules))


def find_candidates(volume: CTVolume, progress: Progress = no_progress, rules: RuleSet = LITERATURE) -> Candidates:
    """All parts of the heart's region that the rules count for anything; touches no scene.

    Bones at the border of the region, valves and the aorta's wall are among them: they are what the reader leaves.
    Raises Cancelled when ``progress`` does.
    """
    field = find_heart(volume, progress)
    bright = np.flatnonzero(field.region & (volume.hu >= LOWEST_HU))
    voxels = _counting(volume, bright, rules)
    lesions = _as_lesions(volume, voxels, rules)
    return Candidates(voxels, rules, lesions, bright, field.windows, field.warnings)


def _as_lesions(volume: CTVolume, voxels: np.ndarray, rules: RuleSet) -> tuple[Lesion, ...]:
    labels = np.zeros(volume.shape, dtype=np.uint8)
    labels.reshape(-1)[voxels] = UNASSIGNED.label
    return tuple(score_labels(volume, labels, rules).lesions)


def listed_candidates(candidates: Candidates, volume: CTVolume, marked: np.ndarray) -> list[Lesion]:
    """The candidates to be offered, by descending score: of a lesion's size, and with no voxel in ``marked``.

    ``marked`` are the flat indices that the reader has assigned.
    """
    most = MOST_VOLUME_MM3 / np.prod(volume.spacing)
    free = (
        lesion
        for lesion in candidates.lesions
        if lesion.voxels.size <= most and not np.isin(lesion.voxels, marked).any()
    )
    return list(itertools.islice(free, MOST_LISTED))


def _counting(volume: CTVolume, bright: np.ndarray, rules: RuleSet) -> np.ndarray:
    """Flat indices, ascending, of those of the voxels ``bright`` that are in parts that the rules count."""
    # Any artery's label will do to find them; voxels below the rules' threshold are in no part.
    labels = np.zeros(volume.shape, dtype=np.uint8)
    labels.reshape(-1)[bright] = 1
    return np.sort(find_components(volume, labels, rules.for_volume).voxels)


def add_candidates_node(volumeNode):
    """A segmentation with one segment for the candidates of a CT; it is not saved with the scene."""
    scene = volumeNode.GetScene()
    node = scene.AddNewNodeByClass(
        "vtkMRMLSegmentationNode", scene.GenerateUniqueName(f"{volumeNode.GetName()} candidates")
    )
    node.SetSaveWithScene(False)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    node.GetSegmentation().AddEmptySegment(SEGMENT, SEGMENT, COLOR)
    node.GetDisplayNode().SetOpacity2DFill(FILL_OPACITY)
    node.GetDisplayNode().SetOpacity2DOutline(OUTLINE_OPACITY)
    place_beside(volumeNode, node)
    return node


def show_candidates(node, candidates: Candidates, segmentationNode, volumeNode, order: AxialOrder) -> int:
    """Write the candidates that no artery has to a candidates' node; returns how many voxels there are.

    ``order`` leads from the CT node's array axes to the axial CT.
    """
    index = source_index(candidates.voxels, order, volumeNode.GetImageData().GetDimensions()[::-1])
    if index.size:
        box = box_of(index)
        index = index[labels_in_box(segmentationNode, volumeNode, box)[tuple((index - box.low).T)] == 0]
    write_only(node, SEGMENT, volumeNode, index)
    return len(index)


def source_index(voxels: np.ndarray, order: AxialOrder, shape: tuple[int, int, int]) -> np.ndarray:
    """Rows of array indices on a source array of ``shape``, of flat (k, j, i) indices on the axial CT."""
    axial = np.unravel_index(voxels, tuple(shape[axis] for axis in order.axes))
    index = np.empty((voxels.size, 3), dtype=np.int64)
    for position, source in enumerate(order.axes):
        index[:, source] = shape[source] - 1 - axial[position] if order.flipped[position] else axial[position]
    return index
