"""DICOM series that can be read are read exactly: order, geometry, intensities, compression."""

import shutil
import zipfile

import numpy as np
import pydicom
import pytest
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.io import open_ct
from dicom_factory import chest_hu, write_enhanced, write_series


def codes(volume):
    return [warning.code for warning in volume.warnings]


def test_slices_are_sorted_by_position_not_by_name_or_number(tmp_path):
    hu = chest_hu()
    write_series(tmp_path, hu)
    opened = open_ct(tmp_path)
    volume = opened.volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.hu.dtype == np.int16
    assert volume.spacing == (3.0, 2.0, 2.0)
    assert volume.origin == (-64.0, -70.0, -300.0)
    np.testing.assert_array_equal(volume.direction, np.eye(3))
    assert codes(volume) == []
    assert opened.others == () and opened.chosen.slices == len(hu) and opened.chosen.reason == ""


@pytest.mark.parametrize(
    "syntax", ["implicit", "explicit", "big", "deflated", "rle", "jpeg-lossless", "jpeg2000"]
)  # fmt: skip
@pytest.mark.parametrize("signed", [False, True])
def test_every_transfer_syntax_gives_the_same_voxels(tmp_path, syntax, signed):
    hu = chest_hu()
    write_series(tmp_path, hu, syntax=syntax, signed=signed, intercept=0 if signed else -1024)
    np.testing.assert_array_equal(open_ct(tmp_path).volume.hu, hu)


def test_twelve_bits_in_sixteen_with_foreign_bits_above_are_masked(tmp_path):
    hu = np.minimum(chest_hu(), 3071)
    paths = write_series(tmp_path, hu, bits_stored=12)
    for path in paths:
        dataset = pydicom.dcmread(path)
        stored = np.frombuffer(dataset.PixelData, "<u2") | 0xA000
        dataset.PixelData = stored.astype("<u2").tobytes()
        dataset.save_as(path)
    np.testing.assert_array_equal(open_ct(tmp_path).volume.hu, hu)


def test_rescale_may_differ_between_slices(tmp_path):
    hu = (chest_hu() // 2) * 2
    count = len(hu)
    write_series(
        tmp_path, hu, slope=[1 if k % 2 else 2 for k in range(count)], intercept=[-1024 - 2 * k for k in range(count)]
    )
    np.testing.assert_array_equal(open_ct(tmp_path).volume.hu, hu)


def test_a_fractional_rescale_gives_fractional_hu(tmp_path):
    hu = chest_hu()
    write_series(tmp_path, hu, slope=0.25, intercept=-1024.5)
    volume = open_ct(tmp_path).volume
    assert volume.hu.dtype == np.float32
    stored = np.rint((hu + 1024.5) / 0.25)
    np.testing.assert_allclose(volume.hu, stored * 0.25 - 1024.5, atol=1e-3)


def test_slice_thickness_and_stated_spacing_do_not_set_the_spacing(tmp_path):
    write_series(tmp_path, SliceThickness="5", SpacingBetweenSlices="7.5")
    volume = open_ct(tmp_path).volume
    assert volume.spacing[0] == 3.0
    assert codes(volume) == ["thick-slices", "overlapping-slices"]


def test_pixel_spacing_is_row_distance_first(tmp_path):
    write_series(tmp_path, spacing=(3, 1.75, 2.25))
    assert open_ct(tmp_path).volume.spacing == (3.0, 1.75, 2.25)


@pytest.mark.parametrize("value", [-2048, 4000])
def test_declared_padding_becomes_air(tmp_path, value):
    hu = chest_hu()
    hu[:, :6] = value
    write_series(tmp_path, hu, signed=True, intercept=0, PixelPaddingValue=value)
    read = open_ct(tmp_path).volume.hu
    assert (read[:, :6] == -1024).all()
    np.testing.assert_array_equal(read[:, 6:], hu[:, 6:])


def test_padding_without_a_declaration_stays_below_air(tmp_path):
    hu = chest_hu()
    hu[:, :6] = -2048
    write_series(tmp_path, hu, signed=True, intercept=0)
    assert (open_ct(tmp_path).volume.hu[:, :6] <= -1000).all()


def test_the_lowest_stored_value_less_1024_does_not_wrap_to_bone(tmp_path):
    hu = chest_hu().astype(np.int32)
    hu[:, :6] = -32768 - 1024
    write_series(tmp_path, hu, signed=True, intercept=-1024)
    assert (open_ct(tmp_path).volume.hu[:, :6] == -1024).all()


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        ((-1, 0, 0, 0, -1, 0), lambda hu: hu[:, ::-1, ::-1]),
        ((1, 0, 0, 0, -1, 0), lambda hu: hu[::-1, ::-1, :]),
        ((1, 0, 0, 0, 0, -1), lambda hu: hu.transpose(1, 0, 2)[::-1]),
    ],
)
def test_flipped_and_permuted_series_come_out_axial(tmp_path, orientation, undo):
    hu = chest_hu((40, 40, 64))
    write_series(tmp_path, hu, orientation=orientation, spacing=(2.5, 2.5, 2.5))
    volume = open_ct(tmp_path).volume
    np.testing.assert_array_equal(volume.hu, undo(hu))
    np.testing.assert_array_equal(volume.direction, np.eye(3))
    if orientation[4] == 0:
        assert "reformatted" in codes(volume) and volume.acquisition.slice_thickness_mm is None
        assert volume.series is None
    else:
        assert len(volume.series.instance_uids) == len(hu)


