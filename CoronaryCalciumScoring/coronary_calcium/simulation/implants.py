"""Plaques implanted in real scans: real noise and anatomy around calcium whose truth is known.

``python -m coronary_calcium.simulation.implants --scan chest-TCGA-DE-A4MA --dicom DIR --count 12 --output CASES``
"""

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from coronary_calcium.arteries import BY_NAME, NAMED_ARTERIES
from coronary_calcium.simulation.calcium import COUNT_RANGES, plaque_along
from coronary_calcium.simulation.patient import label_voxels
from coronary_calcium.simulation.scanner import Grid, cover_of
from coronary_calcium.simulation.shapes import smooth_path
from coronary_calcium.simulation.training_cases import BOX_MM
from coronary_calcium.training.cases import save_case
from coronary_calcium.volume import CTVolume

PATHS = Path(__file__).with_name("implant_paths.toml")
# Sub-slices over which the slice profile is averaged.
_HEIGHTS = 6
# How far the drawn path may be off, drawn anew for every plaque: the drawing is by eye.
_PATH_ERROR_MM = 1.5


def implant(volume: CTVolume, drawing: dict[str, Any], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Implant plaques along drawn arteries; returns HU int16 and labels uint8, both (k, j, i).

    The plaque's HU replaces the smoothed tissue at its place, blurred by the scan's slice thickness and kernel; the
    scan's own noise stays as it is. Coordinates here are mm along the array's axes.
    """
    r = np.random.default_rng([seed, 17])
    dk, dj, di = volume.spacing
    thickness = volume.acquisition.slice_thickness_mm or dk
    grid = Grid(np.arange(volume.shape[2]) * di, np.arange(volume.shape[1]) * dj, np.arange(volume.shape[0]) * dk, di)
    hu = volume.hu.astype(np.int16).copy()
    added = np.zeros((len(NAMED_ARTERIES), *hu.shape), dtype=np.float16)
    low, high = COUNT_RANGES[r.integers(1, len(COUNT_RANGES))]
    deposits = []
    for _ in range(r.integers(low, high + 1)):
        name = str(r.choice(["LM", "LAD", "LCX", "RCA"], p=[0.12, 0.42, 0.23, 0.23]))
        path = smooth_path([(i * di, j * dj, k * dk) for k, j, i in drawing[name]], 1.0)
        path = path + r.normal(0, _PATH_ERROR_MM / np.sqrt(3), 3)
        deposits += plaque_along(r, path, r.uniform(1.4, 2.2), BY_NAME[name].label)
    sigma = drawing["psf_mm"] / 2.355 / di
    for k, z in enumerate(grid.z):
        near = [d for d in deposits if d.shape.bounds()[2][0] - thickness < z < d.shape.bounds()[2][1] + thickness]
        if not near:
            continue
        tissue = ndimage.gaussian_filter(hu[k].astype(np.float32), 2.0)
        for deposit in near:
            cover = np.zeros(hu.shape[1:], dtype=np.float32)
            for height in z + ((np.arange(_HEIGHTS) + 0.5) / _HEIGHTS - 0.5) * thickness:
                found = cover_of(deposit.shape, grid, height)
                if found is not None:
                    cover[found[1]] += found[0] / _HEIGHTS
            change = ndimage.gaussian_filter(np.clip(cover, 0, 1) * np.maximum(deposit.hu - tissue, 0), sigma)
            hu[k] = np.clip(hu[k] + np.rint(change), -1024, 3071)
            added[deposit.label - 1, k] += change
            tissue += change
    return hu, label_voxels(hu, added)


def implant_case(volume: CTVolume, name: str, drawing: dict[str, Any], seed: int, folder: Path) -> None:
    """Write one training case with implants, cropped around the heart."""
    hu, labels = implant(volume, drawing, seed)
    k0, k1, j0, j1, i0, i1 = drawing["heart"]
    center = np.array([(j0 + j1) / 2, (i0 + i1) / 2])
    half = BOX_MM / 2 / np.array(volume.spacing[1:])
    low = np.maximum(np.floor(center - half).astype(int), 0)
    high = np.minimum(np.ceil(center + half).astype(int), volume.shape[1:])
    # Slices around the heart belong to the case as well: hila and the upper abdomen must not be scored either.
    part = (slice(max(k0 - 3, 0), k1 + 3), slice(low[0], high[0]), slice(low[1], high[1]))
    facts = {"source": f"plaques implanted in {drawing['published']}", "seed": seed}
    save_case(
        folder / f"implant-{name}-{seed:04d}.npz", hu[part], labels[part], volume.spacing, tuple(center - low), facts
    )


def load_drawings() -> dict[str, Any]:
    """The drawn arteries by the name of the scan."""
    return tomllib.loads(PATHS.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Write implanted training cases; returns 0."""
    from coronary_calcium.reading import open_ct  # noqa: PLC0415 (training machines have no SimpleITK)

    drawings = load_drawings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", choices=sorted(drawings), required=True)
    parser.add_argument("--dicom", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    volume = open_ct(options.dicom).volume
    for seed in range(options.first_seed, options.first_seed + options.count):
        implant_case(volume, options.scan, drawings[options.scan], seed, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
