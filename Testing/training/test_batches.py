"""BatchLoader drawn ahead by threads are those that the run would draw by itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from coronary_calcium.errors import InputError
from coronary_calcium.training import batches as batches_module
from coronary_calcium.training import trainer as trainer_module
from coronary_calcium.training.batches import BatchLoader, EpochSampler, Place, loader_threads, stage_of, staged_samples
from coronary_calcium.training.cases import CaseFolder
from coronary_calcium.training.config import Recipe, changed
from coronary_calcium.training.distributed import Distributed
from coronary_calcium.training.samples import SampleOptions, draw_sample
from coronary_calcium.training.trainer import Trainer
from training_blobs import write_blobs

ALONE = Distributed(0, 1, torch.device("cpu"))
TINY = Recipe(name="tiny", iterations=6, batch=2, accumulate=2, samples=SampleOptions(patch=64))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp("cases"), range(3))


@pytest.fixture
def batches(folder):
    """Makes the batches of a run, drawn by so many threads."""
    made = []

    def make(threads, recipe=TINY, in_memory=200):
        cases = CaseFolder(folder, in_memory)
        passes = EpochSampler(cases.slices(), recipe.seed) if recipe.epochs else None
        made.append(BatchLoader(cases, recipe, ALONE, passes, threads))
        return made[-1]

    yield make
    for each in made:
        each.close()


def same(one, other):
    return torch.equal(one.hu, other.hu) and torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("recipe", [TINY, changed(TINY, "epochs", {"epochs": 2})], ids=["iterations", "epochs"])
def test_threads_draw_what_the_run_would_draw_by_itself(batches, recipe):
    # One case in memory: each thread loads what it draws from while another does.
    ahead, alone = batches(3, recipe, in_memory=1), batches(0, recipe)
    # In order; then as a run that goes back to a checkpoint.
    for iteration in (0, 1, 2, 3, 1, 2):
        for part in range(2):
            assert same(ahead.take(Place(iteration, part)), alone.take(Place(iteration, part)))


def test_a_run_may_begin_with_coarse_whole_windows_and_end_with_large_patches():
    recipe = changed(TINY, "staged", {"batch": 8, "coarse_pixels": 128, "coarse_share": 0.4})
    recipe = changed(recipe, "staged", {"final_patch": 128, "final_patch_share": 0.2})
    timing = [stage_of(recipe, fraction) for fraction in (0.0, 0.39, 0.4, 0.79, 0.8, 1.0)]
    assert timing == ["coarse", "coarse", "main", "main", "final", "final"]
    coarse, few = staged_samples(recipe, "coarse")
    # The whole window in a quarter of the pixels along each side, and as many pixels a batch as in the main stage.
    assert (coarse.pixels, coarse.patch, few) == (128, 128, 2)
    assert staged_samples(recipe, "main") == (recipe.samples, 8)
    final, few = staged_samples(recipe, "final")
    assert (final.pixels, final.patch, few) == (512, 128, 2)


def test_a_coarse_window_shows_what_the_fine_one_does(folder):
    case = CaseFolder(folder).case("blobs-000.npz")
    still = SampleOptions(patch=512, shift_mm=0, rotation_degrees=0, gain=0, offset_hu=0, noise_hu=0, blur=0)
    still = replace(still, window_mm=(60.0, 60.0))
    fine, labels = draw_sample(case, still, np.random.default_rng(0), 5)
    coarse, few_labels = draw_sample(case, replace(still, pixels=128, patch=128), np.random.default_rng(0), 5)
    means = fine[4].reshape(128, 4, 128, 4).mean(axis=(1, 3))
    assert np.abs(coarse[4] - means).mean() < 3
    assert (few_labels > 0).mean() == pytest.approx((labels > 0).mean(), rel=0.1)


def test_batches_that_follow_are_drawn_before_they_are_asked_for(batches, monkeypatch):
    drawn = []
    monkeypatch.setattr(batches_module, "draw_batch", lambda *given: drawn.append(given))
    ahead = batches(2)
    ahead.take(Place(0, 0))
    ahead.close()
    assert len(drawn) >= 1 and set(ahead._waiting) == {
        Place(0, 1),
        *(Place(1, n) for n in range(2)),
        Place(2, 0),
    }


@pytest.mark.usefixtures("small_network")
def test_a_run_with_threads_gives_the_weights_of_one_without(folder, tmp_path, monkeypatch):
    # The last third sees larger patches, which the threads cannot foresee.
    recipe = changed(TINY, "larger", {"final_patch": 128, "final_patch_share": 0.34, "batch": 4})
    weights = []
    for threads in (0, 2):
        monkeypatch.setattr(trainer_module, "loader_threads", lambda ranks, threads=threads: threads)
        trainer = Trainer(recipe, folder, None, tmp_path / str(threads))
        trainer.run()
        weights.append(torch.cat([tensor.double().flatten() for tensor in trainer.network.state_dict().values()]))
    assert torch.equal(*weights)


def test_what_goes_wrong_in_a_thread_reaches_the_run(tmp_path):
    cases = CaseFolder(write_blobs(tmp_path / "lost", range(1)))
    ahead = BatchLoader(cases, TINY, ALONE, None, 2)
    for path in (tmp_path / "lost").glob("*.npz"):
        path.write_bytes(b"damaged")
    with pytest.raises(InputError) as rejection:
        ahead.take(Place(0, 0))
    ahead.close()
    assert rejection.value.code == "no-training-data"


@pytest.mark.parametrize(
    ("device", "cores", "processes", "threads"),
    [("cpu", 16, 1, 0), ("cuda", 16, 1, 8), ("cuda", 16, 4, 3), ("cuda", 4, 1, 3), ("cuda", 1, 1, 1)],
)
def test_threads_draw_ahead_for_a_gpu_and_leave_a_core_to_each_process(monkeypatch, device, cores, processes, threads):
    monkeypatch.setattr(batches_module.os, "cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert loader_threads(Distributed(0, processes, torch.device(device))) == threads
