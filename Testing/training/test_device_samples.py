"""Samples drawn on the device: the same windows, labels and blur as those that the CPU draws."""

import numpy as np
import pytest
import torch
from coronary_calcium.datasets.case_format import UNJUDGED, TrainingCase
from coronary_calcium.training.device_samples import DeviceCase, draw_on_device, gaussian
from coronary_calcium.training.samples import SampleOptions, draw_sample
from scipy import ndimage
from training_blobs import SPACING, blobs

# Nothing that is drawn after the view.
PLAIN = SampleOptions(patch=96, gain=0.0, offset_hu=0.0, noise_hu=0.0, blur=0.0, shift_mm=30.0)


@pytest.fixture
def case():
    hu, labels = blobs(3)
    unjudged = np.argwhere(labels == 1)
    labels[labels == 1] = 0
    center = (hu.shape[1] / 2, hu.shape[2] / 2)
    return TrainingCase(hu, labels, SPACING, center, {}, np.argwhere(hu > 250), unjudged)


def test_a_sample_of_the_device_is_that_of_the_cpu(case):
    seen = set()
    for seed in range(12):
        hu, labels = draw_sample(case, PLAIN, np.random.default_rng(seed))
        batch = draw_on_device([DeviceCase.of(case, torch.device("cpu"))], PLAIN, np.random.default_rng(seed))
        assert batch.hu[0].numpy() == pytest.approx(hu, abs=0.5)
        assert (batch.labels[0].numpy() != labels).mean() < 1e-3
        seen |= set(np.unique(labels).tolist())
    assert UNJUDGED in seen and len(seen) > 2


def test_samples_of_a_batch_are_of_their_own_cases_and_sizes(case):
    other = TrainingCase(np.full((5, 40, 50), 200, np.int16), np.zeros((5, 40, 50), np.uint8), SPACING, (20, 25), {})
    cases = [DeviceCase.of(each, torch.device("cpu")) for each in (case, other)]
    batch = draw_on_device(cases, PLAIN, np.random.default_rng(1))
    assert batch.hu.shape == (2, 9, 96, 96) and batch.labels.shape == (2, 96, 96)
    assert set(batch.hu[1].unique().tolist()) <= {200.0, -1000.0}


def test_degraded_samples_repeat_with_the_seed_and_differ_from_plain_ones(case):
    options = SampleOptions(patch=64, elastic_mm=5.0, thicken=0.3, zoom=0.3, bright_gain=0.2, sharpen=0.4)
    cases = [DeviceCase.of(case, torch.device("cpu"))] * 6
    first, again = (draw_on_device(cases, options, np.random.default_rng(5)) for _ in range(2))
    assert first.hu.equal(again.hu) and first.labels.equal(again.labels)
    assert not first.hu.equal(draw_on_device(cases, options, np.random.default_rng(6)).hu)


@pytest.mark.parametrize(("mode", "scipy_mode"), [("replicate", "nearest"), ("circular", "wrap")])
def test_each_sample_is_blurred_as_scipy_does(mode, scipy_mode):
    images = np.random.default_rng(0).normal(size=(3, 2, 32, 40)).astype(np.float32)
    sigmas = np.array([0.5, 1.2, 2.0])
    found = gaussian(torch.from_numpy(images), sigmas, mode).numpy()
    for image, blurred, sigma in zip(images, found, sigmas):
        assert blurred == pytest.approx(ndimage.gaussian_filter(image, (0, sigma, sigma), mode=scipy_mode), abs=2e-3)