def test_the_series_reference_lists_slices_from_feet_to_head(tmp_path):
    paths = write_series(tmp_path, orientation=(1, 0, 0, 0, -1, 0), origin=(-64, 56, 300))
    series = open_ct(tmp_path).volume.series
    heights = [pydicom.dcmread(path).ImagePositionPatient[2] for path in series.files]
    assert heights == sorted(heights)
    assert [pydicom.dcmread(path).SOPInstanceUID for path in series.files] == list(series.instance_uids)
    assert sorted(series.files) == sorted(str(path) for path in paths)


def test_the_same_file_in_two_folders_counts_once(tmp_path):
    hu = chest_hu()
    for path in write_series(tmp_path / "a", hu):
        (tmp_path / "b").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "b" / path.name)
    np.testing.assert_array_equal(open_ct(tmp_path).volume.hu, hu)


def test_files_that_are_not_dicom_are_no_obstacle(tmp_path):
    hu = chest_hu()
    write_series(tmp_path / "deep" / "er", hu)
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty").touch()
    (tmp_path / "starts-alike").write_bytes(b"\x08\x00\x05\x00")
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.FileSetID = "DISC"
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    volume = open_ct(tmp_path).volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert codes(volume) == []


def test_a_slice_without_preamble_and_transfer_syntax_is_noticed(tmp_path):
    paths = write_series(tmp_path, syntax="implicit")
    bare = pydicom.dcmread(paths[3])
    pydicom.dcmwrite(paths[3], pydicom.Dataset(bare), implicit_vr=True, little_endian=True)
    assert paths[3].read_bytes()[128:132] != b"DICM"
    with pytest.raises(InputError, match="TransferSyntaxUID"):
        open_ct(tmp_path)


def test_one_file_opens_its_own_series(tmp_path):
    first = write_series(tmp_path, series_uid="1.2.3")
    write_series(tmp_path, chest_hu((30, 64, 64)), series_uid="1.2.4", seed=2)
    opened = open_ct(first[5])
    assert opened.chosen.series_uid == "1.2.3"
    assert [other.series_uid for other in opened.others] == ["1.2.4"]


def test_an_enhanced_multi_frame_ct_is_read_by_its_frames_positions(tmp_path):
    hu = chest_hu()
    write_enhanced(tmp_path / "multi.dcm", hu)
    volume = open_ct(tmp_path).volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing == (3.0, 2.0, 2.0) and volume.origin == (-64.0, -70.0, -300.0)
    assert (volume.acquisition.kvp, volume.acquisition.kernel) == (100.0, "Br36")
    assert codes(volume) == ["kvp"]


