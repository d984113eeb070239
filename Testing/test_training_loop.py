"""Recipes, the training loop and its command line, on tiny cases."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from coronary_calcium.errors import Cancelled, InputRefused
from coronary_calcium.network.weights import load_model
from coronary_calcium.training import loop
from coronary_calcium.training.checkpoint import CHECKPOINT
from coronary_calcium.training.loop import Trainer, train
from coronary_calcium.training.optimisation import learning_rate
from coronary_calcium.training.recipe import RECIPES, Recipe, load_recipe
from coronary_calcium.training.records import METRICS, VALIDATIONS
from coronary_calcium.training.samples import SampleOptions, draw_batch
from training_blobs import write_blobs

TINY = Recipe(name="tiny", iterations=3, batch=2, validation_slices=2, samples=SampleOptions(patch=64))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return write_blobs(root / "train", range(2)), write_blobs(root / "validation", range(100, 101))


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    output = tmp_path_factory.mktemp("output")
    reports = []
    weights = train(TINY, *folders, output, lambda fraction, text: reports.append((fraction, text)))
    return weights, output, reports


def _rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_that_comes_with_the_program_is_valid(path):
    assert load_recipe(path.stem).name == path.stem


def test_the_paper_s_recipe_is_the_paper_s():
    recipe = load_recipe("paper")
    options = recipe.optimiser
    assert (recipe.optimiser.name, recipe.optimiser.momentum, recipe.batch) == ("sgd", 0.9, 1)
    assert (recipe.loss.threshold, recipe.loss.alpha, recipe.loss.beta, recipe.loss.iou) == (0.9, 8.0, 1.0, 1.0)
    assert learning_rate(options, 0, 0.0) == pytest.approx(1e-3)
    assert learning_rate(options, 1999, 0.5) == pytest.approx(1e-3)
    assert learning_rate(options, 4000, 0.5) == pytest.approx(1e-3 * 0.99**2)


def test_the_cosine_rises_falls_and_ends_at_a_hundredth():
    recipe = replace(TINY.optimiser, learning_rate=1.0, warmup=10)
    assert learning_rate(recipe, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(recipe, 9, 0.0) == pytest.approx(1.0)
    assert learning_rate(recipe, 100, 0.5) == pytest.approx(0.505)
    assert learning_rate(recipe, 100, 1.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "text",
    [
        "iterations = ",
        "batch = 2",
        "iterations = 5\nspeed = 3",
        "iterations = 5\nsamples = 3",
        "iterations = 5\n[samples]\npatch = 100",
        "iterations = 5\n[samples]\npatch = 1024",
        "iterations = 0",
        'iterations = 5\nprecision = "float8"',
        'iterations = 5\n[optimiser]\nname = "magic"',
        'iterations = 5\n[optimiser]\nschedule = "steps"',
        "iterations = 5\nema = 1.0",
        "iterations = 5\nbatch = 1\n[samples]\npatch = 32",
    ],
)
def test_an_impossible_recipe_is_refused(tmp_path, text):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputRefused) as refusal:
        load_recipe(tmp_path / "bad.toml")
    assert refusal.value.code == "recipe"


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputRefused, match="first, paper"):
        load_recipe("none")


def test_training_writes_weights_that_load_with_a_card_that_tells_of_it(trained):
    weights, _, reports = trained
    card = load_model(weights).card
    assert card["training"]["iterations"] == 3
    assert card["training"]["data"] == "2 training cases; source: blobs"
    assert card["training"]["recipe"]["samples"]["patch"] == 64
    assert 0 <= card["metrics"]["validation"]["f1"] <= 1
    assert card["metrics"]["validation"]["slices"] == 2
    assert reports[-1] == (1.0, "Trained")


def test_the_validation_is_on_record(trained):
    rows = _rows(trained[1] / VALIDATIONS)
    assert [row["iteration"] for row in rows] == ["3"]
    assert int(rows[0]["true_positive"]) + int(rows[0]["false_negative"]) > 0


def test_metrics_are_written_as_means(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "METRICS_EVERY", 2)
    losses = []
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: losses.append(step(self)) or losses[-1])
    train(replace(TINY, iterations=2), folders[0], None, tmp_path)
    (row,) = _rows(tmp_path / METRICS)
    assert float(row["loss"]) == pytest.approx(sum(entry["loss"] for entry in losses) / 2, rel=1e-5)
    assert row["iteration"] == "2"


def test_a_resumed_run_goes_on_exactly_as_an_uninterrupted_one(folders, trained, tmp_path):
    _, output, _ = trained
    interrupted = Trainer(TINY, folders[0], None, tmp_path)
    interrupted.step()
    interrupted.save()
    resumed = Trainer(TINY, folders[0], None, tmp_path)
    assert resumed.iteration == 1
    resumed.run()
    states = [torch.load(folder / CHECKPOINT, weights_only=True) for folder in (output, tmp_path)]
    for part in ("network", "average"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), (part, name)


def test_a_cancelled_run_keeps_its_checkpoint(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "METRICS_EVERY", 1)

    def cancel(fraction, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        train(TINY, folders[0], None, tmp_path, cancel)
    assert Trainer(TINY, folders[0], None, tmp_path).iteration == 1


def test_a_checkpoint_of_another_network_is_refused(folders, trained):
    other = replace(TINY, network=replace(TINY.network, use_rau=False))
    with pytest.raises(InputRefused) as refusal:
        Trainer(other, folders[0], None, trained[1])
    assert refusal.value.code == "checkpoint"


def test_a_run_starts_from_given_weights_and_the_card_tells_of_them(folders, trained, tmp_path):
    weights, _, _ = trained
    model = load_model(weights)
    trainer = Trainer(TINY, folders[0], None, tmp_path, initialise=weights)
    assert trainer.iteration == 0
    for network in (trainer.network, trainer.average):
        for name, tensor in model.network.state_dict().items():
            assert torch.equal(network.state_dict()[name], tensor), name
    trainer.step()
    again = load_model(trainer.save()).card["training"]
    assert again["iterations"] == 1
    assert again["initialised_from"]["sha256"] == model.card["sha256"]
    assert again["initialised_from"]["name"] == model.card["name"]
    assert again["initialised_from"]["iterations"] == 3 and "minutes" in again["initialised_from"]
    # Weights that were read stay as they are: the loaded model is shared.
    assert torch.equal(load_model(weights).network.calcium.weight, model.network.calcium.weight)
    resumed = Trainer(TINY, folders[0], None, tmp_path, initialise=weights)
    assert resumed.iteration == 1 and resumed.initialised_from == again["initialised_from"]
    assert Trainer(TINY, folders[0], None, tmp_path).initialised_from == again["initialised_from"]
    with pytest.raises(InputRefused, match="began with other weights"):
        Trainer(TINY, folders[0], None, trained[1], initialise=weights)


def test_given_weights_of_another_network_are_refused(folders, trained, tmp_path):
    other = replace(TINY, network=replace(TINY.network, use_rau=False))
    with pytest.raises(InputRefused, match="another network"):
        Trainer(other, folders[0], None, tmp_path, initialise=trained[0])


def test_the_average_follows_the_weights_slowly_and_starts_near_them(folders, tmp_path):
    trainer = Trainer(replace(TINY, ema=0.999), folders[0], None, tmp_path)
    start = trainer.average.calcium.weight.clone()
    trainer.step()
    end = trainer.network.calcium.weight.detach()
    decay = 1 / 11  # one iteration done: 1 / (10 + 1)
    assert torch.allclose(trainer.average.calcium.weight, decay * start + (1 - decay) * end, atol=1e-7)
    without = Trainer(replace(TINY, ema=0.0), folders[0], None, tmp_path / "none")
    without.step()
    assert torch.equal(without.average.calcium.weight, without.network.calcium.weight)


def test_the_last_part_of_a_run_sees_larger_patches(folders, tmp_path, monkeypatch):
    sizes = []
    draw = loop.draw_batch
    monkeypatch.setattr(loop, "draw_batch", lambda *given: sizes.append(draw(*given)) or sizes[-1])
    recipe = replace(TINY, iterations=4, batch=4, final_patch=128, final_patch_share=0.5)
    train(recipe, folders[0], None, tmp_path)
    assert [tuple(batch.hu.shape) for batch in sizes] == [(4, 9, 64, 64)] * 2 + [(1, 9, 128, 128)] * 2


def test_a_few_steps_on_one_batch_lower_every_loss(folders, tmp_path, monkeypatch):
    recipe = replace(TINY, iterations=1000, optimiser=replace(TINY.optimiser, warmup=0))
    trainer = Trainer(recipe, folders[0], None, tmp_path)
    options = replace(TINY.samples, calcium_slices=1.0, focus=1.0)
    batch = draw_batch(trainer.train_cases, 2, options, np.random.default_rng(3))
    assert batch.labels.any()
    monkeypatch.setattr(loop, "draw_batch", lambda *_: batch)
    losses = [trainer.step() for _ in range(8)]
    for name in ("loss", "bootstrap", "iou", "artery"):
        assert losses[-1][name] < 0.8 * losses[0][name], name


def test_a_run_ends_when_its_minutes_are_over(folders, tmp_path, monkeypatch):
    trainer = Trainer(replace(TINY, iterations=1000, minutes=10.0), folders[0], None, tmp_path)
    monkeypatch.setattr(loop.time, "monotonic", lambda: 0.0)
    trainer.clock = loop._Clock(before=10.0)
    trainer.run()
    assert trainer.iteration == 0
