"""Series as archives hold them: foreign objects, broken identifiers, vendors' words; scored, warned of or rejected."""

import gzip
import shutil
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from coronary_calcium.io import open_ct
from coronary_calcium.io.image_type import computed_word, describes_spectral, virtual_energy
from dicom_factory import SECONDARY_CAPTURE, chest_hu, write_enhanced, write_series
from rejections import rejected


def warnings_of(path):
    """The warnings' sentences by code."""
    return {warning.code: warning.message for warning in open_ct(path).volume.warnings}


def each(**values):
    """An edit that sets keywords to what a function of k says."""

    def edit(k, dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value(k))

    return edit


# ---- objects that are no slices


def add_object(folder, like, modality, sop_class, **entries):
    """An object without pixels under a series' identifier, first by name."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.55"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = like.SeriesInstanceUID, like.StudyInstanceUID
    dataset.Modality = modality
    for keyword, value in entries.items():
        setattr(dataset, keyword, value)
    dataset.save_as(folder / "!first.dcm", enforce_file_format=True)


@pytest.mark.parametrize(
    ("modality", "sop_class"),
    [
        ("RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3"),
        ("PR", "1.2.840.10008.5.1.4.1.1.11.1"),
        ("KO", "1.2.840.10008.5.1.4.1.1.88.59"),
        ("SR", "1.2.840.10008.5.1.4.1.1.88.22"),
        ("OT", SECONDARY_CAPTURE),
    ],
)
def test_an_object_of_another_kind_in_the_series_is_left_out_and_named(tmp_path, modality, sop_class):
    like = pydicom.dcmread(write_series(tmp_path)[0])
    add_object(tmp_path, like, modality, sop_class)
    opened = open_ct(tmp_path)
    assert opened.volume.shape[0] == 24 and opened.chosen.modality == "CT"
    assert modality in warnings_of(tmp_path)["images-left-out"]


def test_a_dose_page_in_color_is_left_out(tmp_path):
    dataset = pydicom.dcmread(write_series(tmp_path)[0])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"):
        delattr(dataset, keyword)
    dataset.SOPInstanceUID, dataset.SamplesPerPixel = "1.2.56", 3
    dataset.PhotometricInterpretation, dataset.ImageType = "RGB", ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    dataset.save_as(tmp_path / "page")
    assert list(warnings_of(tmp_path)) == ["images-left-out"]


def test_what_macos_writes_beside_the_slices_is_no_damaged_slice(tmp_path):
    for path in write_series(tmp_path):
        path.rename(path.with_suffix(".dcm"))
        (tmp_path / f"._{path.name}.dcm").write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(4000))
    assert list(warnings_of(tmp_path)) == []
    (tmp_path / "._a.dcm").write_bytes(b"not from macOS")
    assert list(warnings_of(tmp_path)) == ["unreadable-files"]


# ---- one slice twice


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "rle"])
def test_an_image_that_was_sent_twice_is_used_once(tmp_path, syntax):
    for path in write_series(tmp_path, syntax=syntax)[4:6]:
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = f"1.2.3.{path.name.__hash__() % 1000}"
        dataset.InstanceNumber = 77
        dataset.save_as(tmp_path / f"{path.name}-again")
    assert open_ct(tmp_path).volume.shape[0] == 24
    assert warnings_of(tmp_path)["duplicate-slices"].startswith("2 image(s)")


def test_an_image_that_was_sent_twice_in_two_encodings_is_used_once(tmp_path):
    path = write_series(tmp_path)[4]
    dataset = pydicom.dcmread(path)
    dataset.SOPInstanceUID = "1.2.3.9"
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    pydicom.dcmwrite(tmp_path / "again", dataset, implicit_vr=True, little_endian=True, force_encoding=True)
    assert list(warnings_of(tmp_path)) == ["duplicate-slices"]


# ---- identifiers that de-identification broke, and values that differ by rounding or spelling


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID", "PatientID"])
def test_an_identifier_of_its_own_in_every_slice_is_warned_of(tmp_path, keyword):
    write_series(tmp_path, edit=each(**{keyword: lambda k: f"1.2.{k + 1}"}))
    assert list(warnings_of(tmp_path)) == ["identifiers-differ"]


def test_two_frames_of_reference_are_two_scans(tmp_path):
    write_series(tmp_path, edit=each(FrameOfReferenceUID=lambda k: "1.2.3" if k < 12 else "1.2.4"))
    assert rejected(tmp_path) == "mixed-series"


@pytest.mark.parametrize(
    "values",
    [
        {"Modality": lambda _: "ct"},
        {"SliceThickness": lambda k: "3.004" if k % 2 else "3.006"},
        {"SliceThickness": lambda k: "2.995" if k % 2 else "3.0"},
        {"KVP": lambda k: "120" if k % 2 else "119.9"},
        {"PixelSpacing": lambda k: ["2.0", "2.0"] if k % 2 else ["2.000005", "2.000004"]},
        {"ConvolutionKernel": lambda k: "B35f" if k % 2 else "B35F "},
        {"RescaleType": lambda _: "Hounsfield Units"},
        {"RescaleType": lambda _: "hounsfield_unit"},
        {"RescaleType": lambda _: "Unités Hounsfield"},
        {"RescaleType": lambda _: "Hounsfield-Einheiten"},
    ],
)
def test_rounding_and_spelling_do_not_matter(tmp_path, values):
    write_series(tmp_path, edit=each(SpecificCharacterSet=lambda _: "ISO_IR 100", **values))
    assert warnings_of(tmp_path) == {}


@pytest.mark.parametrize("rescale_type", ["HU_MOD", "OD", "MGML", "Hounsfield units modified", "Z_EFF", "ED"])
def test_other_units_are_rejected(tmp_path, rescale_type):
    write_series(tmp_path, RescaleType=rescale_type)
    assert rejected(tmp_path) == "not-hu"


# ---- spectral images

COMPUTED = [
    *("CALCIUM SUPPRESSION", "CALCIUM_SUPP_25", "CaSupp", "VNC", "DE_VNC", "VIRTUAL NON CONTRAST", "VUE", "IODINE"),
    *("IODINE_NO_WATER", "Iodine Density", "IODINE MAP", "ELECTRON_DENSITY", "ELECTRON DENSITY", "Z EFFECTIVE"),
    *("Z_EFF", "EFFECTIVE ATOMIC NUMBER", "OVERLAY", "CONTRAST_OVERLAY", "PURE CALCIUM", "PURE_LUMEN", "URIC_ACID"),
    *("MAT_MODIFIED", "BONE REMOVAL", "VNCa", "MATERIAL DENSITY", "PBV"),
]


@pytest.mark.parametrize("word", COMPUTED)
def test_vendors_words_for_computed_images_are_known(word):
    assert computed_word(("DERIVED", "PRIMARY", "AXIAL", word.upper()))


@pytest.mark.parametrize(
    "image_type",
    [
        ("ORIGINAL", "PRIMARY", "AXIAL"),
        ("ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"),
        ("ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM7 SPI DUAL"),
        ("DERIVED", "PRIMARY", "AXIAL", "MIXED"),
        ("ORIGINAL", "PRIMARY", "AXIAL", "HELIX", "ECG_GATED"),
        ("DERIVED", "SECONDARY", "MPR", "AVERAGE"),
    ],
)
def test_ordinary_images_are_none_of_these(image_type):
    assert computed_word(image_type) is None and virtual_energy(image_type) is None


@pytest.mark.parametrize("word", ["CALCIUM SUPPRESSION", "VNC", "IODINE"])
def test_a_computed_series_is_rejected(tmp_path, word):
    write_series(tmp_path, ImageType=["DERIVED", "PRIMARY", "AXIAL", word])
    assert rejected(tmp_path) == "not-hu"


@pytest.mark.parametrize(
    ("words", "energy"),
    [(["MONO_E", "40 KEV"], "40 keV"), (["MONOENERGETIC_55_KEV"], "55 keV"), (["VMI"], ""), (["MONO 70KEV"], "70 keV")],
)
def test_a_monoenergetic_series_is_warned_of(tmp_path, words, energy):
    write_series(tmp_path, ImageType=["DERIVED", "PRIMARY", "AXIAL", *words])
    message = warnings_of(tmp_path)["monoenergetic"]
    assert energy in message


@pytest.mark.parametrize(
    ("description", "known"),
    [
        *[("Chest VNC 3.0", True), ("Iodine density", True), ("MonoE 40keV", True), ("CaScore 3.0 Qr36", False)],
        *[("Thorax nativ", False), ("Calcium Score", False), ("Monochrome copy", False)],
    ],
)
def test_a_description_that_speaks_of_a_spectral_image_is_known(description, known):
    assert (describes_spectral(description) is not None) is known


# ---- acquisition


@pytest.mark.parametrize(
    ("thickness", "spacing", "warned"), [("0.6", 0.6, True), ("1", 1.0, True), (None, 0.75, True), ("1.5", 1.5, False)]
)
def test_thin_slices_are_warned_of(tmp_path, thickness, spacing, warned):
    count = int(62 / spacing)
    write_series(tmp_path, chest_hu((count, 64, 64)), spacing=(spacing, 2, 2), SliceThickness=thickness)
    assert ("thin-slices" in warnings_of(tmp_path)) is warned


@pytest.mark.parametrize(
    "tags", [{"FilterMaterial": "TIN"}, {"FilterType": "SN"}, {"SeriesDescription": "CaScore Sn100 3.0 Qr36"}]
)
def test_a_tin_filter_gets_no_advice_about_its_voltage(tmp_path, tags):
    write_series(tmp_path, KVP="100", **tags)
    message = warnings_of(tmp_path)["kvp"]
    assert "tin filter" in message and "raise" not in message and "--kvp-adapted" not in message


# ---- orientation


def test_slices_turned_in_their_own_plane_are_scored_on_their_own_grid(tmp_path):
    cosine, sine = np.cos(np.radians(10)), np.sin(np.radians(10))
    hu = chest_hu()
    write_series(tmp_path, hu, orientation=(cosine, sine, 0, -sine, cosine, 0))
    volume = open_ct(tmp_path).volume
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.warnings == () and volume.series is not None


def test_a_sagittal_series_that_is_too_narrow_is_told_so(tmp_path):
    hu = chest_hu((24, 64, 80))
    write_series(tmp_path, hu, orientation=(0, 1, 0, 0, 0, -1))
    with pytest.raises(ValueError, match=r"not axial: its 24 slices, 3 mm apart, cover 72 mm"):
        open_ct(tmp_path)


# ---- how files come


def gzipped(source, target):
    with source.open("rb") as plain, gzip.open(target, "wb") as packed:
        shutil.copyfileobj(plain, packed)


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for item in folder.rglob("*"):
            archive.write(item, item.relative_to(folder))
    return path


def series_in(tmp_path, way):
    """The path to give for one series that comes in a certain way."""
    plain = tmp_path / "plain"
    paths = write_series(plain)
    given = tmp_path / "given"
    given.mkdir()
    if way == "gzip":
        for path in paths:
            gzipped(path, given / f"{path.name}.dcm.gz")
    elif way == "one gzip file":
        gzipped(write_enhanced(tmp_path / "multi.dcm", chest_hu()), given / "multi.dcm.gz")
        return given / "multi.dcm.gz"
    elif way == "a link":
        (given / "ct").symlink_to(plain)
    elif way == "ZIP in ZIP":
        zipped(plain, given / "inner.zip")
        return zipped(given, tmp_path / "outer.zip")
    elif way == "ZIP in a folder":
        zipped(plain, given / "ct.zip")
    elif way == "ZIP of gzip":
        for path in paths:
            gzipped(path, given / f"{path.name}.gz")
        return zipped(given, tmp_path / "gz.zip")
    else:
        image = sitk.GetImageFromArray(chest_hu())
        image.SetSpacing((2.0, 2.0, 3.0))
        sitk.WriteImage(image, str(given / way))
        if "folder" not in way:
            return zipped(given, tmp_path / "image.zip")
    return given


@pytest.mark.parametrize(
    "way",
    [
        *("gzip", "one gzip file", "a link", "ZIP in ZIP", "ZIP in a folder", "ZIP of gzip"),
        *("ct.nii.gz", "ct.nrrd", "Patient 1.mhd", "ct in a folder.nii"),
    ],
)
def test_a_series_is_found_however_it_is_packed(tmp_path, way):
    np.testing.assert_array_equal(open_ct(series_in(tmp_path, way)).volume.hu, chest_hu())


def test_a_dicomdir_stands_for_what_it_lies_above(tmp_path):
    write_series(tmp_path / "DICOM" / "S1")
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    assert open_ct(tmp_path / "DICOMDIR").volume.shape == (24, 64, 64)


def test_several_images_or_archives_in_a_folder_are_not_guessed_from(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "zips").mkdir()
    for name in "ab":
        (tmp_path / "images" / f"{name}.nrrd").write_bytes(b"NRRD0004\n")
        with zipfile.ZipFile(tmp_path / "zips" / f"{name}.zip", "w") as archive:
            archive.writestr("x", b"y")
    assert rejected(tmp_path / "images") == "no-dicom"
    assert rejected(tmp_path / "zips") == "no-dicom"


# ---- the choice, and what is missing


def test_the_choice_among_series_is_told_in_the_results(tmp_path):
    write_series(tmp_path / "soft", seed=1)
    write_series(tmp_path / "sharp", seed=2, ConvolutionKernel="B70f", SeriesDescription="Jane Doe")
    message = warnings_of(tmp_path)["series-chosen"]
    assert "24 slices, 3 mm, kernel B35f" in message and "kernel B70f, because its kernel is sharp" in message
    assert "Jane" not in message and "1.2." not in message
    uid = open_ct(tmp_path).chosen.series_uid
    assert "series-chosen" not in [warning.code for warning in open_ct(tmp_path, series_uid=uid).volume.warnings]


def test_a_head_without_lung_loses_against_a_thinner_chest(tmp_path):
    shape = (40, 64, 64)
    head = np.where(chest_hu(shape) < -500, -1000, chest_hu(shape)).astype(np.int16)
    write_series(tmp_path / "head", head, seed=1, BodyPartExamined="HEAD")
    write_series(tmp_path / "chest", chest_hu(shape), seed=2, BodyPartExamined="CHEST", SliceThickness="1.0")
    opened = open_ct(tmp_path)
    assert opened.chosen.slice_thickness_mm == 1.0
    assert opened.others[0].reason == "it shows another part of the body, and no lung"


def damage_mark(path):
    content = path.read_bytes()
    path.write_bytes(content[:128] + b"DIKM" + content[132:])


def damage_group_length(path):
    content = bytearray(path.read_bytes())
    content[136:140] = b"\x02\x00\x00\x00" if content[136:138] != b"\x02\x00" else content[136:140]
    content[138] = 3
    path.write_bytes(content)


def damage_series(path):
    dataset = pydicom.dcmread(path)
    dataset.SeriesInstanceUID += "7"
    dataset.save_as(path)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_mark, damage_group_length, damage_series, empty])
@pytest.mark.parametrize("which", [0, -1])
def test_a_damaged_file_at_an_end_is_warned_of(tmp_path, damage, which):
    paths = [path.rename(path.with_suffix(".dcm")) for path in write_series(tmp_path)]
    damage(paths[which])
    assert "unreadable-files" in warnings_of(tmp_path)


def test_other_files_beside_the_series_are_not_taken_for_damaged_ones(tmp_path):
    write_series(tmp_path)
    (tmp_path / "README.txt").write_text("Read me")
    (tmp_path / "DICOMDIR").write_bytes(bytes(9000))
    (tmp_path / "Thumbs.db").write_bytes(bytes(4000))
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8" + bytes(30000))
    assert warnings_of(tmp_path) == {}
