"""The network's prediction as it was, kept in the scene beside the segmentation that the reader corrects."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from coronary_calcium.arteries import BY_LABEL, NAMED_ARTERIES
from coronary_calcium.scoring.agatston import CaseScore, score_labels
from coronary_calcium.scoring.lesion_warnings import Uncertainty
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.reader_vs_ai import network_facts

from .json_attribute import json_attribute
from .segmentation import add_segmentation, read_labels
from .volume_node import SceneCT

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

# Role of the reference from the reader's segmentation to the prediction's.
PREDICTION_ROLE = "coronaryCalciumProposal"
# What the label map cannot hold, as JSON: the lesions' probabilities by descending score, and which network it was.
FACTS_ATTRIBUTE = "CoronaryCalcium.Proposal"
OUTLINE_OPACITY = 0.8


@dataclass(frozen=True, eq=False)
class StoredPrediction:
    """What the network found.

    Attributes
    ----------
    labels : (k, j, i) uint8 on the axial CT.
    score : the scores of ``labels``; their lesions carry no probability.
    probabilities : mean probability of each lesion of ``score``, in their order; None where it is not known.
    model : name, checksum and statement of the network.
    uncertainty : what the network was uncertain of; None in scenes of version 1, which did not keep it.
    artery_map : (k, j, i) uint8, the arteries that the network named around its lesions, 0 elsewhere; None in earlier
        scenes and readings, which did not keep it, and where the network names none.

    """

    labels: np.ndarray
    score: CaseScore
    probabilities: tuple[float | None, ...]
    model: dict[str, Any]
    uncertainty: Uncertainty | None = None
    artery_map: np.ndarray | None = None

    def probability_of(self, lesion: Lesion) -> float | None:
        """The network's probability of a lesion of the reader, over the voxels that both marked; None without any.

        A voxel has the mean probability of the predicted lesion that it was part of.
        """
        total, shared = 0.0, 0
        for predicted, probability in zip(self.score.lesions, self.probabilities):
            common = np.intersect1d(lesion.voxels, predicted.voxels, assume_unique=True).size
            if common and probability is not None:
                total, shared = total + common * probability, shared + common
        return total / shared if shared else None


def store_prediction(segmentationNode, volumeNode, labels: np.ndarray, result: "CaseResult"):
    """Keep a result's label map (here on the array axes of the CT's node) as a hidden segmentation, and return it."""
    probabilities = [lesion.probability for lesion in result.score.lesions]
    return store_labels(
        *(segmentationNode, volumeNode, labels, probabilities, result.model_card or {}, result.uncertainty),
        arteries=_arteries_as_json(result),
    )


def store_labels(
    segmentationNode,
    volumeNode,
    labels: np.ndarray,
    probabilities: Sequence[float | None],
    card: Mapping[str, Any],
    uncertainty: Uncertainty | None,
    arteries: list[list[int]] | None = None,
):
    """Keep a network's label map, with what it cannot hold; ``store_prediction`` does for a result."""
    node = add_segmentation(volumeNode, labels, f"{volumeNode.GetName()} AI prediction")
    display = node.GetDisplayNode()
    display.SetVisibility(False)
    display.SetVisibility2DFill(False)
    display.SetOpacity2DOutline(OUTLINE_OPACITY)
    facts = {
        "probabilities": list(probabilities),
        "model": network_facts(card),
        "uncertainty": _uncertainty_as_json(uncertainty),
        "arteries": arteries,
    }
    node.SetAttribute(FACTS_ATTRIBUTE, json.dumps(facts))
    segmentationNode.SetNodeReferenceID(PREDICTION_ROLE, node.GetID())
    return node


def prediction_node(segmentationNode):
    """The node of the prediction that belongs to the reader's segmentation, or None."""
    return segmentationNode.GetNodeReference(PREDICTION_ROLE)


