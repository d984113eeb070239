"""``coronary-calcium selftest``: simulated and found inserts, and wrong usage."""

import json

import pytest
from coronary_calcium.cli.main import main
from coronary_calcium.phantom import scan_conditions
from dicom_factory import write_series


def numbers(line):
    return [float(word) for word in line.split() if word.replace(".", "").isdigit()]


def test_the_simulated_insert_is_measured_written_and_found_again(capsys, tmp_path):
    assert main(["selftest", "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    (total,) = (line for line in printed.splitlines() if line.startswith("Total"))
    ideal, measured, *_ = numbers(total)
    assert ideal == 397.94
    content = json.loads((tmp_path / "out" / "selftest.json").read_text(encoding="utf-8"))
    assert round(content["total"]["agatston"], 2) == measured
    assert round(content["total"]["mass_true_mg"], 1) == 168.2
    assert content["cylinders"][0]["name"] == "large_high"

    assert main(["selftest", "--phantom", str(tmp_path / "out" / "dicom"), "--output", str(tmp_path / "again")]) == 0
    again = json.loads((tmp_path / "again" / "selftest.json").read_text(encoding="utf-8"))
    assert again["total"]["agatston"] == pytest.approx(content["total"]["agatston"], rel=1e-6)
    assert not (tmp_path / "again" / "dicom").exists()


def test_thin_slices_and_adapted_thresholds_can_be_asked_for(capsys):
    assert main(["selftest", "--thickness=2", "--spacing=1", "--kernel=soft", "--kvp=100", "--kvp-adapted"]) == 0
    assert "Rules: Agatston 1990, 100 kVp." in capsys.readouterr().out


def test_a_dose_of_a_quarter_doubles_the_noise(tmp_path):
    for dose in ("1", "0.25"):
        assert main(["selftest", f"--dose={dose}", "--output", str(tmp_path / dose)]) == 0
    assert main(["selftest", "--noise=40", "--output", str(tmp_path / "40")]) == 0
    content = [json.loads((tmp_path / name / "selftest.json").read_text()) for name in ("1", "0.25", "40")]
    assert content[1] == content[2] != content[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--thickness=0.1"], "--thickness must be"),
        (["--spacing=11"], "--spacing must be"),
        (["--noise=-1"], "--noise must be"),
        (["--dose=0"], "--dose must be"),
    ],
)
def test_numbers_that_no_scanner_has_are_wrong_usage(arguments, words, capsys):
    assert main(["selftest", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_scan_without_the_insert_is_rejected(tmp_path, capsys):
    write_series(tmp_path / "ct")
    assert main(["selftest", "--phantom", str(tmp_path / "ct")]) == 3
    assert "No QRM cardiac calcification insert was found" in capsys.readouterr().err


def test_a_voltage_without_published_thresholds_is_rejected(capsys):
    assert main(["selftest", "--kvp=140", "--kvp-adapted"]) == 3
    assert "70 to 135 kVp" in capsys.readouterr().err


def test_quantities_are_compared_over_conditions_as_table_and_picture(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(scan_conditions, "CONDITIONS", scan_conditions.CONDITIONS[:2])
    monkeypatch.setattr(scan_conditions, "REPEATS", 2)
    assert main(["selftest", "--quantities", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for condition in scan_conditions.CONDITIONS:
        assert condition.title in printed
    content = json.loads((tmp_path / "quantities.json").read_text(encoding="utf-8"))
    assert [row["title"] for row in content["conditions"]] == [row.title for row in scan_conditions.CONDITIONS]
    assert content["conditions"][0]["errors"]["integrated_mass_mg"]["error"] < 0.05
    assert (tmp_path / "quantities.png").read_bytes().startswith(b"\x89PNG")


def test_quantities_of_a_given_scan_are_shown_by_cylinder_and_as_the_scan_is_changed(capsys, tmp_path):
    assert main(["selftest", "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["selftest", "--quantities", "--phantom", str(tmp_path / "dicom"), "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "5 mm, 800" in printed
    assert "slices of 5 mm" in printed
    assert not (tmp_path / "quantities.png").exists()
    last = json.loads((tmp_path / "quantities.json").read_text(encoding="utf-8"))["conditions"][-1]
    assert last["errors"]["integrated_mass_mg"]["variation"] < last["errors"]["agatston"]["variation"]
