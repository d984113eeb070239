"""The openly licensed real CT that some tests read; a test skips, saying where it is published, when it is absent."""

import functools
import tarfile
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
PUBLISHED = {
    "qrm-phantom": "github.com/MolloiLab/CAC-stanford-data, data/canon/Large_rep1",
    "chest-A0001-soft": "TCIA Lung-PET-CT-Dx, doi:10.7937/TCIA.2020.NNC2-0461",
    "chest-A0001-sharp": "TCIA Lung-PET-CT-Dx, doi:10.7937/TCIA.2020.NNC2-0461",
    "chest-A0002-B40f": "TCIA Lung-PET-CT-Dx, doi:10.7937/TCIA.2020.NNC2-0461",
    "chest-TCGA-DE-A4MA": "TCIA TCGA-THCA",
}


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="coronary-calcium-tests-")


def real_series(name: str) -> Path:
    """Folder with the unpacked DICOM files of one real series."""
    archive = FOLDER / f"{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"needs {name}.tar.xz in ../shared/data; the scan is published at {PUBLISHED[name]}")
    folder = Path(_scratch().name) / name
    if not folder.is_dir():
        with tarfile.open(archive) as files:
            files.extractall(_scratch().name, filter="data")
    return folder


def real_scans() -> Path:
    """Folder with the unpacked real scans that were read by eye, and their label maps."""
    archive = FOLDER / "real-labelled.tar.xz"
    if not archive.is_file():
        pytest.skip("needs real-labelled.tar.xz in ../shared/data, three open scans of TCIA with a reading by eye")
    folder = Path(_scratch().name) / "real-labelled"
    if not folder.is_dir():
        with tarfile.open(archive) as files:
            files.extractall(_scratch().name, filter="data")
    return folder


def truth_table() -> Path:
    """The table of the phantom's inserts."""
    table = FOLDER / "qrm-phantom-truth.csv"
    if not table.is_file():
        pytest.skip("needs qrm-phantom-truth.csv in ../shared/data, which lists the phantom's inserts")
    return table