def read_stored_prediction(segmentationNode, volumeNode, ct: SceneCT) -> StoredPrediction | None:
    """The prediction that belongs to the reader's segmentation of a CT, or None; raises InputError on another grid."""
    node = prediction_node(segmentationNode)
    if node is None or node.GetAttribute(FACTS_ATTRIBUTE) is None:
        return None
    facts = json_attribute(node, FACTS_ATTRIBUTE, dict)
    labels = np.ascontiguousarray(ct.order.apply(read_labels(node, volumeNode).labels))
    score = score_labels(ct.volume, labels)
    probabilities = _probabilities(facts.get("probabilities"))
    if len(probabilities) != len(score.lesions):  # the kept segmentation was edited: its lesions are others now
        probabilities = (None,) * len(score.lesions)
    uncertainty = _uncertainty(facts.get("uncertainty"), labels.size)
    artery_map = _artery_map(facts.get("arteries"), labels.shape)
    return StoredPrediction(labels, score, probabilities, _model(facts.get("model")), uncertainty, artery_map)


def _arteries_as_json(result: "CaseResult") -> list[list[int]] | None:
    """The arteries around the network's lesions as runs of equal voxels: flat (k, j, i) index, length, label."""
    if result.prediction is None or result.prediction.artery_map is None:
        return None
    flat = result.prediction.artery_map.reshape(-1)
    voxels = np.flatnonzero(flat)
    if not voxels.size:
        return None
    labels = flat[voxels]
    first = np.flatnonzero(np.append(True, (np.diff(voxels) != 1) | (np.diff(labels) != 0)))
    lengths = np.diff(np.append(first, voxels.size))
    return np.column_stack([voxels[first], lengths, labels[first]]).tolist()


def _artery_map(kept: object, shape: tuple[int, ...]) -> np.ndarray | None:
    """The arteries that a scene has kept of a CT of this shape; None where they cannot be so."""
    try:
        start, length, label = np.array(kept, np.int64).reshape(-1, 3).T
    except (TypeError, ValueError, OverflowError):
        return None
    size = int(np.prod(shape))
    inside = ((start >= 0) & (start < size) & (length > 0) & (length <= size - start)).all()
    ordered = inside and (start[1:] >= start[:-1] + length[:-1]).all()
    if not (start.size and ordered and np.isin(label, [artery.label for artery in NAMED_ARTERIES]).all()):
        return None
    arteries = np.zeros(size, np.uint8)
    for first, count, value in zip(start, length, label):
        arteries[first : first + count] = value
    return arteries.reshape(shape)


def _uncertainty_as_json(uncertainty: Uncertainty | None) -> dict[str, Any] | None:
    if uncertainty is None:
        return None
    return {
        entry.name: value.tolist() if isinstance(value := getattr(uncertainty, entry.name), np.ndarray) else value
        for entry in fields(Uncertainty)
    }


def _uncertainty(kept: object, voxels: int) -> Uncertainty | None:
    """What a scene says that the network was uncertain of on a CT of so many voxels; None where it cannot be so."""
    try:
        counted, left_out = (np.array(kept[name], np.int64).reshape(-1) for name in ("counted", "left_out"))
        labels = np.array(kept["left_out_labels"], np.int64).reshape(-1)
        lesions, slices_run = int(kept["lesions"]), int(kept["slices_run"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    indices = np.concatenate([counted, left_out])
    ascending = (np.diff(counted) > 0).all() and (np.diff(left_out) > 0).all()
    possible = labels.size == left_out.size and np.isin(labels, list(BY_LABEL)).all()
    if not (ascending and possible and ((indices >= 0) & (indices < voxels)).all()):
        return None
    return Uncertainty(counted, left_out, labels.astype(np.uint8), lesions, slices_run)


def _probabilities(kept: object) -> tuple[float | None, ...]:
    """The probabilities of a scene; None for each that cannot be one."""
    return tuple(
        entry if isinstance(entry, int | float) and not isinstance(entry, bool) and 0 <= entry <= 1 else None
        for entry in (kept if isinstance(kept, list) else ())
    )


def _model(kept: object) -> dict[str, Any]:
    """Which network a scene says it was, as far as its words can be read."""
    facts = network_facts(kept if isinstance(kept, dict) else {})
    return {name: words for name, words in facts.items() if isinstance(words, str)}
