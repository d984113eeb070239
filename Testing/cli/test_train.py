"""`coronary-calcium train` as a user runs it: to the end, stopped, killed, on several processes, rejected."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from coronary_calcium.cli import console
from coronary_calcium.cli import train as command
from coronary_calcium.network.model_card import read_card
from coronary_calcium.network.weights import load_model
from coronary_calcium.progress import no_progress
from coronary_calcium.training.config import changed, load_recipe
from coronary_calcium.training.distributed import Distributed
from coronary_calcium.training.trainer import Trainer
from marked_patient import write_patient
from training_blobs import write_blobs

TESTING = Path(__file__).resolve().parents[1]
HELPERS = TESTING / "helpers"
# One thread: sums over several threads round otherwise than the one of a process that was killed.
RECIPE = """
threads = 1
iterations = 10
batch = 2
checkpoint_minutes = 0.0
[samples]
patch = 64
[optimizer]
name = "sgd"
gradient_norm = 0.0
"""


pytestmark = pytest.mark.usefixtures("small_network")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp("data"), range(2))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


def run(*arguments):
    """Run the command in this process; returns the exit code."""
    from coronary_calcium.cli.main import main

    return main(["train", *map(str, arguments), "--device", "cpu"])


def environment():
    path = os.pathsep.join((str(TESTING.parent / "CoronaryCalciumScoring"), str(HELPERS)))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def start(*arguments):
    """Start the command with a tiny network in a process of its own."""
    program = [sys.executable, str(HELPERS / "training_process.py"), "train", *map(str, arguments), "--device", "cpu"]
    return subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment())


def wait_for(path, process, seconds=240):
    """Wait until a running process has made a file."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"no {path.name}"
        time.sleep(0.02)


def state_of(output):
    return torch.load(output / "checkpoint.pt", weights_only=True)


