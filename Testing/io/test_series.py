"""Of several series the best suited is chosen by stated rules, and the others are listed with the reason."""

import numpy as np
import pytest
from coronary_calcium.errors import InputError
from coronary_calcium.io import open_ct
from coronary_calcium.io.contrast_words import describes_no_contrast, says_no_contrast
from coronary_calcium.io.series import shows_another_part
from dicom_factory import chest_hu, write_series
from pydicom.dataset import Dataset

LONG = (40, 64, 64)


def folder_of(tmp_path, **series):
    """A folder with one series for each name; values are options of write_series."""
    for seed, (name, options) in enumerate(series.items(), start=1):
        write_series(tmp_path / name, series_uid=f"1.2.{seed}", seed=seed, **{"hu": chest_hu(LONG), **options})
    return tmp_path


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        ({"ContrastBolusAgent": "Iomeprol"}, "it was made with contrast medium"),
        ({"BodyPartExamined": "HEAD"}, "it shows another part of the body"),
        ({"hu": chest_hu()}, "it is too short for a whole heart"),
        ({"ConvolutionKernel": "B70f"}, "its kernel is sharp"),
        ({"SliceThickness": "1.0"}, "its slice thickness is farther from 3 mm"),
        ({"ImageType": ["DERIVED", "PRIMARY", "MPR"]}, "it is derived, not original"),
        ({"hu": chest_hu((36, 64, 64))}, "it has fewer slices"),
        ({"Modality": "MR"}, "The series is not a CT (its modality is MR): give a non-contrast CT."),
        ({}, "it is equally suited, and its identifier sorts later"),
    ],
)
def test_the_worse_series_loses_for_its_reason(tmp_path, worse, reason):
    order = {"good": {}, "worse": worse} if not worse else {"worse": worse, "good": {}}
    opened = open_ct(folder_of(tmp_path, **order))
    assert opened.chosen.series_uid == ("1.2.2" if worse else "1.2.1")
    assert [(other.reason, other.slices > 0) for other in opened.others] == [(reason, True)]


def test_a_gated_series_beats_an_ungated_one(tmp_path):
    opened = open_ct(folder_of(tmp_path, plain={}, gated={"NominalPercentageOfCardiacPhase": 75.0}))
    assert opened.chosen.series_uid == "1.2.2"
    assert opened.volume.acquisition.cardiac_gating == "ECG, 75 % of the heart cycle"
    assert opened.others[0].reason == "it is not synchronized with the heart"


