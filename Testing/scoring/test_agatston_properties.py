"""Every rule set against a second implementation without numpy's or scipy's help, from the file to the number.

Random cases, each drawn to lie on the edges of the rules: intensities at the thresholds, parts at the minimum area,
pixels that touch at corners, arteries that touch, slices that overlap.
"""

import dataclasses
import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from coronary_calcium.arteries import ARTERIES, BY_LABEL
from coronary_calcium.io import open_ct, open_mask
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.rules import KVP_THRESHOLDS_HU, LITERATURE, RULE_SETS, adapted_to
from coronary_calcium.scoring.volume_mass import MassCalibration, measure
from coronary_calcium.volume import CTVolume
from dicom_factory import chest_hu, write_series

# What the rule sets are, written down a second time from their sources: threshold, limits of the weights, minimum area
# in mm2, minimum of pixels, neighbors, threshold of volume and mass.
PLAIN_RULES = {
    "literature": (130, (200, 300, 400), 1, 1, 8, 130),
    "ge": (130, (200, 300, 400), 1, 1, 4, 130),
    "siemens": (130, (200, 300, 400), 0, 1, 4, 130),
    "philips": (130, (200, 300, 400), Fraction(1, 2), 1, 4, 113),
    "canon": (130, (200, 300, 400), 0, 3, 4, 130),
}
CALIBRATION = MassCalibration(0.75, True, "test")
# Sides at which a whole number of pixels is 0.5 or 1 mm2, and others; distances of slices.
SIDES = (Fraction(1, 2), Fraction(1, 4), Fraction(1, 3), Fraction(7, 10), Fraction(125, 256), Fraction(1), Fraction(2))
# Those that six decimals hold: between two slices, a voxel that lies on the threshold would else fall beside it.
DECIMAL_SIDES = (Fraction(1, 2), Fraction(1, 4), Fraction(7, 10), Fraction(488281, 10**6), Fraction(1), Fraction(2))
DISTANCES = (Fraction(3), Fraction(5, 2), Fraction(1, 2), Fraction(5), Fraction(3, 4), Fraction(8))


