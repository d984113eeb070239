"""Real hearts as backgrounds for inserted lesions: files that a machine without a DICOM reader can use.

``python -m coronary_calcium.simulation.backgrounds --data DIR --output BACKGROUNDS`` makes them of the unpacked scans;
``pack`` and ``unpack`` make one small archive of them that travels to a GPU machine.

A file (.npz) has ``hu`` int16 (k, j, i), the heart's part of the scan without contrast medium; ``spacing`` (3,) and
``thickness`` in mm; ``drawing``, the drawn places as JSON with voxels of this part; ``unjudged`` (n, 3) uint16, voxels
(k, j, i) of real calcium beside a drawn artery that nobody has labeled.
"""

import argparse
import json
import logging
import lzma
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from coronary_calcium.atomic_write import whole_file
from coronary_calcium.datasets.case_format import BOX_MM
from coronary_calcium.errors import InputError
from coronary_calcium.scoring.rules import LITERATURE
from coronary_calcium.simulation.contrast_removal import without_contrast
from coronary_calcium.simulation.pericardial_runs import pericardial_runs
from coronary_calcium.simulation.real_background import ABOVE_MM, BELOW_MM, artery_paths
from coronary_calcium.volume import Acquisition, CTVolume

CONTRAST_PATHS = Path(__file__).with_name("contrast_heart_paths.toml")
# Real calcium within this distance of a drawn artery may be coronary: it takes no part, with a margin for its blur.
_UNJUDGED_MM, _MARGIN_MM = 8.0, 1.5
# Noise beside an artery is no calcium: what is left out is bright after this much smoothing as well.
_CALCIUM_SMOOTH_MM = 0.7
# In an archive, HU are rounded to a multiple of the first step, far below noise, and to the second in lung.
_STEP_HU, _LUNG_STEP_HU, _LUNG_BELOW_HU = 4, 32, -400
_LOG = logging.getLogger(__name__)
# The arrays of a file; ``hu`` is stored as it is, because the archive compresses it better than zip does.
_ARRAYS = ("hu", "spacing", "thickness", "drawing", "unjudged")


@dataclass(frozen=True, eq=False)
class BackgroundScan:
    """A scan to insert lesions into: the volume, its drawn places, and (k, j, i) bool where nobody has judged."""

    name: str
    volume: CTVolume
    drawing: dict[str, Any]
    unjudged: np.ndarray


def contrast_drawings() -> dict[str, Any]:
    """The drawn arteries and other places of the hearts with contrast medium by the name of the scan."""
    return tomllib.loads(CONTRAST_PATHS.read_text(encoding="utf-8"))


def background_of(name: str, volume: CTVolume, drawing: dict[str, Any], contrast: bool) -> BackgroundScan:
    """The heart's part of a scan; with ``contrast``, as without contrast medium."""
    hu = volume.hu
    if contrast:
        hu = without_contrast(hu, volume.spacing, np.array(drawing["aorta"], float), tuple(drawing["heart"]))
    box = _part(hu.shape, volume.spacing, drawing["heart"])
    drawing = _moved(drawing, [side.start for side in box])
    hu = np.clip(np.rint(hu[box]), -1024, 3071).astype(np.int16)
    if "pericardium" not in drawing:
        drawing["pericardium"] = pericardial_runs(hu, volume.spacing, drawing)
    thickness = drawing.get("thickness_mm") or volume.acquisition.slice_thickness_mm or volume.spacing[0]
    unjudged = _unjudged(hu, volume.spacing, drawing) if contrast else np.zeros(hu.shape, bool)
    return BackgroundScan(name, _volume(hu, volume.spacing, thickness, drawing), drawing, unjudged)


def _volume(hu: np.ndarray, spacing: tuple[float, ...], thickness: float, drawing: dict[str, Any]) -> CTVolume:
    acquisition = Acquisition("CT", kvp=float(drawing.get("kvp", 120)), slice_thickness_mm=float(thickness))
    return CTVolume(hu, (spacing[0], spacing[1], spacing[2]), (0.0, 0.0, 0.0), acquisition=acquisition)


def _part(shape: tuple[int, ...], spacing: tuple[float, ...], heart: list[int]) -> tuple[slice, slice, slice]:
    """What a case can use of a scan: a square around the heart and some slices below and above it."""
    k0, k1, j0, j1, i0, i1 = heart
    sides = [slice(max(k0 - int(BELOW_MM / spacing[0]), 0), min(k1 + int(ABOVE_MM / spacing[0]) + 1, shape[0]))]
    for low, high, axis in ((j0, j1, 1), (i0, i1, 2)):
        center, half = (low + high) / 2, BOX_MM / 2 / spacing[axis] + 2
        sides.append(slice(max(int(center - half), 0), min(int(center + half) + 1, shape[axis])))
    return sides[0], sides[1], sides[2]


