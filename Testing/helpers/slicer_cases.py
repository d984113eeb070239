"""Cases for the tests of the scene logic and the panel: a synthetic CT in the scene, and engines that stand in."""

import dataclasses
import threading
import types

import numpy as np
import vtk
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.scoring.agatston import score_labels
from coronary_calcium.volume import CaseWarning
from CoronaryCalciumScoringLib.synthetic_ct import synthetic_ct
from CoronaryCalciumScoringLib.volume_node import add_volume_node

PROBABILITY = 0.875
TRAINED_ON = "The network was trained on <nothing>."
WARNING = CaseWarning("kvp", "The scan was made at 100 kVp; the thresholds are defined for 120 kVp <only>.")


def scoring_engine(volume, *, labels, device, progress):
    """Scores the given labels as the engine does, without looking for the heart."""
    progress(0.5, "Scoring")
    score = score_labels(volume, labels)
    return types.SimpleNamespace(
        volume=volume,
        labels=labels,
        score=score,
        warnings=volume.warnings,
        device=device,
        mask_given=True,
        model_card=None,
        uncertainty=None,
        prediction=None,
    )


def synthetic_labels_engine(volume, *, labels, device, progress):
    """Takes the synthetic CT's plaques for the network's prediction, and warns."""
    result = scoring_engine(volume, labels=synthetic_ct()[1], device=device, progress=progress)
    result.score = score_labels(volume, result.labels, probability=np.full(volume.shape, PROBABILITY, np.float32))
    result.device = "cpu"
    card = {"name": "a test's network", "sha256": "0" * 64, "statement": f"{TRAINED_ON} {RESEARCH_USE}", "metrics": {}}
    result.mask_given, result.model_card = False, card
    result.warnings += (WARNING,)
    return result


class WaitingEngine:
    """An engine that reports progress over and over until it is let go, as a network at work does."""

    def __init__(self) -> None:
        self.started, self.let_go, self.left = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, volume, *, labels, device, progress):
        try:
            while not self.let_go.wait(0.002):
                progress(0.42, "Looking for calcium, slice 17 of 40")
                self.started.set()
            return synthetic_labels_engine(volume, labels=labels, device=device, progress=progress)
        finally:
            self.left.set()


def add_volume_with_axes(scene, axes, flips):
    """The synthetic CT with its array axes permuted and flipped, the same in space; returns node and labels as
    stored.
    """
    volume, labels = synthetic_ct()
    flipped = tuple(slice(None, None, -1 if flip else None) for flip in flips)
    stored = np.ascontiguousarray(volume.hu.transpose(axes)[flipped])
    first = [volume.shape[axis] - 1 if flip else 0 for axis, flip in zip(axes, flips)]
    corner = volume.position(tuple(first[axes.index(axis)] for axis in range(3)))
    columns = [volume.direction[:, 2 - axis] * (-1 if flip else 1) for axis, flip in zip(axes[::-1], list(flips)[::-1])]
    turned = dataclasses.replace(
        volume,
        hu=stored,
        spacing=tuple(volume.spacing[axis] for axis in axes),
        origin=tuple(corner),
        direction=np.column_stack(columns),
    )
    return add_volume_node(scene, turned, "CT"), np.ascontiguousarray(labels.transpose(axes)[flipped])


def ras_of(volume_node, index):
    """Where a (fractional) voxel (k, j, i) of a volume node lies, in RAS."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return matrix.MultiplyPoint((*index[::-1], 1.0))[:3]