def test_the_calcium_series_is_found_in_a_whole_examination(tmp_path):
    opened = open_ct(
        folder_of(
            tmp_path,
            localizer={"hu": chest_hu()[:2], "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
            lung={"ConvolutionKernel": "B70f", "SliceThickness": "1"},
            calcium={},
            angiogram={"ContrastBolusAgent": "Iohexol", "SliceThickness": "0.75"},
            projection={"ImageType": ["DERIVED", "SECONDARY", "MIP"]},
            broken={"skip": [5]},
        )
    )
    assert opened.chosen.series_uid == "1.2.3"
    assert len(opened.others) == 5 and all(other.reason for other in opened.others)


def test_a_named_series_is_taken_although_another_is_better(tmp_path):
    folder = folder_of(tmp_path, good={}, contrast={"ContrastBolusAgent": "Iohexol"})
    opened = open_ct(folder, series_uid="1.2.2")
    assert opened.volume.acquisition.contrast_agent == "Iohexol"
    assert "contrast-stated" in [warning.code for warning in opened.volume.warnings]
    assert opened.others[0].reason == "another series was asked for"


def test_a_named_series_that_cannot_be_scored_is_rejected(tmp_path):
    folder = folder_of(tmp_path, good={}, broken={"skip": [5]})
    with pytest.raises(InputError) as caught:
        open_ct(folder, series_uid="1.2.2")
    assert caught.value.code == "missing-slices"


def test_where_none_can_be_scored_the_most_promising_one_says_why(tmp_path):
    localizer = {"hu": chest_hu()[:2], "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    folder = folder_of(tmp_path, localizer=localizer, broken={"skip": [5]}, mr={"Modality": "MR"})
    with pytest.raises(InputError) as caught:
        open_ct(folder)
    assert caught.value.code == "missing-slices"


NO_CONTRAST = [
    *(
        "",
        "NONE",
        "no",
        "N/A",
        "0 ml",
        "WITHOUT CONTRAST",
        "Without IV contrast medium",
        "w/o",
        "W/O CONTRAST",
        "W.O. C-",
    ),
    *("ohne KM", "ohne Kontrastmittel", "kein K.M.", "sans injection", "Sans produit de contraste", "non injecté"),
    *(
        "sin contraste",
        "Sin contraste i.v.",
        "senza mdc",
        "senza m.d.c.",
        "sem contraste",
        "zonder contrast",
        "utan kontrast",
    ),
    *("nativ", "NATIVE", "nativo", "NON-CONTRAST", "non contrast", "Noncontrast", "unenhanced", "C-", "C–", "KM-"),
    *("Contrast: none", "NOT GIVEN", "bez kontrastu", "без контраста", "平扫", "単純", "造影なし"),
]
CONTRAST = [
    *(
        "Iomeprol",
        "WITH CONTRAST",
        "contrast",
        "IV",
        "NON IONIC",
        "IOHEXOL, NO REACTION",
        "OMNIPAQUE NATIVE SERUM",
        "C+",
    ),
    *(
        "WITH AND WITHOUT CONTRAST",
        "W/WO CONTRAST",
        "mit KM",
        "avec injection",
        "con contraste",
        "con mdc",
        "KM",
        "NOVARTIS",
    ),
    *("80 ml", "unknown", "Ultravist 370 ohne Reaktion", "no oral, Isovue 300"),
]


@pytest.mark.parametrize("entry", NO_CONTRAST)
def test_an_entry_that_says_no_contrast_is_no_contrast(entry):
    assert says_no_contrast(entry)


@pytest.mark.parametrize("entry", CONTRAST)
def test_an_entry_that_names_a_medium_is_contrast(entry):
    assert not says_no_contrast(entry)


@pytest.mark.parametrize(
    "description",
    [
        "Thorax nativ 3.0 B35f",
        "CHEST W/O CONTRAST",
        "Ca Score C-",
        "TDM thorax sans injection",
        "Tórax sin contraste i.v.",
    ]
    + ["Torace senza mdc", "Chest non-contrast", "Thorax ohne i.v. KM 3mm", "THORAX -C", "胸部平扫"],
)
def test_a_description_that_says_no_contrast_is_known(description):
    assert describes_no_contrast(description)


@pytest.mark.parametrize(
    "description",
    ["", "Thorax", "CHEST WITH AND WITHOUT CONTRAST", "Thorax nativ und KM", "Thorax nativ, C+", "CHEST W/WO CONTRAST"]
    + ["C-SPINE", "T/S C - SPINE", "no motion", "CT CHEST WO", "CTA NONIONIC", "plain", "Thorax mit KM", "POST PCI"],
)
def test_a_description_that_says_something_else_is_no_denial(description):
    assert not describes_no_contrast(description)


@pytest.mark.parametrize("agent", ["WITHOUT CONTRAST", "ohne KM", "Sin contraste i.v.", "C-"])
def test_a_soft_series_without_contrast_beats_a_sharp_one(tmp_path, agent):
    soft = {"ContrastBolusAgent": agent, "ConvolutionKernel": "B35f"}
    opened = open_ct(folder_of(tmp_path, sharp={"ConvolutionKernel": "B70f"}, soft=soft))
    assert opened.chosen.series_uid == "1.2.2"
    assert opened.volume.acquisition.contrast_agent is None
    assert "contrast-stated" not in [warning.code for warning in opened.volume.warnings]


def test_where_every_series_states_the_agent_the_one_described_as_native_is_chosen_and_still_warned_of(tmp_path):
    agent = {"ContrastBolusAgent": "Iomeprol"}
    portal = {**agent, "SeriesDescription": "Thorax KM"}
    opened = open_ct(folder_of(tmp_path, portal=portal, native={**agent, "SeriesDescription": "Thorax nativ"}))
    assert opened.chosen.series_uid == "1.2.2"
    assert opened.others[0].reason == "it was made with contrast medium"
    assert "contrast-stated" in [warning.code for warning in opened.volume.warnings]


@pytest.mark.parametrize(
    "part",
    ["CHESTABDPELVIS", "CHESTABDOMEN", "NECKCHESTABDPELV", "HEAD, NECK, THORAX", "CARDIAC / ABDOMEN", "HEART", ""]
    + ["TORAX", "PHARMA TRIAL", "LEGACY", "WHIPPLE", "WHOLEBODY"],
)
def test_a_part_that_holds_the_heart_or_is_not_known_is_acceptable(part):
    assert not shows_another_part(part)


@pytest.mark.parametrize("part", ["HEAD", "HEADNECK", "ABDOMEN", "ABDOMENPELVIS", "ARM", "LEFT LEG", "HIPS", "CSPINE"])
def test_another_part_is_known(part):
    assert shows_another_part(part)


@pytest.mark.parametrize("part", ["CHESTABDPELVIS", "CHESTABDOMEN", "NECKCHESTABDPELV", "HEAD", "PHARMA TRIAL"])
@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        ({"ContrastBolusAgent": "Iomeprol"}, "it was made with contrast medium"),
        ({"ConvolutionKernel": "B70f"}, "its kernel is sharp"),
        ({"SliceThickness": "1.0"}, "its slice thickness is farther from 3 mm"),
    ],
)
def test_contrast_kernel_and_thickness_outrank_the_part_of_the_body(tmp_path, part, worse, reason):
    chest, other = {"BodyPartExamined": "CHEST", **worse}, {"BodyPartExamined": part}
    opened = open_ct(folder_of(tmp_path, chest=chest, other=other))
    assert opened.chosen.series_uid == "1.2.2"
    assert opened.others[0].reason == reason


