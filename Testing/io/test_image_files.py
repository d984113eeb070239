"""Image files: what is read is what the header promised, and headers that lie are rejected before memory is taken."""

import gzip
import struct
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct
from dicom_factory import chest_hu

SPACING = (3.0, 1.75, 2.25)
ORIGIN = (-70.0, -60.0, 12.0)
SUFFIXES = [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"]


def write(path, hu=None, *, compress=False, direction=None, spacing=SPACING):
    image = sitk.GetImageFromArray(chest_hu() if hu is None else hu)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(ORIGIN)
    if direction is not None:
        image.SetDirection(np.asarray(direction, float).ravel().tolist())
    sitk.WriteImage(image, str(path), compress)
    return path


def rejection(path):
    with pytest.raises(InputError) as caught:
        open_ct(path)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and len(message) < 300
    return caught.value.code


def change(path, *pairs):
    data = path.read_bytes()
    for old, new in pairs:
        assert old in data
        data = data.replace(old, new, 1)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_every_format_gives_the_same_volume(tmp_path, suffix, compress, dtype):
    hu = chest_hu()
    volume = open_ct(write(tmp_path / f"ct{suffix}", hu.astype(dtype), compress=compress)).volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.hu.dtype == np.int16
    assert volume.spacing == SPACING
    np.testing.assert_allclose(volume.origin, ORIGIN, atol=1e-4)
    np.testing.assert_array_equal(np.abs(volume.direction), np.eye(3))
    assert [warning.code for warning in volume.warnings] == ["missing-tags"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_permuted_and_flipped_file_comes_out_axial(tmp_path, suffix):
    hu = chest_hu()
    # Stored coronal: the file's axes are k = back, j = feet, i = left.
    stored = hu.transpose(1, 0, 2)[:, ::-1]
    path = tmp_path / f"ct{suffix}"
    write(path, stored, direction=[[1, 0, 0], [0, 0, 1], [0, -1, 0]], spacing=(2.0, 3.0, 2.25))
    volume = open_ct(path).volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing == (3.0, 2.0, 2.25)
    np.testing.assert_allclose(volume.origin, (ORIGIN[0], ORIGIN[1], ORIGIN[2] - 3 * 23), atol=1e-4)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_fractional_values_stay_fractional(tmp_path, suffix):
    hu = chest_hu().astype(np.float32) + 0.5
    volume = open_ct(write(tmp_path / f"ct{suffix}", hu)).volume
    assert volume.hu.dtype == np.float32
    np.testing.assert_array_equal(volume.hu, hu)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_half_a_file_is_rejected(tmp_path, suffix, compress, kept):
    path = write(tmp_path / f"ct{suffix}", compress=compress)
    files = sorted(tmp_path.iterdir(), key=lambda item: item.stat().st_size)
    data = files[-1].read_bytes()
    files[-1].write_bytes(data[: int(len(data) * kept)])
    assert rejection(path) == "truncated"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_data_than_promised_is_rejected(tmp_path, suffix):
    path = write(tmp_path / f"ct{suffix}")
    largest = max(tmp_path.iterdir(), key=lambda item: item.stat().st_size)
    data = largest.read_bytes()
    if suffix.endswith(".gz"):
        largest.write_bytes(gzip.compress(gzip.decompress(data) + bytes(100)))
    else:
        largest.write_bytes(data + bytes(100))
    assert rejection(path) == "pixel-mismatch"


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [
        (".nrrd", b"sizes: 64 64 24", b"sizes: 64 64 240000"),
        (".nhdr", b"sizes: 64 64 24", b"sizes: 640000 640000 24"),
        (".mha", b"DimSize = 64 64 24", b"DimSize = 2000000 64 24"),
        (".mhd", b"DimSize = 64 64 24", b"DimSize = 4000 4000 4000"),
    ],
)
def test_a_header_that_claims_terabytes_is_rejected_before_memory_is_taken(tmp_path, suffix, old, new):
    assert rejection(change(write(tmp_path / f"ct{suffix}"), (old, new))) == "absurd-size"


def nifti_with(path, *edits):
    """A NIfTI file with header bytes changed: (offset, struct format, values...)."""
    data = bytearray(write(path).read_bytes())
    for offset, layout, *values in edits:
        struct.pack_into(f"<{layout}", data, offset, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ([(40, "8h", 3, 32767, 32767, 32767, 1, 1, 1, 1)], "absurd-size"),
        ([(40, "8h", 3, -64, 64, 24, 1, 1, 1, 1)], "bad-header"),
        ([(40, "8h", 4, 64, 64, 12, 2, 1, 1, 1)], "not-3d"),
        ([(40, "8h", 2, 64, 1536, 1, 1, 1, 1, 1)], "not-3d"),
        ([(70, "h", 128)], "unsupported"),
        ([(252, "2h", 0, 0)], "no-orientation"),
        ([(252, "2h", 1, 1), (280, "f", -4.5)], "bad-geometry"),
        ([(80, "f", 0.0)], "bad-geometry"),
        ([(80, "f", float("nan"))], "bad-geometry"),
        ([(252, "2h", 0, 1), (284, "f", 1.05), (300, "f", -1.4)], "sheared"),
        ([(112, "2f", float("inf"), 0)], "bad-header"),
        ([(108, "f", 1e9)], "bad-header"),
        ([(344, "3s", b"ni1")], "unsupported"),
        ([(0, "i", 540)], "unsupported"),
        ([(123, "B", 1)], "slice-spacing"),
    ],
)
def test_nifti_headers_that_lie_are_rejected(tmp_path, edits, code):
    assert rejection(nifti_with(tmp_path / "ct.nii", *edits)) == code


