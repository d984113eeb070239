"""The script that chooses the post-processing limits gives the evaluation's figures."""

from dataclasses import replace

import choose_postprocessing_limits
from choose_postprocessing_limits import line_of, rows_of
from coronary_calcium.evaluation.measure import measure
from coronary_calcium.evaluation.patients import find_patients, open_patient
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from evaluation_cases import model, write_cases


def test_every_choice_of_limits_is_measured_as_an_evaluation_would(tmp_path, monkeypatch):
    network = model()
    monkeypatch.setattr(choose_postprocessing_limits, "load_model", lambda weights: network)
    [patient] = find_patients(write_cases(tmp_path / "patients", count=1))
    # The network's probability is 0.993 in all lesions.
    options = [POSTPROCESSING_LIMITS] + [
        replace(POSTPROCESSING_LIMITS, **{name: 0.999}) for name in ("lesion_probability", "confident_probability")
    ]
    (tmp_path / "kept").mkdir()
    usual, strict, doubted = rows_of(patient, None, tmp_path / "kept", options)
    measured, _ = measure(open_patient(patient), model(), every_slice=False)
    assert usual.pixels == measured.marked
    assert (usual.found, usual.true, usual.false) == (2, 3, 1)
    names = FIVE_CATEGORIES.categories
    assert usual.categories == (names.index(measured.true_category), names.index(measured.found_category))
    assert (strict.found, strict.false, strict.categories[1]) == (0, 0, 0)
    assert (usual.sure_category, doubted.sure_category) == (usual.categories[1], 0)
    assert doubted == replace(usual, sure_category=0)
    calls = network.network.calls
    assert rows_of(patient, None, tmp_path / "kept", options) == [usual, strict, doubted]
    assert network.network.calls == calls > 0
    line = line_of(POSTPROCESSING_LIMITS, [usual])
    assert f"2/3 {1:6.2f}" in line and line.endswith("   0/0 0/1")
    assert line_of(options[2], [doubted]).endswith("   0/0 1/1")
