"""COCA: outlines drawn in OsiriX, their slices and their filling, and the table of scores."""

import plistlib
import zipfile

import numpy as np
import pytest
from coronary_calcium.datasets.osirix import read_outlines
from coronary_calcium.datasets.registry import open_data_set
from coronary_calcium.errors import InputError
from data_set_cases import (
    LAD_NAME,
    LCX_NAME,
    LM_NAME,
    ORIGIN,
    RCA_NAME,
    SPACING,
    box,
    chest,
    left_out,
    only_case,
    roi,
    write_gated,
    write_nongated,
    write_outlines,
    write_scores,
)
from dicom_factory import write_series

# Not rounded: pixels 31 to 33 by 30 to 32 lie inside; rounding or cutting off the fractions would take others.
CORNERS = box(30.2, 33.7, 29.6, 32.4)
INSIDE = np.s_[30:33, 31:34]


def total(hu, k, inside=INSIDE):
    return int(hu[k][inside].sum(dtype=np.int64))


def lad_in(hu, slices=(3, 4, 5)):
    """One outline in each of these slices, with the sum of what is inside."""
    return {k: [roi(LAD_NAME, CORNERS, total(hu, k))] for k in slices}


def codes(case):
    return [warning.code for warning in case.warnings]


def test_outlines_are_filled_without_rounding_their_corners(tmp_path):
    hu = chest()
    write_gated(tmp_path, images=lad_in(hu))
    case, others = only_case(tmp_path)
    expected = np.zeros(hu.shape, np.uint8)
    for k in (3, 4, 5):
        expected[k][INSIDE] = 2
    np.testing.assert_array_equal(case.labels, expected)
    np.testing.assert_array_equal(case.volume.hu, hu)
    assert (case.name, case.reference, case.warnings, others) == ("7", None, (), [])
    assert case.facts == {"source": "COCA gated", "gated": True, "left_main_in_lad": False}


def test_an_outline_that_turns_inwards_is_filled_by_the_even_odd_rule(tmp_path):
    hu = chest()
    notch = [(29.5, 29.5), (34.5, 29.5), (34.5, 33.5), (32.5, 33.5), (32.5, 30.5), (31.5, 30.5), (31.5, 33.5)]
    notch.append((29.5, 33.5))
    inside = np.zeros(hu.shape[1:], bool)
    inside[30:34, 30:35] = True
    inside[31:34, 32] = False
    write_gated(tmp_path, images={4: [roi(RCA_NAME, notch, hu[4][inside].sum())]})
    case, _ = only_case(tmp_path)
    np.testing.assert_array_equal(case.labels[4] == 4, inside)
    assert case.warnings == ()


def test_the_index_counts_from_the_feet_whatever_the_files_and_instance_numbers_say(tmp_path):
    hu = chest()
    write_gated(tmp_path, images=lad_in(hu, [3]), edit=lambda k, ds: setattr(ds, "InstanceNumber", 100 - 3 * k))
    case, _ = only_case(tmp_path)
    assert np.flatnonzero(case.labels.any(axis=(1, 2))).tolist() == [3]
    assert case.volume.position((3, 0, 0))[2] == ORIGIN[2] + 3 * SPACING[0]


@pytest.mark.parametrize("wrong", [lambda k: 7 - k, lambda k: k + 1, lambda k: k - 1])
def test_outlines_on_other_slices_do_not_hold_their_sum_and_are_rejected(tmp_path, wrong):
    hu = chest()
    write_gated(tmp_path, images={wrong(k): rois for k, rois in lad_in(hu).items()})
    assert "do not hold the HU that they state" in left_out(tmp_path)


def test_the_four_names_are_the_four_arteries_and_others_are_given_to_none(tmp_path):
    names = [LM_NAME, LAD_NAME, LCX_NAME, RCA_NAME, " right  coronary ARTERY", "RCA?", "Miller^Ann"]
    rois = [roi(name, box(29.5 + n, 30.5 + n, 29.5, 30.5)) for n, name in enumerate(names)]
    write_gated(tmp_path, images={4: rois})
    case, _ = only_case(tmp_path)
    assert case.labels[4, 30, 30:37].tolist() == [1, 2, 3, 4, 4, 5, 5]
    assert codes(case) == ["outline-names", "outlines-unchecked"]
    assert case.warnings[0].message.startswith("2 outline(s)")
    assert "Miller" not in str(case.warnings)