def test_nifti_intensities_are_scaled_by_the_header(tmp_path):
    path = nifti_with(tmp_path / "ct.nii", (112, "2f", 2.0, -24.0))
    data = bytearray(path.read_bytes())
    hu = (chest_hu() // 2) * 2
    data[352:] = ((hu.astype(np.int32) + 24) // 2).astype("<i2").tobytes()
    path.write_bytes(data)
    np.testing.assert_array_equal(open_ct(path).volume.hu, hu)


def test_nifti_without_a_unit_is_taken_as_millimeters_with_a_warning(tmp_path):
    volume = open_ct(nifti_with(tmp_path / "ct.nii", (123, "B", 0))).volume
    assert volume.spacing == SPACING
    assert "units-not-stated" in [warning.code for warning in volume.warnings]


STEPS = "(2.25,0,0) (0,1.75,0) (0,0,3)"
STEPS_IN_TIME = "(2.25,0,0,0) (0,1.75,0,0) (0,0,3,0) (0,0,0,1)"


def nrrd_series(path, sizes, *lines, encoding="raw"):
    """A NRRD of four axes with the voxels of ``chest_hu``."""
    header = ("NRRD0004", "type: short", "dimension: 4", f"sizes: {sizes}", "endian: little", *lines)
    voxels = chest_hu().tobytes()
    content = gzip.compress(voxels) if encoding == "gzip" else voxels
    path.write_bytes("\n".join((*header, f"encoding: {encoding}", "", "")).encode() + content)
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize(
    ("sizes", "lines"),
    [
        # As 3D Slicer writes a sequence, and others a series.
        ("1 64 64 24", ("kinds: list domain domain domain", "space: LPS", f"space directions: none {STEPS}")),
        ("64 64 24 1", ("kinds: domain domain domain list", "space: LPS", f"space directions: {STEPS} none")),
        ("64 64 24 1", ("kinds: space space space time", "space: LPS", f"space directions: {STEPS} none")),
        ("1 64 64 24", ("kinds: time space space space", "space: LPS", f"space directions: none {STEPS}")),
        ("64 64 24 1", ("spacings: 2.25 1.75 3 nan",)),
        ("64 64 24 1", ("space: left-posterior-superior-time", f"space directions: {STEPS_IN_TIME}")),
        ("64 64 24 1", ("space: LPST", f"space directions: {STEPS_IN_TIME}", "space origin: (0,0,0,7)")),
        # As ITK writes it.
        (
            "64 64 24 1",
            ("space dimension: 4", f"space directions: {STEPS_IN_TIME}", "kinds: domain domain domain domain"),
        ),
    ],
)
def test_a_nrrd_series_of_one_volume_is_that_volume(tmp_path, sizes, lines, encoding):
    volume = open_ct(nrrd_series(tmp_path / "ct.nrrd", sizes, *lines, encoding=encoding)).volume
    np.testing.assert_array_equal(volume.hu, chest_hu())
    assert volume.spacing == SPACING
    named = any(line.startswith("space:") for line in lines)
    assert (
        [warning.code for warning in volume.warnings] == ["missing-tags"]
        if named
        else ["no-orientation", "missing-tags"]
    )


@pytest.mark.parametrize(
    ("sizes", "lines", "said"),
    [
        (
            "64 64 12 2",
            ("kinds: domain domain domain time", "space: LPS", f"space directions: {STEPS} none"),
            "2 volumes",
        ),
        (
            "4 64 64 6",
            ("kinds: time domain domain domain", "space: LPS", f"space directions: none {STEPS}"),
            "4 volumes",
        ),
        ("64 64 8 3", ("spacings: 2 2 3 1",), "3 volumes"),
        (
            "2 64 64 12",
            ("kinds: list domain domain domain", "space: LPS", f"space directions: none {STEPS}"),
            "several",
        ),
        ("3 64 64 8", ("kinds: RGB-color space space space", "space: LPS", f"space directions: none {STEPS}"), "color"),
    ],
)
def test_a_nrrd_series_of_several_volumes_is_rejected_in_one_sentence(tmp_path, sizes, lines, said):
    path = nrrd_series(tmp_path / "ct.nrrd", sizes, *lines)
    assert rejection(path) == "not-3d"
    with pytest.raises(InputError, match=said) as caught:
        open_ct(path)
    assert str(caught.value).count(". ") == 0


def test_a_nrrd_whose_axes_in_space_run_in_time_is_rejected(tmp_path):
    steps = STEPS_IN_TIME.replace("(2.25,0,0,0)", "(2.25,0,0,1)")
    path = nrrd_series(tmp_path / "ct.nrrd", "64 64 24 1", "space: LPST", f"space directions: {steps}")
    assert rejection(path) == "bad-header"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"space directions: (2.25,0,0)", b"space directions: (2.25,0.5,0)", "sheared"),
        (b"space directions: (2.25,0,0)", b"space directions: (0,0,0)", "bad-geometry"),
        (b"space directions: (2.25,0,0)", b"space directions: (nan,0,0)", "bad-header"),
        (b"space directions: (2.25,0,0)", b"space directions: none", "not-3d"),
        (b"space: left-posterior-superior", b"space: scanner-xyz", "unsupported"),
        (b"type: short", b"type: block", "unsupported"),
        (b"encoding: raw", b"encoding: ascii", "unsupported"),
        (b"endian: little\n", b"", "bad-header"),
        (b"sizes: 64 64 24", b"sizes: 64 64", "bad-header"),
        (b"sizes: 64 64 24", b"sizes: 64 64 -24", "bad-header"),
        (b"sizes: 64 64 24", b"sizes: 64 64 24\nsizes: 64 64 12", "bad-header"),
        (b"sizes: 64 64 24", b"sizes: 64 64 24\nbyte skip: 8", "unsupported"),
        (b"dimension: 3", b"dimension: 4", "bad-header"),
        (b"encoding: raw", b"encoding: raw\ndata file: /etc/hostname", "unsafe-path"),
        (b"encoding: raw", b"encoding: raw\ndata file: ../other.raw", "unsafe-path"),
        (b"encoding: raw", b"encoding: raw\ndata file: LIST", "truncated"),
        (b"encoding: raw", b"encoding: raw\ndata file: slice%03d.raw 1 24 1", "truncated"),
        (b"NRRD000", b"XRRD000", "bad-header"),
    ],
)
def test_nrrd_headers_that_lie_are_rejected(tmp_path, old, new, code):
    assert rejection(change(write(tmp_path / "ct.nrrd"), (old, new))) == code


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"ElementSpacing = 2.25 1.75 3\n", b"", "missing-tags"),
        (b"ElementSpacing = 2.25", b"ElementSpacing = -2.25", "bad-geometry"),
        (b"ElementSpacing = 2.25", b"ElementSpacing = inf", "bad-header"),
        (b"TransformMatrix = 1 0 0", b"TransformMatrix = 1 0.3 0", "bad-header"),
        (b"TransformMatrix = 1 0 0 0 1 0", b"TransformMatrix = 1 0 0 0.6 0.8 0", "sheared"),
        (b"NDims = 3", b"NDims = 4", "bad-header"),
        (b"MET_SHORT", b"MET_ASCII_CHAR", "unsupported"),
        (b"BinaryData = True", b"BinaryData = False", "unsupported"),
        (b"MET_SHORT", b"MET_SHORT\nElementNumberOfChannels = 3", "not-3d"),
        (b"MET_SHORT", b"MET_SHORT\nHeaderSize = -1", "unsupported"),
        (b"MET_SHORT", b"MET_SHORT\nModality = MET_MOD_MR", "not-ct"),
        (b"MET_SHORT", b"MET_SHORT\nElementToIntensityFunctionSlope = 2", "unsupported"),
        (b"BinaryDataByteOrderMSB = False", b"BinaryDataByteOrderMSB = True", "not-hu"),
        (b"ElementDataFile = ct.raw", b"ElementDataFile = /etc/hostname", "unsafe-path"),
        (b"ElementDataFile = ct.raw", b"ElementDataFile = ../ct.raw", "unsafe-path"),
        (b"ElementDataFile = ct.raw", b"ElementDataFile = LIST", "unsupported"),
        (b"ElementDataFile = ct.raw", b"ElementDataFile = ct%03d.raw 1 24 1", "unsupported"),
        (b"ElementDataFile = ct.raw", b"ElementDataFile = gone.raw", "truncated"),
        (b"ElementDataFile = ct.raw", b"", "bad-header"),
    ],
)
def test_metaimage_headers_that_lie_are_rejected(tmp_path, old, new, code):
    assert rejection(change(write(tmp_path / "ct.mhd"), (old, new))) == code


