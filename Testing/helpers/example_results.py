"""Small scored cases for the tests of what is written: with lesions, without any, and with a given label map."""

import numpy as np
from coronary_calcium.disclaimers import NO_CLINICAL_LABELS, RESEARCH_USE
from coronary_calcium.heart.field import HeartField, Window
from coronary_calcium.inference.predict import Prediction
from coronary_calcium.pipeline import CaseResult, PredictedLesions
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.volume import Acquisition, CaseWarning, CTVolume

CARD = {
    "format": "coronary-calcium-model-card/1",
    "name": "denseraunet-test",
    "date": "2026-01-31",
    "statement": f"{NO_CLINICAL_LABELS} {RESEARCH_USE}",
    "architecture": {"use_rau": True, "use_edb": True, "use_scse": True, "artery_head": True},
    "input": {"slices": 9},
    "training": {"data": "12 simulated patients", "recipe": "test", "iterations": 1, "minutes": 0.1},
    "metrics": {"f1": 0.5},
    "sha256": "0123456789abcdef" * 4,
}
WARNING = CaseWarning("kvp", 'The scan was made at 100 kVp; thresholds are defined for <120 kVp> & "standard" kernels.')


def example_volume(shape=(16, 60, 50), warnings=(WARNING,)) -> CTVolume:
    """A soft-tissue block in air with three plaques, on a grid that no axis shares with another."""
    hu = np.full(shape, -900, dtype=np.int16)
    hu[:, 10:50, 8:42] = 40
    hu[4:7, 20:24, 15:20] = 350  # LAD
    hu[5, 21:23, 16:18] = 700
    hu[9, 30:34, 30:33] = 160  # RCA
    hu[12, 40:43, 20:24] = 250  # unassigned
    return CTVolume(
        hu,
        spacing=(2.5, 0.7, 0.8),
        origin=(-20.5, -160.25, -300.0),
        acquisition=Acquisition(
            modality="CT",
            kvp=100.0,
            kernel="B30f <b>",
            slice_thickness_mm=3.0,
            manufacturer="=cmd|' /C calc'!A0",
            lossy_compression=False,
        ),
        warnings=warnings,
    )


def example_labels(volume) -> np.ndarray:
    """The plaques' labels, and one labeled voxel that is too little to count."""
    labels = np.zeros(volume.shape, dtype=np.uint8)
    labels[4:7, 20:24, 15:20] = 2
    labels[9, 30:34, 30:33] = 4
    labels[12, 40:43, 20:24] = 5
    labels[14, 15, 15] = 1
    return labels


def case_result(volume, labels, *, mask_given=False, found=True, card=CARD):
    """A result as if the network had proposed ``labels``, or as if they had been given."""
    if mask_given:
        predicted, probability = None, None
    else:
        probability = np.where(labels > 0, 0.75, 0.0).astype(np.float32)
        windows = (Window(2, 14, 30.5, 25.25), Window(14, 15, 31.0, 25.0))
        field = HeartField(windows, 192.0, found, np.ones(volume.shape, dtype=bool))
        prediction = Prediction(
            probability=probability,
            artery=labels,
            slices_run=9,
            slices_skipped=4,
            windows_run=9,
            covered=field,
            device="cpu",
            seconds=1.5,
        )
        predicted = PredictedLesions(prediction, labels, card)
    return CaseResult(
        volume=volume,
        labels=labels,
        score=score_labels(volume, labels, LITERATURE, probability),
        predicted=predicted,
        rules=LITERATURE,
        device="none" if mask_given else "cpu",
        seconds={"read": 0.25, "network": 1.5},
        warnings=volume.warnings,
    )


def scored_case(**changes):
    volume = example_volume()
    return case_result(volume, example_labels(volume), **changes)


def empty_case(**changes):
    volume = example_volume(warnings=())
    return case_result(volume, np.zeros(volume.shape, dtype=np.uint8), **changes)


def many_lesions_case(number):
    """A mask with so many lesions of one slice each, in a volume that is wide enough for them."""
    hu = np.zeros((3, 8 * (number // 20 + 1), 8 * 20), dtype=np.int16)
    for n in range(number):
        j, i = 8 * (n // 20) + 2, 8 * (n % 20) + 2
        hu[1, j : j + 3, i : i + 3] = 200
    volume = CTVolume(hu, (3.0, 0.5, 0.5), (0.0, 0.0, 0.0))
    return case_result(volume, (hu > 0).astype(np.uint8), mask_given=True)
