"""Damaged files and archives are rejected with one sentence, and the toolkits keep silent."""

import shutil
import zipfile

import pydicom
import pytest
from dicom_factory import chest_hu, write_enhanced, write_series
from rejections import rejected


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "rle", "jpeg-lossless", "jpeg2000"])
@pytest.mark.parametrize("kept", [0.999, 0.6])
def test_a_file_that_is_cut_off_is_rejected(tmp_path, syntax, kept):
    path = write_series(tmp_path, syntax=syntax)[7]
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert rejected(tmp_path) == "truncated"


def test_a_file_that_ends_in_its_header_is_rejected(tmp_path):
    path = write_series(tmp_path)[7]
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\xe0\x7f\x10\x00")])
    assert rejected(tmp_path) == "truncated"


def test_fewer_pixels_than_rows_and_columns_promise_are_rejected(tmp_path):
    for path in write_series(tmp_path):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]
        dataset.save_as(path)
    assert rejected(tmp_path) == "pixel-mismatch"


def test_scrambled_compressed_pixels_are_rejected(tmp_path):
    path = write_series(tmp_path, syntax="jpeg-lossless")[7]
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xd8")
    data[start : start + 64] = b"\0" * 64
    path.write_bytes(data)
    assert rejected(tmp_path) == "cannot-decode"


def test_an_enhanced_ct_with_a_missing_frame_position_is_rejected(tmp_path):
    path = write_enhanced(tmp_path / "multi.dcm", chest_hu())
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    dataset.save_as(path)
    assert rejected(tmp_path) == "missing-tags"


def test_an_enhanced_ct_with_fewer_frames_than_stated_is_rejected(tmp_path):
    path = write_enhanced(tmp_path / "multi.dcm", chest_hu())
    dataset = pydicom.dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[3]
    dataset.save_as(path)
    assert rejected(tmp_path) == "missing-tags"


@pytest.mark.parametrize("syntax", ["explicit", "rle"])
def test_an_enhanced_ct_whose_frames_are_scaled_differently_is_right_or_rejected(tmp_path, syntax):
    path = write_enhanced(tmp_path / "multi.dcm", chest_hu(), syntax=syntax)
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    scale = shared.PixelValueTransformationSequence
    del shared.PixelValueTransformationSequence
    for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        own = pydicom.Dataset()
        own.RescaleSlope, own.RescaleType = 1, "HU"
        own.RescaleIntercept = scale[0].RescaleIntercept + (50 if index == 3 else 0)
        frame.PixelValueTransformationSequence = pydicom.Sequence([own])
    dataset.save_as(path)
    assert rejected(tmp_path) == ("pixel-mismatch" if syntax == "explicit" else "unsupported")


def test_a_damaged_zip_is_rejected(tmp_path):
    write_series(tmp_path / "series")
    shutil.make_archive(str(tmp_path / "ct"), "zip", tmp_path / "series")
    path = tmp_path / "ct.zip"
    data = bytearray(path.read_bytes())
    data[3000:3400] = bytes(400)
    path.write_bytes(data)
    assert rejected(path) == "bad-zip"


def test_a_zip_that_unpacks_to_terabytes_is_rejected_before_unpacking(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(2_000_000))
    monkeypatch.setattr("coronary_calcium.io.archives.MAXIMUM_UNPACKED_BYTES", 1_000_000)
    assert path.stat().st_size < 10_000
    assert rejected(path) == "zip-too-large"


def test_a_zip_member_larger_than_declared_is_rejected(tmp_path):
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(2_000_000))
    data = path.read_bytes().replace((2_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little"))
    path.write_bytes(data)
    assert rejected(path) == "bad-zip"


def test_an_encrypted_zip_is_rejected(tmp_path):
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"secret")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert rejected(path) == "zip-encrypted"


def test_an_empty_zip_is_rejected(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert rejected(tmp_path / "empty.zip") == "no-dicom"


def test_the_toolkits_print_nothing(tmp_path, capfd):
    paths = write_series(tmp_path, syntax="jpeg2000")
    data = paths[7].read_bytes()
    start = data.index(b"\xff\x4f\xff\x51")
    paths[7].write_bytes(data[: start + 60] + bytes(200) + data[start + 260 :])
    capfd.readouterr()
    assert rejected(tmp_path) in ("cannot-decode", "pixel-mismatch", "not-hu")
    assert capfd.readouterr() == ("", "")