def test_a_data_file_that_is_a_link_out_of_the_folder_is_rejected(tmp_path):
    path = write(tmp_path / "ct.mhd")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ct.raw").rename(tmp_path / "elsewhere" / "ct.raw")
    (tmp_path / "ct.raw").symlink_to(tmp_path / "elsewhere" / "ct.raw")
    assert rejection(path) == "unsafe-path"


def test_a_file_without_orientation_is_read_with_a_warning(tmp_path):
    path = write(tmp_path / "ct.mhd")
    change(path, (b"TransformMatrix = 1 0 0 0 1 0 0 0 1\n", b""))
    assert "no-orientation" in [warning.code for warning in open_ct(path).volume.warnings]


def test_pictures_color_images_and_time_series_are_rejected(tmp_path):
    flat = sitk.GetImageFromArray(chest_hu()[3])
    color = sitk.GetImageFromArray(np.zeros((24, 64, 64, 3), np.uint8), isVector=True)
    moving = sitk.GetImageFromArray(np.zeros((2, 24, 64, 64), np.int16))
    for number, image in enumerate((flat, color, moving)):
        for suffix in (".nrrd", ".mha", ".nii.gz"):
            path = tmp_path / f"{number}{suffix}"
            sitk.WriteImage(image, str(path))
            assert rejection(path) in ("not-3d", "unsupported")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_label_map_given_as_the_ct_is_rejected(tmp_path, suffix):
    labels = (chest_hu() > 300).astype(np.uint8)
    assert rejection(write(tmp_path / f"labels{suffix}", labels)) == "label-map"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nan_is_rejected(tmp_path, suffix):
    hu = chest_hu().astype(np.float32)
    hu[3, 5, 5] = np.nan
    assert rejection(write(tmp_path / f"ct{suffix}", hu)) == "nan"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_rejected(tmp_path, suffix):
    (tmp_path / f"ct{suffix}").touch()
    assert rejection(tmp_path / f"ct{suffix}") == "bad-header"


