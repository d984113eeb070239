"""Calcium inserted in real scans: real noise and anatomy around coronary and other calcium whose truth is known.

``python -m coronary_calcium.simulation.backgrounds --data DIR --output BACKGROUNDS`` makes the scans usable, then
``python -m coronary_calcium.simulation.inserted_lesions --backgrounds BACKGROUNDS --count 12 --output CASES`` makes
cases.
"""

import argparse
import sys
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from coronary_calcium.datasets.case_format import TrainingCase, save_case
from coronary_calcium.errors import InputError
from coronary_calcium.simulation.backgrounds import BackgroundScan, load_background
from coronary_calcium.simulation.heart_anatomy import BRANCH_LABEL
from coronary_calcium.simulation.ostial_calcium import proximal_disease
from coronary_calcium.simulation.other_calcium import (
    annulus_ring,
    blob,
    lead,
    smooth_noise,
    stent,
    stented_artery,
    surface_plates,
    valve_leaflets,
    wall_plates,
)
from coronary_calcium.simulation.painting import FINEST_STEP_MM, MOTION_FORMS, Grid, Motion, SlicePlace, add_deposits
from coronary_calcium.simulation.patient import label_voxels, other_voxels
from coronary_calcium.simulation.plaques import BRANCH_WEIGHT, plaques_in
from coronary_calcium.simulation.real_background import draw_background, processed
from coronary_calcium.simulation.scanner import ADDED_BY
from coronary_calcium.simulation.tissue import CALCIUM_FACTOR, Deposit
from coronary_calcium.volume import CTVolume

PATHS = Path(__file__).with_name("inserted_lesion_paths.toml")
# How far the drawn path may be off, drawn anew for every artery and along it: the drawing is by eye.
_PATH_ERROR_MM = 1.5
# A share of the cases hold no coronary plaque, only what must not be scored: calcium in a window proves nothing.
_WITHOUT_PLAQUES = 0.2
# Calcium of the pericardium lies along this many of its runs at most.
_PERICARDIAL_RUNS = 3
# Of heavy calcium: how likely it is at each place, and the two numbers of the beta distribution of its severity.
_HEAVY_SHARE, _HEAVY_SEVERITY = 0.9, (1.3, 1.0)


@dataclass(frozen=True, eq=False)
class InsertedLesions(TrainingCase):
    """A training case, and what was inserted; its ``unjudged`` is the scan's own calcium beside an artery."""

    deposits: tuple[Deposit, ...] = ()


@dataclass(frozen=True)
class InsertionStyle:
    """Shares of the cases: with a ``stents`` (label 0), with ``proximal`` disease at and behind the ostia, with
    ``blurred`` calcium, as strong motion shows it: double contours and arcs with tails; with calcium of the
    ``pericardium`` (label 0), and with ``heavy`` calcium of the aorta, its valve and the mitral annulus (label 0).
    """

    stents: float = 0.0
    proximal: float = 0.0
    blurred: float = 0.0
    pericardium: float = 0.3
    heavy: float = 0.0


PLAIN = InsertionStyle()
# What training gets: the readings of real scans lost most at the ostia and by motion. Weights that had learnt these two
# took plates of the pericardium, which only two hearts of eleven could have, for 1200 points of LAD, and the lateral
# mitral annulus for 700 of LCX: so what lies beside the arteries has to be as common.
TRAINING = InsertionStyle(stents=0.05, proximal=0.5, blurred=0.4, pericardium=0.5, heavy=0.4)
# The largest displacement of calcium in a case with strong motion, mm.
_STRONG_MOTION_MM = 6.0


