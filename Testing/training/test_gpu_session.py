"""The one command for a GPU machine that is there for minutes, rehearsed end to end on a processor, in miniature."""

import hashlib
import json
import subprocess
import sys
import types
from collections import Counter

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.network.denseraunet import DenseRAUNet
from coronary_calcium.network.weights import load_model, save_model
from coronary_calcium.simulation.backgrounds import BackgroundScan, load_background, rounded_hu, save_background
from coronary_calcium.training import stream_training
from coronary_calcium.training.gpu_bundle import pack_bundle
from coronary_calcium.training.gpu_session import SESSION, main
from coronary_calcium.training.weights_parts import join_parts, split_file
from coronary_calcium.volume import Acquisition, CTVolume
from training_blobs import shrink_network, write_blobs

SHAPE, SPACING = (10, 120, 120), (4.0, 1.0, 1.0)
# A small heart with an aorta and three arteries, as drawn in real scans.
DRAWING = {
    "published": "made up",
    "held_out": False,
    "heart": [1, 9, 20, 100, 20, 100],
    "psf_mm": 1.4,
    "LM": [[7, 55, 62], [7, 55, 68], [7, 54, 72]],
    "LAD": [[7, 54, 72], [6, 45, 80], [5, 38, 84], [3, 34, 86]],
    "RCA": [[6, 45, 52], [6, 38, 46], [4, 40, 36], [2, 60, 34]],
    "aorta": [[5, 56, 56, 8], [7, 54, 54, 8], [9, 52, 54, 8], [9, 80, 60, 7], [5, 88, 60, 7], [1, 88, 60, 7]],
    "aortic_valve": [5, 56, 56],
    "valve_radius": 7,
    "mitral": [[5, 62, 70], [4, 70, 72], [3, 72, 64], [4, 66, 60]],
}


def background(seed=0):
    """An even 'heart' of 40 HU with noise, and nowhere to leave out but one corner."""
    hu = (40 + np.random.default_rng(seed).normal(0, 12, SHAPE)).astype(np.int16)
    unjudged = np.zeros(SHAPE, bool)
    unjudged[5, 30:33, 30:33] = True
    volume = CTVolume(hu, SPACING, (0.0, 0.0, 0.0), acquisition=Acquisition("CT", kvp=120.0, slice_thickness_mm=4.0))
    return BackgroundScan("small", volume, DRAWING, unjudged)


@pytest.fixture
def bundle(tmp_path):
    """A bundle of one background, one labeled case and one that is held out."""
    folder = tmp_path / "backgrounds"
    folder.mkdir()
    save_background(background(), folder / "small.npz")
    cases = write_blobs(tmp_path / "cases", [1], kind="chest", source="real scan read by eye, blobs")
    held_out = write_blobs(tmp_path / "held-out", [2], kind="chest")
    assert pack_bundle(folder, cases, held_out, tmp_path / "bundle.tar.xz") < 2**20
    return tmp_path / "bundle.tar.xz"


def test_a_background_is_read_as_it_was_written(tmp_path):
    scan = background()
    save_background(scan, tmp_path / "small.npz")
    again = load_background(tmp_path / "small.npz")
    assert again.drawing == scan.drawing and again.volume.spacing == SPACING
    assert np.array_equal(again.unjudged, scan.unjudged)
    assert np.array_equal(again.volume.hu, rounded_hu(scan.volume.hu))
    assert np.abs(again.volume.hu - scan.volume.hu).max() <= 2
    assert again.volume.acquisition.slice_thickness_mm == 4.0


def test_what_is_no_background_is_rejected(tmp_path):
    (tmp_path / "other.npz").write_bytes(b"something else")
    with pytest.raises(InputError) as rejected:
        load_background(tmp_path / "other.npz")
    assert rejected.value.code == "background"


