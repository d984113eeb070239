"""Legal DICOM that would give a wrong score: mixed, computed, rounded or coarse images are rejected or told of."""

import struct

import numpy as np
import pydicom
import pytest
from coronary_calcium.io import masks, open_ct, open_mask
from coronary_calcium.volume import CTVolume
from dicom_factory import chest_hu, write_enhanced, write_series
from rejections import rejected


def codes(folder):
    return [warning.code for warning in open_ct(folder).volume.warnings]


def each(**values):
    """An edit that sets keywords to what a function of k says."""

    def edit(k, dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value(k))

    return edit


# ---- images that are not one scan


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_slices_of_two_patients_under_one_series_identifier_are_rejected(tmp_path, keyword):
    write_series(tmp_path, edit=each(**{keyword: lambda k: "1.2.3" if k < 12 else "1.2.4"}))
    assert rejected(tmp_path) == "mixed-series"


def test_a_slice_turned_over_is_not_put_among_the_others(tmp_path):
    flipped = [-1, 0, 0, 0, 1, 0]
    write_series(tmp_path, edit=each(ImageOrientationPatient=lambda k: flipped if k == 9 else [1, 0, 0, 0, 1, 0]))
    assert rejected(tmp_path) == "missing-slices"


def test_another_image_of_one_slice_under_its_own_identifier_is_rejected(tmp_path):
    dataset = pydicom.dcmread(write_series(tmp_path)[4])
    dataset.SOPInstanceUID = "1.2.3.9"
    dataset.PixelData = dataset.PixelData[:-2] + b"\1\2"
    dataset.save_as(tmp_path / "again")
    assert rejected(tmp_path) == "duplicate-slices"


# ---- images that are not what the scanner measured


