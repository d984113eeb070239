"""Weights and model card on disk."""

import copy
import hashlib
import json
import math

import pytest
import safetensors.torch
import torch
from coronary_calcium.errors import InputError
from coronary_calcium.network import weights
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.model_card import default_weights
from coronary_calcium.network.weights import load_model, save_model
from coronary_calcium.training.config import Recipe
from coronary_calcium.training.samples import SampleOptions
from coronary_calcium.training.trainer import Trainer
from training_blobs import write_blobs

CARD = {
    "name": "test",
    "date": "2026-01-01",
    "statement": "Never trained.",
    "training": {"data": "nothing", "recipe": "none", "iterations": 0, "minutes": 0.0},
    "metrics": {},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(1)
    network = DenseRAUNet(use_edb=False).eval()
    path = tmp_path_factory.mktemp("weights") / "network.safetensors"
    return network, path, save_model(network, CARD, path)


@pytest.fixture
def copied(saved, tmp_path):
    """A copy of weights and card that a test may damage."""
    _, path, _ = saved
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    copy.with_suffix(".json").write_text(path.with_suffix(".json").read_text())
    return copy


def _change_card(path, change):
    card_path = path.with_suffix(".json")
    card = json.loads(card_path.read_text())
    change(card)
    card_path.write_text(json.dumps(card))


def _replace_content(path, content):
    """Another content, with the checksum on the card to match."""
    path.write_bytes(content)
    _change_card(path, lambda card: card.update(sha256=hashlib.sha256(content).hexdigest()))


def _code_of(path):
    with pytest.raises(InputError) as rejection:
        load_model(path)
    message = str(rejection.value)
    assert message.endswith((".", ";")) and "\n" not in message
    return rejection.value.code


def test_weights_come_back_to_half_precision_and_statistics_exactly(saved):
    network, path, card = saved
    model = load_model(path)
    assert model.card == card
    assert model.network.architecture == network.architecture
    assert not model.network.training
    for name, tensor in network.state_dict().items():
        loaded = model.network.state_dict()[name]
        if "running_" in name:
            assert torch.equal(loaded, tensor), name
        elif tensor.is_floating_point():
            torch.testing.assert_close(loaded, tensor, rtol=2**-11, atol=1e-7)


def test_the_loaded_network_says_the_same(saved):
    network, path, _ = saved
    slices = torch.randn(1, 9, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(load_model(path).network(slices)[0], network(slices)[0], atol=0.05)


def test_the_card_says_what_the_weights_are(saved):
    _, _, card = saved
    assert card["architecture"] == {"use_rau": True, "use_edb": False, "use_scse": True, "artery_head": True}
    assert len(card["sha256"]) == 64
    assert card["statement"] == "Never trained."


def test_weights_are_loaded_once(saved):
    assert load_model(saved[1]) is load_model(str(saved[1]))


def test_absent_weights_are_rejected(tmp_path):
    assert _code_of(tmp_path / "none.safetensors") == "weights-missing"


def test_absent_shipped_weights_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "default_weights", lambda: tmp_path / "denseraunet.safetensors")
    assert _code_of(None) == "weights-missing"


def test_weights_without_a_card_are_rejected(copied):
    copied.with_suffix(".json").unlink()
    assert _code_of(copied) == "weights-card"


@pytest.mark.parametrize("text", ["", "{", "[]", '"card"'])
def test_a_card_that_is_no_json_object_is_rejected(copied, text):
    copied.with_suffix(".json").write_text(text)
    assert _code_of(copied) == "weights-card"


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("sha256"),
        lambda card: card.update(format="another"),
        lambda card: card.update(date=3),
        lambda card: card["architecture"].pop("use_rau"),
        lambda card: card["architecture"].update(use_rau="yes"),
        lambda card: card["input"].update(scale_hu=100.0),
        lambda card: card["training"].pop("minutes"),
    ],
)
def test_a_card_that_lacks_something_is_rejected(copied, change):
    _change_card(copied, change)
    assert _code_of(copied) == "weights-card"


