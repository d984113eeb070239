"""Tiny patients of known calcium, a stand-in for the network, and evaluations of them."""

import numpy as np
import torch
from coronary_calcium.datasets.case_format import TrainingCase, save_case
from coronary_calcium.evaluation.patients import OpenedPatient
from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField, Window
from coronary_calcium.network.weights import LoadedModel
from coronary_calcium.volume import CTVolume

# 3 mm slices and pixels of 1 mm2: a pixel scores 1 x its weight.
SPACING = (3.0, 1.0, 1.0)
SHAPE = (8, 64, 64)
CENTER = (31.5, 31.5)
CARD = {
    "name": "stand-in",
    "date": "2026-01-31",
    "statement": "Trained on nothing.",
    "sha256": "0123456789abcdef" * 4,
    "architecture": {"use_rau": True, "use_edb": True, "use_scse": True, "artery_head": True},
    "training": {
        "data": "nothing",
        "recipe": {"name": "none", "loss": {"iou": 1.0}},
        "iterations": 7,
        "minutes": 0.5,
    },
}
# Boxes (k, j, i). The network finds the first two and gives both to the LAD, and marks the third, which is no calcium;
# its mask also holds the fourth, below the threshold. It misses the fifth, which is denser than it knows.
LAD_BOX = np.s_[2:4, 20:24, 20:25]
RCA_BOX = np.s_[5:6, 40:42, 40:43]
BONE_BOX = np.s_[4:5, 10:12, 50:52]
FAINT_BOX = np.s_[2:3, 30:33, 30:33]
MISSED_BOX = np.s_[6:7, 30:32, 45:47]


class AboveLimit(torch.nn.Module):
    """Calcium where the middle slice lies between 100 and 500 HU, always of the LAD; counts its calls."""

    def __init__(self, logit=5.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.calls, self.logit = 0, logit

    def forward(self, slices):
        self.calls += len(slices)
        middle = slices[:, 4:5] * 200
        calcium = torch.where((middle >= 100) & (middle <= 500), self.logit, -5.0)
        arteries = torch.zeros(len(slices), 4, *slices.shape[2:])
        arteries[:, 1] = 1
        return calcium, arteries


def model(logit=5.0):
    """The stand-in, as sure of what it marks as ``logit`` says."""
    return LoadedModel(AboveLimit(logit).eval(), CARD)


def arrays():
    """HU and true labels of the patient that the comments above describe."""
    hu = np.full(SHAPE, 40, np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    for box, value, label in (
        (LAD_BOX, 350, 2),
        (RCA_BOX, 250, 4),
        (BONE_BOX, 300, 0),
        (FAINT_BOX, 120, 0),
        (MISSED_BOX, 900, 3),
    ):
        hu[box] = value
        labels[box] = label
    return hu, labels


def opened(**facts):
    """The patient in memory, one window over all of it."""
    hu, labels = arrays()
    volume = CTVolume(hu, SPACING, (0.0, 0.0, 0.0))
    field = HeartField((Window(0, SHAPE[0], *CENTER),), FIELD_SIZE_MM, True, np.ones(SHAPE, bool))
    return OpenedPatient(volume, labels, field, facts)


def write_cases(folder, count=2, bright_slices=SHAPE[0]):
    """The patient as training cases of both kinds of scan; returns the folder.

    Only the topmost ``bright_slices`` with calcium or bone stay bright: a real network takes a second for each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hu, labels = arrays()
    for k in np.flatnonzero((hu >= 130).any(axis=(1, 2)))[:-bright_slices]:
        hu[k], labels[k] = 40, 0
    for n in range(count):
        facts = {"kind": ("chest", "cardiac")[n % 2], "kernel": "soft", "noise_hu": 10.0 + 10 * n}
        save_case(folder / f"case-{n}.npz", TrainingCase(hu, labels, SPACING, CENTER, facts))
    return folder
