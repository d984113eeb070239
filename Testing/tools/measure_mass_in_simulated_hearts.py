"""How well each mass measures calcium in hearts whose calcium is known.

python Testing/tools/measure_mass_in_simulated_hearts.py [--patients N]

Simulated patients, whose calcium is known, are scanned twice, the second time with coronary calcium half again as
bright: twice the difference of the scans is the calcium alone, free of noise and tissue. Each marked lesion's true mass
is that of the voxels within 5 mm that are nearer to it than to another. Prints, by true mass, the median error and the
median absolute error of the counted voxels' mass and of the integrated mass.
"""

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "CoronaryCalciumScoring")]

import numpy as np  # noqa: E402 after the paths that these modules lie on
from coronary_calcium.phantom.qrm_insert import HU_PER_MG_PER_CM3  # noqa: E402
from coronary_calcium.scoring import score_labels  # noqa: E402
from coronary_calcium.scoring.calcium_quantities import case_quantities  # noqa: E402
from coronary_calcium.scoring.volume_mass import MassCalibration  # noqa: E402
from coronary_calcium.simulation.anatomy import draw_anatomy  # noqa: E402
from coronary_calcium.simulation.painting import Body, scan_grid  # noqa: E402
from coronary_calcium.simulation.patient import DrawnPatient, draw_deposits, scan_patient  # noqa: E402
from coronary_calcium.simulation.protocol import draw_protocol  # noqa: E402
from coronary_calcium.simulation.tissue import CALCIUM_FACTOR  # noqa: E402
from scipy import ndimage  # noqa: E402

BOX_MM = 150.0
BRIGHTER = 1.5
NEAR_MM = 5.0
# Limits of true mass in mg.
CLASSES = (2.0, 10.0, 30.0, np.inf)


def scan(seed, kind, factor):
    """The patient's scan with coronary calcium this much brighter than it is."""
    body, scanner, noise, calcium = (np.random.default_rng([seed, kind == "cardiac", stream]) for stream in range(4))
    anatomy, protocol = draw_anatomy(body), draw_protocol(scanner, kind)
    deposits = [
        replace(deposit, hu=factor * deposit.hu) if deposit.label else deposit
        for deposit in draw_deposits(calcium, anatomy)
    ]
    grid = scan_grid(protocol, BOX_MM)
    return scan_patient(noise, DrawnPatient(seed, anatomy, tuple(deposits)), Body(anatomy.layers, grid), protocol, grid)


def lesions(seed, kind):
    """(true mass, mass of the counted voxels, integrated mass or None, its SD) in mg of each lesion of a patient."""
    patient = scan(seed, kind, 1.0)
    score = score_labels(patient.volume, patient.labels)
    if not score.lesions:
        return []
    volume = patient.volume
    calcium = (scan(seed, kind, BRIGHTER).volume.hu.astype(float) - volume.hu) / (BRIGHTER - 1.0)
    factor = 1.0 / HU_PER_MG_PER_CM3 / CALCIUM_FACTOR[round(volume.acquisition.kvp)]
    quantities = case_quantities(volume, score, MassCalibration(factor, True, "exact"))
    owner = np.zeros(volume.shape, dtype=np.int32)
    for number, lesion in enumerate(score.lesions, start=1):
        owner.reshape(-1)[lesion.voxels] = number
    distance, nearest = ndimage.distance_transform_edt(owner == 0, volume.spacing, return_indices=True)
    owner = np.where(distance <= NEAR_MM, owner[tuple(nearest)], 0)
    sums = np.bincount(owner.reshape(-1), calcium.reshape(-1))[1:] * volume.voxel_volume_mm3 * factor / 1000.0
    found = []
    for true, one in zip(sums, quantities.lesions):
        integrated = one.values["integrated_mass_mg"]
        found.append(
            (true, one.values["mass_mg"].number, integrated and integrated.number, integrated and integrated.sd)
        )
    return found


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=8, help="of each kind of scan")
    parser.add_argument("--seed", type=int, default=920000)
    options = parser.parse_args()
    rows = []
    for kind in ("cardiac", "chest"):
        for seed in range(options.seed, options.seed + options.patients):
            rows += lesions(seed, kind)
            say(f"{kind} {seed}: {len(rows)} lesions so far")
    report(rows)


def report(rows):
    measured = [row for row in rows if row[2] is not None and row[0] >= CLASSES[0]]
    say(f"{len(rows)} lesions, {len(rows) - len([row for row in rows if row[2] is not None])} without background")
    say(f"{'true mg':>12}{'lesions':>9}{'counted voxels: bias, error %':>32}{'integrated: bias, error %':>28}")
    for low, high in itertools.pairwise(CLASSES):
        part = np.array([row for row in measured if low <= row[0] < high], dtype=float)
        if part.size:
            counted, integrated = (100 * (part[:, column] / part[:, 0] - 1) for column in (1, 2))
            cells = [f"{np.median(one):+.0f}, {np.median(np.abs(one)):.0f}" for one in (counted, integrated)]
            say(f"{low:>6g}-{high:<5g}{len(part):>9}{cells[0]:>32}{cells[1]:>28}")
    part = np.array(measured, dtype=float)
    within = np.abs(part[:, 2] - part[:, 0]) / part[:, 3]
    say(f"within one SD: {100 * np.mean(within <= 1):.0f} %, two: {100 * np.mean(within <= 2):.0f} %")
    say(f"sum: true {part[:, 0].sum():.0f}, counted {part[:, 1].sum():.0f}, integrated {part[:, 2].sum():.0f} mg")


if __name__ == "__main__":
    main()