def test_random_damage_to_headers_is_rejected_or_keeps_the_shape(tmp_path):
    rng = np.random.default_rng(5)
    hu = chest_hu()
    for suffix, header in ((".nrrd", 250), (".mha", 250), (".nii", 348)):
        data = write(tmp_path / f"ct{suffix}", hu).read_bytes()
        for trial in range(60):
            changed = bytearray(data)
            changed[rng.integers(header)] = rng.integers(256)
            path = tmp_path / f"changed{suffix}"
            path.write_bytes(changed)
            try:
                volume = open_ct(path).volume
            except InputError:
                continue
            # A number in the header may have become another legal number, but no axis may have been lost or invented.
            assert sorted(volume.shape) == [24, 64, 64], (suffix, trial)


def test_reading_a_damaged_file_prints_nothing(tmp_path):
    path = nifti_with(tmp_path / "ct.nii", (252, "2h", 1, 1), (256, "3f", 5.0, 5.0, 5.0))
    script = (
        "import sys; from coronary_calcium.io import open_ct; from coronary_calcium.errors import InputError\n"
        "try: open_ct(sys.argv[1])\nexcept InputError: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(next(entry for entry in sys.path if entry.endswith("CoronaryCalciumScoring")))},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def written(path, hu=None, spacing=(2.0, 2.0, 3.0)):
    """An image file of a chest."""
    image = sitk.GetImageFromArray(chest_hu() if hu is None else hu)
    image.SetSpacing(spacing if image.GetDimension() == 3 else (*spacing, 1.0))
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("name", ["Patient 1 CT", "100% CT", "ct 1 22 1", "./ct"])
def test_a_metaimage_may_have_any_name_that_a_file_can_have(tmp_path, name):
    path = written(tmp_path / "plain.mhd")
    written_name = name if name.startswith("./") else f"{name}.raw"
    (tmp_path / "plain.raw").rename(tmp_path / written_name)
    header = path.read_text().replace("plain.raw", written_name)
    path.with_name(f"{name.removeprefix('./')}.mhd").write_text(header)
    opened = open_ct(tmp_path / f"{name.removeprefix('./')}.mhd")
    np.testing.assert_array_equal(opened.volume.hu, chest_hu())


def test_a_metaimage_of_a_file_a_slice_is_still_rejected(tmp_path):
    path = written(tmp_path / "ct.mhd")
    path.write_text(path.read_text().replace("ct.raw", "ct%03d.raw 1 24 1"))
    assert rejection(path) == "unsupported"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".mhd"])
@pytest.mark.parametrize("volumes", [1, 2])
def test_a_fourth_axis_may_hold_one_volume(tmp_path, suffix, volumes):
    image = sitk.GetImageFromArray(chest_hu())
    image.SetSpacing((2.0, 2.0, 3.0))
    image.SetOrigin((-60.0, -50.0, 7.0))
    path = tmp_path / f"ct{suffix}"
    sitk.WriteImage(sitk.JoinSeries([image] * volumes), str(path))
    if volumes == 2:
        assert rejection(path) == "not-3d"
        return
    volume = open_ct(path).volume
    np.testing.assert_array_equal(volume.hu, chest_hu())
    assert volume.spacing == (3.0, 2.0, 2.0) and volume.origin == (-60.0, -50.0, 7.0)


@pytest.mark.parametrize("place", [112, 116])
def test_a_nifti_scale_that_is_not_a_number_is_ignored(tmp_path, place):
    path = written(tmp_path / "ct.nii")
    content = bytearray(path.read_bytes())
    content[place : place + 4] = struct.pack("<f", float("nan"))
    path.write_bytes(content)
    np.testing.assert_array_equal(open_ct(path).volume.hu, chest_hu())
