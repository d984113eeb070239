"""Recipes, the training loop and its command line, on tiny cases."""

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.network.model_card import read_card
from coronary_calcium.network.weights import load_model
from coronary_calcium.training import batches
from coronary_calcium.training import metrics_log as records_module
from coronary_calcium.training import trainer as trainer_module
from coronary_calcium.training.ablation import train_ablation
from coronary_calcium.training.checkpoint import CHECKPOINT, WEIGHTS
from coronary_calcium.training.config import RECIPES, Recipe, changed, load_recipe
from coronary_calcium.training.distributed import Distributed
from coronary_calcium.training.metrics_log import METRICS, PICTURES, VALIDATIONS, Records
from coronary_calcium.training.samples import SampleOptions, draw_batch
from coronary_calcium.training.trainer import Trainer, learning_rate, train
from PIL import Image
from training_blobs import write_blobs

TINY = Recipe(name="tiny", iterations=3, batch=2, validation_slices=2, samples=SampleOptions(patch=64))


pytestmark = pytest.mark.usefixtures("small_network")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return write_blobs(root / "train", range(2)), write_blobs(root / "validation", range(100, 101))


@pytest.fixture(scope="module")
def trained(small_network, folders, tmp_path_factory):
    output = tmp_path_factory.mktemp("output")
    reports = []
    weights = train(TINY, *folders, output, lambda fraction, text: reports.append((fraction, text)))
    return weights, output, reports


def tiny(**changes):
    return changed(TINY, "tiny", changes)


def _rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_that_comes_with_the_program_is_valid(path):
    assert load_recipe(path.stem).name == path.stem


def test_the_paper_s_recipe_is_the_paper_s():
    recipe = load_recipe("paper")
    options = recipe.optimizer
    assert (options.name, options.momentum, recipe.batch, recipe.accumulate) == ("sgd", 0.9, 1, 1)
    assert (options.weight_decay, options.gradient_norm, options.warmup, recipe.ema) == (0.0, 0.0, 0, 0.0)
    assert (recipe.epochs, recipe.iterations, recipe.minutes, recipe.precision) == (25, 0, 0.0, "float32")
    assert recipe.cases.kinds == ("chest",) and recipe.cases.shares == {}
    assert (recipe.loss.minimum_hu, recipe.network.artery_head) == (-1000.0, False)
    samples = recipe.samples
    assert (samples.patch, samples.crop_pixels) == (512, 256)
    disturbances = ("gain", "offset_hu", "bright_gain", "noise_hu", "blur", "sharpen", "thicken", "elastic_mm")
    assert not any(getattr(samples, name) for name in disturbances)
    assert (recipe.loss.threshold, recipe.loss.alpha, recipe.loss.beta, recipe.loss.iou) == (0.9, 8.0, 1.0, 1.0)
    assert learning_rate(options, 0, 0.0) == pytest.approx(1e-3)
    assert learning_rate(options, 1999, 0.5) == pytest.approx(1e-3)
    assert learning_rate(options, 4000, 0.5) == pytest.approx(1e-3 * 0.99**2)


def test_the_cosine_rises_falls_and_ends_at_a_hundredth():
    recipe = replace(TINY.optimizer, learning_rate=1.0, warmup=10)
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
        'iterations = 5\n[optimizer]\nname = "magic"',
        'iterations = 5\n[optimizer]\nschedule = "steps"',
        "iterations = 5\nema = 1.0",
        "iterations = 5\nbatch = 1\n[samples]\npatch = 32",
        'iterations = "5"',
        "minutes = inf",
        "minutes = -1.0\niterations = 5",
        "iterations = 5\naccumulate = 0",
        "iterations = 5\n[network]\nuse_rau = 1",
        "iterations = 5\n[samples]\nwindow_mm = [100.0]",
        "iterations = 5\n[samples]\nblur = 0.6\nsharpen = 0.6",
        "iterations = 5\n[samples]\ncrop_pixels = 256",
        "iterations = 5\n[cases.shares]\na = 0.7\nb = 0.7",
        "epochs = 5\nfinal_patch = 512",
    ],
)
def test_an_impossible_recipe_is_rejected(tmp_path, text):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(InputError) as rejection:
        load_recipe(tmp_path / "bad.toml")
    assert rejection.value.code == "recipe"