@pytest.mark.parametrize(
    ("image_type", "code"),
    [
        (["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 MIP"], "not-slices"),
        (["DERIVED", "PRIMARY", "AXIAL", "SUBTRACTION"], "not-hu"),
        (["ORIGINAL", "PRIMARY", "AXIAL", "MAT_REMOVED"], "not-hu"),
        (["ORIGINAL", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"], "not-hu"),
    ],
)
def test_computed_images_are_rejected(tmp_path, image_type, code):
    write_series(tmp_path, ImageType=image_type)
    assert rejected(tmp_path) == code


@pytest.mark.parametrize(
    ("image_type", "warned"),
    [
        (["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"], ["derived-images"]),
        (["DERIVED", "PRIMARY", "MPR"], []),
        (["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"], []),
        (None, []),
    ],
)
def test_images_made_after_the_examination_are_warned_of(tmp_path, image_type, warned):
    write_series(tmp_path, ImageType=image_type)
    assert codes(tmp_path) == warned


@pytest.mark.parametrize("syntax", ["explicit", "rle"])
def test_inverted_gray_values_are_rejected(tmp_path, syntax):
    write_series(tmp_path, syntax=syntax, PhotometricInterpretation="MONOCHROME1")
    assert rejected(tmp_path) == "not-hu"


def test_an_enhanced_subtraction_is_rejected(tmp_path):
    path = write_enhanced(tmp_path / "multi.dcm", chest_hu())
    dataset = pydicom.dcmread(path)
    frame_type = pydicom.Dataset()
    frame_type.FrameType = ["DERIVED", "PRIMARY", "VOLUME", "SUBTRACTION"]
    dataset.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence = pydicom.Sequence([frame_type])
    dataset.save_as(path)
    assert rejected(tmp_path) == "not-hu"


# ---- intensities


def test_a_rescale_that_differs_between_slices_is_warned_of(tmp_path):
    """Too small a step for the check of broken slices: 24 HU, on one slice, change its score in silence."""
    write_series(tmp_path, edit=each(RescaleIntercept=lambda k: "-1000" if k == 7 else "-1024"))
    assert codes(tmp_path) == ["rescale-differs"]


@pytest.mark.parametrize(("slope", "warned"), [(8, True), (4, True), (2, False), (1, False), (0.5, False)])
def test_intensities_in_coarse_steps_are_warned_of(tmp_path, slope, warned):
    write_series(tmp_path, chest_hu(), slope=slope)
    assert ("coarse-hu" in codes(tmp_path)) is warned


def test_every_limit_is_met_exactly_by_a_fractional_rescale(tmp_path):
    """130 HU counts and 129.9 does not, whatever the rounding of 0.1 in binary."""
    hu = chest_hu().astype(float)
    wanted = [129.9, 130, 199.9, 200, 299.9, 300, 399.9, 400]
    hu[10, 30, 30:38] = wanted
    write_series(tmp_path, hu, slope=0.1)
    read = open_ct(tmp_path).volume.hu[10, 30, 30:38]
    for limit in (130, 200, 300, 400):
        assert [value >= limit for value in read] == [value >= limit for value in wanted]


# ---- positions and sizes


@pytest.mark.parametrize("spacing", [0.6, 0.625, 0.75, 1.25, 2.53])
def test_positions_rounded_to_a_tenth_from_an_odd_start_are_even(tmp_path, spacing):
    """Measured from the first position, which is rounded as well, such a series looked uneven."""
    count = int(66 / spacing)
    rounded = each(ImagePositionPatient=lambda k: [-64, -70, f"{-300.05 + spacing * k:.1f}"])
    write_series(tmp_path, chest_hu((count, 64, 64)), spacing=(spacing, 2, 2), edit=rounded)
    assert open_ct(tmp_path).volume.spacing[0] == pytest.approx(spacing, abs=5e-3)


@pytest.mark.parametrize("pixel", [300 / 512, 340 / 512, 380 / 512, 420 / 512, 500 / 512])
@pytest.mark.parametrize("noise", [-6e-8, -1e-16, 0, 1e-16, 6e-8])
def test_a_readers_last_digit_does_not_change_the_spacing(pixel, noise):
    """These pixel sizes lie halfway between two values of six decimals; 6e-8 is the rounding of a NIfTI header."""
    exact, read = (CTVolume(np.zeros((2, 2, 2)), (3.0, size, size), (0, 0, 0)) for size in (pixel, pixel * (1 + noise)))
    assert read.spacing == exact.spacing
    assert abs(read.spacing[1] - pixel) < 1e-6


# ---- headers that exhaust the reader


def _with_claim(path, length):
    """Give the manufacturer's entry a length of gigabytes, all of them in the file (which takes no room on disk)."""
    content = path.read_bytes()
    start = content.index(b"\x08\x00\x70\x00LO")
    end = start + 8 + struct.unpack("<H", content[start + 6 : start + 8])[0]
    with path.open("wb") as file:
        file.write(content[:start] + b"\x08\x00\x70\x00UN\0\0" + struct.pack("<I", length))
        file.seek(length, 1)
        file.write(content[end:])


def test_an_entry_of_gigabytes_is_not_read_into_memory(tmp_path):
    _with_claim(write_series(tmp_path)[0], 2**31 - 2)
    assert codes(tmp_path) == ["unreadable-files"]


def test_a_deflated_mask_that_unpacks_to_gigabytes_is_rejected(tmp_path, monkeypatch):
    path = write_series(tmp_path, chest_hu()[:1], syntax="deflated")[0]
    monkeypatch.setattr("coronary_calcium.io.slice_header._MAXIMUM_INFLATED", 1000)
    monkeypatch.setattr(masks.pydicom, "dcmread", lambda *_: pytest.fail("the file was unpacked"))
    with pytest.raises(ValueError, match="damaged"):
        open_mask(path, CTVolume(chest_hu(), (3, 2, 2), (0, 0, 0)))


def test_a_damaged_deflated_mask_is_rejected(tmp_path):
    path = write_series(tmp_path, chest_hu()[:1], syntax="deflated")[0]
    content = path.read_bytes()
    path.write_bytes(content[:600] + bytes(60) + content[660:])
    with pytest.raises(ValueError, match=r"damaged|not a binary segmentation"):
        open_mask(path, CTVolume(chest_hu(), (3, 2, 2), (0, 0, 0)))
