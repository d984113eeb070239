"""What samples are disturbed by, each disturbance against what it promises, and which cases are drawn how often."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from coronary_calcium.datasets.case_format import TrainingCase, load_case, read_summary, save_case
from coronary_calcium.errors import InputError
from coronary_calcium.network.preprocessing import neighbor_indices, window_coordinates
from coronary_calcium.training.cases import CaseFolder, CaseOptions
from coronary_calcium.training.samples import (
    SMALLEST_CROP,
    SampleOptions,
    bend,
    beyond_field,
    degrade,
    draw_sample,
    slice_stack,
)
from training_blobs import SPACING, blobs, write_blobs

# Nothing disturbs; every test turns on what it is about.
STILL = {"shift_mm": 0.0, "rotation_degrees": 0.0, "gain": 0.0, "offset_hu": 0.0, "noise_hu": 0.0, "blur": 0.0}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return load_case(write_blobs(tmp_path_factory.mktemp("case"), [1]) / "blobs-001.npz")


def generator(seed=0):
    return np.random.default_rng(seed)


def test_nothing_is_disturbed_when_nothing_is_asked_for(case):
    hu = case.hu.astype(np.float32)
    assert np.array_equal(degrade(hu, SampleOptions(**STILL), generator()), hu)
    planes, labels = slice_stack(case, 4, SampleOptions(**STILL), generator())
    assert np.array_equal(planes, case.hu[neighbor_indices(4, len(case.hu))])
    assert np.array_equal(labels, case.labels[4])


def test_a_deformation_is_smooth_and_never_larger_than_asked_for():
    j, i = window_coordinates(SPACING[1:], (48.0, 48.0), 192.0)
    bent_j, bent_i = bend(j, i, SPACING[1:], 4.0, generator())
    for straight, bent in ((j, bent_j), (i, bent_i)):
        moved_mm = (bent - straight) * 0.75
        assert 1.0 < np.abs(moved_mm).max() <= 4.0 + 1e-4
        assert moved_mm.min() < -0.5 and moved_mm.max() > 0.5
        # Over 512 pixels of 0.375 mm with five control points, neighbors move almost alike.
        assert max(np.abs(np.diff(moved_mm, axis=axis)).max() for axis in (0, 1)) < 0.15
    assert bent_j.dtype == np.float32


def test_the_labels_of_a_deformed_sample_go_with_its_calcium(case):
    options = SampleOptions(patch=512, elastic_mm=8.0, calcium_slices=1.0, window_mm=(192.0, 192.0), **STILL)
    straight, _ = draw_sample(case, SampleOptions(**{**options.__dict__, "elastic_mm": 0.0}), generator(3))
    hu, labels = draw_sample(case, options, generator(3))
    assert not np.allclose(straight, hu)
    assert labels.any() and (hu[4][labels > 0] >= 130).all()
    # Calcium has 400 HU, everything else that is bright 300.
    assert (labels[hu[4] > 350] > 0).all()


def test_thicker_slices_are_means_and_hold_the_calcium_of_all_that_they_are_made_of(tmp_path):
    hu = np.repeat(np.arange(40, dtype=np.int16)[:, None, None], 8, axis=1).repeat(8, axis=2)
    labels = np.zeros(hu.shape, np.uint8)
    labels[21, 2, 3] = 2
    save_case(tmp_path / "ramp.npz", TrainingCase(hu, labels, (1.5, 1.0, 1.0), (4.0, 4.0), {}))
    ramp = load_case(tmp_path / "ramp.npz")
    options = SampleOptions(thicken=1.0)
    for seed in range(6):
        planes, marked = slice_stack(ramp, 20, options, generator(seed))
        steps = np.diff(planes[:, 0, 0])
        merged = int(steps[0])
        assert merged in (2, 3) and np.allclose(steps, merged)
        # Slices 19 and 20, or 19 to 21, of which the last has the calcium.
        assert planes[4, 0, 0] == {2: 19.5, 3: 20.0}[merged]
        assert bool(marked[2, 3]) == (merged == 3)
    assert np.array_equal(slice_stack(ramp, 0, options, generator())[0][0], hu[0])


def test_thick_slices_are_not_made_thicker_than_scanners_make_them(case):
    planes, _ = slice_stack(case, 4, SampleOptions(thicken=1.0), generator())
    assert case.spacing[0] == 3.0
    assert np.array_equal(planes, case.hu[neighbor_indices(4, len(case.hu))])


def test_a_narrow_field_of_view_is_a_square_about_the_heart_with_air_and_no_label_beyond(case):
    wide = replace(case, spacing=(3.0, 2.0, 2.0))
    j, i = window_coordinates(wide.spacing[1:], wide.field_center, 192.0)
    sides = []
    for seed in range(8):
        within = np.argwhere(~beyond_field(j, i, wide, generator(seed)))
        height, width = np.ptp(within, axis=0) + 1
        assert len(within) == height * width
        sides.append(height * 192 / 512)
    assert 130 < min(sides) < 170 < max(sides) <= 192
    options = SampleOptions(patch=512, calcium_slices=1.0, window_mm=(192.0, 192.0), **STILL)
    whole, marked = draw_sample(wide, options, generator(2))
    hu, labels = draw_sample(wide, replace(options, zoom=1.0), generator(2))
    cut = (hu == -1000).all(axis=0)
    assert 0.05 < cut.mean() < 0.5 and not labels[cut].any()
    assert np.array_equal(hu[:, ~cut], whole[:, ~cut])
    assert np.array_equal(labels[~cut], marked[~cut])


def test_another_tube_voltage_changes_bright_pixels_alone_and_none_passes_the_threshold():
    hu = np.linspace(-1000, 1500, 2501, dtype=np.float32).reshape(1, 1, -1)
    factors = []
    for seed in range(8):
        changed = degrade(hu.copy(), SampleOptions(**STILL, bright_gain=0.3), generator(seed))
        assert np.array_equal(changed[hu <= 130], hu[hu <= 130])
        assert ((changed > 130) == (hu > 130)).all()
        factors.append((changed[0, 0, -1] - 130) / (1500 - 130))
    assert 0.7 <= min(factors) < 0.95 and 1.05 < max(factors) <= 1.3


@pytest.mark.parametrize(("kernel", "sharper"), [("blur", False), ("sharpen", True)])
def test_kernels_change_contrast_and_noise_and_keep_the_mean(case, kernel, sharper):
    hu = case.hu[:9].astype(np.float32)
    changed = degrade(hu.copy(), SampleOptions(**{**STILL, kernel: 1.0}), generator())
    assert changed.mean() == pytest.approx(hu.mean(), abs=1.0)
    assert (changed.max() > hu.max()) == sharper
    assert (changed[0, :20, :20].std() > hu[0, :20, :20].std()) == sharper


def test_a_paper_s_crop_is_any_square_of_the_scan_s_pixels_of_at_most_256(tmp_path):
    # A scan whose HU tell the place: 4 a row and 0.001 of nothing a column.
    rows = np.arange(300, dtype=np.int16)
    hu = np.repeat((4 * rows)[None, :, None], 5, axis=0).repeat(300, axis=2)
    save_case(
        tmp_path / "rows.npz", TrainingCase(hu, np.zeros(hu.shape, np.uint8), (3.0, 0.7, 0.7), (150.0, 150.0), {})
    )
    scan = load_case(tmp_path / "rows.npz")
    options = SampleOptions(**STILL, patch=512, crop_pixels=256)
    sides, firsts = [], []
    for seed in range(60):
        sample, _ = draw_sample(scan, options, generator(seed), k=2)
        assert sample.shape == (9, 512, 512)
        down = sample[4, :, 0]
        # 512 pixels over a side of n rows: the step is 4 n / 512 HU, away from the clamped outermost half pixels.
        sides.append(round(float(down[300] - down[200]) / 100 * 512 / 4))
        firsts.append(float(down[256]) / 4 - sides[-1] / 2)
        assert sample.min() >= 0  # no air from beyond the image
    assert SMALLEST_CROP <= min(sides) < 145 and 240 < max(sides) <= 256
    assert min(firsts) < 10 and max(firsts) > 100


def test_a_scan_smaller_than_the_crop_is_taken_whole(case):
    options = SampleOptions(**STILL, patch=512, crop_pixels=256)
    sample, _ = draw_sample(case, options, generator(), k=3)
    assert case.hu.shape[1:] == (96, 96)
    assert sample[4, 0, 0] == case.hu[3, 0, 0] and sample[4, -1, -1] == case.hu[3, -1, -1]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Three simulated chests, one simulated heart scan and one insert_lesions that does not say its kind."""
    folder = write_blobs(tmp_path_factory.mktemp("mixed"), range(3), source="simulated patient", kind="chest")
    write_blobs(folder, [3], source="simulated patient", kind="cardiac")
    return write_blobs(folder, [4], source="plaques inserted in a scan")


