"""Worklists for the tests: the synthetic CT as every case of a scored cohort, and large ones without CTs."""

import json

import numpy as np
from cohort_work import make_cohort
from command_cases import write_image
from coronary_calcium.cohort.cases import CASES, FoundCase, Outcome
from coronary_calcium.cohort.readings import AI, reading_folder, reading_of, write_reading
from coronary_calcium.cohort.state import CohortState
from coronary_calcium.cohort.uncertainty_file import write_uncertainty
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.lesion_warnings import Uncertainty
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from CoronaryCalciumScoringLib.synthetic_ct import ORIGIN_LPS, SPACING_MM, synthetic_ct

WARNINGS = [{"code": "kvp", "message": "The scan was made at 100 kVp."}]


def synthetic_worklist(folder, count):
    """A cohort of cases case-1, case-2, ..., each the synthetic CT, whose network has found its two plaques."""
    volume, labels = synthetic_ct()
    folder.mkdir(parents=True)
    ct = write_image(folder.parent / "ct.nrrd", volume.hu, SPACING_MM, ORIGIN_LPS)
    score = score_labels(volume, labels)
    with CohortState(folder) as state:
        state.add_cases(FoundCase(f"key-{n}", str(ct), id=f"case-{n}") for n in range(1, count + 1))
        for job in list(state.queued()):
            case = reading_folder(folder, AI, job.id)
            write_reading(case, reading_of(score, labels, score.risk_category))
            counted = np.flatnonzero(labels == 4)
            write_uncertainty(case, Uncertainty(counted, counted[:0], np.zeros(0, np.uint8), 2, 4))
            lesions = [{"id": lesion.id, "probability": 0.875} for lesion in score.lesions]
            content = {"lesions": lesions, "warnings": WARNINGS, "provenance": {"weights": {"name": "a network"}}}
            (case / "scores.json").write_text(json.dumps(content))
            scores = {
                "agatston": score.total.agatston,
                "risk_category": score.risk_category,
                "uncertainty": 0.2,
                "uncertainty_reason": "1 uncertain lesion, 40 % of the score",
            }
            state.finish([(job.number, Outcome("done", {"scores": scores, "warnings": WARNINGS, "lesions": []}))])
    return folder


def large_worklist(folder, count):
    """A cohort of so many scored cases whose CTs are nowhere."""
    make_cohort(folder, count)
    (folder / CASES).mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    with CohortState(folder) as state:
        for job in list(state.queued()):
            agatston = 0.0 if rng.random() < 0.4 else float(np.round(np.exp(rng.normal(4.2, 1.7)), 1))
            doubt = float(np.round(rng.random() ** 4, 2)) if agatston else 0.0
            scores = {
                "agatston": agatston,
                "risk_category": FIVE_CATEGORIES.category(agatston),
                "uncertainty": doubt,
                "uncertainty_reason": f"2 uncertain lesions, {50 * doubt:.0f} % of the score" if doubt else "",
            }
            warnings = WARNINGS if rng.random() < 0.2 else []
            state.finish([(job.number, Outcome("done", {"scores": scores, "warnings": warnings, "lesions": []}))])
    return folder
