"""Small CTs on disk for the tests of the command, and how the command is run on them."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from coronary_calcium.cli.main import main
from coronary_calcium.resources import resource
from dicom_factory import chest_hu, write_series

PACKAGE = Path(__file__).resolve().parents[2] / "CoronaryCalciumScoring"
SPACING, ORIGIN = (3.0, 2.0, 2.0), (-64.0, -70.0, -300.0)
RESULTS = {"scores.json", "lesions.csv", "segmentation.seg.nrrd", "report.html"}
PLAQUE = np.s_[8:11, 30:33, 30:34]
# Three slices of 12 pixels of 4 mm2, weight 3 (300 to 399 HU), slices 3 mm apart.
AGATSTON = 3 * 12 * 4.0 * 3


def patient_hu():
    """The coarse chest with one plaque of 350 HU, which alone exceeds 130 HU between the lungs."""
    hu = np.minimum(chest_hu(), 100)
    hu[PLAQUE] = 350
    return hu


def marked(hu, label=2):
    """A label map that marks the plaque."""
    labels = np.zeros(hu.shape, np.uint8)
    labels[PLAQUE] = label
    return labels


def write_image(path, array, spacing=SPACING, origin=ORIGIN):
    """Write an array (k, j, i) as an image file; returns the path."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
    return path


def write_case(folder):
    """A DICOM series and the mask of its plaque, in ``folder / "ct"`` and ``folder / "mask.nrrd"``."""
    hu = patient_hu()
    write_series(folder / "ct", hu, spacing=SPACING, origin=ORIGIN)
    return folder / "ct", write_image(folder / "mask.nrrd", marked(hu))


@dataclass(frozen=True)
class Outcome:
    """What a run of the command came to."""

    code: int
    out: str
    err: str


def run(*arguments) -> Outcome:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # how argparse ends on wrong usage
            code = end.code
    return Outcome(code, out.getvalue(), err.getvalue())


# Where the tests themselves run in the background, Ctrl-C is ignored, which a started process inherits.
INTERRUPTIBLE = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"


def start(*arguments, program="from coronary_calcium.cli.main import main; sys.exit(main())", **environment):
    """Start the command, or a program around it, in a process of its own; returns the Popen."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{INTERRUPTIBLE}; {program}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE), **environment},
    )


def finished(process) -> Outcome:
    """The outcome of a started command."""
    out, err = process.communicate(timeout=120)
    return Outcome(process.returncode, out, err)


def scores_in(folder):
    """The content of a folder's scores.json."""
    return json.loads((folder / "scores.json").read_text(encoding="utf-8"))


def write_weights(folder):
    """Write weights of a network that was never trained; returns their path."""
    import torch
    from coronary_calcium.network.denseraunet import DenseRAUNet
    from coronary_calcium.network.weights import save_model

    torch.manual_seed(5)
    path = folder / "untrained.safetensors"
    training = {"data": "nothing", "recipe": "none", "iterations": 0, "minutes": 0.0}
    facts = {"name": "untrained", "date": "2026-01-01", "statement": "The network was never trained."}
    card = {**facts, "training": training, "metrics": {"f1": 0.0}}
    save_model(DenseRAUNet(use_rau=False, use_edb=False, use_scse=False), card, path)
    return path


def validate(scores):
    """Check the content of scores.json against its schema."""
    jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")
    jsonschema.validate(scores, json.loads(resource("Schemas", "scores.schema.json").read_text(encoding="utf-8")))