def test_a_recipe_that_is_not_there_is_rejected_with_those_that_are():
    with pytest.raises(InputError, match="first, gpu, paper"):
        load_recipe("none")


def test_settings_replace_entries_of_a_recipe():
    recipe = load_recipe("paper", ["minutes = 8", "network.use_rau=false", 'cases.shares."plaques inserted" = 0.4'])
    assert (recipe.name, recipe.minutes, recipe.network.use_rau, recipe.network.use_edb) == ("paper", 8, False, True)
    assert recipe.cases.shares == {"plaques inserted": 0.4} and recipe.cases.kinds == ("chest",)


@pytest.mark.parametrize("setting", ["minutes", "network.speed = 3", "minutes = fast", "network = 3"])
def test_an_impossible_setting_is_rejected(setting):
    with pytest.raises(InputError):
        load_recipe("paper", [setting])


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
    monkeypatch.setattr(trainer_module, "METRICS_EVERY", 2)
    losses = []
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: losses.append(step(self)) or losses[-1])
    train(replace(TINY, iterations=3), folders[0], None, tmp_path)
    row, last = _rows(tmp_path / METRICS)
    assert last["iteration"] == "3" and float(last["loss"]) == pytest.approx(losses.pop()["loss"], rel=1e-5)
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
    monkeypatch.setattr(trainer_module, "METRICS_EVERY", 1)

    def cancel(fraction, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        train(TINY, folders[0], None, tmp_path, cancel)
    assert Trainer(TINY, folders[0], None, tmp_path).iteration == 1


def test_a_checkpoint_of_another_network_is_rejected(folders, trained):
    other = replace(TINY, network=replace(TINY.network, use_rau=False))
    with pytest.raises(InputError) as rejection:
        Trainer(other, folders[0], None, trained[1])
    assert rejection.value.code == "checkpoint"


def test_a_run_starts_from_given_weights_and_the_card_tells_of_them(folders, trained, tmp_path):
    weights, _, _ = trained
    model = load_model(weights)
    trainer = Trainer(TINY, folders[0], None, tmp_path, initialize=weights)
    assert trainer.iteration == 0
    for network in (trainer.network, trainer.average):
        for name, tensor in model.network.state_dict().items():
            assert torch.equal(network.state_dict()[name], tensor), name
    trainer.step()
    card = load_model(trainer.save()).card
    assert card["statement"].count("The network was trained on cases of: blobs.") == 2
    again = card["training"]
    assert again["iterations"] == 1
    assert again["initialized_from"]["sha256"] == model.card["sha256"]
    assert again["initialized_from"]["name"] == model.card["name"]
    assert again["initialized_from"]["iterations"] == 3 and "minutes" in again["initialized_from"]
    # Weights that were read stay as they are: the loaded model is shared.
    assert torch.equal(load_model(weights).network.calcium.weight, model.network.calcium.weight)
    resumed = Trainer(TINY, folders[0], None, tmp_path, initialize=weights)
    assert resumed.iteration == 1 and resumed.initialized_from == again["initialized_from"]
    assert Trainer(TINY, folders[0], None, tmp_path).initialized_from == again["initialized_from"]
    with pytest.raises(InputError, match="started from other weights"):
        Trainer(TINY, folders[0], None, trained[1], initialize=weights)


def test_given_weights_of_another_network_are_rejected(folders, trained, tmp_path):
    other = replace(TINY, network=replace(TINY.network, use_rau=False))
    with pytest.raises(InputError, match="another network"):
        Trainer(other, folders[0], None, tmp_path, initialize=trained[0])


def test_given_weights_that_are_not_finite_are_rejected(folders, trained, tmp_path):
    copied = tmp_path / trained[0].name
    content = safetensors.torch.load(trained[0].read_bytes())
    content["stem.1.running_var"][0] = float("inf")
    copied.write_bytes(safetensors.torch.save(content))
    card = {**read_card(trained[0]), "sha256": hashlib.sha256(copied.read_bytes()).hexdigest()}
    copied.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(InputError) as rejection:
        Trainer(TINY, folders[0], None, tmp_path / "run", initialize=copied)
    assert rejection.value.code == "weights-values"


def test_weights_that_are_no_numbers_any_more_do_not_replace_the_last_checkpoint(folders, tmp_path):
    trainer = Trainer(TINY, folders[0], None, tmp_path)
    trainer.step()
    trainer.save()
    kept = {name: (tmp_path / name).read_bytes() for name in (CHECKPOINT, WEIGHTS)}
    with torch.no_grad():
        trainer.network.calcium.weight.fill_(float("nan"))
    with pytest.raises(InputError) as rejection:
        trainer.save()
    assert rejection.value.code == "diverged"
    assert kept == {name: (tmp_path / name).read_bytes() for name in kept}


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
    draw = batches.draw_batch
    monkeypatch.setattr(batches, "draw_batch", lambda *given: sizes.append(draw(*given)) or sizes[-1])
    recipe = replace(TINY, iterations=4, batch=4, final_patch=128, final_patch_share=0.5)
    train(recipe, folders[0], None, tmp_path)
    assert [tuple(batch.hu.shape) for batch in sizes] == [(4, 9, 64, 64)] * 2 + [(1, 9, 128, 128)] * 2


def test_a_few_steps_on_one_batch_lower_every_loss(folders, tmp_path, monkeypatch):
    recipe = replace(TINY, iterations=1000, optimizer=replace(TINY.optimizer, warmup=0, learning_rate=5e-3))
    trainer = Trainer(recipe, folders[0], None, tmp_path)
    options = replace(TINY.samples, calcium_slices=1.0, focus=1.0)
    batch = draw_batch(trainer.train_cases, 2, options, np.random.default_rng(3))
    assert batch.labels.any()
    monkeypatch.setattr(batches, "draw_batch", lambda *_: batch)
    losses = [trainer.step() for _ in range(12)]
    for name in ("loss", "bootstrap", "iou", "artery"):
        assert losses[-1][name] < 0.8 * losses[0][name], name


def test_a_run_ends_when_its_minutes_are_over(folders, tmp_path, monkeypatch):
    trainer = Trainer(replace(TINY, iterations=1000, minutes=10.0), folders[0], None, tmp_path)
    monkeypatch.setattr(trainer_module.time, "monotonic", lambda: 0.0)
    trainer.clock = trainer_module.Clock(before=10.0)
    trainer.run()
    assert trainer.iteration == 0


def test_an_epoch_takes_every_slice_once_in_another_order_each_time(folders, tmp_path, monkeypatch):
    taken = []
    draw = batches.draw_batch
    monkeypatch.setattr(batches, "draw_batch", lambda *given: taken.append(given[4]) or draw(*given))
    trainer = Trainer(tiny(iterations=0, epochs=2, batch=5), folders[0], None, tmp_path)
    slices = trainer.train_cases.slices()
    assert len(slices) == 24 and trainer.iterations == 10  # 2 x 24 samples, 5 an iteration
    for _ in range(10):
        trainer.step()
    samples = [pair for batch in taken for pair in batch]
    assert sorted(samples[:24]) == sorted(samples[24:48]) == slices
    assert samples[:24] != samples[24:48] and samples[:24] != slices
    assert trainer.fraction == 1


def test_accumulated_gradients_are_the_mean_of_the_parts(folders, tmp_path):
    recipe = tiny(optimizer={"name": "sgd", "gradient_norm": 0.0})
    whole = Trainer(changed(recipe, "two", {"accumulate": 2}), folders[0], None, tmp_path / "two")
    whole.step()
    alone = Trainer(recipe, folders[0], None, tmp_path / "one")
    for part in range(2):
        alone._add_gradients(alone._draw(part, 0.0))
    for (name, expected), parameter in zip(alone.network.named_parameters(), whole.network.parameters()):
        assert torch.allclose(parameter.grad, expected.grad / 2, atol=1e-7), name


def test_a_picture_of_predictions_is_drawn(trained):
    (path,) = (trained[1] / PICTURES).iterdir()
    picture = np.asarray(Image.open(path))
    assert path.name == "iteration-0000003.png"
    assert picture.shape[1] > 1500 and picture.shape[0] > 500
    ct, truth = picture[60:500, 5:510].astype(int), picture[60:500, 525:1030].astype(int)
    assert (np.ptp(ct, axis=2) == 0).all()
    assert np.ptp(truth, axis=2).max() > 60  # the calcium is colored


def test_tensorboard_gets_the_metrics_and_the_pictures(folders, tmp_path):
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install tensorboard"
    )
    records = Records(tmp_path, 0)
    records.metrics({"iteration": 20, "loss": "1.5"})
    records.picture(np.zeros((8, 8, 3), np.uint8), 20)
    records.close()
    seen = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in seen.Scalars("training/loss")] == [(20, 1.5)]
    assert [event.step for event in seen.Images("predictions")] == [20]


