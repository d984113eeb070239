"""DICOM input that cannot be scored is rejected with one sentence, never read as something else."""

import numpy as np
import pydicom
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct
from dicom_factory import SECONDARY_CAPTURE, chest_hu, write_series
from rejections import rejected


def without(keyword, slices=(5,)):
    def edit(k, dataset):
        if k in slices and keyword in dataset:
            delattr(dataset, keyword)

    return edit


def with_value(keyword, value, slices=(5,)):
    def edit(k, dataset):
        if k in slices:
            setattr(dataset, keyword, value)

    return edit


@pytest.mark.parametrize(
    "keyword",
    [
        "PixelSpacing",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "RescaleSlope",
        "RescaleIntercept",
        "PixelRepresentation",
        "BitsStored",
    ],
)
@pytest.mark.parametrize("slices", [(5,), range(24)])
def test_a_missing_tag_is_never_replaced_by_a_default(tmp_path, keyword, slices):
    if keyword in ("PixelRepresentation", "BitsStored"):
        for path in write_series(tmp_path):
            dataset = pydicom.dcmread(path)
            delattr(dataset, keyword)
            dataset["PixelData"].VR = "OW"
            dataset.save_as(path)
    else:
        write_series(tmp_path, edit=without(keyword, slices))
    assert rejected(tmp_path) == "missing-tags"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PixelSpacing", []), ("ImagePositionPatient", [0, 0]), ("RescaleSlope", None)],
)
def test_an_empty_or_short_tag_counts_as_missing(tmp_path, keyword, value):
    write_series(tmp_path, edit=with_value(keyword, value))
    assert rejected(tmp_path) == "missing-tags"


def test_a_tag_that_is_not_a_number_counts_as_missing(tmp_path):
    for path in write_series(tmp_path):
        path.write_bytes(path.read_bytes().replace(b"-1024 ", b"-1O24 "))
    assert rejected(tmp_path) == "missing-tags"


@pytest.mark.parametrize(("value", "code"), [([0, 2], "bad-geometry"), ([-2, 2], "bad-geometry")])
def test_spacing_that_is_not_positive_is_rejected(tmp_path, value, code):
    write_series(tmp_path, edit=with_value("PixelSpacing", value, range(24)))
    assert rejected(tmp_path) == code


def test_a_slope_of_zero_is_rejected(tmp_path):
    write_series(tmp_path, edit=with_value("RescaleSlope", "0", range(24)))
    assert rejected(tmp_path) == "not-hu"


def test_a_missing_slice_is_rejected_naming_where(tmp_path):
    write_series(tmp_path, skip=[10])
    with pytest.raises(InputError, match=r"-273\.00 and -267\.00 mm") as caught:
        open_ct(tmp_path)
    assert caught.value.code == "missing-slices"


def test_uneven_spacing_is_rejected(tmp_path):
    def stretch(k, dataset):
        dataset.ImagePositionPatient = [-64, -70, -300 + 3 * k + 0.02 * k * k]

    write_series(tmp_path, edit=stretch)
    assert rejected(tmp_path) == "uneven-spacing"


def test_two_halves_of_different_spacing_are_rejected(tmp_path):
    def change(k, dataset):
        dataset.ImagePositionPatient = [-64, -70, -300 + 3 * k + 1.0 * max(0, k - 12)]

    write_series(tmp_path, edit=change)
    assert rejected(tmp_path) == "uneven-spacing"


def test_positions_rounded_to_a_tenth_of_a_millimeter_are_even(tmp_path):
    def round_position(k, dataset):
        dataset.ImagePositionPatient = [-64, -70, f"{-300 + 0.625 * k:.1f}"]

    write_series(tmp_path, chest_hu((105, 64, 64)), spacing=(0.625, 2, 2), edit=round_position)
    assert open_ct(tmp_path).volume.spacing[0] == pytest.approx(0.625, abs=1e-3)


def test_two_slices_at_one_position_are_rejected(tmp_path):
    write_series(tmp_path, edit=with_value("ImagePositionPatient", [-64, -70, -300 + 3 * 9]))
    assert rejected(tmp_path) in ("duplicate-slices", "missing-slices")


def test_two_heart_phases_in_one_series_are_rejected(tmp_path):
    for seed, phase in ((1, 40), (2, 75)):
        write_series(
            tmp_path,
            chest_hu() + np.int16(phase),
            series_uid="1.2.3",
            FrameOfReferenceUID="1.9",
            seed=seed,
            NominalPercentageOfCardiacPhase=float(phase),
        )
    assert rejected(tmp_path) == "several-stacks"


def test_the_same_scan_twice_without_any_difference_in_the_header_is_rejected(tmp_path):
    for seed in (1, 2):
        write_series(tmp_path, chest_hu() + np.int16(seed), series_uid="1.2.3", FrameOfReferenceUID="1.9", seed=seed)
    assert rejected(tmp_path) == "duplicate-slices"


def test_two_images_with_one_identifier_are_rejected(tmp_path):
    write_series(tmp_path, edit=with_value("SOPInstanceUID", "1.2.3.4", (4, 5)))
    assert rejected(tmp_path) == "duplicate-slices"


