"""Of several series the best suited is chosen by stated rules, and the others are listed with the reason."""

import pytest
from coronary_calcium.errors import InputRefused
from coronary_calcium.reading import open_ct
from dicom_factory import chest_hu, write_series

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
    assert opened.others[0].reason == "it is not synchronised with the heart"


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


def test_a_named_series_that_cannot_be_scored_is_refused(tmp_path):
    folder = folder_of(tmp_path, good={}, broken={"skip": [5]})
    with pytest.raises(InputRefused) as caught:
        open_ct(folder, series_uid="1.2.2")
    assert caught.value.code == "missing-slices"


def test_where_none_can_be_scored_the_most_promising_one_says_why(tmp_path):
    localizer = {"hu": chest_hu()[:2], "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    folder = folder_of(tmp_path, localizer=localizer, broken={"skip": [5]}, mr={"Modality": "MR"})
    with pytest.raises(InputRefused) as caught:
        open_ct(folder)
    assert caught.value.code == "missing-slices"


@pytest.mark.parametrize("agent", ["", "NONE", "no"])
def test_an_entry_that_says_no_contrast_is_no_contrast(tmp_path, agent):
    opened = open_ct(folder_of(tmp_path, plain={"ContrastBolusAgent": agent}))
    assert opened.volume.acquisition.contrast_agent is None