def rows_of(output):
    with (output / "metrics.csv").open(newline="") as stream:
        return [{name: value for name, value in row.items() if name != "minutes"} for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def uninterrupted(data, recipe, tmp_path_factory):
    """The output of a run of 21 iterations that nothing stops."""
    output = tmp_path_factory.mktemp("uninterrupted")
    assert run(recipe, "--data", data, "--output", output, "--set", "iterations=21") == 0
    return output


def test_a_run_that_was_killed_goes_on_to_the_same_weights_to_the_bit(data, recipe, uninterrupted, tmp_path):
    arguments = (recipe, "--data", data, "--output", tmp_path / "out", "--set", "iterations=21")
    killed = start(*arguments)
    wait_for(tmp_path / "out" / "checkpoint.pt", killed)
    killed.kill()
    killed.communicate()
    reached = state_of(tmp_path / "out")["iteration"]
    assert 1 <= reached < 21
    assert run(*arguments) == 0
    expected, resumed = state_of(uninterrupted), state_of(tmp_path / "out")
    assert resumed["iteration"] == expected["iteration"] == 21
    for part in ("network", "average"):
        for name, tensor in expected[part].items():
            assert torch.equal(tensor, resumed[part][name]), (part, name)
    for number, entries in expected["optimizer"]["state"].items():
        assert torch.equal(entries["momentum_buffer"], resumed["optimizer"]["state"][number]["momentum_buffer"])
    assert rows_of(tmp_path / "out") == rows_of(uninterrupted)


def test_ctrl_c_finishes_the_iteration_and_leaves_a_checkpoint(data, recipe, tmp_path):
    output = tmp_path / "out"
    process = start(recipe, "--data", data, "--output", output, "--set", "iterations=100000")
    wait_for(output / "checkpoint.pt", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert err.splitlines()[-1] == f"Stopped; the same command goes on from the checkpoint in {output}."
    assert "Traceback" not in err
    assert state_of(output)["iteration"] == read_card(output / "denseraunet.safetensors")["training"]["iterations"]
    assert not list(output.glob("*.partial"))


def test_two_processes_take_the_step_of_their_mean_gradient_and_end_with_equal_weights(data, recipe, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = [str(HELPERS / "training_distributed.py"), str(recipe), str(data), str(tmp_path)]
    done = subprocess.run([*torchrun, *program], env=environment(), capture_output=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr.decode()[:6000]
    after = {name: safetensors.torch.load_file(tmp_path / f"{name}.safetensors") for name in ("step-0", "end-0")}
    # One process that takes both processes' samples, one batch after the other.
    both = Trainer(changed(load_recipe(recipe), "both", {"accumulate": 2}), data, None, tmp_path / "both")
    both.step()
    for name, parameter in both.network.named_parameters():
        assert torch.allclose(parameter, after["step-0"][name], atol=1e-6), name
    assert not torch.equal(after["end-0"]["stem.0.weight"], after["step-0"]["stem.0.weight"])
    for moment in ("step", "end"):
        other = safetensors.torch.load_file(tmp_path / f"{moment}-1.safetensors")
        for name, tensor in after[f"{moment}-0"].items():
            assert torch.equal(tensor, other[name]), (moment, name)
    card = load_model(tmp_path / "denseraunet.safetensors").card["training"]
    assert (card["processes"], card["iterations"]) == (2, 10)


def test_each_process_draws_samples_of_its_own(data, recipe, tmp_path):
    trainers = [
        Trainer(load_recipe(recipe), data, None, tmp_path, ranks=Distributed(rank, 1, torch.device("cpu")))
        for rank in (0, 1)
    ]
    one, other = (trainer._draw(0, 0.0) for trainer in trainers)
    assert not np.array_equal(one.hu, other.hu)


def test_a_run_starts_from_given_weights_with_other_values_than_the_recipe_s(data, recipe, uninterrupted, tmp_path):
    weights = uninterrupted / "denseraunet.safetensors"
    arguments = ("--initialize", weights, "--set", "iterations=1", "--set", "network.artery_head=true")
    assert run(recipe, "--data", data, "--output", tmp_path, *arguments) == 0
    training = json.loads((tmp_path / "denseraunet.json").read_text())["training"]
    assert training["iterations"] == 1
    assert training["initialized_from"]["iterations"] == 21
    assert training["initialized_from"]["sha256"] == read_card(weights)["sha256"]


def test_any_data_set_is_trained_on_by_way_of_cases_beside_the_run(recipe, tmp_path):
    write_patient(tmp_path / "patients")
    assert run(recipe, "--data", tmp_path / "patients", "--output", tmp_path / "out", "--set", "iterations=1") == 0
    assert len(list((tmp_path / "out" / "cases").rglob("*.npz"))) == 1
    assert "1 training cases" in read_card(tmp_path / "out" / "denseraunet.safetensors")["training"]["data"]


def test_several_processes_train_on_prepared_cases_alone(recipe, tmp_path, monkeypatch):
    write_patient(tmp_path / "patients")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert command.training_cases(tmp_path / "patients", tmp_path, no_progress) == tmp_path / "patients"
    assert not (tmp_path / "cases").exists()


def test_without_tensorboard_the_command_says_so(data, recipe, tmp_path, monkeypatch, capsys):
    from coronary_calcium.training import metrics_log

    monkeypatch.setattr(metrics_log, "has_tensorboard", lambda: False)
    assert run(recipe, "--data", data, "--output", tmp_path, "--set", "iterations=1") == 0
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == metrics_log.NO_TENSORBOARD
    assert last == f"Trained; the weights are in {tmp_path}."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none", "--data", "{data}"], "There is no recipe none"),
        (["{recipe}", "--data", "{empty}"], "none of the data sets that can be"),
        (["{recipe}", "--data", "{empty}/no"], "is not a folder"),
        (["{recipe}", "--data", "{data}", "--validation", "{data}"], "for training and for validation"),
        (["paper", "--data", "{data}"], "of the kind or source"),
        (["{recipe}", "--data", "{data}", "--set", "batch=0"], "must be positive"),
        (["{recipe}", "--data", "{data}", "--initialize", "{empty}/w.safetensors"], "no network weights"),
    ],
)
def test_what_cannot_be_trained_is_rejected_in_one_sentence(data, recipe, tmp_path, capsys, arguments, sentence):
    (tmp_path / "empty").mkdir()
    places = {"data": data, "recipe": recipe, "empty": tmp_path / "empty"}
    given = [argument.format(**places) for argument in arguments]
    assert run(*given, "--output", tmp_path / "out") == 3
    rejections = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("TensorBoard")]
    assert not (tmp_path / "out").exists()
    assert len(rejections) == 1 and rejections[0].startswith("Rejected: ") and sentence in rejections[0]


def test_a_folder_that_cannot_be_written_is_wrong_usage(data, recipe, tmp_path):
    (tmp_path / "file").write_text("")
    assert run(recipe, "--data", data, "--output", tmp_path / "file") == 2


def test_a_long_run_without_a_terminal_writes_a_line_a_minute(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.LongProgress() as progress:
        for second in range(0, 130, 10):
            now[0] = float(second)
            progress(second / 200, f"Iteration {second}")
        progress(1.0, "Trained")
    assert capsys.readouterr().err.splitlines() == [
        "  0.0 %  Iteration 0",
        " 30.0 %  Iteration 60",
        " 60.0 %  Iteration 120",
        "100.0 %  Trained",
    ]


def test_a_second_ctrl_c_ends_at_once():
    with command._stop_after_iteration() as is_stopped:
        assert not is_stopped()
        signal.raise_signal(signal.SIGINT)
        assert is_stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