@pytest.mark.parametrize(("meaning", "agent"), [("No contrast", None), ("Iohexol", "coded in the header")])
def test_a_coded_agent_may_be_none(tmp_path, meaning, agent):
    code = Dataset()
    code.CodeMeaning = meaning
    opened = open_ct(folder_of(tmp_path, plain={"ContrastBolusAgentSequence": [code]}))
    assert opened.volume.acquisition.contrast_agent == agent


# ---- series whose slices have an identifier each


def taken_apart(folder, name="a", edit=None, **options):
    """A series of which every slice has a series identifier of its own."""

    def change(k, dataset):
        dataset.SeriesInstanceUID = f"1.2.{sum(map(ord, name))}.{k + 1}"
        dataset.StudyInstanceUID = "1.2.9"
        if edit is not None:
            edit(k, dataset)

    return write_series(folder / name, edit=change, **{"SeriesNumber": 3, **options})


def test_slices_with_a_series_identifier_each_are_one_scan_with_a_warning(tmp_path):
    taken_apart(tmp_path)
    opened = open_ct(tmp_path)
    np.testing.assert_array_equal(opened.volume.hu, chest_hu())
    warnings = {warning.code: warning.message for warning in opened.volume.warnings}
    assert list(warnings) == ["identifiers-differ"]
    assert warnings["identifiers-differ"].startswith("Every slice has its own series,")
    assert (opened.chosen.slices, opened.others) == (24, ())


def test_one_file_or_one_identifier_of_them_gives_the_same_scan(tmp_path):
    files = taken_apart(tmp_path)
    for opened in (open_ct(files[5]), open_ct(tmp_path, series_uid="1.2.97.9")):
        np.testing.assert_array_equal(opened.volume.hu, chest_hu())


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "SeriesNumber"])
def test_other_identifiers_may_be_of_their_own_as_well(tmp_path, keyword):
    values = {"FrameOfReferenceUID": "1.7.{}", "SeriesNumber": "{}"}
    taken_apart(tmp_path, edit=lambda k, dataset: setattr(dataset, keyword, values[keyword].format(k + 1)))
    assert open_ct(tmp_path).volume.shape[0] == 24


