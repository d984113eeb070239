"""What `coronary-calcium score` rejects, how it says so, and what is wrong usage."""

import os
import zipfile

import numpy as np
import pytest
from command_cases import finished, marked, patient_hu, run, start, write_case, write_image, write_weights
from dicom_factory import write_series


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A series and its mask."""
    return write_case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a network that was never trained."""
    return write_weights(tmp_path_factory.mktemp("weights"))


def rejection(tmp_path, *arguments):
    """The one sentence with which a run is rejected; it leaves nothing behind."""
    outcome = run("score", *arguments, "--output", tmp_path / "rejected" / "result")
    assert outcome.code == 3, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("Rejected: ") and outcome.err.endswith(".\n") and outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "rejected").exists()
    return outcome.err


def test_a_rejection_is_one_sentence_without_a_traceback(case, tmp_path):
    outcome = finished(start("score", tmp_path / "nothing", "--mask", case[1], "--output", tmp_path / "result"))
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err == "Rejected: There is no file or folder of that name: check the path.\n"


def test_masks_that_do_not_belong_to_the_ct_are_rejected(case, tmp_path):
    hu = patient_hu()
    assert "no mask" in rejection(tmp_path, case[0], "--mask", tmp_path / "none.nrrd")
    shifted = write_image(tmp_path / "shifted.nrrd", marked(hu), origin=(-63.0, -70.0, -300.0))
    assert "grid" in rejection(tmp_path, case[0], "--mask", shifted)
    short = write_image(tmp_path / "short.nrrd", marked(hu)[:-1])
    assert "grid" in rejection(tmp_path, case[0], "--mask", short)
    foreign = write_image(tmp_path / "foreign.nrrd", marked(hu, label=6))
    assert "6" in rejection(tmp_path, case[0], "--mask", foreign)


def test_weights_that_cannot_be_used_are_rejected(case, weights, tmp_path):
    assert "no network weights" in rejection(tmp_path, case[0], "--weights", tmp_path / "none.safetensors")
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes()[:-1] + b"\1")
    card = weights.with_suffix(".json").read_text(encoding="utf-8")
    copy.with_suffix(".json").write_text(card, encoding="utf-8")
    assert "checksum" in rejection(tmp_path, case[0], "--weights", copy)
    copy.with_suffix(".json").write_text(card.replace('"f1": 0.0', '"f1": NaN'), encoding="utf-8")
    assert "card" in rejection(tmp_path, case[0], "--weights", copy)
    copy.with_suffix(".json").write_text("[" * 100_000, encoding="utf-8")
    assert "card" in rejection(tmp_path, case[0], "--weights", copy)
    copy.with_suffix(".json").unlink()
    assert "card" in rejection(tmp_path, case[0], "--weights", copy)
    assert "name" in rejection(tmp_path, case[0], "--weights", "x" * 300)


def test_a_network_that_answers_with_nan_is_rejected_and_does_not_score_0(case, weights, tmp_path):
    from coronary_calcium.network.weights import load_model, save_model

    model = load_model(weights)
    broken = type(model.network)(**model.network.architecture)
    for parameter in broken.parameters():
        parameter.data.fill_(6e4)  # finite, as weights must be, but not what follows from them layer after layer
    save_model(broken, model.card, tmp_path / "nan.safetensors")
    assert "not a number" in rejection(tmp_path, case[0], "--weights", tmp_path / "nan.safetensors")


def test_inputs_that_are_no_ct_are_rejected(case, tmp_path):
    assert "label map" in rejection(tmp_path, case[1])
    write_series(tmp_path / "mr", patient_hu(), Modality="MR")
    assert "not a CT" in rejection(tmp_path, tmp_path / "mr")
    (tmp_path / "empty").mkdir()
    assert "no DICOM" in rejection(tmp_path, tmp_path / "empty")
    (tmp_path / "text.txt").write_text("CT")
    assert "not DICOM" in rejection(tmp_path, tmp_path / "text.txt")
    offset = write_image(tmp_path / "offset.nrrd", (patient_hu().astype(np.int32) + 1024).astype(np.uint16))
    assert "not Hounsfield" in rejection(tmp_path, offset)