def insert_lesions(
    volume: CTVolume,
    drawing: dict[str, Any],
    seed: int,
    style: InsertionStyle = PLAIN,
    unjudged: np.ndarray | None = None,
) -> InsertedLesions:
    """Insert plaques along the drawn arteries, and calcium with label 0 where the drawing has it.

    The calcium replaces the smoothed tissue at its place, blurred by the scan's slice thickness and kernel; then scan
    and calcium go through the same slicing, kernel and noise. The same seed gives the same case; stents and
    proximal disease that a ``style`` adds leave the rest as it is. ``unjudged`` is as ``draw_background`` takes it.
    """
    r = np.random.default_rng([seed, 17])
    scan = draw_background(r, volume, drawing, unjudged)
    kvp = int(r.choice(list(CALCIUM_FACTOR), p=[0.05, 0.2, 0.6, 0.15]))
    heavy = np.random.default_rng([seed, 21]).random() < style.heavy
    deposits = [*_aorta_and_valves(r, scan, drawing, heavy), *_beside_the_heart(r, scan, drawing, style.pericardium)]
    deposits += _stent(np.random.default_rng([seed, 18]), scan, drawing, style.stents)
    deposits += _proximal(np.random.default_rng([seed, 19]), scan, drawing, style.proximal)
    if r.random() >= _WITHOUT_PLAQUES:
        arteries = {name: _jittered(r, scan.path(drawing[name], 1.0)) for name in BRANCH_WEIGHT if name in drawing}
        deposits += plaques_in(r, arteries, {name: r.uniform(1.3, 2.2) for name in arteries}, least=1)
    motion, form = float(r.uniform(0, 3.5)), "line"
    strong = np.random.default_rng([seed, 20])
    if strong.random() < style.blurred:
        motion, form = float(strong.uniform(1.5, _STRONG_MOTION_MM)), str(strong.choice(MOTION_FORMS[1:]))
    hu = scan.hu.copy()
    added = np.zeros((len(ADDED_BY), *hu.shape), dtype=np.float32)
    grid = Grid(np.arange(hu.shape[2]) * scan.pixel, np.arange(hu.shape[1]) * scan.pixel, scan.z, scan.pixel)
    sigma = drawing["psf_mm"] / 2.355 / scan.pixel
    for k, z in enumerate(grid.z):
        near = [d for d in deposits if _reaches(d, z, scan.thickness)]
        if not near:
            continue
        before = ndimage.gaussian_filter(hu[k], 2.0)
        tissue = before.copy()
        moved = Motion.draw(r if form == "line" else strong, motion, form)
        place = SlicePlace(grid, z, scan.thickness, moved, max(FINEST_STEP_MM, scan.thickness / 6))
        add_deposits(tissue, added[:, k], near, place, CALCIUM_FACTOR[kvp])
        hu[k] += ndimage.gaussian_filter(tissue - before, sigma)
        for label in np.flatnonzero(added[:, k].any(axis=(1, 2))):
            added[label, k] = ndimage.gaussian_filter(added[label, k], sigma)
    hu, added, facts = processed(r, hu, added, scan)
    whole = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    facts = {
        "source": f"calcium inserted in {drawing['published']}",
        "seed": seed,
        "kind": "chest",
        "kvp": kvp,
        **facts,
    }
    labels = label_voxels(whole, added)
    other = other_voxels(whole, added, labels)
    left_out = np.argwhere(scan.unjudged & (labels == 0))
    return InsertedLesions(
        whole, labels, scan.spacing, scan.field_center, facts, other, left_out, deposits=tuple(deposits)
    )


def _reaches(deposit: Deposit, z: float, thickness: float) -> bool:
    low, high = deposit.shape.bounds[2]
    return low - thickness < z < high + thickness


def _jittered(r: np.random.Generator, path: np.ndarray, error: float = _PATH_ERROR_MM) -> np.ndarray:
    """The path, off by a constant and by a slow wave along it."""
    share = error / np.sqrt(6)
    return path + r.normal(0, share, 3) + smooth_noise(r, len(path), 15.0, share, 3)


def _aorta_and_valves(r, scan, drawing, heavy):
    """Calcium with label 0; where it is ``heavy``, almost every one of these places has some, and much of it."""
    deposits: list[Deposit] = []
    drawn = np.asarray(drawing["aorta"])
    center, knots = scan.path(drawn[:, :3], 2.0), scan.points(drawn[:, :3])
    nearest = [int(np.argmin(np.linalg.norm(center - knot, axis=1))) for knot in knots]
    radii = np.interp(np.arange(len(center)), nearest, drawn[:, 3])

    def has(share):
        return r.random() < (_HEAVY_SHARE if heavy else share)

    def severity(usual):
        return r.beta(*_HEAVY_SEVERITY) if heavy else r.beta(1, usual)

    if has(0.7):
        deposits += wall_plates(r, center[4:], radii[4:], 1 + r.poisson(9), "aortic wall")
    if has(0.45):
        deposits += wall_plates(r, center[:10], radii[:10], 1 + r.poisson(3), "aortic root")
    if has(0.5):
        valve = scan.points([drawing["aortic_valve"]])[0] + r.normal(0, 1.5, 3)
        normal = np.array([-0.32, -0.2, 0.92]) + r.normal(0, 0.12, 3)
        radius = drawing["valve_radius"] * r.uniform(0.85, 1.05)
        deposits += valve_leaflets(r, (valve, normal, radius), severity(1.4), "aortic valve")
    if has(0.5):
        arc = scan.points(drawing["mitral"]) + r.normal(0, 1.2, 3)
        deposits += annulus_ring(r, arc, severity(1.3), "mitral annulus")
    return deposits


