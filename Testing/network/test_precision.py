"""Which precision is used: bfloat16 only where the processor is not slower in it."""

import logging

import pytest
import torch
from command_cases import run
from coronary_calcium.evaluation import run as evaluation_run
from coronary_calcium.network import precision
from coronary_calcium.network import weights as network_weights
from coronary_calcium.network.model_card import read_card
from coronary_calcium.network.precision import NO_FAST_BFLOAT16, usable_precision
from coronary_calcium.training.config import Recipe
from coronary_calcium.training.samples import SampleOptions
from coronary_calcium.training.trainer import train
from evaluation_cases import model, write_cases
from training_blobs import write_blobs


@pytest.fixture(params=[0.5, 2.0], ids=["a CPU that gains by it", "a CPU that loses by it"])
def seconds(request, monkeypatch):
    """A CPU whose convolution takes a second in float32, and so long in bfloat16."""
    times = {torch.float32: 1.0, torch.bfloat16: request.param}
    monkeypatch.setattr(precision, "_seconds", times.__getitem__)
    precision._bfloat16_pays_on_cpu.cache_clear()
    yield request.param
    precision._bfloat16_pays_on_cpu.cache_clear()


@pytest.fixture
def expected(seconds):
    return "bfloat16" if seconds < 1 else "float32"


def test_a_cpu_that_is_slower_in_bfloat16_computes_in_float32(expected):
    assert usable_precision("bfloat16", "cpu") == expected
    assert usable_precision("bfloat16", torch.device("cuda")) == "bfloat16"
    assert usable_precision("float32", "cpu") == "float32"


def test_the_times_are_measured_in_either_precision():
    assert all(precision._seconds(dtype) > 0 for dtype in (torch.float32, torch.bfloat16))


@pytest.mark.usefixtures("small_network")
def test_training_says_which_precision_it_used(expected, tmp_path, caplog):
    recipe = Recipe(name="tiny", iterations=1, batch=2, precision="bfloat16", samples=SampleOptions(patch=64))
    with caplog.at_level(logging.WARNING):
        weights = train(recipe, write_blobs(tmp_path / "cases", range(1)), None, tmp_path / "run")
    assert read_card(weights)["training"]["precision"] == expected
    assert (NO_FAST_BFLOAT16 in caplog.text) == (expected == "float32")


def test_an_evaluation_says_which_precision_it_used(expected, tmp_path, monkeypatch):
    for module in (evaluation_run, network_weights):
        monkeypatch.setattr(module, "load_model", lambda path=None, device="cpu": model())
    write_cases(tmp_path / "data", 1)
    outcome = run(
        "evaluate",
        "--data",
        tmp_path / "data",
        "--output",
        tmp_path / "out",
        "--device",
        "cpu",
        "--precision",
        "bfloat16",
    )
    assert outcome.code == 0, outcome
    assert (NO_FAST_BFLOAT16 in outcome.err) == (expected == "float32")
    assert f'"precision": "{expected}"' in (tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8")