def test_empty_outlines_and_slices_hold_nothing(tmp_path):
    hu = chest()
    images = {1: [], 2: [roi(LAD_NAME, [], 0)], **lad_in(hu)}
    images[3].append(roi(RCA_NAME, []))
    write_gated(tmp_path, images=images)
    case, _ = only_case(tmp_path)
    assert np.flatnonzero(case.labels.any(axis=(1, 2))).tolist() == [3, 4, 5]
    assert case.warnings == ()


def test_a_patient_whose_outlines_are_all_empty_has_no_calcium(tmp_path):
    write_gated(tmp_path, images={3: [roi(LAD_NAME, [], 0)]})
    case, _ = only_case(tmp_path)
    assert not case.labels.any()
    assert case.warnings == ()


def test_points_and_lines_hold_nothing_and_are_warned_of(tmp_path):
    hu = chest()
    images = lad_in(hu)
    images[4] += [roi(RCA_NAME, [(20.0, 20.0)]), roi(RCA_NAME, [(20.0, 20.0), (25.0, 20.0)])]
    write_gated(tmp_path, images=images)
    case, _ = only_case(tmp_path)
    assert sorted(np.unique(case.labels)) == [0, 2]
    assert codes(case) == ["outline-corners"]


def test_one_outline_that_is_not_exact_among_others_is_warned_of(tmp_path):
    hu = chest()
    images = lad_in(hu)
    images[4][0]["Total"] += 7.0
    write_gated(tmp_path, images=images)
    case, _ = only_case(tmp_path)
    assert codes(case) == ["outlines-inexact"]
    assert case.warnings[0].message.startswith("1 of 3 outlines")


def test_where_two_arteries_overlap_the_first_stays_and_it_is_said(tmp_path):
    hu = chest()
    images = lad_in(hu)
    images[4].append(roi(LCX_NAME, box(32.5, 34.5, 29.6, 32.4), total(hu, 4, np.s_[30:33, 33:35])))
    write_gated(tmp_path, images=images)
    case, _ = only_case(tmp_path)
    assert case.labels[4, 30].tolist()[31:36] == [2, 2, 2, 3, 0]
    assert codes(case) == ["outline-overlap"]
    assert case.warnings[0].message.startswith("3 pixel(s)")


@pytest.mark.parametrize(
    "images",
    [
        {9: [roi(LAD_NAME, CORNERS)]},
        {-1: [roi(LAD_NAME, CORNERS)]},
        {4: [roi(LAD_NAME, box(300.0, 310.0, 200.0, 210.0))]},
        {4: [roi(LAD_NAME, box(-3.0, 5.0, 2.0, 5.0))]},
        {4: [roi(LAD_NAME, box(60.0, 65.5, 2.0, 5.0))]},
    ],
)
def test_outlines_outside_the_ct_are_rejected_not_cut_off(tmp_path, images):
    write_gated(tmp_path, images=images)
    assert "outside the CT of 9 slices of 64 x 64 pixels" in left_out(tmp_path)


def test_of_two_series_the_one_is_taken_on_which_the_outlines_were_drawn(tmp_path):
    soft, sharp = chest(1), chest(2)
    write_gated(tmp_path, hu=soft, images=lad_in(sharp))
    write_series(
        tmp_path / "Gated_release_final" / "patient" / "7" / "other", sharp, spacing=SPACING, ConvolutionKernel="B70f"
    )
    case, _ = only_case(tmp_path)
    np.testing.assert_array_equal(case.volume.hu, sharp)
    assert (case.labels[4][INSIDE] == 2).all()
    assert case.volume.acquisition.kernel == "B70f"


def test_two_series_and_outlines_without_sums_leave_the_case_out(tmp_path):
    write_gated(tmp_path, images={4: [roi(LAD_NAME, CORNERS)]})
    write_series(tmp_path / "Gated_release_final" / "patient" / "7" / "other", chest(2), spacing=SPACING)
    assert "several series" in left_out(tmp_path)


