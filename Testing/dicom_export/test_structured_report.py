"""The Structured Report holds every score with its code, to the last digit."""

from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from coronary_calcium import __version__
from coronary_calcium.dicom_export.export import write_dicom
from coronary_calcium.dicom_export.structured_report import statements
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.scoring.rules import LITERATURE
from dicom_tools import run_tool, scored_series
from example_results import CARD
from pydicom.sr.codedict import codes

ARTERY_CODES = {"LM": "3227004", "LAD": "59438005", "LCX": "57396003", "RCA": "13647002", "unassigned": "41801008"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sr")
    result = scored_series(folder / "ct", mask_given=False)
    write_dicom(result, folder / "seg.dcm", folder / "sr.dcm")
    return result, folder / "sr.dcm", pydicom.dcmread(folder / "seg.dcm")


def groups(path):
    """Every measurement group by its tracking identifier."""
    root = pydicom.dcmread(path)
    (measurements,) = [item for item in root.ContentSequence if code(item) == "126010"]
    return {
        next(item.TextValue for item in group.ContentSequence if code(item) == "112039"): group
        for group in measurements.ContentSequence
    }


def code(item):
    return item.ConceptNameCodeSequence[0].CodeValue


def values(group):
    """(name, method or None) of each number to (value as a double, unit)."""
    found = {}
    for item in group.ContentSequence:
        if item.ValueType != "NUM":
            continue
        method = [
            below.ConceptCodeSequence[0].CodeValue
            for below in item.get("ContentSequence", [])
            if code(below) == "370129005"
        ]
        measured = item.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
        found[code(item), *method] = (measured.FloatingPointValue, unit)
    return found


def site(group):
    (item,) = [item for item in group.ContentSequence if code(item) == "363698007"]
    return item.ConceptCodeSequence[0].CodeValue


def comments(path):
    return [item.TextValue for item in pydicom.dcmread(path).ContentSequence if code(item) == "121106"]


def test_the_codes_are_those_of_ps3_16():
    assert (codes.DCM.CalciumScore.value, codes.DCM.AgatstonScoringMethod.value) == ("112058", "112055")
    assert (codes.DCM.VolumeScoringMethod.value, codes.SCT.CoronaryArteryCalciumScore.value) == ("112056", "450360000")
    assert codes.DCM.MassScoringMethod.value == "112057"


def test_the_total_is_named_coronary_artery_calcium_score(written):
    result, path, _ = written
    group = groups(path)["Coronary calcium, total"]
    assert values(group) == {
        ("450360000", "112055"): (result.score.total.agatston, "1"),
        ("112058", "112056"): (result.score.total.volume_mm3, "mm3"),
    }
    assert site(group) == "41801008"


@pytest.mark.parametrize("name", ["LM", "LAD", "LCX", "RCA", "unassigned"])
def test_each_artery_has_its_scores_and_its_code(written, name):
    result, path, _ = written
    group = groups(path)[f"Coronary calcium, {name}"]
    tally = result.score.by_artery[name]
    assert values(group) == {
        ("112058", "112055"): (tally.agatston, "1"),
        ("112058", "112056"): (tally.volume_mm3, "mm3"),
    }
    assert site(group) == ARTERY_CODES[name]


def test_calcification_is_a_finding_only_where_something_counts(written):
    result, path, _ = written
    for name in ARTERY_CODES:
        found = [code(item) == "121071" for item in groups(path)[f"Coronary calcium, {name}"].ContentSequence]
        assert any(found) == (result.score.by_artery[name].lesions > 0), name


def test_a_calibrated_mass_is_there_and_an_uncalibrated_one_is_not(written, tmp_path):
    _, path, _ = written
    assert ("112058", "112057") not in values(groups(path)["Coronary calcium, total"])
    assert "There is no mass in this report" in " ".join(comments(path))
    plain = scored_series(tmp_path / "ct")
    result = replace(plain, options=ScoringOptions(mass_factor=0.8))
    write_dicom(result, report_file=tmp_path / "sr.dcm")
    found = groups(tmp_path / "sr.dcm")
    mass = result.quantities.mass_mg
    assert values(found["Coronary calcium, total"])["112058", "112057"] == (mass.total, "mg")
    assert values(found["Coronary calcium, RCA"])["112058", "112057"] == (mass.by_artery["RCA"], "mg")
    assert sum(values(found[f"Lesion {lesion.id}"])["112058", "112057"][0] for lesion in result.score.lesions) == (
        pytest.approx(mass.total)
    )


def test_an_artery_refers_to_its_segment(written):
    _, path, segmentation = written
    by_label = {segment.SegmentLabel: segment for segment in segmentation.SegmentSequence}
    for name, group in groups(path).items():
        found = [item for item in group.ContentSequence if code(item) == "121191"]
        label = name.removeprefix("Coronary calcium, ")
        assert len(found) == (label in by_label)
        for item in found:
            reference = item.ReferencedSOPSequence[0]
            assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
            assert reference.ReferencedSegmentNumber == by_label[label].SegmentNumber


def test_each_lesion_refers_to_the_image_in_which_it_scores_most(written):
    result, path, _ = written
    for lesion in result.score.lesions:
        group = groups(path)[f"Lesion {lesion.id}"]
        assert values(group)[("112058", "112055")] == (lesion.agatston, "1")
        assert values(group)[("112031",)] == (lesion.maximum_hu, "[hnsf'U]")
        (image,) = [item for item in group.ContentSequence if item.ValueType == "IMAGE"]
        expected = result.volume.series.instance_uids[lesion.main_slice]
        assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == expected


def test_it_says_who_made_it_how_and_what_for(written):
    result, path, _ = written
    said = comments(path)
    assert said == statements(result)
    assert said[0] == RESEARCH_USE
    text = " ".join(said)
    for part in (
        __version__,
        CARD["sha256"],
        LITERATURE.title,
        f"score: {result.interpretation.category} (",
        result.interpretation.cac_drs,
    ):
        assert part in text
    assert all(warning.message in text for warning in result.warnings)


def test_it_belongs_to_the_patient_and_lists_the_whole_series_as_evidence(written):
    result, path, _ = written
    read, source = pydicom.dcmread(path), pydicom.dcmread(result.volume.series.files[0])
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"):
        assert read[keyword].value == source[keyword].value
    assert read.VerificationFlag == "UNVERIFIED"
    evidence = {
        instance.ReferencedSOPInstanceUID
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in read.get(name, [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert evidence > set(result.volume.series.instance_uids)


def test_highdicom_reads_it_as_a_measurement_report(written):
    _, path, _ = written
    read = highdicom.sr.srread(path)
    groups_found = read.content.get_volumetric_roi_measurement_groups(finding_site=codes.cid3015.RightCoronaryArtery)
    assert len(groups_found) == 1
    (agatston, _) = groups_found[0].get_measurements()
    assert agatston.name == codes.DCM.CalciumScore


def test_dcmtk_prints_the_coded_scores(written):
    result, path, _ = written
    text, exit_code = run_tool("dsrdump", "+Pc", "+Pl", path)
    assert exit_code == 0
    assert '(450360000,SCT,"Coronary artery calcium score")' in text
    assert f'"{result.score.total.agatston:.6g}' in text
    assert '(112055,DCM,"Agatston scoring method")' in text
    assert RESEARCH_USE in text


def test_the_standards_checker_finds_no_error(written):
    text, exit_code = run_tool("dciodvfy", written[1])
    assert exit_code == 0
    assert "Error" not in text, text
    assert text.splitlines()[-1] == "ComprehensiveSR"


def test_a_report_without_segmentation_and_without_calcium_is_valid(tmp_path):
    write_dicom(
        scored_series(tmp_path / "ct", labels=np.zeros((24, 64, 64), np.uint8)), report_file=tmp_path / "sr.dcm"
    )
    found = groups(tmp_path / "sr.dcm")
    assert list(found) == [f"Coronary calcium, {name}" for name in ("total", "LM", "LAD", "LCX", "RCA")]
    assert all(number == 0.0 for group in found.values() for number, _ in values(group).values())
    assert "Error" not in run_tool("dciodvfy", tmp_path / "sr.dcm")[0]


def test_a_gated_scan_is_reported_as_calcium_scoring_ct_and_another_as_a_ct(tmp_path):
    for number, (option, expected) in enumerate([("ECG_GATED", "426005005"), ("HELICAL MODE", "25045-6")]):
        write_dicom(scored_series(tmp_path / f"ct{number}", ScanOptions=option), report_file=tmp_path / "sr.dcm")
        read = pydicom.dcmread(tmp_path / "sr.dcm")
        (item,) = [item for item in read.ContentSequence if code(item) == "121058"]
        assert item.ConceptCodeSequence[0].CodeValue == expected
