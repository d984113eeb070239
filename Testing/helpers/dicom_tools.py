"""DICOM programs from Debian that judge what was written, and a small scored case from DICOM files."""

import shutil
import subprocess

import numpy as np
import pytest
from coronary_calcium.io import open_ct
from dicom_factory import write_series
from example_results import case_result

PATIENT = {
    "PatientName": "Synthetic^Person",
    "PatientID": "SYN-4711",
    "PatientBirthDate": "19500102",
    "PatientSex": "O",
    "StudyDate": "20260131",
    "StudyTime": "101500",
    "StudyID": "1",
    "AccessionNumber": "ACC-99",
    "ReferringPhysicianName": "Referring^Doctor",
    "SeriesNumber": 3,
    "PositionReferenceIndicator": "",
}


def run_tool(name, *arguments):
    """What a program of the Debian package dcmtk or dicom3tools says, and its exit code; skips without it."""
    if shutil.which(name) is None:
        package = "dicom3tools" if name == "dciodvfy" else "dcmtk"
        pytest.skip(f"{name} is not installed (Debian package {package})")
    done = subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr, done.returncode


def some_labels(volume):
    """Calcium of two arteries and one unassigned voxel, unlike along every axis; the CT gets the intensities."""
    labels = np.zeros(volume.shape, np.uint8)
    labels[4:7, 20:23, 30:35] = 2
    labels[9, 40, 20:22] = 4
    labels[12, 25, 26] = 5
    return labels


def calcified_chest():
    """HU (k, row, column) with calcium where ``some_labels`` marks it."""
    from dicom_factory import chest_hu

    hu = chest_hu()
    hu[4:7, 20:23, 30:35] = 350
    hu[9, 40, 20:22] = 160
    hu[12, 25, 26] = 210
    return hu


def scored_series(folder, *, labels=None, mask_given=True, **options):
    """A DICOM series written, opened and scored with ``some_labels``."""
    write_series(folder, calcified_chest(), **{**PATIENT, **options})
    volume = open_ct(folder).volume
    return case_result(volume, some_labels(volume) if labels is None else labels, mask_given=mask_given)
