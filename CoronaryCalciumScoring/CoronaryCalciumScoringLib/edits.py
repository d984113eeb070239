"""The click of a calcium workstation: a position in, a lesion assigned to an artery, moved or removed."""

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import vtk
from coronary_calcium.arteries import BY_LABEL, Artery
from coronary_calcium.scoring.rules import LITERATURE, RuleSet
from scipy import ndimage

from .segmentation import Box, add_voxels, box_around, box_of, labels_in_box, remove_voxels
from .volume_node import array_of, check_node

# How far from the click the voxel that is meant may lie: a calcified spot has a rim of partial volume below the
# threshold, about two pixels (0.4 to 0.9 mm) wide, and on it a click looks right to the reader.
SNAP_MM = 2.0
# Bounds of what a click marks. The largest of 211 simulated lesions has 892 mm3 and is 26 mm long; a lesion of 2000 mm3
# alone would score about 2700. Connected bone has 5,000 to 1,400,000 mm3 and is 60 to 380 mm long in four real scans.
MOST_VOLUME_MM3 = 2000.0
REACH_MM = 50.0
# Half the side of the first box that is searched; it is doubled while the lesion reaches its border.
FIRST_REACH_MM = 12.5
# Steps that can be undone; Slicer keeps 5. A step keeps the labelmap around all lesions, which is about 1 MB in
# slices of 3 mm and 6 MB in slices of 0.6 mm.
UNDO_STEPS = 50
TOO_LARGE = (
    "What is connected here is larger than a coronary lesion can be (bone, for example): mark the calcium with the "
    "brush."
)
# In three dimensions, neighbors are the 26 voxels that share a face, an edge or a corner, as in the scores.
_ALL_26 = np.ones((3, 3, 3), dtype=bool)


class Edit(enum.Enum):
    """What a click did."""

    ASSIGNED = "assigned"
    MOVED = "moved"
    REMOVED = "removed"
    NOTHING = "nothing"


@dataclass(frozen=True)
class EditResult:
    """The outcome of a click.

    ``message`` is one sentence for the reader; ``artery`` is the name of the artery that has the voxels now, or had
    them before a removal (None when nothing was done); ``voxels`` is how many changed.
    """

    edit: Edit
    message: str
    artery: str | None = None
    voxels: int = 0


class History(Protocol):
    """The undo history that click and brush share; vtkSlicerSegmentEditorLogic is one."""

    def SaveStateForUndo(self) -> object:
        """Remember the segmentation as it is, before a change."""

    def Undo(self) -> object:
        """Go back one change."""

    def Redo(self) -> object:
        """Take back one step back."""


