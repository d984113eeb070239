"""Weights and model card on disk."""

import json

import pytest
import torch
from coronary_calcium.errors import InputRefused
from coronary_calcium.network import weights
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.weights import load_model, save_model

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


def _code_of(path):
    with pytest.raises(InputRefused) as refusal:
        load_model(path)
    message = str(refusal.value)
    assert message.endswith((".", ";")) and "\n" not in message
    return refusal.value.code


def test_weights_come_back_as_they_were_to_half_precision(saved):
    network, path, card = saved
    model = load_model(path)
    assert model.card == card
    assert model.network.architecture == network.architecture
    assert not model.network.training
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(model.network.state_dict()[name], tensor.half().float()), name


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


def test_absent_weights_are_refused(tmp_path):
    assert _code_of(tmp_path / "none.safetensors") == "weights-missing"


def test_absent_shipped_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "default_weights", lambda: tmp_path / "denseraunet.safetensors")
    assert _code_of(None) == "weights-missing"


def test_weights_without_a_card_are_refused(copied):
    copied.with_suffix(".json").unlink()
    assert _code_of(copied) == "weights-card"


@pytest.mark.parametrize("text", ["", "{", "[]", '"card"'])
def test_a_card_that_is_no_json_object_is_refused(copied, text):
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
def test_a_card_that_lacks_something_is_refused(copied, change):
    _change_card(copied, change)
    assert _code_of(copied) == "weights-card"


def test_weights_with_one_changed_byte_are_refused(copied):
    content = bytearray(copied.read_bytes())
    content[-1] ^= 1
    copied.write_bytes(bytes(content))
    assert _code_of(copied) == "weights-checksum"


def test_truncated_weights_are_refused(copied):
    copied.write_bytes(copied.read_bytes()[:-1000])
    assert _code_of(copied) == "weights-checksum"


def test_a_file_that_is_no_safetensors_file_is_refused(copied):
    content = b"PK\x03\x04 a pickle in a zip, which nobody may open"
    copied.write_bytes(content)
    import hashlib

    _change_card(copied, lambda card: card.update(sha256=hashlib.sha256(content).hexdigest()))
    assert _code_of(copied) == "weights-format"


def test_weights_of_another_architecture_are_refused(copied):
    _change_card(copied, lambda card: card["architecture"].update(use_edb=True))
    assert _code_of(copied) == "weights-architecture"


def test_an_incomplete_card_is_not_written(saved, tmp_path):
    with pytest.raises(ValueError, match="training"):
        save_model(saved[0], {**CARD, "training": {}}, tmp_path / "x.safetensors")
    unsaid = {name: value for name, value in CARD.items() if name != "statement"}
    with pytest.raises(ValueError, match='"statement"'):
        save_model(saved[0], unsaid, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())
