"""Everything bright in a simulated chest that is not coronary calcium: other calcium, and metal. All of label 0."""

import numpy as np

from coronary_calcium.simulation.bright_tissue import (
    METAL_HU,
    annulus_ring,
    blob,
    lead,
    stent,
    stented_artery,
    surface_plates,
    valve_leaflets,
    wall_plates,
)
from coronary_calcium.simulation.heart_anatomy import Heart
from coronary_calcium.simulation.shapes import Tube
from coronary_calcium.simulation.thorax_anatomy import Thorax
from coronary_calcium.simulation.tissue import Deposit


def other_calcium(
    random: np.random.Generator,
    heart: Heart,
    thorax: Thorax,
    age: float,
    more: float = 1.0,
    more_on_surface: float = 1.0,
) -> list[Deposit]:
    """Calcium and metal that must not be scored; more of it with age, and ``more`` times as likely in the heart.

    ``more_on_surface`` multiplies how likely those are that lie in the same fat as the coronary arteries: calcium of
    the pericardium, stents, leads, catheters, and the clips of a bypass.
    """
    likely = float(np.clip((age - 28) / 42, 0.2, 1.0))
    return [
        *_heart_calcium(random, heart, more * likely, more_on_surface),
        *_lung_calcium(random, thorax, likely),
        *_metal(random, heart, more_on_surface),
        *_chest_wall_metal(random, heart, thorax, more_on_surface),
    ]


def _heart_calcium(r, heart, likely, more_on_surface):
    happens = lambda share: r.random() < share * likely  # noqa: E731 (a local shorthand)
    deposits: list[Deposit] = []
    if happens(0.8):
        deposits += wall_plates(r, heart.aorta[4:], heart.aorta_radius[4:], 1 + r.poisson(9), "aortic wall")
    if happens(0.45):
        deposits += wall_plates(r, heart.aorta[:9], heart.aorta_radius[:9], 1 + r.poisson(3), "aortic root")
    if happens(0.55):
        deposits += valve_leaflets(r, heart.valve_rings["aortic"], r.beta(1, 1.4), "aortic valve")
    if happens(0.5):
        deposits += annulus_ring(r, heart.mitral_arc, r.beta(1, 1.3), "mitral annulus")
    if happens(0.1):
        deposits += valve_leaflets(r, heart.valve_rings["tricuspid"], 0.1, "tricuspid annulus")
    if happens(0.12):
        for tip in heart.papillary:
            deposits += [blob(r, tip + r.normal(0, 3, 3), (1.0, 3.5), "papillary muscle") for _ in range(r.poisson(1))]
    if happens(0.14 * more_on_surface):
        for n in r.permutation(len(heart.surface))[: r.integers(1, len(heart.surface) + 1)]:
            deposits += surface_plates(r, heart.surface[n], int(r.integers(1, 7)), "pericardium")
    return deposits


def _lung_calcium(r, thorax, likely):
    deposits: list[Deposit] = []
    if r.random() < 0.5:
        for _ in range(r.integers(1, 7)):
            spot = thorax.hila[r.integers(2)] + r.normal(0, 11, 3)
            deposits.append(blob(r, spot, (1.0, 5.0), "lymph node"))
    if r.random() < 0.25:
        spot = np.array([thorax.midline, 42.0, 48.0]) + r.normal(0, 11, 3)
        deposits.append(blob(r, spot, (1.5, 6.0), "lymph node"))
    if r.random() < 0.3:
        for _ in range(r.integers(1, 5)):
            spot = thorax.hila[r.integers(2)] + r.normal(0, 26, 3)
            deposits.append(blob(r, spot, (0.8, 3.5), "lung granuloma"))
    if r.random() < 0.35 * likely:
        for path, radius in thorax.airways:
            deposits += wall_plates(r, path, radius + 0.7, int(r.poisson(3)), "bronchus")
    return deposits


def _metal(r, heart, more):
    """Leads, catheters and stents.

    A stent carries label 0: its struts are metal, whose HU says nothing about calcium, and readers leave stented
    stretches out of the score.
    """
    marks = heart.landmarks
    deposits = []
    top = marks["root"] + np.array([-30.0, 8, 90])
    atrium = marks["ring"] + marks["right"] * 28 - marks["axis"] * 8
    if r.random() < 0.08 * more:
        tip = marks["ventricle"] + marks["axis"] * 30 + marks["right"] * 14
        points = [top, atrium + [0, 0, 25], atrium, marks["ring"] + marks["right"] * 14, tip]
        deposits.append(lead(r, points))
    if r.random() < 0.06 * more:
        path = np.array([top, atrium + [0, 0, 40], atrium + [0, 0, r.uniform(0, 30)]])
        wall = Tube(path, np.full(3, r.uniform(0.7, 1.1)))
        deposits.append(Deposit(wall, r.uniform(250, 900), 0, "catheter"))
    if r.random() < 0.07 * more:
        name = stented_artery(r, heart.arteries)
        deposits += stent(r, heart.arteries[name], heart.vessel_radius[name])
    return deposits


def _chest_wall_metal(r, heart, thorax, more):
    """Sternal wires with the clips of a bypass, and electrodes on the skin."""
    deposits = []
    if r.random() < 0.08 * more:
        deposits += _sternal_wires(r, thorax)
        for _ in range(r.poisson(3)):
            deposits.append(
                blob(r, heart.landmarks["root"] + r.normal(0, 25, 3) + [0, -15, 10], (0.8, 1.6), "clip", METAL_HU)
            )
    if r.random() < 0.1:
        for _ in range(r.integers(1, 5)):
            spot = thorax.skin_point(r.uniform(-0.9, 0.9), r.uniform(-70, 90))
            deposits.append(blob(r, spot, (2.0, 5.0), "electrode", 1500.0))
    return deposits


def _sternal_wires(r, thorax):
    deposits = []
    for height in np.arange(-40, 90, 26.0):
        turns = np.linspace(0, 2 * np.pi, 24)
        ring = [thorax.midline + 13 * np.cos(turns), thorax.sternum_y - 4 + 8 * np.sin(turns)]
        points = np.stack([*ring, height + r.normal(0, 0.5, 24)], axis=1)
        deposits.append(Deposit(Tube(points, np.full(24, 0.5)), 9000.0, 0, "sternal wire"))
    return deposits