def test_weights_with_one_changed_byte_are_rejected(copied):
    content = bytearray(copied.read_bytes())
    content[-1] ^= 1
    copied.write_bytes(bytes(content))
    assert _code_of(copied) == "weights-checksum"


def test_truncated_weights_are_rejected(copied):
    copied.write_bytes(copied.read_bytes()[:-1000])
    assert _code_of(copied) == "weights-checksum"


def test_a_file_that_is_no_safetensors_file_is_rejected(copied):
    content = b"PK\x03\x04 a pickle in a zip, which nobody may open"
    _replace_content(copied, content)
    assert _code_of(copied) == "weights-format"


def test_weights_of_another_architecture_are_rejected(copied):
    _change_card(copied, lambda card: card["architecture"].update(use_edb=True))
    assert _code_of(copied) == "weights-architecture"


def test_an_incomplete_card_is_not_written(saved, tmp_path):
    with pytest.raises(ValueError, match="training"):
        save_model(saved[0], {**CARD, "training": {}}, tmp_path / "x.safetensors")
    unsaid = {name: value for name, value in CARD.items() if name != "statement"}
    with pytest.raises(ValueError, match='"statement"'):
        save_model(saved[0], unsaid, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["stem.1.running_var", "stem.1.running_mean", "calcium.weight", "stem.1.bias"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_rejected_and_not_written(saved, copied, name, value):
    content = safetensors.torch.load(copied.read_bytes())
    content[name].view(-1)[0] = value
    _replace_content(copied, safetensors.torch.save(content))
    assert _code_of(copied) == "weights-values"
    network = copy.deepcopy(saved[0])
    with torch.no_grad():
        network.state_dict()[name].view(-1)[0] = value
    before = copied.read_bytes()
    with pytest.raises(ValueError, match=name):
        save_model(network, CARD, copied)
    assert copied.read_bytes() == before


def test_a_negative_variance_is_rejected(copied):
    content = safetensors.torch.load(copied.read_bytes())
    content["stem.1.running_var"][3] = -0.5
    _replace_content(copied, safetensors.torch.save(content))
    assert _code_of(copied) == "weights-values"


def test_a_weight_too_large_for_half_precision_is_not_written_and_a_variance_is(saved, tmp_path):
    network = copy.deepcopy(saved[0])
    network.state_dict()["decoders.0.conv1.1.running_var"][7] = 1e6
    save_model(network, CARD, tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors").network.decoders[0].conv1[1].running_var[7] == 1e6
    with torch.no_grad():
        network.calcium.weight.view(-1)[0] = 1e6
    with pytest.raises(ValueError, match=r"calcium\.weight"):
        save_model(network, CARD, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


def test_the_shipped_weights_are_finite_and_their_statistics_in_full_precision():
    tensors = safetensors.torch.load(default_weights().read_bytes())
    statistics = {name for name in tensors if name.endswith((".running_mean", ".running_var"))}
    assert len(statistics) > 200
    for name, tensor in tensors.items():
        assert torch.isfinite(tensor).all(), name
        assert tensor.dtype == (torch.float32 if name in statistics else torch.float16), name
        # What training would divide by: no variance was lost to rounding.
        assert not name.endswith(".running_var") or tensor.min() > 1e-3, name


def test_training_that_begins_with_the_shipped_weights_stays_finite(tmp_path):
    recipe = Recipe(name="short", batch=2, samples=SampleOptions(patch=64))
    trainer = Trainer(recipe, write_blobs(tmp_path / "cases", range(1)), None, tmp_path / "run", default_weights())
    losses = [trainer.step()["loss"] for _ in range(3)]
    assert all(map(math.isfinite, losses)), losses
    for network in (trainer.network, trainer.average):
        for name, tensor in network.state_dict().items():
            assert torch.isfinite(tensor).all(), name
