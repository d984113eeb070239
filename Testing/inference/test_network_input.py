"""The script that measures other inputs of the network asks it what it says it asks."""

from dataclasses import replace

import measure_network_input
import numpy as np
import pytest
from coronary_calcium.datasets.labeled_scans import UNSURE
from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField, Window
from coronary_calcium.inference.predict import predict
from coronary_calcium.network.weights import LoadedModel
from coronary_calcium.volume import CTVolume
from evaluation_cases import AboveLimit, model, opened
from measure_network_input import INPUTS, row_of
from model_card_pictures import Finding, typical

# A spot in slices 9 to 11 of 1 mm, and HU that tell the slices and their means apart.
THIN = (20, 40, 40)
SPOT = np.s_[9:12, 18:22, 18:22]


class Recorded(AboveLimit):
    """Keeps the HU at the middle of what it is given, (9,) for each slice."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, slices):
        half = slices.shape[2] // 2
        self.seen += [np.round(given[:, half, half].numpy() * 200) for given in slices]
        return super().forward(slices)


def thin_patient():
    hu = np.repeat(np.arange(THIN[0], dtype=np.int16) ** 2, THIN[1] * THIN[2]).reshape(THIN)
    hu[SPOT] += 150
    volume = CTVolume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    field = HeartField((Window(8, 12, 19.5, 19.5),), FIELD_SIZE_MM, True, np.ones(THIN, bool))
    return replace(opened(), volume=volume, labels=(hu > 500).astype(np.uint8), field=field)


def at_slice_ten(input_name):
    """What the network is given for slice 10: HU of nine slices."""
    network, patient = Recorded(), thin_patient()
    prediction = INPUTS[input_name](patient, LoadedModel(network, {}))
    asked = np.flatnonzero((prediction.probability > 0).any(axis=(1, 2)))
    assert prediction.windows_run == len(network.seen) == len(asked)
    # Thin slices are asked for in three passes over every third slice; within each they ascend.
    order = asked if input_name in ("full", "half", "blur") else sorted(asked, key=lambda k: (k % 3, k))
    return network.seen[list(order).index(10)].tolist(), patient.volume.hu[:, 19, 19].astype(float)


def test_thin_slices_are_given_as_they_are_three_mm_apart_or_as_sliding_means():
    given, hu = at_slice_ten("full")
    assert given == hu[6:15].tolist()
    given, _ = at_slice_ten("step")
    assert given[1:8] == hu[1:20:3].tolist()
    means = np.convolve(hu, np.ones(3) / 3, mode="same").round()
    given, _ = at_slice_ten("mean")
    assert given[1:7] == means[1:17:3].tolist()
    given, _ = at_slice_ten("blur")
    assert given == means[6:15].tolist()


@pytest.mark.parametrize("input_name", ["mean", "step", "blur"])
def test_slices_of_three_mm_are_given_as_they_are(input_name):
    patient = opened()
    given = INPUTS[input_name](patient, model())
    usual = predict(patient.volume, patient.field, model())
    assert np.array_equal(given.probability, usual.probability) and np.array_equal(given.artery, usual.artery)


def test_windows_of_half_the_pixels_cover_the_same_square():
    patient, network = opened(), Recorded()
    given = INPUTS["half"](patient, LoadedModel(network, {}))
    usual = predict(patient.volume, patient.field, model())
    assert np.array_equal(given.probability >= 0.5, usual.probability >= 0.5)


def test_what_the_reader_was_unsure_of_counts_neither_way():
    patient = opened()
    plain = row_of(patient, predict(patient.volume, patient.field, model()))
    assert (plain.found, plain.true, plain.false, plain.false_score) == (2, 3, 1, None)
    reading = patient.labels.copy()
    reading[4:5, 10:12, 50:52] = UNSURE
    read = replace(patient, reading=reading)
    row = row_of(read, predict(patient.volume, patient.field, model()))
    assert (row.found, row.false, row.false_score) == (2, 0, 0.0)
    assert "recovered" in measure_network_input.line_of("all", [plain, row])


def found(scan, agatston):
    return Finding(None, scan, "LAD", agatston, 0.9, (3, 10.0, 10.0), "LAD")


def test_typical_lesions_are_spread_over_the_scores_and_the_scans():
    many = [found("A", score) for score in (10, 20, 30, 40, 50, 60, 70)]
    assert [each.agatston for each in typical(many)] == [60, 40, 20]
    # Another scan's lesion comes first where it is near, and only there.
    assert [each.agatston for each in typical([*many, found("B", 55), found("C", 300)])] == [70, 55, 20]
    assert typical(many[:2]) == [many[1], many[0]]
    assert typical([]) == []


def test_a_caption_says_what_the_network_made_of_a_lesion_and_where_the_scan_is_published():
    hit = found("NLST-101287", 92.1)
    assert hit.caption() == (
        "Found: a lesion of 92 in the LAD, rightly assigned to LAD (highest probability 0.90). "
        "NLST 101287 (CC BY 4.0), doi:10.7937/TCIA.HMQ8-J677."
    )
    assert replace(hit, found_as="LCX").caption().startswith("Found: a lesion of 92 in the LAD, called LCX (")
    assert replace(hit, found_as=None).caption().startswith("Missed: a lesion of 92 in the LAD (")
    assert replace(hit, false=True).caption().startswith("False: 92 marked as LAD where there is no coronary calcium (")
