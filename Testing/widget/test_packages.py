"""The module in a Python without the packages that 3D Slicer does not ship, and what its lists of requirements name."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import missing_packages
import pytest

pytest.importorskip("slicer_application", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "CoronaryCalciumScoring" / "Resources"
# SuperBuild/External_python-*.cmake of Slicer at 583e9b37d5: among them pydicom 3.0.2 and highdicom 0.27.0.
SHIPPED = {"numpy", "scipy", "simpleitk", "pillow", "pydicom", "highdicom", "dicomweb-client"}
# What the module does not need when it is loaded, and when a review is started without the network.
LATER = (
    "torch,safetensors,jinja2,reportlab,tqdm,pydicom,highdicom,dicomweb_client,requests,skimage,openpyxl,tensorboard"
)
FROM_EXTENSION = {"torch"}  # the extension PyTorch installs it
# Everything that Run, the reports and the DICOM objects import.
USED = (
    "coronary_calcium.pipeline",
    "coronary_calcium.inference.predict",
    "coronary_calcium.network.weights",
    "coronary_calcium.reports.case_files",
    "coronary_calcium.reports.html_report",
    "coronary_calcium.reports.pdf_report",
    "coronary_calcium.reports.identity",
    "coronary_calcium.dicom_export.export",
    "coronary_calcium.simulation.patient",
    "coronary_calcium.phantom.digital_scan",
    "jinja2",
)


def without(packages, *arguments):
    """Run Python with packages missing; returns its output, and fails with it."""
    folders = [str(ROOT / "CoronaryCalciumScoring"), str(ROOT / "Testing" / "helpers")]
    environment = {
        **os.environ,
        missing_packages.VARIABLE: packages,
        "PYTHONPATH": os.pathsep.join(folders),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def required(text):
    """Names of the packages of a list of requirements; each has a lowest version."""
    lines = [line for line in text if line and not line.startswith("#")]
    assert all(">=" in line for line in lines)
    return {re.split(r"[>=\[]", line)[0].lower() for line in lines}


def own_tests_without(packages, test):
    """Run a test of the widget with packages missing."""
    options = ("-v", "-p", "missing_packages", "-p", "no:cacheprovider")
    output = without(packages, "-m", "pytest", *options, f"Testing/widget/{test}")
    assert "1 passed" in output, output


def test_a_review_starts_without_what_only_other_work_needs():
    own_tests_without(LATER, "test_review.py::test_start_without_ai_asks_for_no_package_and_shows_the_candidates")


def test_the_modules_own_test_passes_without_what_slicer_does_not_ship():
    """It has no network, and its worklist reads a folder as the search for CTs does, with the pydicom of Slicer."""
    missing = ",".join(name for name in LATER.split(",") if name not in SHIPPED)
    own_tests_without(missing, "test_panel.py::test_the_modules_own_test_passes")


def test_the_plugin_makes_packages_missing():
    code = "import missing_packages\ntry:\n import torch.nn\nexcept ModuleNotFoundError as error:\n print(error.name)"
    assert without("torch", "-c", code) == "torch\n"


def test_run_reports_and_dicom_objects_need_nothing_beyond_slicer_and_the_lists():
    listed = set()
    for name in ("requirements.txt", "requirements-pdf.txt"):
        listed |= required((RESOURCES / name).read_text(encoding="utf-8").splitlines())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = required(project["dependencies"])
    assert listed <= declared
    assert {"jinja2", "safetensors", "reportlab"} <= listed
    others = declared - listed - SHIPPED - FROM_EXTENSION | {"skimage", "openpyxl", "defusedxml", "tensorboard"}
    assert "tqdm" in others
    without(",".join(others), "-c", f"import missing_packages, {', '.join(USED)}")