def parts_of(plane, labels, threshold, neighbors):
    """The parts of a slice by flood filling, as (label, intensities); ``plane`` and ``labels`` are lists of rows."""
    steps = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    if neighbors == 8:
        steps += [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    left = {
        (j, i): label
        for j, row in enumerate(labels)
        for i, label in enumerate(row)
        if label and plane[j][i] >= threshold
    }
    found = []
    while left:
        start, label = next(iter(left.items()))
        waiting, values = [start], []
        del left[start]
        while waiting:
            j, i = waiting.pop()
            values.append(plane[j][i])
            for dj, di in steps:
                if left.get((j + dj, i + di)) == label:
                    del left[j + dj, i + di]
                    waiting.append((j + dj, i + di))
        found.append((label, values))
    return found


def scores_of(hu, labels, spacing, rules):
    """Agatston and volume by label, exactly, as fractions; ``spacing`` (k, j, i) in fractions of mm."""
    threshold, limits, area, pixels, neighbors, _ = rules
    agatston, volume = dict.fromkeys(BY_LABEL, Fraction(0)), dict.fromkeys(BY_LABEL, Fraction(0))
    pixel = spacing[1] * spacing[2]
    for plane, marked in zip(hu, labels):
        for label, values in parts_of(plane, marked, threshold, neighbors):
            if len(values) * pixel < area or len(values) < pixels:
                continue
            weight = 1 + sum(max(values) >= limit for limit in limits)
            agatston[label] += len(values) * pixel * weight * spacing[0] / 3
            volume[label] += len(values) * pixel * spacing[0]
    return agatston, volume


def mass_of(hu, labels, spacing, rules):
    """The sum of intensity x volume by label, over what counts for volume and mass."""
    *_, area, pixels, neighbors, threshold = rules
    mass, size = dict.fromkeys(BY_LABEL, Fraction(0)), dict.fromkeys(BY_LABEL, Fraction(0))
    for plane, marked in zip(hu, labels):
        for label, values in parts_of(plane, marked, threshold, neighbors):
            if len(values) * spacing[1] * spacing[2] >= area and len(values) >= pixels:
                mass[label] += sum(values) * math.prod(spacing)
                size[label] += len(values) * math.prod(spacing)
    return mass, size


def interpolated_of(hu, labels, spacing, rules):
    """Volume by label on slices as far apart as a pixel is wide, from the lowest up, each between two of the CT's."""
    *_, area, pixels, neighbors, threshold = rules
    step = spacing[1]
    assert spacing[1] == spacing[2]  # else the step is no fraction
    found = dict.fromkeys(BY_LABEL, Fraction(0))
    last = (len(hu) - 1) * spacing[0]
    for number in range(math.floor(last / step) + 1):
        place = number * step / spacing[0]
        low, share = math.floor(place), place - math.floor(place)
        high = min(low + 1, len(hu) - 1)
        plane = [[below + share * (above - below) for below, above in zip(*rows)] for rows in zip(hu[low], hu[high])]
        near, far = (labels[low], labels[high]) if share < Fraction(1, 2) else (labels[high], labels[low])
        marked = [[one or other for one, other in zip(*rows)] for rows in zip(near, far)]
        for label, values in parts_of(plane, marked, threshold, neighbors):
            if len(values) * step * step >= area and len(values) >= pixels:
                found[label] += len(values) * step**3
    return found


def random_case(seed, square=False):
    """A CT and labels as lists of planes of rows, and the spacing as fractions; edges of the rules are frequent."""
    r = random.Random(seed)
    side = r.choice(DECIMAL_SIDES if square else SIDES)
    spacing = (r.choice(DISTANCES), side, side if square else r.choice(SIDES))
    shape = (r.randint(1, 5), r.randint(1, 9), r.randint(1, 9))
    edges = [value + step for value in (113, 130, 200, 300, 400) for step in (-1, 0, 1)]
    hu = [
        [[r.choice([*edges, 40, 250, 900]) for _ in range(shape[2])] for _ in range(shape[1])] for _ in range(shape[0])
    ]
    share = r.choice([0.2, 0.5, 0.9])
    arteries = r.choice([(2,), (1, 2), (1, 2, 3, 4, 5)])
    labels = [[[r.choice(arteries) if r.random() < share else 0 for _ in row] for row in plane] for plane in hu]
    return hu, labels, spacing


def as_volume(hu, labels, spacing, seed=0):
    kind = (np.int16, np.float32)[seed % 2]
    volume = CTVolume(np.array(hu, kind), tuple(float(step) for step in spacing), (0.0, 0.0, 0.0))
    return volume, np.array(labels, np.uint8)


def by_label(exact):
    return {BY_LABEL[label].name: pytest.approx(float(value), rel=1e-5, abs=1e-12) for label, value in exact.items()}


@pytest.mark.parametrize("name", PLAIN_RULES)
def test_every_rule_set_scores_as_the_second_implementation(name):
    for seed in range(150):
        case = random_case(f"{name} {seed}")
        volume, labels = as_volume(*case, seed)
        score = score_labels(volume, labels, RULE_SETS[name])
        agatston, size = scores_of(*case, PLAIN_RULES[name])
        assert {a.name: score.by_artery[a.name].agatston for a in ARTERIES} == by_label(agatston), (seed, case)
        assert {a.name: score.by_artery[a.name].volume_mm3 for a in ARTERIES} == by_label(size), (seed, case)
        assert score.total.agatston == pytest.approx(float(sum(agatston.values())), rel=1e-5)


@pytest.mark.parametrize("name", PLAIN_RULES)
def test_every_rule_set_measures_as_the_second_implementation(name):
    for seed in range(50):
        case = random_case(f"{name} measured {seed}", square=True)
        volume, labels = as_volume(*case, seed)
        found = measure(volume, labels, RULE_SETS[name], CALIBRATION)
        intensity, size = mass_of(*case, PLAIN_RULES[name])
        mass = {label: value * Fraction(3, 4) / 1000 for label, value in intensity.items()}
        assert found.mass_mg.by_artery == by_label(mass), (seed, case)
        step, distance = case[2][1], case[2][0]
        interpolated = interpolated_of(*case, PLAIN_RULES[name]) if distance > step else size
        assert found.interpolated_mm3.by_artery == by_label(interpolated), (seed, case)
        assert found.volume_mm3.by_artery == by_label(interpolated if name == "siemens" else size), (seed, case)


@pytest.mark.parametrize("kvp", KVP_THRESHOLDS_HU)
def test_thresholds_adapted_to_the_voltage_score_as_the_second_implementation(kvp):
    threshold, *limits = map(int, KVP_THRESHOLDS_HU[kvp])
    for name in ("literature", "canon"):
        plain = (threshold, tuple(limits), *PLAIN_RULES[name][2:])
        for seed in range(20):
            hu, labels, spacing = random_case(f"{kvp} {name} {seed}")
            r = random.Random(seed)
            hu = [[[r.choice((threshold, *limits)) + r.randint(-1, 1) for _ in row] for row in plane] for plane in hu]
            volume, marked = as_volume(hu, labels, spacing, seed)
            score = score_labels(volume, marked, adapted_to(RULE_SETS[name], kvp))
            agatston, _ = scores_of(hu, labels, spacing, plain)
            assert score.total.agatston == pytest.approx(float(sum(agatston.values())), rel=1e-5), (seed, hu, labels)


def test_the_second_implementation_is_not_the_same_for_two_rule_sets():
    """Else the tests above would not tell rule sets apart."""
    totals = {name: [] for name in PLAIN_RULES}
    for seed in range(40):
        case = random_case(f"apart {seed}")
        for name, rules in PLAIN_RULES.items():
            totals[name].append(sum(scores_of(*case, rules)[0].values()))
    for one, other in itertools.combinations(totals, 2):
        assert totals[one] != totals[other], (one, other)


# From the files to the score


def chest_with_calcium(seed, shape=(24, 64, 64)):
    """The coarse chest with random calcium, and its labels."""
    rng = np.random.default_rng(seed)
    hu = np.minimum(chest_hu(shape), 100).astype(np.int16)
    labels = np.zeros(shape, np.uint8)
    box = np.s_[4:20, 24:40, 24:40]
    bright = rng.random(hu[box].shape) < 0.3
    hu[box][bright] = rng.integers(120, 420, bright.sum())
    labels[box][bright] = rng.integers(1, 6, bright.sum())
    return hu, labels


def exact_total(hu, labels, spacing):
    exact = scores_of(hu.tolist(), labels.tolist(), tuple(map(Fraction, spacing)), PLAIN_RULES["literature"])[0]
    return by_label(exact)


def scored(ct, mask):
    volume = open_ct(ct).volume
    score = score_labels(volume, open_mask(mask, volume))
    return {name: tally.agatston for name, tally in score.by_artery.items()}


def write_image(path, array, spacing, origin, direction):
    """Write an array whose axes lie along the rows of ``direction`` (k, j, i order of the array)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(step) for step in spacing[::-1]])
    image.SetOrigin([float(value) for value in origin])
    image.SetDirection(np.column_stack([direction[axis] for axis in (2, 1, 0)]).ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def permuted(array, spacing, axes, flips):
    """An array, its spacing, origin and direction after its axes were put into another order and turned round."""
    unit = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # LPS directions of k, j and i
    origin, direction = np.array([-60.0, -70.0, -300.0]), unit.copy()
    for axis, flip in enumerate(flips):
        if flip:
            origin = origin + direction[axis] * spacing[axis] * (array.shape[axis] - 1)
            direction[axis] = -direction[axis]
            array = np.flip(array, axis)
    return array.transpose(axes), [spacing[axis] for axis in axes], origin, direction[list(axes)]


def test_the_order_of_axes_in_the_files_does_not_change_the_score(tmp_path):
    hu, labels = chest_with_calcium(1)
    spacing = (3.0, 2.0, 1.75)
    expected = exact_total(hu, labels, spacing)
    r = random.Random(2)
    orders = [
        (axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((0, 1), repeat=3)
    ]
    for axes, flips in r.sample(orders, 14):
        mask_axes, mask_flips = r.choice(orders)
        ct = write_image(tmp_path / "ct.nrrd", *permuted(hu, spacing, axes, flips))
        mask = write_image(tmp_path / "mask.nrrd", *permuted(labels, spacing, mask_axes, mask_flips))
        assert scored(ct, mask) == expected, (axes, flips, mask_axes, mask_flips)


@pytest.mark.parametrize(("thickness", "distance"), [(5.0, 2.5), (3.0, 1.5), (3.0, 3.0), (2.5, 5.0)])
def test_overlapping_slices_and_gaps_count_by_the_distance_between_slices(tmp_path, thickness, distance):
    """Whatever thickness and (often wrong) spacing between slices the header states: positions decide."""
    hu, labels = chest_with_calcium(3, (40, 64, 64))
    write_series(
        tmp_path / "ct",
        hu,
        spacing=(distance, 2.0, 2.0),
        SliceThickness=str(thickness),
        SpacingBetweenSlices=str(thickness),
    )
    geometry = (distance, 2.0, 2.0), (-64.0, -70.0, -300.0), np.eye(3)[::-1]
    mask = write_image(tmp_path / "mask.nrrd", labels, *geometry)
    assert scored(tmp_path / "ct", mask) == exact_total(hu, labels, (distance, 2.0, 2.0))
    codes = {warning.code for warning in open_ct(tmp_path / "ct").volume.warnings}
    assert ("overlapping-slices" in codes) == (distance < thickness)
    assert ("slice-gaps" in codes) == (distance > thickness)


def test_slices_that_overlap_by_half_do_not_double_a_uniform_plaque():
    hu = np.zeros((24, 9, 9), np.int16)
    hu[6:18, 3:6, 3:6] = 350
    labels = (hu > 0).astype(np.uint8)
    overlapping = CTVolume(hu, (2.5, 1.0, 1.0), (0.0, 0.0, 0.0))
    every_other = dataclasses.replace(overlapping, hu=hu[::2], spacing=(5.0, 1.0, 1.0))
    scores = {score_labels(volume, mask).total for volume, mask in ((overlapping, labels), (every_other, labels[::2]))}
    assert len(scores) == 1
    assert scores.pop().agatston == 9 * 3 * 12 * 2.5 / 3


def test_twice_the_size_is_eight_times_the_score_and_a_shift_changes_nothing():
    for seed in range(20):
        hu, labels, spacing = random_case(f"scaled {seed}")
        rules = dataclasses.replace(LITERATURE, minimum_area_mm2=0.0)
        volume, marked = as_volume(hu, labels, spacing)
        score = score_labels(volume, marked, rules).total.agatston
        twice = dataclasses.replace(volume, spacing=tuple(2 * step for step in volume.spacing))
        assert score_labels(twice, marked, rules).total.agatston == pytest.approx(8 * score, rel=1e-5)
        padded = dataclasses.replace(volume, hu=np.pad(volume.hu, 2, constant_values=300))
        assert score_labels(padded, np.pad(marked, 2), rules).total == score_labels(volume, marked, rules).total
