"""The network over a whole CT, with stand-ins for the network whose answers are known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.heart.field import FIELD_SIZE_MM, HeartField, Window
from coronary_calcium.inference import predict as predict_module
from coronary_calcium.inference.device import resolve_device
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS as LIMITS
from coronary_calcium.inference.postprocess import label_lesions, marked_voxels
from coronary_calcium.inference.predict import predict
from coronary_calcium.inference.prediction import RunExtent
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.weights import LoadedModel
from coronary_calcium.pipeline import predict_lesions
from coronary_calcium.scoring.agatston import score_labels
from coronary_calcium.scoring.lesion_region import near_lesions
from coronary_calcium.volume import CTVolume

# 0.8 mm pixels: 1 mm2 is two of them.
SPACING = (3.0, 0.8, 0.8)
SHAPE = (12, 120, 130)


class BrightIsCalcium(torch.nn.Module):
    """Calcium (probability 0.993) where the middle slice has 130 HU and more; the artery is the quadrant."""

    def __init__(self, artery_head=True):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.artery_head = artery_head
        self.seen = []

    def forward(self, slices):
        self.seen.append(slices.clone())
        calcium = torch.where(slices[:, 4:5] >= 0.6, 5.0, -5.0)
        if not self.artery_head:
            return calcium, None
        arteries = torch.zeros(len(slices), 4, *slices.shape[2:])
        half_j, half_i = slices.shape[2] // 2, slices.shape[3] // 2
        arteries[:, 0, :half_j, :half_i] = arteries[:, 1, :half_j, half_i:] = 1
        arteries[:, 2, half_j:, :half_i] = arteries[:, 3, half_j:, half_i:] = 1
        return calcium, arteries


def _volume(*boxes):
    """Soft tissue with boxes ((k0, k1), (j0, j1), (i0, i1), HU)."""
    hu = np.full(SHAPE, 40, np.int16)
    for (k0, k1), (j0, j1), (i0, i1), value in boxes:
        hu[k0:k1, j0:j1, i0:i1] = value
    return CTVolume(hu, SPACING, (0.0, 0.0, 0.0))


def _field(*windows, region=None):
    windows = windows or (Window(0, SHAPE[0], 60.0, 65.0),)
    return HeartField(windows, FIELD_SIZE_MM, True, np.ones(SHAPE, bool) if region is None else region)


def _model(network=None, device="cpu"):
    return LoadedModel(network or BrightIsCalcium(), {}, device)


def _same(one, other):
    return np.array_equal(one.probability, other.probability) and np.array_equal(one.artery, other.artery)


PLAQUE = ((4, 6), (40, 44), (50, 55), 300)


def test_what_the_network_sees_as_calcium_is_proposed_on_the_ct_s_own_pixels():
    volume = _volume(PLAQUE)
    prediction = predict(volume, _field(), _model())
    assert prediction.probability.shape == prediction.artery.shape == SHAPE
    labels = label_lesions(volume, prediction)
    assert np.array_equal(labels > 0, volume.hu >= 130)
    assert (labels[labels > 0] == 1).all()
    assert 0.9 < prediction.probability[4, 42, 52] < 1
    assert prediction.device == "cpu" and prediction.seconds > 0 and prediction.warnings == ()


def test_the_network_is_given_the_normalized_neighbors():
    network = BrightIsCalcium()
    volume = _volume(*[((k, k + 1), (0, 120), (0, 130), 10 * k) for k in range(12)], ((1, 2), (60, 64), (60, 64), 400))
    predict(volume, _field(), _model(network))
    (slices,) = network.seen
    assert slices.shape == (1, 9, 512, 512)
    # Slice 1 in the middle, the lowest slice repeated below it; 10 HU a slice, divided by 200.
    assert torch.allclose(slices[0, :, 300, 350], torch.tensor([0, 0, 0, 0, 1, 2, 3, 4, 5]) * 10 / 200)


def test_only_slices_with_something_that_could_count_are_run():
    network = BrightIsCalcium()
    volume = _volume(PLAQUE, ((8, 9), (40, 41), (50, 51), 900), ((9, 10), (40, 44), (50, 54), 129))
    prediction = predict(volume, _field(), _model(network))
    # Slices 4 and 5; one pixel of 0.64 mm2 in slice 8 and 129 HU in slice 9 can never count.
    assert len(network.seen) == prediction.slices_run == prediction.windows_run == 2
    assert prediction.slices_skipped == 10


def test_two_pixels_that_touch_at_a_corner_are_large_enough_to_be_looked_at():
    volume = _volume(((8, 9), (40, 41), (50, 51), 200), ((8, 9), (41, 42), (51, 52), 200))
    assert predict(volume, _field(), _model()).slices_run == 1


@pytest.mark.parametrize("seed", range(2))
def test_skipping_changes_no_result(seed):
    # A real network, untrained, on noise with many parts of every size around the minimum area.
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    hu = generator.normal(100, 14, SHAPE).astype(np.int16)
    hu[::3] -= 60  # slices with few candidates or none, between the others
    volume = CTVolume(hu, SPACING, (0.0, 0.0, 0.0))
    field = _field(Window(1, 4, 60.0, 65.0), region=np.broadcast_to(generator.random(SHAPE[1:]) > 0.3, SHAPE))
    network = DenseRAUNet().eval()
    torch.nn.init.normal_(network.calcium.weight, std=3.0)
    torch.nn.init.zeros_(network.calcium.bias)
    skipping, running = (predict(volume, field, _model(network), extent=RunExtent(every)) for every in (False, True))
    assert skipping.slices_skipped > 0 and running.slices_skipped == 0
    assert running.probability.any()
    assert _same(skipping, running)
    labels = label_lesions(volume, running)
    assert labels.any()
    assert np.array_equal(labels, label_lesions(volume, skipping))


def test_nothing_is_proposed_outside_the_region():
    region = np.zeros(SHAPE, bool)
    region[:, :42] = True
    volume = _volume(PLAQUE)
    prediction = predict(volume, _field(region=region), _model())
    assert prediction.probability[4, 41, 52] > 0.9
    assert not prediction.probability[~region].any() and not prediction.artery[~region].any()


def test_nothing_is_proposed_outside_the_windows():
    volume = _volume(PLAQUE)
    for window in (Window(6, 12, 60.0, 65.0), Window(0, 12, 400.0, 65.0)):
        prediction = predict(volume, _field(window), _model())
        assert prediction.slices_run == 0 and not prediction.probability.any()


def test_a_lesion_across_two_windows_is_found_whole():
    # One pixel on each side of the line between the windows: neither half reaches 1 mm2 alone.
    volume = _volume(((5, 6), (60, 61), (64, 66), 300))
    half = FIELD_SIZE_MM / 2 / SPACING[2]
    windows = Window(0, 12, 60.0, 64.5 - half), Window(0, 12, 60.0, 64.5 + half)
    prediction = predict(volume, _field(*windows), _model())
    assert prediction.windows_run == 2 and prediction.slices_run == 1
    assert score_labels(volume, label_lesions(volume, prediction)).total.agatston == pytest.approx(2 * 0.64 * 3)


def test_where_windows_overlap_the_higher_probability_stands():
    class SureOnTheSecond(BrightIsCalcium):
        def forward(self, slices):
            calcium, arteries = super().forward(slices)
            return (calcium if len(self.seen) > 1 else torch.full_like(calcium, -1.0)), arteries

    windows = Window(0, 12, 60.0, 65.0), Window(0, 12, 62.0, 67.0)
    volume = _volume(((4, 5), (40, 44), (50, 55), 300))
    assert label_lesions(volume, predict(volume, _field(*windows), _model(SureOnTheSecond()))).any()


def test_a_lesion_grows_over_its_uncertain_rim_within_the_slice_and_no_further():
    hu = np.full((3, 6, 12), 300, np.int16)
    probability = np.zeros(hu.shape, np.float16)
    probability[1, 1, 1] = 0.5  # a sure pixel,
    probability[1, 2, 2:5] = LIMITS.low_threshold  # its rim, which begins at a corner of it,
    # what is too improbable, and what only that would join to it,
    probability[1, 2, 5] = 0.9 * LIMITS.low_threshold
    probability[1, 2, 6] = 0.4
    probability[2, 1, 1] = 0.4  # as probable in the next slice, and somewhere else,
    probability[1, 5, 9:11] = 0.49
    probability[1, 4, 1] = 0.9  # and what is sure but not bright enough.
    hu[1, 4, 1] = 129
    marked = marked_voxels(probability, hu)
    assert {tuple(map(int, voxel)) for voxel in np.argwhere(marked)} == {(1, 1, 1), (1, 2, 2), (1, 2, 3), (1, 2, 4)}


def test_a_scan_with_nothing_bright_needs_no_network():
    network = BrightIsCalcium()
    prediction = predict(_volume(), _field(), _model(network))
    assert not network.seen and prediction.slices_run == 0 and prediction.slices_skipped == 12
    assert not label_lesions(_volume(), prediction).any()


def test_a_region_of_another_shape_is_an_error():
    with pytest.raises(ValueError, match="region"):
        predict(_volume(), _field(region=np.ones((2, 2, 2), bool)), _model())


def test_progress_counts_the_slices_and_can_cancel():
    reports = []
    predict(_volume(PLAQUE), _field(), _model(), progress=lambda *given: reports.append(given))
    assert reports == [(0.5, "Looking for calcium: slice 1 of 2"), (1.0, "Looking for calcium: slice 2 of 2")]

    def cancel(fraction, text):
        raise Cancelled

    network = BrightIsCalcium()
    with pytest.raises(Cancelled):
        predict(_volume(PLAQUE), _field(), _model(network), progress=cancel)
    assert len(network.seen) == 1


@pytest.fixture
def batches(monkeypatch):
    """BatchLoader of four on a CPU that stands in for a GPU; returns the sizes that were run."""
    sizes = []
    run = predict_module._run_network

    def record(network, inputs, device):
        sizes.append((device, len(inputs)))
        return run(network, inputs, "cpu")

    monkeypatch.setattr(predict_module, "_run_network", record)
    monkeypatch.setattr(predict_module._Runner, "_use", _use_stand_in)
    return sizes


def _use_stand_in(self, device):
    self.device = device
    self._network = self._original
    self._size = 1 if device == "cpu" else 4


def test_batches_give_the_same_result(batches):
    volume = _volume(((2, 9), (40, 44), (50, 55), 300))
    together = predict(volume, _field(), _model(device="mps"))
    assert batches == [("mps", 4), ("mps", 3)]
    assert _same(together, predict(volume, _field(), _model(device="cpu")))


@pytest.mark.parametrize(
    ("fits", "expected", "warned"),
    [(2, [4, 2, 2, 2, 1], False), (1, [4, 2, 1, 1, 1, 1, 1, 1, 1], False), (0, [4, 2, 1] + [1] * 7, True)],
)
def test_a_full_gpu_gets_smaller_batches_and_then_the_cpu_takes_over(batches, monkeypatch, fits, expected, warned):
    run = predict_module._run_network

    def short_of_memory(network, inputs, device):
        if device == "mps" and len(inputs) > fits:
            batches.append((device, len(inputs)))
            raise RuntimeError("MPS backend out of memory (MPS allocated: 3 GB)")
        return run(network, inputs, device)

    monkeypatch.setattr(predict_module, "_run_network", short_of_memory)
    volume = _volume(((2, 9), (40, 44), (50, 55), 300))
    prediction = predict(volume, _field(), _model(device="mps"))
    assert [size for _, size in batches] == expected
    assert [warning.code for warning in prediction.warnings] == (["gpu-memory"] if warned else [])
    assert prediction.device == ("cpu" if warned else "mps")
    assert np.array_equal(label_lesions(volume, prediction) > 0, volume.hu >= 130)


def test_any_other_failure_of_the_network_is_not_hidden(batches, monkeypatch):
    def broken(network, inputs, device):
        raise RuntimeError("a kernel is missing")

    monkeypatch.setattr(predict_module, "_run_network", broken)
    with pytest.raises(RuntimeError, match="a kernel is missing"):
        predict(_volume(PLAQUE), _field(), _model(device="mps"))


def test_arteries_are_named_around_the_lesions_also_where_no_calcium_is():
    volume = _volume(PLAQUE)
    prediction = predict(volume, _field(), _model())
    lesion = volume.hu >= 130
    assert set(np.unique(prediction.artery_map[4])) >= {1, 2, 3, 4}
    assert np.array_equal(prediction.artery_map[lesion], prediction.artery[lesion])
    assert not prediction.artery_map[0].any()  # a slice that the network need not see
    kept = predict_lesions(volume, _field(), _model()).prediction.artery_map
    assert np.array_equal(kept > 0, near_lesions(volume, lesion) & (prediction.artery_map > 0))
    assert np.array_equal(kept[kept > 0], prediction.artery_map[kept > 0])
    assert not predict(volume, _field(), _model(BrightIsCalcium(artery_head=False))).artery_map.any()


def test_without_an_artery_head_every_lesion_is_unassigned():
    volume = _volume(PLAQUE)
    prediction = predict(volume, _field(), _model(BrightIsCalcium(artery_head=False)))
    assert not prediction.artery.any()
    assert set(np.unique(label_lesions(volume, prediction))) == {0, 5}


def _prediction(volume, probability, artery):
    prediction = predict(volume, _field(), _model())
    return replace(prediction, probability=probability.astype(np.float16), artery=artery.astype(np.uint8))


def test_probability_and_intensity_both_decide():
    volume = _volume(((4, 5), (40, 44), (50, 54), 300), ((4, 5), (40, 44), (50, 51), 129))
    probability = np.where(volume.hu > 100, 0.5, 0.0)
    probability[4, 42, 53] = LIMITS.lesion_probability
    probability[4, 43] = 0.99 * LIMITS.low_threshold
    labels = label_lesions(volume, _prediction(volume, probability, volume.hu > 100))
    assert (labels[4, 40:43, 51:54] == 1).all()
    assert np.count_nonzero(labels) == 9


def test_a_lesion_of_which_the_network_is_nowhere_sure_is_left_out():
    volume = _volume(((4, 6), (40, 42), (50, 52), 300))
    for highest, proposed in ((LIMITS.lesion_probability, True), (0.99 * LIMITS.lesion_probability, False)):
        probability = np.where(volume.hu >= 130, 0.5, 0.0)
        # One voxel of the lesion decides for all of it, in the other slice too.
        probability[5, 41, 51] = highest
        labels = label_lesions(volume, _prediction(volume, probability, volume.hu >= 130))
        assert np.count_nonzero(labels) == (8 if proposed else 0)


@pytest.mark.parametrize(
    ("core", "largest_mm3", "longer", "proposed"),
    [
        (0.3, LIMITS.large_lesion_mm3, 0, True),
        (0.3, LIMITS.large_lesion_mm3, 1, False),
        (LIMITS.large_lesion_core_probability, LIMITS.large_lesion_mm3, 1, True),
        (LIMITS.large_lesion_core_probability, LIMITS.very_large_lesion_mm3, 0, True),
        (LIMITS.large_lesion_core_probability, LIMITS.very_large_lesion_mm3, 1, False),
        (LIMITS.very_large_lesion_core_probability, LIMITS.very_large_lesion_mm3, 1, True),
    ],
)
def test_a_large_lesion_of_whose_bright_core_the_network_is_uncertain_is_left_out(core, largest_mm3, longer, proposed):
    count = int(largest_mm3 // float(np.prod(SPACING))) + longer
    bright = math.ceil(LIMITS.core_share * count)
    rows, rest = divmod(count, 50)
    volume = _volume(((4, 5), (40, 40 + rows), (50, 100), 300), ((4, 5), (40 + rows, 41 + rows), (50, 50 + rest), 300))
    volume.hu[4, 40:][volume.hu[4, 40:] == 300] = np.where(np.arange(count) < bright, 500, 300)
    # The border may be as uncertain as it likes; one voxel of it decides that the lesion is looked at at all.
    probability = np.where(volume.hu >= 130, 0.06, 0.0)
    probability[volume.hu == 500] = core + 0.001
    probability[volume.hu == 300] = np.where(np.arange(count - bright) == 0, 0.9, 0.06)
    labels = label_lesions(volume, _prediction(volume, probability, volume.hu >= 130))
    assert np.count_nonzero(labels) == (count if proposed else 0)


@pytest.mark.parametrize(("highest", "grown"), [(LIMITS.seed_3d + 0.001, True), (0.99 * LIMITS.seed_3d, False)])
def test_a_lesion_of_which_the_network_is_confident_is_taken_whole_in_all_slices(highest, grown):
    # A core in one slice; above it, touching, what motion has blurred, and at last what is too improbable.
    volume = _volume(((4, 8), (40, 42), (50, 52), 300))
    probability = np.zeros(SHAPE)
    probability[4, 40:42, 50:52] = highest
    probability[5, 40:42, 50:52] = LIMITS.low_threshold_3d + 0.001
    probability[6, 40:42, 50:52] = 0.9 * LIMITS.low_threshold_3d
    probability[7, 40:42, 50:52] = 0.4
    labels = label_lesions(volume, _prediction(volume, probability, volume.hu >= 130))
    assert np.flatnonzero(labels.any(axis=(1, 2))).tolist() == ([4, 5] if grown else [4])


def test_where_an_artery_touches_the_aortic_root_its_own_piece_stands():
    # A plaque of which the network is confident; touching it in the next slices, a bright sheet of which it is not.
    plaque, sheet = ((4, 5), (40, 44), (50, 54), 400), ((5, 7), (36, 48), (50, 62), 600)
    volume = _volume(plaque, sheet)
    probability = np.where(volume.hu == 400, 0.99, 0.0) + np.where(volume.hu == 600, 0.03, 0.0)
    labels = label_lesions(volume, _prediction(volume, probability, volume.hu >= 130))
    assert np.array_equal(labels > 0, volume.hu == 400)


def test_a_lesion_goes_to_the_artery_of_most_of_its_voxels():
    # Joined by a corner in three dimensions only; 8 voxels say LAD and 4 say LCX.
    volume = _volume(((4, 5), (40, 42), (50, 54), 300), ((5, 6), (42, 44), (54, 56), 300))
    artery = np.zeros(SHAPE)
    artery[4], artery[5] = 2, 3
    labels = label_lesions(volume, _prediction(volume, volume.hu >= 130, artery))
    assert np.count_nonzero(labels == 2) == 12 and set(np.unique(labels)) == {0, 2}


def test_lesions_that_do_not_touch_keep_their_own_arteries():
    volume = _volume(((4, 5), (40, 42), (50, 54), 300), ((6, 7), (42, 44), (54, 56), 300))
    artery = np.zeros(SHAPE)
    artery[4], artery[6] = 2, 3
    labels = label_lesions(volume, _prediction(volume, volume.hu >= 130, artery))
    assert (np.count_nonzero(labels == 2), np.count_nonzero(labels == 3)) == (8, 4)


def test_a_lesion_without_any_part_of_the_minimum_area_is_left_out():
    # A column of single pixels of 0.64 mm2 through four slices, and the same with one slice of two pixels.
    column = ((2, 6), (20, 21), (20, 21), 500)
    volume = _volume(column, ((2, 6), (60, 61), (60, 61), 500), ((3, 4), (60, 61), (60, 62), 500))
    labels = label_lesions(volume, _prediction(volume, volume.hu >= 130, np.full(SHAPE, 2)))
    assert not labels[:, 20, 20].any()
    assert (labels[2:6, 60, 60] == 2).all() and labels[3, 60, 61] == 2


def test_the_device_asked_for_must_be_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    for name in ("cuda", "mps"):
        with pytest.raises(InputError, match=name) as rejection:
            resolve_device(name)
        assert rejection.value.code == "device-missing"
    with pytest.raises(InputError) as rejection:
        resolve_device("tpu")
    assert rejection.value.code == "device-unknown"


def test_auto_takes_the_fastest_device(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