def test_a_turned_image_is_rejected_by_the_sums(tmp_path):
    hu = chest()
    write_gated(tmp_path, hu=hu, images=lad_in(hu), orientation=(-1, 0, 0, 0, -1, 0))
    assert "HU that they state" in left_out(tmp_path)


def test_patients_without_outlines_or_ct_are_left_out_and_none_is_taken_for_free_of_calcium(tmp_path):
    hu = chest()
    write_gated(tmp_path, images=lad_in(hu))
    write_gated(tmp_path, patient="10")
    write_outlines(tmp_path / "Gated_release_final" / "calcium_xml" / "2.xml", {})
    data = open_data_set(tmp_path)
    assert [entry.name for entry in data.entries] == ["7"]
    assert {left.name: left.reason.split(",")[0] for left in data.left_out} == {
        "10": "It has no outlines in calcium_xml/",
        "2": "Its CT is missing in patient/.",
    }


def test_a_ct_that_cannot_be_scored_is_left_out_with_the_reading_s_reason(tmp_path):
    hu = chest()
    write_gated(tmp_path, images=lad_in(hu), skip=[6])
    assert "slice(s) are missing" in left_out(tmp_path)


@pytest.mark.parametrize("absent", ["patient", "calcium_xml"])
def test_half_a_release_is_named_in_one_sentence(tmp_path, absent):
    write_gated(tmp_path, images={})
    (tmp_path / "Gated_release_final" / absent).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"lacks {absent}/") as rejected:
        open_data_set(tmp_path / "Gated_release_final")
    assert rejected.value.code == "partial-data-set"


