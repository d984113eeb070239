"""Training cases of simulated patients and of inserted lesions: repeatable, labeled right, never of the test set."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from coronary_calcium.datasets.case_format import load_case
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.simulation import training_cases
from coronary_calcium.simulation.anatomy import draw_anatomy
from coronary_calcium.simulation.backgrounds import background_of, save_background
from coronary_calcium.simulation.inserted_lesions import InsertionStyle, insert_lesions, load_drawings, main
from coronary_calcium.simulation.patient import FIRST_TEST_SEED, draw_deposits
from coronary_calcium.simulation.training_cases import draw_patients, make_cases
from coronary_calcium.volume import Acquisition, CTVolume

NAME = "chest-A0002-B40f"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(training_cases, "SHEETS", 8)
    monkeypatch.setattr(training_cases, "BOX_MM", 90.0)


@pytest.fixture(scope="module")
def made():
    """Implants in an even 'scan' of the geometry of a drawing, of a heart's 40 HU: whatever is bright was inserted."""
    random = np.random.default_rng(0)
    hu = (40 + random.normal(0, 8, (24, 360, 420))).astype(np.int16)
    volume = CTVolume(hu, (8.0, 0.646, 0.646), (0.0, 0.0, 0.0), acquisition=Acquisition("CT", slice_thickness_mm=8.0))
    drawing = load_drawings()[NAME]
    return volume, drawing, [insert_lesions(volume, drawing, seed) for seed in (1, 2, 3)]


def test_an_inserted_case_of_a_seed_is_the_same_again(made):
    volume, drawing, cases = made
    again = insert_lesions(volume, drawing, 2)
    assert np.array_equal(again.hu, cases[1].hu) and np.array_equal(again.labels, cases[1].labels)
    assert not np.array_equal(cases[0].hu, cases[1].hu)


def test_inserted_calcium_that_is_not_coronary_is_bright_and_carries_label_0(made):
    bright = unlabeled = 0
    for case in made[2]:
        _, j, i = case.spacing
        assert (case.hu[case.labels > 0] >= LITERATURE.threshold_hu).all()
        other = tuple(case.other.T)
        assert len(case.other) and not case.labels[other].any() and (case.hu[other] >= LITERATURE.threshold_hu).all()
        for deposit in case.deposits:
            if deposit.label or deposit.kind not in ("mitral annulus", "aortic valve", "aortic wall"):
                continue
            (x0, x1), (y0, y1), _ = deposit.shape.bounds
            near = np.s_[:, int(y0 / j) : int(y1 / j) + 1, int(x0 / i) : int(x1 / i) + 1]
            bright += int((case.hu[near] > 200).sum())
            unlabeled += int(((case.hu[near] > 200) & (case.labels[near] == 0)).sum())
    assert bright > 100
    assert unlabeled > 0.8 * bright


def test_stents_are_inserted_without_a_label_and_change_nothing_else(made):
    volume, drawing, cases = made
    stented = insert_lesions(volume, drawing, 2, InsertionStyle(stents=1.0))
    struts = [deposit for deposit in stented.deposits if deposit.kind == "stent"]
    others = [deposit for deposit in stented.deposits if deposit.kind != "stent"]
    assert struts and not any(deposit.label for deposit in struts)
    assert [deposit.shape.bounds for deposit in others] == [deposit.shape.bounds for deposit in cases[1].deposits]
    assert len(stented.other) > len(cases[1].other)


def test_heavy_calcium_of_aorta_valve_and_annulus_is_almost_everywhere_and_carries_label_0(made):
    volume, drawing, _ = made
    places = ("aortic wall", "aortic root", "aortic valve", "mitral annulus")
    counts = {}
    for share in (0.0, 1.0):
        cases = [insert_lesions(volume, drawing, seed, InsertionStyle(heavy=share)) for seed in range(6)]
        heavy = [deposit for case in cases for deposit in case.deposits if deposit.kind in places]
        assert not any(deposit.label for deposit in heavy)
        counts[share] = sum(len({deposit.kind for deposit in case.deposits} & set(places)) for case in cases)
    assert counts[1.0] > 18 > counts[0.0]