def test_training_works_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr(records_module, "has_tensorboard", lambda: False)
    records = Records(tmp_path, 0)
    records.metrics({"iteration": 20, "loss": "1.5"})
    records.close()
    assert [path.name for path in tmp_path.iterdir()] == [METRICS]


def test_a_resumed_run_forgets_what_was_recorded_after_its_checkpoint(tmp_path):
    (tmp_path / METRICS).write_text("iteration,loss\n20,1.5\n40,1.2\n60,")
    Records(tmp_path, 30).close()
    assert _rows(tmp_path / METRICS) == [{"iteration": "20", "loss": "1.5"}]


def test_a_checkpoint_of_another_number_of_processes_is_rejected(folders, trained):
    with pytest.raises(InputError, match="a run of 1 processes, not 2"):
        Trainer(TINY, folders[0], None, trained[1], ranks=Distributed(0, 2, torch.device("cpu")))


def test_a_validation_folder_without_cases_is_rejected(folders, tmp_path):
    with pytest.raises(InputError, match="holds no case"):
        Trainer(TINY, folders[0], tmp_path, tmp_path / "out")


def test_a_damaged_checkpoint_is_rejected(folders, trained, tmp_path):
    content = (trained[1] / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        Trainer(TINY, folders[0], None, tmp_path)


def test_weights_that_no_run_here_has_made_are_not_overwritten(folders, trained, tmp_path):
    (tmp_path / WEIGHTS).write_bytes(b"someone's")
    with pytest.raises(InputError, match="without the checkpoint"):
        Trainer(TINY, folders[0], None, tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == b"someone's"


def test_training_cases_are_not_accepted_for_validation(folders, tmp_path):
    with pytest.raises(InputError, match="for training and for validation"):
        Trainer(TINY, folders[0], folders[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_ablation_trains_the_rows_of_the_paper_s_table(folders, tmp_path):
    reports = []
    recipe = tiny(iterations=1, network={"artery_head": False})
    weights = train_ablation(recipe, folders[0], None, tmp_path, lambda *report: reports.append(report))
    assert [path.parent.name for path in weights] == ["1-baseline", "2-rau", "3-edb", "4-scse", "5-iou"]
    cards = [read_card(path) for path in weights]
    parts = [
        (
            *(card["architecture"][f"use_{part}"] for part in ("rau", "edb", "scse")),
            card["training"]["recipe"]["loss"]["iou"],
        )
        for card in cards
    ]
    assert parts == [
        (False, False, False, 0.0),
        (True, False, False, 0.0),
        (True, True, False, 0.0),
        (True, True, True, 0.0),
        (True, True, True, 1.0),
    ]
    first = cards[0]["training"]["recipe"]
    for card in cards:  # nothing else differs
        other = card["training"]["recipe"]
        assert all(other[entry] == first[entry] for entry in other if entry not in ("name", "network", "loss"))
        assert card["training"]["iterations"] == 1 and not card["architecture"]["artery_head"]
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