def test_a_release_in_which_nothing_fits_together_is_rejected(tmp_path):
    write_gated(tmp_path, patient="1")
    write_outlines(tmp_path / "Gated_release_final" / "calcium_xml" / "2.xml", {})
    with pytest.raises(InputError, match="no patient has both"):
        open_data_set(tmp_path)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<plist version="1.0"><dict><key>Images</key><array><string>&b;</string></array></dict></plist>"""
OUTER = b"""<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<plist version="1.0"><dict><key>Images</key><string>&x;</string></dict></plist>"""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no XML",
        b"<plist><dict><key>Images</key></dict>",
        BOMB,
        OUTER,
        plistlib.dumps({"Images": []}, fmt=plistlib.FMT_BINARY),
        plistlib.dumps([1, 2]),
        plistlib.dumps({"Pictures": []}),
        plistlib.dumps({"Images": [{"ImageIndex": 1}]}),
        plistlib.dumps({"Images": [{"ImageIndex": "1", "ROIs": []}]}),
        plistlib.dumps({"Images": [{"ImageIndex": True, "ROIs": []}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 1, "ROIs": [{"Name": "x"}]}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 1, "ROIs": ["x"]}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 1, "ROIs": [{"Point_px": ["(1, nan)"]}]}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 1, "ROIs": [{"Point_px": ["(1e999, 2)"]}]}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 1, "ROIs": [{"Point_px": ["__import__('os')"]}]}]}),
        plistlib.dumps({"Images": [{"ImageIndex": 1, "ROIs": [{"Point_px": [3]}]}]}),
    ],
)
def test_a_file_that_is_no_list_of_outlines_is_rejected_in_words(tmp_path, content):
    (tmp_path / "7.xml").write_bytes(content)
    with pytest.raises(InputError, match=r"^The XML file is not an OsiriX list of outlines, or is damaged"):
        read_outlines(tmp_path / "7.xml")


def test_a_giant_file_of_outlines_is_rejected_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("coronary_calcium.datasets.osirix.MAXIMUM_BYTES", 10)
    with pytest.raises(InputError, match="damaged"):
        read_outlines(write_outlines(tmp_path / "7.xml", {}))


# Scores of the non-gated release


def table(tmp_path, rows, **options):
    return write_scores(tmp_path / "deidentified_nongated" / "scores.xlsx", rows, **options)


@pytest.mark.parametrize("name", ["3A", "3", 3, 3.0, " 3A "])
def test_scores_are_found_by_the_patient_s_number(tmp_path, name):
    write_nongated(tmp_path)
    table(tmp_path, [("13A", 1, 1, 1, 1, 4), (name, 10.5, 200, 0, 30, 240.5), (None,) * 6, ("33A", 2, 2, 2, 2, 8)])
    case, others = only_case(tmp_path)
    assert case.labels is None
    assert case.reference == {"LM": 10.5, "LAD": 200.0, "LCX": 0.0, "RCA": 30.0, "total": 240.5}
    assert case.facts["gated"] is False
    assert case.warnings == ()
    assert {left.name for left in others} == {"13", "33"}


def test_columns_are_found_by_their_names(tmp_path):
    write_nongated(tmp_path)
    table(tmp_path, [(4, "3A", 1, 0, 3, 0)], header=("total", "Filename", "RCA", "LCX", "LAD", " LCA "))
    case, _ = only_case(tmp_path)
    assert case.reference == {"LM": 0.0, "LAD": 3.0, "LCX": 0.0, "RCA": 1.0, "total": 4.0}


def test_a_total_that_is_not_the_sum_is_warned_of_and_kept(tmp_path):
    write_nongated(tmp_path)
    table(tmp_path, [("3A", 10, 200, 0, 30, 500)])
    case, _ = only_case(tmp_path)
    assert case.reference["total"] == 500
    assert codes(case) == ["scores-sum"]


@pytest.mark.parametrize("row", [("3A", 1, "x", 0, 0, 1), ("3A", 1, -1, 0, 0, 0), ("3A", 1, None, 0, 0, 1), ("3A", 1)])
def test_scores_that_are_no_numbers_leave_the_patient_out(tmp_path, row):
    write_nongated(tmp_path)
    write_nongated(tmp_path, "4")
    table(tmp_path, [row, ("4A", 0, 0, 0, 0, 0)])
    case, others = only_case(tmp_path)
    assert case.name == "4"
    assert [(left.name, "not all numbers" in left.reason) for left in others] == [("3", True)]


def test_two_rows_of_one_patient_leave_it_out(tmp_path):
    write_nongated(tmp_path)
    write_nongated(tmp_path, "4")
    table(tmp_path, [("3A", 1, 0, 0, 0, 1), ("3B", 2, 0, 0, 0, 2), ("3", 2, 0, 0, 0, 2), ("4A", 0, 0, 0, 0, 0)])
    case, others = only_case(tmp_path)
    assert case.name == "4"
    assert [(left.name, "several rows" in left.reason) for left in others] == [("3", True)]


def test_a_table_without_a_column_is_rejected_by_its_name(tmp_path):
    write_nongated(tmp_path)
    table(tmp_path, [("3A", 1, 2, 3, 4)], header=("filename ", "LCA", "LAD", "LCX", "total"))
    with pytest.raises(InputError, match="no single column rca"):
        open_data_set(tmp_path)


def test_a_table_that_is_no_workbook_is_rejected(tmp_path):
    write_nongated(tmp_path)
    path = tmp_path / "deidentified_nongated" / "scores.xlsx"
    for write in (lambda: path.write_text("filename,LCA"), lambda: zipfile.ZipFile(path, "w").close()):
        write()
        with pytest.raises(InputError, match=r"scores\.xlsx is damaged") as rejected:
            open_data_set(tmp_path)
        assert rejected.value.code == "data-set-file"


def test_a_workbook_that_would_unpack_to_too_much_is_rejected(tmp_path, monkeypatch):
    write_nongated(tmp_path)
    table(tmp_path, [("3A", 1, 0, 0, 0, 1)])
    monkeypatch.setattr("coronary_calcium.datasets.coca.MAXIMUM_TABLE_BYTES", 100)
    with pytest.raises(InputError, match="damaged"):
        open_data_set(tmp_path)


def test_a_release_without_its_table_is_rejected(tmp_path):
    write_nongated(tmp_path)
    with pytest.raises(InputError, match=r"lacks scores\.xlsx"):
        open_data_set(tmp_path)
    table(tmp_path, [("99A", 1, 0, 0, 0, 1)])
    with pytest.raises(InputError, match="no patient has both"):
        open_data_set(tmp_path)
