"""The mean of weights: of every value, only of runs that began alike, with a card that tells of all of them."""

import pytest
import torch
from coronary_calcium.errors import InputError
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.weights import load_model, save_model
from coronary_calcium.training.averaged_weights import average_weights, main

START = {"sha256": "5" * 64, "iterations": 1000, "minutes": 50.0}
PARTS = {"use_rau": False, "use_edb": False, "use_scse": False, "artery_head": True}


def run_of(path, seed, start=START, parts=PARTS):
    """Weights of a run of that seed; returns their path."""
    torch.manual_seed(seed)
    training = {
        "data": f"cases of {seed}",
        "recipe": {"name": "r", "seed": seed},
        "iterations": 100 * seed,
        "minutes": 3,
    }
    if start:
        training["initialized_from"] = start
    facts = {"name": "net", "date": f"2026-01-0{seed}", "statement": "Of nothing.", "training": training, "metrics": {}}
    save_model(DenseRAUNet(**parts), facts, path)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [run_of(folder / f"{seed}.safetensors", seed) for seed in (1, 2)]


def test_every_value_is_the_mean_of_the_runs(runs, tmp_path):
    average_weights(runs, tmp_path / "mean.safetensors")
    first, second, mean = (load_model(path).network.state_dict() for path in (*runs, tmp_path / "mean.safetensors"))
    for name, value in mean.items():
        if value.is_floating_point():
            expected = (first[name] + second[name]) / 2
            # Stored in float16.
            assert torch.allclose(value, expected, rtol=1e-3, atol=1e-6), name


def test_half_of_the_mean_comes_from_the_weights_that_the_runs_began_with(tmp_path):
    start = run_of(tmp_path / "start.safetensors", 4)
    begun = {**START, "sha256": load_model(start).card["sha256"], "initialized_from": START}
    runs = [run_of(tmp_path / f"{seed}.safetensors", seed, begun) for seed in (1, 2)]
    card = average_weights(runs, tmp_path / "half.safetensors", start)
    values = [load_model(path).network.state_dict() for path in (*runs, start, tmp_path / "half.safetensors")]
    for name, value in values[0].items():
        if value.is_floating_point():
            first, second, before, half = (state[name] for state in values)
            assert torch.allclose(half, (first + second) / 4 + before / 2, rtol=1e-3, atol=1e-6), name
    assert card["name"] == "net, mean of 2 runs, half of them, half of the weights before"
    assert card["training"]["half_of"] == begun["sha256"]
    # One run and its start are two weights.
    assert average_weights(runs[:1], tmp_path / "one.safetensors", start)["name"].startswith("net, half of")


def test_the_card_of_a_mean_and_its_start_tells_of_every_run(tmp_path):
    start = run_of(tmp_path / "start.safetensors", 4)
    begun = {**START, "sha256": load_model(start).card["sha256"]}
    runs = [run_of(tmp_path / f"{seed}.safetensors", seed, begun) for seed in (1, 2)]
    average_weights(runs, tmp_path / "mean.safetensors")
    card = average_weights([tmp_path / "mean.safetensors"], tmp_path / "half.safetensors", start)
    assert [run["seed"] for run in card["training"]["averaged"]] == [1, 2]
    assert card["name"] == "net, mean of 2 runs, half of them, half of the weights before"


def test_weights_that_the_runs_do_not_come_from_are_no_part_of_the_mean(runs, tmp_path):
    with pytest.raises(InputError, match="did not begin with the weights of --start"):
        average_weights(runs, tmp_path / "mean.safetensors", run_of(tmp_path / "other.safetensors", 5))
    assert not (tmp_path / "mean.safetensors").exists()


def test_the_card_adds_the_runs_up_and_names_each(runs, tmp_path):
    card = average_weights(runs, tmp_path / "mean.safetensors")
    training = card["training"]
    assert card["name"] == "net, mean of 2 runs" and card["date"] == "2026-01-02" and card["statement"] == "Of nothing."
    assert (training["iterations"], training["minutes"]) == (300, 6)
    assert (training["iterations_in_all"], training["minutes_in_all"]) == (1300, 56.0)
    assert training["data"] == "cases of 1; cases of 2"
    assert [(run["seed"], run["iterations"]) for run in training["averaged"]] == [(1, 100), (2, 200)]


@pytest.mark.parametrize(
    ("start", "parts"),
    [({**START, "sha256": "6" * 64}, PARTS), (None, PARTS), (START, {**PARTS, "artery_head": False})],
)
def test_runs_that_did_not_begin_alike_or_have_other_parts_are_rejected(runs, tmp_path, start, parts):
    other = run_of(tmp_path / "other.safetensors", 3, start, parts)
    with pytest.raises(InputError, match="average runs"):
        average_weights([runs[0], other], tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


def test_one_file_or_the_same_twice_is_no_mean(runs, tmp_path, capsys):
    for named in ([runs[0]], [runs[0], runs[0]]):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, named), "--output", str(tmp_path / "mean.safetensors")])
        assert ended.value.code == 2
        assert "name each of them once" in capsys.readouterr().err


def test_the_command_writes_weights_that_load(runs, tmp_path):
    assert main([*map(str, runs), "--output", str(tmp_path / "mean.safetensors")]) == 0
    assert load_model(tmp_path / "mean.safetensors").card["name"] == "net, mean of 2 runs"