def draws(folder, options, count=2000):
    cases, r = CaseFolder(folder, options=options), generator()
    cases.case = lambda name: name
    return Counter(cases.draw(r) for _ in range(count))


def test_all_cases_are_drawn_alike_unless_told_otherwise(mixed):
    drawn = draws(mixed, CaseOptions())
    assert len(drawn) == 5 and min(drawn.values()) > 330


def test_only_cases_of_the_asked_kinds_take_part(mixed):
    assert set(draws(mixed, CaseOptions(kinds=("chest",)), 200)) == {f"blobs-00{n}.npz" for n in range(3)}


def test_a_source_gets_its_share_however_few_its_cases_are(mixed):
    drawn = draws(mixed, CaseOptions(shares={"plaques inserted": 0.5}))
    assert 900 < drawn["blobs-004.npz"] < 1100
    assert all(180 < drawn[f"blobs-00{n}.npz"] < 320 for n in range(4))


def test_the_share_of_a_source_without_cases_goes_to_the_others(mixed):
    options = CaseOptions(shares={"reader": 0.9, "plaques": 0.05})
    assert len(draws(mixed, options, 300)) == 5
    assert CaseFolder(mixed, options=options).absent_sources() == ["reader"]


def test_a_folder_without_a_case_of_the_kind_is_rejected_with_the_reason(mixed):
    with pytest.raises(InputError, match="None of the 5 cases"):
        CaseFolder(mixed, options=CaseOptions(kinds=("gated",))).require()


def test_draws_depend_on_the_generator_alone(tmp_path):
    """A file that turns out to be broken must not shift what a resumed run draws."""
    write_blobs(tmp_path, range(3))
    content = bytearray((tmp_path / "blobs-001.npz").read_bytes())
    content[200:260] = bytes(60)  # inside the first array's compressed voxels
    (tmp_path / "blobs-001.npz").write_bytes(content)
    assert read_summary(tmp_path / "blobs-001.npz").slices == 12
    one = CaseFolder(tmp_path)
    before = [one.draw(generator(seed)).name for seed in range(30)]
    assert before == [one.draw(generator(seed)).name for seed in range(30)]
    assert set(before) == {"blobs-000.npz", "blobs-002.npz"}
    assert before[15:] == [CaseFolder(tmp_path).draw(generator(seed)).name for seed in range(15, 30)]


def test_a_summary_tells_facts_and_slices(tmp_path):
    write_blobs(tmp_path, [7], kind="chest")
    summary = read_summary(tmp_path / "blobs-007.npz")
    assert (summary.slices, summary.facts["kind"], summary.facts["seed"]) == (len(blobs(7)[0]), "chest", 7)