def test_a_compressed_enhanced_ct_gives_the_same_voxels(tmp_path):
    hu = chest_hu()
    write_enhanced(tmp_path / "multi.dcm", hu, syntax="rle")
    np.testing.assert_array_equal(open_ct(tmp_path).volume.hu, hu)


def test_localizers_inside_the_series_are_left_out_with_a_warning(tmp_path):
    write_series(tmp_path, series_uid="1.2.3", FrameOfReferenceUID="1.9")
    write_series(
        tmp_path,
        chest_hu((1, 64, 64)),
        series_uid="1.2.3",
        seed=2,
        orientation=(1, 0, 0, 0, 0, -1),
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        FrameOfReferenceUID="1.9",
    )
    opened = open_ct(tmp_path)
    assert opened.volume.shape == (24, 64, 64)
    assert codes(opened.volume) == ["images-left-out"]


def test_a_short_test_run_at_the_same_positions_is_left_out_with_a_warning(tmp_path):
    hu = chest_hu()
    write_series(tmp_path, hu, series_uid="1.2.3", AcquisitionNumber="4", FrameOfReferenceUID="1.9")
    write_series(
        tmp_path, hu[:4] + 7, series_uid="1.2.3", AcquisitionNumber="3", FrameOfReferenceUID="1.9", seed=2
    )  # fmt: skip
    volume = open_ct(tmp_path).volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert codes(volume) == ["images-left-out"]


def test_step_and_shoot_scans_with_one_acquisition_a_position_are_one_stack(tmp_path):
    def number(k, dataset):
        dataset.AcquisitionNumber = str(k // 4 + 1)

    write_series(tmp_path, edit=number)
    assert open_ct(tmp_path).volume.shape == (24, 64, 64)


def test_a_zip_opens_like_its_folder_and_leaves_nothing_behind(tmp_path, monkeypatch):
    hu = chest_hu()
    paths = write_series(tmp_path / "series", hu)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with zipfile.ZipFile(tmp_path / "ct.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, f"../../{path.name}")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    volume = open_ct(tmp_path / "ct.zip").volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.series.files == () and len(volume.series.instance_uids) == len(hu)
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.zip", "scratch", "series"]


def test_cancelling_ends_the_reading(tmp_path):
    write_series(tmp_path)

    def cancel(fraction, text):
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        open_ct(tmp_path, progress=cancel)


def test_progress_rises_to_one(tmp_path):
    write_series(tmp_path)
    seen = []
    open_ct(tmp_path, progress=lambda fraction, text: seen.append(fraction))
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_nothing_about_the_patient_is_in_what_comes_back(tmp_path):
    write_series(tmp_path, SeriesDescription="Scan of Mr Person")
    volume = open_ct(tmp_path).volume
    facts = repr((volume.acquisition, volume.warnings))
    assert "Person" not in facts and "4711" not in facts


def test_a_lossy_series_is_read_with_a_warning(tmp_path):
    write_series(tmp_path, chest_hu(), slope=16, intercept=-1024, syntax="jpeg-lossy", LossyImageCompression="01")
    volume = open_ct(tmp_path).volume
    assert "lossy-compression" in codes(volume) and volume.acquisition.lossy_compression
    assert np.abs(volume.hu.astype(int) - chest_hu())[:, 20:40, 20:44].mean() < 60


@pytest.mark.parametrize(("syntax", "warned"), [("jpeg2000-irreversible", True), ("jpeg2000-reversible", False)])
def test_jpeg_2000_that_loses_information_without_saying_so_is_known_by_its_wavelet(tmp_path, syntax, warned):
    write_series(tmp_path, chest_hu(), intercept=-1024, signed=False, syntax=syntax)
    volume = open_ct(tmp_path).volume
    assert ("lossy-compression" in codes(volume)) is warned
    assert volume.acquisition.lossy_compression is (True if warned else None)
    assert np.abs(volume.hu.astype(int) - chest_hu()).max() == 0 or warned


def test_a_missing_frame_of_reference_is_no_obstacle(tmp_path):
    write_series(tmp_path, FrameOfReferenceUID=None)
    assert open_ct(tmp_path).volume.shape == (24, 64, 64)