def test_damaged_inputs_are_rejected(case, tmp_path):
    files = write_series(tmp_path / "cut", patient_hu())
    files[5].write_bytes(files[5].read_bytes()[:-100])
    assert "ends before all of its pixels" in rejection(tmp_path, tmp_path / "cut")
    volume = write_image(tmp_path / "whole.nii.gz", patient_hu())
    (tmp_path / "half.nii.gz").write_bytes(volume.read_bytes()[: volume.stat().st_size // 2])
    assert "incomplete" in rejection(tmp_path, tmp_path / "half.nii.gz")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in case[0].iterdir():
            archive.write(path, path.name)
    content = bytearray((tmp_path / "bad.zip").read_bytes())
    content[2000:2100] = bytes(100)
    (tmp_path / "bad.zip").write_bytes(content)
    assert "ZIP file is damaged" in rejection(tmp_path, tmp_path / "bad.zip")


def test_a_device_that_is_not_there_is_rejected(case, tmp_path):
    import torch

    missing = "mps" if torch.cuda.is_available() else "cuda"
    assert f"no usable {missing}" in rejection(tmp_path, case[0], "--device", missing)


def test_running_out_of_memory_is_a_rejection(case, tmp_path, monkeypatch):
    def too_large(*arguments):
        raise MemoryError

    monkeypatch.setattr("coronary_calcium.io.ct_reader.read_pixels", too_large)
    assert "not enough memory" in rejection(tmp_path, case[0], "--mask", case[1])


def test_running_out_of_memory_inside_torch_is_a_rejection(case, weights, tmp_path, monkeypatch):
    import torch

    # 4 PiB, which no computer gives: torch says so in its own words, as a RuntimeError.
    monkeypatch.setattr("coronary_calcium.inference.predict._run_network", lambda *_: torch.empty(2**50))
    assert "not enough memory" in rejection(tmp_path, case[0], "--weights", weights, "--device", "cpu")


def test_another_failure_inside_torch_is_not_taken_for_a_lack_of_memory(case, weights, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr("coronary_calcium.inference.predict._run_network", lambda *_: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        run("score", case[0], "--weights", weights, "--device", "cpu", "--output", tmp_path / "result")
    assert not (tmp_path / "result").exists()


def test_a_series_that_is_not_there_is_rejected(case, tmp_path):
    assert "1.2.3" in rejection(tmp_path, case[0], "--series", "1.2.3")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("score",),
        ("score", "ct"),
        ("score", "ct", "--output", ""),
        ("score", "", "--output", "result"),
        ("score", "ct", "--output", "result", "--mask", ""),
        ("score", "ct", "--output", "result", "--device", "abacus"),
        ("score", "ct", "--output", "result", "--no-such-option"),
        ("fly", "ct"),
    ],
)
def test_wrong_usage_exits_with_2_and_shows_the_usage(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run(*arguments)
    assert outcome.code == 2 and outcome.err.startswith("usage: coronary-calcium") and outcome.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_no_folder_is_wrong_usage(case, tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for output in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "link", tmp_path / ("x" * 300)):
        outcome = run("score", case[0], "--mask", case[1], "--output", output)
        assert outcome.code == 2 and outcome.err.count("\n") == 1 and "name a folder" in outcome.err
    assert (tmp_path / "file").read_text() == "kept"


def test_an_output_that_may_not_be_written_is_wrong_usage(case, tmp_path, monkeypatch):
    # Permissions do not bind a superuser, as whom containers run.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    outcome = run("score", case[0], "--mask", case[1], "--output", tmp_path / "result")
    assert outcome.code == 2 and "cannot be written" in outcome.err


def test_a_folder_of_the_users_with_a_results_name_is_kept(case, tmp_path):
    own = tmp_path / "result" / "report.html" / "own.txt"
    own.parent.mkdir(parents=True)
    own.write_text("kept")
    outcome = run("score", case[0], "--mask", case[1], "--output", tmp_path / "result")
    assert outcome.code == 3 and "report.html" in outcome.err
    assert own.read_text() == "kept" and [path.name for path in (tmp_path / "result").iterdir()] == ["report.html"]