def _beside_the_heart(r, scan, drawing, pericardium):
    deposits: list[Deposit] = []
    if r.random() < pericardium:
        runs = drawing.get("pericardium", ())
        if len(runs) > _PERICARDIAL_RUNS:
            runs = [runs[n] for n in r.choice(len(runs), _PERICARDIAL_RUNS, replace=False)]
        for run in runs:
            deposits += surface_plates(r, scan.path(run, 2.0) + r.normal(0, 1, 3), int(r.integers(0, 6)), "pericardium")
    if r.random() < 0.4 and "nodes" in drawing:
        nodes = scan.points(drawing["nodes"])
        for _ in range(r.integers(1, 7)):
            deposits.append(blob(r, nodes[r.integers(len(nodes))] + r.normal(0, 4, 3), (1.0, 4.5), "lymph node"))
    if r.random() < 0.1 and "papillary" in drawing:
        for tip in scan.points(drawing["papillary"]):
            deposits.append(blob(r, tip + r.normal(0, 3, 3), (0.8, 3.0), "papillary muscle"))
    if r.random() < 0.06 and "lead" in drawing:
        deposits.append(lead(r, scan.points(drawing["lead"])))
    return deposits


def _proximal(r, scan, drawing, share):
    """Disease at and behind the ostia in that ``share`` of cases; ``r`` is its own, as for stents."""
    if r.random() >= share:
        return []
    arteries = {name: scan.path(drawing[name], 1.0) + r.normal(0, 0.6, 3) for name in BRANCH_LABEL if name in drawing}
    radii = {name: r.uniform(1.4, 2.4) for name in arteries}
    root = scan.path(np.asarray(drawing["aorta"])[:6, :3], 2.0)
    return proximal_disease(r, arteries, radii, root, BRANCH_LABEL)


def _stent(r, scan, drawing, share):
    """A stent in a large artery of that ``share`` of cases; ``r`` is its own, so that all else is as without stents."""
    if r.random() >= share:
        return []
    name = stented_artery(r, drawing)
    return stent(r, _jittered(r, scan.path(drawing[name], 1.0)), r.uniform(1.3, 2.2))


def inserted_case(scan: BackgroundScan, seed: int, folder: Path, style: InsertionStyle = PLAIN) -> Path:
    """Write one training case with inserted lesions, cropped around the heart; one that is there already is kept."""
    path = folder / f"inserted-{scan.name}-{seed:06d}.npz"
    if not path.exists():
        save_case(path, insert_lesions(scan.volume, scan.drawing, seed, style, scan.unjudged))
    return path


def load_drawings() -> dict[str, Any]:
    """The drawn arteries and other places by the name of the scan."""
    return tomllib.loads(PATHS.read_text(encoding="utf-8"))


def _scans(options: argparse.Namespace) -> list[BackgroundScan]:
    """The scans that the arguments name. Raises InputError as ``load_background`` and ``open_ct`` do."""
    if options.scan:
        from coronary_calcium.io import open_ct  # noqa: PLC0415 (training machines have no SimpleITK)

        volume = open_ct(options.dicom).volume
        return [BackgroundScan(options.scan, volume, load_drawings()[options.scan], np.zeros(volume.shape, bool))]
    given = [sorted(path.glob("*.npz")) if path.is_dir() else [path] for path in options.backgrounds]
    return [load_background(path) for paths in given for path in paths]


def _make(job: tuple[BackgroundScan, int], folder: Path, style: InsertionStyle) -> Path:
    return inserted_case(*job, folder, style)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    scans = parser.add_mutually_exclusive_group(required=True)
    scans.add_argument("--backgrounds", type=Path, nargs="+", help="background files, or folders of them")
    scans.add_argument("--scan", choices=sorted(load_drawings()), help="a whole scan, as --dicom has it; plain cases")
    parser.add_argument("--dicom", type=Path, help="the images of --scan")
    parser.add_argument("--count", type=int, required=True, help="cases of each scan")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="without disease of the ostia, strong motion and stents")
    parser.add_argument("--stents", type=float, help="share of cases with a stent")
    parser.add_argument("--held-out", action="store_true", help="make cases of a scan that is kept for evaluation")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Write inserted training cases; returns 0."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if bool(options.scan) != bool(options.dicom):
        parser.error("--scan and --dicom go together")
    try:
        scans = _scans(options)
    except InputError as rejection:
        parser.error(str(rejection))
    if not scans:
        parser.error("no background file (*.npz) there; make them with coronary_calcium.simulation.backgrounds")
    kept = [scan.name for scan in scans if scan.drawing["held_out"]]
    if kept and not options.held_out:
        parser.error(f"{', '.join(kept)} is kept for evaluation; say --held-out to make evaluation cases of it")
    style = PLAIN if options.plain or options.scan else TRAINING
    style = style if options.stents is None else replace(style, stents=options.stents)
    options.output.mkdir(parents=True, exist_ok=True)
    # Each case has a seed of its own: the same one would give the same disease to every heart.
    jobs = [(scan, options.first_seed + n) for n, scan in enumerate(scans * options.count)]
    make = partial(_make, folder=options.output, style=style)
    with ProcessPoolExecutor(options.workers) as pool:
        for _ in tqdm(pool.map(make, jobs), total=len(jobs), desc="Inserting", unit="case"):
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