def test_the_session_trains_measures_and_leaves_weights_that_load(bundle, tmp_path, monkeypatch):
    shrink_network(monkeypatch.setattr)
    card = {"name": "small", "date": "2026-01-01", "statement": "A test.", "metrics": {}}
    card |= {"training": {"data": "none", "recipe": {}, "iterations": 0, "minutes": 30.0}}
    save_model(DenseRAUNet(), card, tmp_path / "start.safetensors")
    out = tmp_path / "out"
    settings = ["batch=2", "samples.patch=64", "final_patch=96", 'precision="float32"', "validation_slices=2"]
    arguments = ["--bundle", str(bundle), "--minutes", "0.2", "--out", str(out), "--device", "cpu"]
    arguments += ["--weights", str(tmp_path / "start.safetensors"), "--workers", "1"]
    monkeypatch.setattr("coronary_calcium.training.gpu_session._FIRST_CASES", 2)
    monkeypatch.setattr("coronary_calcium.training.gpu_session.CHEST_SLICES", 2)
    assert main([*arguments, *(part for value in settings for part in ("--set", value))]) == 0
    report = json.loads((out / SESSION).read_text())
    # By the clock, but for the iteration that it is in.
    assert report["training_seconds"] < 0.2 * 60 + 15
    # Two samples an iteration, and one of the larger patches at the end.
    assert 0 < report["iterations"] <= report["samples"] <= 2 * report["iterations"]
    assert report["cases_taken"] >= 2 and 0 <= report["share_of_time_waiting_for_samples"] < 1
    assert report["inference"]["network_seconds_of_2_slices"] > 0 and report["matrix_tflops"] > 0
    assert report["validation"]["slices"] == 2
    weights = join_parts(out, tmp_path / "joined.safetensors")
    trained = load_model(weights).card["training"]
    assert trained["iterations"] == report["iterations"]
    assert trained["initialized_from"]["minutes"] == 30.0
    assert trained["minutes_in_all"] == pytest.approx(30.0 + trained["minutes"])


def test_the_parts_of_a_file_are_joined_and_a_missing_one_is_noticed(tmp_path):
    content = np.random.default_rng(0).bytes(1000)
    (tmp_path / "denseraunet.safetensors").write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    parts = split_file(tmp_path / "denseraunet.safetensors", out, 300)
    assert [part.stat().st_size for part in parts] == [300, 300, 300, 100]
    (out / "denseraunet.json").write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    assert join_parts(out, tmp_path / "whole.safetensors").read_bytes() == content
    parts[1].unlink()
    with pytest.raises(InputError, match="fetch all of them"):
        join_parts(out, tmp_path / "whole.safetensors")


def test_the_session_needs_no_image_reader():
    code = (
        "import sys\n"
        "for name in ('SimpleITK', 'pydicom', 'highdicom', 'slicer', 'qt', 'vtk'): sys.modules[name] = None\n"
        "import coronary_calcium.training.gpu_session, coronary_calcium.simulation.inserted_lesions\n"
        "import coronary_calcium.training.stream_training, coronary_calcium.simulation.training_cases\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_quarter_of_the_cases_are_simulated_patients_and_half_of_those_detailed(tmp_path, monkeypatch):
    made = []
    # This process goes on with its own threads.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("torch.set_num_threads", lambda number: None)
    monkeypatch.setattr("coronary_calcium.simulation.backgrounds.load_background", lambda path: path)
    monkeypatch.setattr(
        "coronary_calcium.simulation.inserted_lesions.inserted_case", lambda *_: made.append(("inserted", False))
    )
    monkeypatch.setattr(
        "coronary_calcium.simulation.training_cases.make_cases",
        lambda seed, kind, folder, style: made.append((kind, style.detailed)),
    )
    done = types.SimpleNamespace(is_set=lambda: len(made) == 160)
    stream_training._make_cases([tmp_path], tmp_path, 0, 1, done)
    counts = Counter(made)
    assert counts["inserted", False] == 120
    assert counts["chest", False] == counts["chest", True] == 16
    assert counts["cardiac", False] == counts["cardiac", True] == 4
