"""Contrast medium taken out of a synthetic chest: blood comes down with its noise, calcium and bone stay."""

import numpy as np
import pytest
from coronary_calcium.simulation.contrast_removal import without_contrast
from scipy import ndimage

SPACING = (3.0, 0.8, 0.8)
SHAPE = (12, 150, 150)
HEART = (0, 12, 40, 110, 30, 120)
AORTA = np.array([[k, 75.0, 60.0, 12.0] for k in range(0, 12, 2)])
NOISE = 12.0


def disc(j, i, radius_mm):
    rows, columns = np.ogrid[: SHAPE[1], : SHAPE[2]]
    return np.hypot(rows - j, columns - i) * SPACING[1] <= radius_mm


@pytest.fixture(scope="module")
def scans():
    """The same noise over a chest without and with contrast, and the chest's parts."""
    parts = {"aorta": disc(75, 60, 13), "vein": disc(60, 85, 9), "muscle": disc(85, 92, 14), "rib": disc(20, 75, 6)}
    artery, calcium = disc(95, 70, 1.6), disc(75, 76, 1.8)
    noise = np.random.default_rng(0).normal(0, NOISE, SHAPE)
    images = []
    for contrast in (False, True):
        plane = np.full(SHAPE[1:], -90.0)
        plane[parts["aorta"]] = 250 if contrast else 45
        plane[parts["vein"]] = 700 if contrast else 45
        plane[parts["muscle"]] = 90 if contrast else 50
        plane[artery] = 220 if contrast else 45
        plane[calcium] = 800
        plane[parts["rib"]] = 600
        # A soft kernel's blur: 1.4 mm full width at half maximum.
        plane = ndimage.gaussian_filter(plane, 0.6 / SPACING[1])
        images.append(np.rint(plane + noise).astype(np.int16))
    plain, enhanced = images
    return plain, without_contrast(enhanced, SPACING, AORTA, HEART), {**parts, "artery": artery, "calcium": calcium}


def inner(part):
    """The part without its edge."""
    return ndimage.binary_erosion(part, iterations=4)


@pytest.mark.parametrize("name", ["aorta", "vein", "muscle"])
def test_blood_and_muscle_come_down_to_plain_blood(scans, name):
    plain, found, parts = scans
    assert found[:, inner(parts[name])].mean() == pytest.approx(plain[:, inner(parts[name])].mean(), abs=12)


def test_the_noise_stays(scans):
    _, found, parts = scans
    assert found[:, inner(parts["aorta"])].std() == pytest.approx(NOISE, rel=0.12)


def test_an_enhanced_artery_is_no_calcium_afterwards(scans):
    _, found, parts = scans
    assert found[:, parts["artery"]].mean() < 45 + 2.5 * NOISE
    assert np.percentile(found[:, parts["artery"]], 99) < 45 + 4 * NOISE


def test_calcium_bone_and_fat_stay(scans):
    plain, found, parts = scans
    assert found[:, parts["calcium"]].max(axis=1).mean() > 450
    assert np.abs(found - plain)[:, parts["rib"]].max() < 1
    assert np.abs(found - plain)[:, disc(130, 40, 8)].max() < 1