def test_more_can_lie_on_the_surface_of_the_heart_with_the_same_calcium_elsewhere():
    counts = {1.0: Counter(), 6.0: Counter()}
    for seed in range(40):
        anatomy = draw_anatomy(np.random.default_rng(seed))
        for more, count in counts.items():
            deposits = draw_deposits(np.random.default_rng(seed), anatomy, 1.0, more)
            count.update({deposit.kind for deposit in deposits})
    for kind in ("stent", "pacemaker lead", "sternal wire", "pericardium"):
        assert counts[6.0][kind] >= 3 * max(counts[1.0][kind], 1), kind
    assert counts[6.0]["aortic valve"] == counts[1.0]["aortic valve"] > 0


def test_disease_of_the_ostia_has_a_coronary_part_and_a_wall_part_and_changes_nothing_else(made):
    volume, drawing, cases = made
    diseased = [insert_lesions(volume, drawing, seed, InsertionStyle(proximal=1.0)) for seed in (1, 2, 3)]
    kinds = Counter()
    for plain, case in zip(cases, diseased):
        before = {deposit.shape.bounds for deposit in plain.deposits}
        assert before <= {deposit.shape.bounds for deposit in case.deposits}
        more = [deposit for deposit in case.deposits if deposit.shape.bounds not in before]
        kinds.update((deposit.kind, deposit.label > 0) for deposit in more)
    assert kinds[("aortic wall at an ostium", False)] and kinds[("plaque", True)]
    assert set(kinds) == {("aortic wall at an ostium", False), ("plaque", True)}
    assert sum((case.labels > 0).sum() for case in diseased) > sum((case.labels > 0).sum() for case in cases)


def test_what_nobody_has_judged_moves_with_the_scan(made):
    volume, drawing, _ = made
    bright = volume.hu.copy()
    bright[14, 205:212, 200:207] = 700
    unjudged = np.zeros(bright.shape, bool)
    unjudged[14, 205:212, 200:207] = True
    case = insert_lesions(replace(volume, hu=bright), drawing, 5, unjudged=unjudged)
    where = tuple(case.unjudged.T)
    assert len(case.unjudged) and not case.labels[where].any()
    assert np.median(case.hu[where]) > 300


def test_a_scan_kept_for_evaluation_is_rejected_for_training(made, tmp_path, capsys):
    volume, drawing, _ = made
    save_background(background_of("kept", volume, {**drawing, "held_out": True}, False), tmp_path / "kept.npz")
    arguments = ["--backgrounds", str(tmp_path), "--count", "1", "--output", str(tmp_path / "cases")]
    with pytest.raises(SystemExit):
        main(arguments)
    assert "kept for evaluation" in capsys.readouterr().err
    assert main([*arguments, "--held-out"]) == 0
    assert load_case(tmp_path / "cases" / "inserted-kept-000000.npz").facts["seed"] == 0
    with pytest.raises(SystemExit):
        main(["--scan", NAME, "--count", "1", "--output", str(tmp_path)])
    assert "--dicom go together" in capsys.readouterr().err


def test_seeds_of_the_test_set_are_rejected(tmp_path):
    for seed in (FIRST_TEST_SEED, FIRST_TEST_SEED + 143):
        with pytest.raises(InputError, match="kept for the test set"):
            make_cases(seed, "chest", tmp_path)
    with pytest.raises(SystemExit):
        training_cases.main(["--count", "2", "--first-seed", str(FIRST_TEST_SEED - 1), "--output", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_variants_share_the_anatomy_and_differ_in_calcium_and_scan(quick, tmp_path):
    first, second = draw_patients(3, "chest", 2)
    assert first.anatomy is second.anatomy
    assert [d.shape.bounds for d in first.deposits] != [d.shape.bounds for d in second.deposits]
    paths = make_cases(3, "chest", tmp_path, variants=2)
    case = load_case(paths[0])
    assert np.array_equal(case.hu, first.volume.hu) and np.array_equal(case.labels, first.labels)
    assert case.facts["seed"] == 3 and case.facts["kernel"] == first.protocol.kernel
