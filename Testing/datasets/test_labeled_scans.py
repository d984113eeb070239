"""Real scans with a reading by eye as training cases: what is unsure counts neither way."""

import numpy as np
import pytest
import SimpleITK
from coronary_calcium.datasets.case_format import UNJUDGED, load_case
from coronary_calcium.datasets.labeled_scans import case_arrays, find_labeled, main, read_labels
from coronary_calcium.volume import CTVolume

SPACING = (3.0, 1.4, 1.4)


@pytest.fixture
def scan():
    """HU and labels: an LAD spot with a dark edge, an unsure spot beside aortic calcium, and unlabeled bone."""
    hu = np.full((24, 80, 90), 40, np.int16)
    hu[:, :6] = hu[:, -6:] = -1000
    labels = np.zeros(hu.shape, np.uint8)
    for place, value, label in (
        (np.s_[5, 20:24, 30:34], 400, 2),
        (np.s_[5, 20:24, 34], 100, 2),
        (np.s_[5, 40:44, 40:44], 500, 5),
        (np.s_[5, 40:44, 44:48], 600, 6),
        (np.s_[6, 60:70, 60:70], 700, 0),
    ):
        hu[place], labels[place] = value, label
    return CTVolume(hu, SPACING, (0.0, 0.0, 0.0)), labels


def test_unsure_calcium_is_left_out_with_its_edge_and_other_calcium_is_not_coronary(scan):
    volume, labels = scan
    arrays = case_arrays(volume, labels)
    assert (arrays["labels"] == 2).sum() == 16 and set(np.unique(arrays["labels"])) == {0, 2}
    other = {tuple(place) for place in arrays["other"].tolist()}
    assert other == {(5, j, i) for j in range(40, 44) for i in range(44, 48)}
    unjudged = {tuple(place) for place in arrays["unjudged"].tolist()}
    assert {(5, j, i) for j in range(40, 44) for i in range(40, 44)} < unjudged
    assert (5, 39, 41) in unjudged and (5, 41, 39) in unjudged and not unjudged & other


def write(folder, name, volume, labels):
    for suffix, array in (("", volume.hu), ("-labels", labels)):
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(SPACING[::-1])
        SimpleITK.WriteImage(image, str(folder / f"{name}{suffix}.nrrd"))


def test_scans_become_cases_and_one_can_be_left_out(scan, tmp_path, capsys):
    volume, labels = scan
    for name in ("first", "second"):
        write(tmp_path, name, volume, labels)
    assert set(find_labeled(tmp_path)) == {"first", "second"}
    out = tmp_path / "cases"
    assert main(["--data", str(tmp_path), "--leave-out", "second", "--output", str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ["labeled-first.npz"]
    case = load_case(out / "labeled-first.npz")
    marked = case.marked(5)
    assert (marked == 2).sum() == 16 and (marked == UNJUDGED).sum() >= 16
    assert case.facts["source"] == "real scan read by eye, first"
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--leave-out", "third", "--output", str(out)])
    assert "third" in capsys.readouterr().err


def test_labels_of_another_grid_are_rejected(scan, tmp_path):
    volume, labels = scan
    write(tmp_path, "scan", volume, labels[:-1])
    with pytest.raises(ValueError, match="shape"):
        read_labels(tmp_path / "scan-labels.nrrd", volume)