def _moved(drawing: dict[str, Any], corner: list[int]) -> dict[str, Any]:
    """The drawing with voxels of the part of the scan that starts at ``corner``."""

    def moved(value: Any) -> Any:
        if value and not isinstance(value[0], list):
            return [number - start for number, start in zip(value[:3], corner)] + list(value[3:])
        return [moved(part) for part in value]

    lists = {key: moved(value) for key, value in drawing.items() if isinstance(value, list) and key != "heart"}
    k, j, i = corner
    heart = [number - start for number, start in zip(drawing["heart"], (k, k, j, j, i, i))]
    return {**drawing, **lists, "heart": heart}


def _unjudged(hu: np.ndarray, spacing: tuple[float, ...], drawing: dict[str, Any]) -> np.ndarray:
    """(k, j, i) bool: real calcium near a drawn artery."""
    near = np.ones(hu.shape, bool)
    for path in artery_paths(drawing, spacing):
        k, j, i = np.rint(path / spacing).astype(int).T
        inside = ((k >= 0) & (k < hu.shape[0])) & ((j >= 0) & (j < hu.shape[1])) & ((i >= 0) & (i < hu.shape[2]))
        near[k[inside], j[inside], i[inside]] = False
    near = ndimage.distance_transform_edt(near, sampling=spacing) <= _UNJUDGED_MM
    sigma = _CALCIUM_SMOOTH_MM / spacing[1]
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), (0, sigma, sigma))
    calcium = near & (smooth >= LITERATURE.threshold_hu)
    steps = max(round(_MARGIN_MM / spacing[1]), 1)
    grow = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), steps)[None]
    return ndimage.binary_dilation(calcium, grow)


def save_background(scan: BackgroundScan, path: Path) -> None:
    """Write a background file; it appears under its name when it is complete."""
    with whole_file(path) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            hu=rounded_hu(scan.volume.hu),
            spacing=np.array(scan.volume.spacing),
            thickness=np.array(scan.volume.acquisition.slice_thickness_mm),
            drawing=np.array(json.dumps(scan.drawing)),
            unjudged=np.argwhere(scan.unjudged).astype(np.uint16),
        )


def rounded_hu(hu: np.ndarray) -> np.ndarray:
    """HU rounded as an archive stores them, int16: to multiples of 4, and of 32 in lung and air."""
    step = np.where(hu < _LUNG_BELOW_HU, _LUNG_STEP_HU, _STEP_HU)
    return (np.rint(hu / step) * step).astype(np.int16)


def load_background(path: Path) -> BackgroundScan:
    """Read a background file. Raises InputError("background") when it is not one."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            hu, spacing, thickness, drawing, places = (archive[name] for name in _ARRAYS)
            drawing = json.loads(str(drawing))
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            "background", f"{path.name} is no background for inserted lesions; make the backgrounds again."
        ) from error
    unjudged = np.zeros(hu.shape, bool)
    unjudged[tuple(places.T)] = True
    return BackgroundScan(path.stem, _volume(hu, tuple(map(float, spacing)), thickness, drawing), drawing, unjudged)


def pack(folder: Path, archive: Path) -> int:
    """Pack the .npz files of a folder into one .tar.xz; returns its size in bytes."""
    with (
        whole_file(archive) as partial,
        lzma.open(partial, "wb", preset=6) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        for path in sorted(folder.glob("*.npz")):
            tar.add(path, arcname=path.name)
    return archive.stat().st_size


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack the .npz files of an archive into a folder, plain file names only; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:xz") as tar:
        members = [member for member in tar.getmembers() if member.isfile() and member.name == Path(member.name).name]
        for member in members:
            tar.extract(member, folder, filter="data")
    return [folder / member.name for member in members]


def main(arguments: list[str] | None = None) -> int:
    """Make background files of the unpacked scans; returns 0."""
    from coronary_calcium.io import open_ct  # noqa: PLC0415 (training machines have no SimpleITK)
    from coronary_calcium.simulation.inserted_lesions import load_drawings  # noqa: PLC0415 (it imports this module)

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the unpacked scans")
    parser.add_argument("--held-out", action="store_true", help="also scans that are kept for evaluation")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    drawings = [(name, drawing, False) for name, drawing in load_drawings().items()]
    drawings += [(name, drawing, True) for name, drawing in contrast_drawings().items()]
    for name, drawing, contrast in tqdm(drawings, desc="Preparing", unit="scan"):
        if drawing["held_out"] and not options.held_out:
            continue
        found = [path for path in (options.data / name, *options.data.glob(f"*/{name}.nrrd")) if path.exists()]
        if not found:
            _LOG.warning("%s is not in %s; its background is not made.", name, options.data)
            continue
        scan = background_of(name, open_ct(found[0]).volume, drawing, contrast)
        save_background(scan, options.output / f"{name}.npz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
