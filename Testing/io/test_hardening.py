"""Files made to mislead or to exhaust the reader: each is rejected or told of, none changes a score in silence."""

import os
import shutil
import sys
import time
import zlib

import numpy as np
import pydicom
import pytest
from coronary_calcium.io import open_ct, series
from coronary_calcium.io.checks import MAXIMUM_JUMP_HU, reject_broken_slices
from coronary_calcium.io.slice_header import read_headers
from dicom_factory import chest_hu, write_series
from rejections import rejected

# ---- slices that are blank or scaled otherwise


@pytest.mark.parametrize("blank", [[9], [9, 10], [0, 1, 12]])
def test_blank_slices_inside_the_stack_are_rejected(tmp_path, blank):
    hu = chest_hu()
    hu[blank] = -1024
    write_series(tmp_path, hu)
    assert rejected(tmp_path) == "broken-slice"


def test_blank_slices_at_the_ends_are_padding(tmp_path):
    hu = chest_hu()
    hu[[0, 1, -1]] = -1024
    write_series(tmp_path, hu)
    assert np.array_equal(open_ct(tmp_path).volume.hu, hu)


@pytest.mark.parametrize("k", [1, 9, 22])
def test_a_slice_with_another_intercept_than_its_values_were_stored_with_is_rejected(tmp_path, k):
    def edit(index, dataset):
        if index == k:
            dataset.RescaleIntercept = "0"

    write_series(tmp_path, chest_hu(), edit=edit)
    assert rejected(tmp_path) == "broken-slice"


def test_a_steep_but_steady_change_is_no_broken_slice():
    """Where the lungs end, a slice of 10 mm differs from both neighbors, in opposite directions."""
    means = np.array([-800, -500, -200, 0, 0, 0], dtype=np.int16)
    hu = means[:, None, None] + np.arange(2, dtype=np.int16)
    reject_broken_slices(np.broadcast_to(hu, (6, 4, 2)))


def test_the_largest_jump_that_passes():
    hu = np.zeros((5, 10, 10), np.float32)
    hu[:, 0, 0] = 1
    hu[2] += MAXIMUM_JUMP_HU - 1
    reject_broken_slices(hu)
    hu[2] += 2
    with pytest.raises(ValueError, match="Slice 2"):
        reject_broken_slices(hu)


# ---- several images under one identifier


def copy_with(folder, path, change):
    """A changed copy of one file, with the same instance identifier."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(folder / "copy")


@pytest.mark.parametrize("tag, value", [("RescaleIntercept", "-1000"), ("RescaleSlope", "2"), ("PixelSpacing", [1, 1])])
def test_a_copy_of_a_slice_with_another_header_is_rejected(tmp_path, tag, value):
    paths = write_series(tmp_path, chest_hu())
    copy_with(tmp_path, paths[7], lambda dataset: setattr(dataset, tag, value))
    assert rejected(tmp_path) == "duplicate-slices"


def test_a_copy_of_a_slice_with_other_pixels_is_rejected(tmp_path):
    paths = write_series(tmp_path, chest_hu())
    copy_with(tmp_path, paths[7], lambda dataset: setattr(dataset, "PixelData", dataset.PixelData[::-1]))
    assert rejected(tmp_path) == "duplicate-slices"


@pytest.mark.parametrize("syntax", ["explicit", "rle", "deflated"])
def test_the_same_series_twice_is_one_series(tmp_path, syntax):
    write_series(tmp_path / "one", chest_hu(), syntax=syntax)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    assert np.array_equal(open_ct(tmp_path).volume.hu, chest_hu())


def test_frames_without_positions_are_rejected(tmp_path):
    def edit(k, dataset):
        dataset.NumberOfFrames = 2

    write_series(tmp_path, chest_hu(), edit=edit)
    assert rejected(tmp_path) == "unsupported"


# ---- what cannot be read, or not to its end


def test_a_folder_that_cannot_be_listed_is_told_of(tmp_path, monkeypatch):
    """As a superuser every folder can be listed, so the operating system's answer is made up."""
    write_series(tmp_path / "ct", chest_hu())
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def locked(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(series.os, "scandir", locked)
    assert "unreadable-files" in [warning.code for warning in open_ct(tmp_path).volume.warnings]


@pytest.mark.skipif(sys.platform == "win32", reason="makes a POSIX pipe")
def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("pipe", "pipe.nrrd"):
        os.mkfifo(tmp_path / name)
        assert rejected(tmp_path / name) == "no-file"
    write_series(tmp_path / "ct", chest_hu())
    os.mkfifo(tmp_path / "ct" / "pipe")
    (tmp_path / "ct" / "loop").symlink_to(tmp_path / "ct")
    assert open_ct(tmp_path / "ct").volume.warnings == ()


def test_a_name_that_no_file_can_have_is_rejected(tmp_path):
    assert rejected(tmp_path / ("x" * 300)) == "unreadable"


def test_a_deflated_file_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    path = write_series(tmp_path, chest_hu()[:1], syntax="deflated")[0]
    content = path.read_bytes()
    meta = content[: content.index(b"1.2.840.10008.1.2.1.99") + 22]
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(40)) + packer.flush()
    path.write_bytes(meta + packed)
    monkeypatch.setattr("coronary_calcium.io.slice_header._MAXIMUM_INFLATED", 32 * 2**20)
    monkeypatch.setattr(pydicom, "dcmread", lambda *_, **__: pytest.fail("the file was unpacked"))
    assert read_headers(path) is None


def test_a_folder_of_large_foreign_files_takes_no_time(tmp_path):
    write_series(tmp_path / "ct", chest_hu())
    for number in range(20):
        with (tmp_path / "ct" / f"video {number}.mp4").open("wb") as file:
            file.truncate(2**32)  # sparse: takes no room on the disk
    started = time.perf_counter()
    assert open_ct(tmp_path / "ct").volume.shape == (24, 64, 64)
    # Reading 80 GiB takes minutes on any disk.
    assert time.perf_counter() - started < 30