class Edits:
    """Edits of one segmentation on its CT, each of them one step of the undo history.

    Positions are RAS in mm. Only voxels that the rules count for anything are marked (``RuleSet.for_volume``);
    ``rules`` may be changed between calls. Every call raises InputError when the CT or the segmentation cannot be
    used (under a transform, on another grid, no voxels); then nothing has changed.
    """

    def __init__(self, segmentationNode, volumeNode, history: History, rules: RuleSet = LITERATURE) -> None:
        self.segmentationNode = segmentationNode
        self.volumeNode = volumeNode
        self.history = history
        self.rules = rules

    def assign(self, ras: tuple[float, float, float], artery: Artery) -> EditResult:
        """Assign the lesion at a position to an artery.

        Voxels that nobody has marked are taken as far as they are connected (26 neighbors) at or above the
        threshold; voxels of other arteries are neither taken nor crossed. On a lesion of another artery, that lesion
        moves, and nothing that touches it.
        """
        threshold_hu = self.rules.for_volume.threshold_hu
        seed = self._seed(ras, lambda hu, labels: hu >= threshold_hu)
        if seed is None:
            return EditResult(
                Edit.NOTHING, f"Nothing here reaches {threshold_hu:g} HU within {SNAP_MM:g} mm of the click."
            )
        index, label = seed
        if label not in (0, artery.label):
            return self._move(index, BY_LABEL[label], artery)
        found = self._connected(
            index,
            lambda hu, labels: (hu >= threshold_hu) & ((labels == 0) | (labels == artery.label)),
            MOST_VOLUME_MM3,
            REACH_MM,
        )
        if found is None:
            return EditResult(Edit.NOTHING, TOO_LARGE)
        box, grown = found
        new = grown & (self._labels(box) == 0)
        voxels = np.argwhere(new) + box.low
        if not voxels.size:
            return EditResult(Edit.NOTHING, f"This lesion is already assigned to {artery.name}.")
        self.history.SaveStateForUndo()
        add_voxels(self.segmentationNode, self.volumeNode, artery, voxels)
        return EditResult(
            Edit.ASSIGNED, f"{self._size(len(voxels))} assigned to {artery.name}.", artery.name, len(voxels)
        )

    def remove(self, ras: tuple[float, float, float]) -> EditResult:
        """Take the lesion at a position away from its artery: it no longer counts."""
        seed = self._seed(ras, lambda hu, labels: labels > 0)
        if seed is None:
            return EditResult(Edit.NOTHING, f"No lesion is assigned to an artery within {SNAP_MM:g} mm of the click.")
        index, label = seed
        artery, voxels = BY_LABEL[label], self._lesion(index, label)
        self.history.SaveStateForUndo()
        remove_voxels(self.segmentationNode, self.volumeNode, voxels)
        return EditResult(
            Edit.REMOVED, f"{self._size(len(voxels))} removed from {artery.name}.", artery.name, len(voxels)
        )

    def set_labels(self, voxels: np.ndarray, labels: np.ndarray) -> EditResult:
        """Give voxels, rows of (k, j, i) on the CT node's array axes, these labels (0: no artery) in one step."""
        box = box_of(voxels)
        before = self._labels(box)[tuple((voxels - box.low).T)]
        changed = before != labels
        if not changed.any():
            return EditResult(Edit.NOTHING, "It is so already.")
        self.history.SaveStateForUndo()
        cleared = changed & (before != 0)
        if cleared.any():
            remove_voxels(self.segmentationNode, self.volumeNode, voxels[cleared])
        for label in np.unique(labels[changed & (labels != 0)]).tolist():
            own = voxels[changed & (labels == label)]
            add_voxels(self.segmentationNode, self.volumeNode, BY_LABEL[label], own)
        edit = Edit.REMOVED if not labels[changed].any() else Edit.MOVED if cleared.any() else Edit.ASSIGNED
        return EditResult(
            edit, f"{self._size(np.count_nonzero(changed))} changed.", None, int(np.count_nonzero(changed))
        )

    def undo(self) -> None:
        """Go back one edit, click or stroke."""
        self.history.Undo()

    def redo(self) -> None:
        """Redo what was undone last."""
        self.history.Redo()

    def _move(self, index: np.ndarray, previous: Artery, artery: Artery) -> EditResult:
        voxels = self._lesion(index, previous.label)
        self.history.SaveStateForUndo()
        remove_voxels(self.segmentationNode, self.volumeNode, voxels)
        add_voxels(self.segmentationNode, self.volumeNode, artery, voxels)
        message = f"{self._size(len(voxels))} moved from {previous.name} to {artery.name}."
        return EditResult(Edit.MOVED, message, artery.name, len(voxels))

    def _seed(self, ras: tuple[float, float, float], wanted) -> tuple[np.ndarray, int] | None:
        """The voxel (k, j, i) that a click means, and its label: the nearest one ``wanted(hu, labels)`` in reach."""
        check_node(self.volumeNode)
        matrix = vtk.vtkMatrix4x4()
        self.volumeNode.GetRASToIJKMatrix(matrix)
        place = np.array(matrix.MultiplyPoint((*ras, 1.0))[2::-1])
        shape = np.array(self._hu().shape)
        if np.any(place < -0.5) or np.any(place > shape - 0.5):
            return None
        spacing = self._spacing()
        box = box_around(place, SNAP_MM / spacing, shape)
        hu, labels = self._hu()[box.slices], self._labels(box)
        found = np.argwhere(wanted(hu, labels))
        distances = np.linalg.norm((found + box.low - place) * spacing, axis=1)
        # The clicked voxel itself counts wherever in it the click fell, also in a thick slice.
        inside = np.all(np.rint(place).astype(int) == found + box.low, axis=1)
        distances[inside] = 0.0
        if not found.size or distances.min() > SNAP_MM:
            return None
        nearest = found[distances.argmin()]
        return nearest + box.low, int(labels[tuple(nearest)])

    def _connected(
        self, index: np.ndarray, wanted, most_mm3: float = np.inf, reach_mm: float = np.inf
    ) -> tuple[Box, np.ndarray] | None:
        """The connected voxels ``wanted(hu, labels)`` around one of them as a mask in a box; None beyond the bounds.

        The box grows while it cuts them, so that a small lesion in a large CT takes no longer than in a small one.
        """
        reach = min(FIRST_REACH_MM, reach_mm)
        while True:
            box = box_around(index, reach / self._spacing(), np.array(self._hu().shape))
            parts, _ = ndimage.label(wanted(self._hu()[box.slices], self._labels(box)), structure=_ALL_26)
            grown = parts == parts[tuple(index - box.low)]
            if np.count_nonzero(grown) * np.prod(self._spacing()) > most_mm3:
                return None
            if not box.touched_by(grown):
                return box, grown
            if reach >= reach_mm:
                return None
            reach = min(2 * reach, reach_mm)

    def _lesion(self, index: np.ndarray, label: int) -> np.ndarray:
        """The connected voxels (k, j, i) of one label around one of them, however many: they were marked before."""
        box, grown = self._connected(index, lambda hu, labels: labels == label)
        return np.argwhere(grown) + box.low

    def _hu(self) -> np.ndarray:
        return array_of(self.volumeNode.GetImageData())

    def _labels(self, box: Box) -> np.ndarray:
        return labels_in_box(self.segmentationNode, self.volumeNode, box)

    def _spacing(self) -> np.ndarray:
        return np.array(self.volumeNode.GetSpacing()[::-1])

    def _size(self, voxels: int) -> str:
        return f"{voxels * np.prod(self._spacing()):.1f} mm³"