def test_copies_in_a_second_folder_change_nothing(tmp_path):
    for path in taken_apart(tmp_path)[3:8]:
        (tmp_path / "again").mkdir(exist_ok=True)
        (tmp_path / "again" / path.name).write_bytes(path.read_bytes())
    np.testing.assert_array_equal(open_ct(tmp_path).volume.hu, chest_hu())


@pytest.mark.parametrize(
    "other",
    [
        {"ConvolutionKernel": "B70f"},
        {"SliceThickness": "5"},
        {"KVP": "100"},
        {"SeriesDescription": "70 %"},
        {"SeriesNumber": 4},
    ],
)
def test_two_scans_taken_apart_are_two(tmp_path, other):
    """The lower half of one and the upper half of the other would lie evenly as well."""
    hu = chest_hu()
    taken_apart(tmp_path, hu=hu[:12], FrameOfReferenceUID="1.5")
    taken_apart(tmp_path, "b", hu=hu[12:], origin=(-64.0, -70.0, -264.0), FrameOfReferenceUID="1.5", **other)
    with pytest.raises(InputError):  # neither is long enough for a heart
        open_ct(tmp_path)
    taken_apart(tmp_path, "c", hu=hu)
    opened = open_ct(tmp_path)
    np.testing.assert_array_equal(opened.volume.hu, hu)
    assert sorted(series.slices for series in opened.others) == [12, 12]


@pytest.mark.parametrize("tell", ["frame of reference", "numbers of the images"])
def test_two_scans_that_continue_each_other_are_not_put_together(tmp_path, tell):
    hu = chest_hu()
    frames = ("1.5", "1.6") if tell == "frame of reference" else ("1.5", "1.5")
    for name, half, low, frame in (("a", hu[:12], -300.0, frames[0]), ("b", hu[12:], -264.0, frames[1])):
        taken_apart(tmp_path, name, hu=half, origin=(-64.0, -70.0, low), FrameOfReferenceUID=frame)
    with pytest.raises(InputError):
        open_ct(tmp_path)


def test_two_patients_taken_apart_are_not_put_together(tmp_path):
    hu = chest_hu()
    for name, half, low in (("a", hu[:12], -300.0), ("b", hu[12:], -264.0)):
        taken_apart(
            tmp_path, name, hu=half, origin=(-64.0, -70.0, low), FrameOfReferenceUID="1.5", PatientID=f"P-{name}",
            edit=lambda k, dataset: delattr(dataset, "InstanceNumber"),
        )  # fmt: skip
    with pytest.raises(InputError):
        open_ct(tmp_path)


def test_two_phases_taken_apart_over_the_same_region_are_rejected(tmp_path):
    for name in "ab":
        taken_apart(tmp_path, name, hu=chest_hu() + (name == "b"), FrameOfReferenceUID="1.5", InstanceNumber=1)
    with pytest.raises(InputError) as rejection:
        open_ct(tmp_path)
    assert rejection.value.code != "mixed-series"


def test_images_that_need_not_be_one_scan_are_rejected_in_a_sentence_that_says_so(tmp_path):
    def another_study(k, dataset):
        dataset.StudyInstanceUID = f"1.2.9.{k}"

    taken_apart(tmp_path, edit=another_study)
    with pytest.raises(InputError, match="24 images have a series identifier of their own") as rejection:
        open_ct(tmp_path)
    assert rejection.value.code == "mixed-series"


def test_a_slice_that_is_missing_among_slices_taken_apart_is_noticed(tmp_path):
    taken_apart(tmp_path, skip=(7,))
    with pytest.raises(InputError) as rejection:
        open_ct(tmp_path)
    assert rejection.value.code == "missing-slices"