def test_a_stated_gantry_tilt_is_rejected(tmp_path):
    write_series(tmp_path, GantryDetectorTilt="-12.5")
    assert rejected(tmp_path) == "gantry-tilt"


def test_a_tilt_that_only_the_positions_show_is_rejected(tmp_path):
    def shift(k, dataset):
        dataset.ImagePositionPatient = [-64, -70 + 0.4 * k, -300 + 3 * k]

    write_series(tmp_path, edit=shift)
    assert rejected(tmp_path) == "gantry-tilt"


def test_a_slice_out_of_line_is_rejected(tmp_path):
    write_series(tmp_path, edit=with_value("ImagePositionPatient", [-60, -70, -285]))
    assert rejected(tmp_path) == "misaligned-slices"


@pytest.mark.parametrize(("degrees", "accepted"), [(0.8, True), (1.2, False), (20, False), (70, False)])
def test_oblique_slices_are_rejected_beyond_one_degree(tmp_path, degrees, accepted):
    angle = np.radians(degrees)
    write_series(tmp_path, orientation=(1, 0, 0, 0, np.cos(angle), np.sin(angle)))
    if accepted:
        assert open_ct(tmp_path).volume.spacing[0] == pytest.approx(3.0, abs=1e-4)
    else:
        assert rejected(tmp_path) == "oblique"


def test_an_orientation_that_is_not_at_right_angles_is_rejected(tmp_path):
    write_series(tmp_path, edit=with_value("ImageOrientationPatient", [1, 0, 0, 0.1, 0.995, 0], range(24)))
    assert rejected(tmp_path) == "bad-geometry"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PixelSpacing", [2, 2.1]), ("KVP", "80"), ("ConvolutionKernel", "B70f"), ("FrameOfReferenceUID", "1.2.9")],
)
def test_slices_of_different_reconstructions_are_rejected(tmp_path, keyword, value):
    write_series(tmp_path, edit=with_value(keyword, value))
    assert rejected(tmp_path) == "mixed-series"


def test_slices_of_another_matrix_are_rejected(tmp_path):
    write_series(tmp_path, chest_hu()[:12], series_uid="1.2.3", FrameOfReferenceUID="1.9")
    write_series(
        tmp_path,
        chest_hu((12, 60, 60)),
        series_uid="1.2.3",
        FrameOfReferenceUID="1.9",
        origin=(-64, -70, -264),
        seed=2,
    )
    assert rejected(tmp_path) == "mixed-series"


def test_two_orientations_in_one_series_are_rejected(tmp_path):
    write_series(tmp_path, series_uid="1.2.3")
    write_series(tmp_path, series_uid="1.2.3", orientation=(1, 0, 0, 0, 0, -1), seed=2)
    assert rejected(tmp_path) == "mixed-series"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"Modality": "MR"}, "not-ct"),
        ({"Modality": "PT"}, "not-ct"),
        ({"Modality": None}, "not-ct"),
        ({"SOPClassUID": SECONDARY_CAPTURE}, "not-ct"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "not-ct"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "not-slices"),
        ({"RescaleType": "MGML"}, "not-hu"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "color"),
        ({"Rows": 60000, "Columns": 60000}, "absurd-size"),
    ],
)
def test_images_that_are_no_ct_slices_in_hu_are_rejected(tmp_path, tags, code):
    write_series(tmp_path, **tags)
    assert rejected(tmp_path) == code


def test_unscaled_values_are_not_taken_for_hu(tmp_path):
    write_series(tmp_path, edit=with_value("RescaleIntercept", "0", range(24)))
    assert rejected(tmp_path) == "not-hu"


def test_a_rescale_applied_twice_is_noticed(tmp_path):
    write_series(tmp_path, signed=True, intercept=0, edit=with_value("RescaleIntercept", "-1024", range(24)))
    assert rejected(tmp_path) == "not-hu"


def test_padding_declared_within_the_range_of_calcium_is_rejected(tmp_path):
    hu = chest_hu()
    hu[:, :6] = 300
    write_series(tmp_path, hu, PixelPaddingValue=1324)
    assert rejected(tmp_path) == "ambiguous-padding"


def test_too_few_slices_are_rejected(tmp_path):
    write_series(tmp_path, chest_hu((7, 64, 64)), spacing=(10, 2, 2))
    assert rejected(tmp_path) == "too-few-slices"


def test_a_scan_too_short_for_a_heart_is_rejected(tmp_path):
    write_series(tmp_path, chest_hu((19, 64, 64)))
    assert rejected(tmp_path) == "too-short"


def test_nothing_to_read_is_rejected(tmp_path):
    assert rejected(tmp_path / "missing") == "no-file"
    assert rejected(tmp_path) == "no-dicom"
    (tmp_path / "notes.txt").write_text("hello")
    assert rejected(tmp_path) == "no-dicom"
    assert rejected(tmp_path / "notes.txt") == "unknown-format"


def test_a_series_that_is_not_there_is_rejected(tmp_path):
    write_series(tmp_path, series_uid="1.2.3")
    assert rejected(tmp_path, series_uid="1.2.4") == "series-not-found"
