"""Simulated and inserted hearts beside real ones, at the same window, in one picture.

``python Testing/tools/render_simulated_beside_real.py OUT.png`` reads the real scans of ../shared/data. Each row is one
scan, from below the heart to above it, in a square of 192 mm. With ``--blind``, rows are shuffled and not named, and
the answer is written beside the picture.

"""

import argparse
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from coronary_calcium.io import open_ct
from coronary_calcium.simulation.inserted_lesions import insert_lesions, load_drawings
from coronary_calcium.simulation.patient import simulate_patient
from PIL import Image, ImageDraw
from shared_data import FOLDER

SIDE_MM, WINDOW = 192.0, (-160.0, 300.0)
TILE, LEVELS_MM = 300, (-45.0, -22.0, 0.0, 22.0, 40.0)
# The heart's middle by eye, voxel (k, j, i): the simulated heart's is its origin.
CENTERS = {
    "chest-A0001-soft": (22, 240, 295),
    "chest-A0002-B40f": (13, 190, 250),
    "chest-TCGA-DE-A4MA": (52, 290, 250),
}


def tiles(hu: np.ndarray, spacing: tuple[float, ...], center: tuple[float, ...]) -> list[Image.Image]:
    """The heart's square at each level, as pictures."""
    made = []
    half = [SIDE_MM / 2 / step for step in spacing[1:]]
    for level in LEVELS_MM:
        k = int(np.clip(round(center[0] + level / spacing[0]), 0, len(hu) - 1))
        low, high = WINDOW
        gray = np.clip((hu[k].astype(float) - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        box = (center[2] - half[1], center[1] - half[0], center[2] + half[1], center[1] + half[0])
        made.append(
            Image.fromarray(gray).transform((TILE, TILE), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
        )
    return made


def rows(seeds: list[int], detailed: bool) -> list[tuple[str, list[Image.Image]]]:
    """A name and the tiles of each scan: real ones, the same with inserted lesions, simulated ones."""
    made = []
    drawings = load_drawings()
    with tempfile.TemporaryDirectory() as scratch:
        for name, center in CENTERS.items():
            with tarfile.open(FOLDER / f"{name}.tar.xz") as files:
                files.extractall(scratch, filter="data")
            volume = open_ct(Path(scratch) / name).volume
            made.append((f"real {name}", tiles(volume.hu, volume.spacing, center)))
            case = insert_lesions(volume, drawings[name], seeds[0])
            middle = (len(case.hu) * 0.42, *case.field_center)
            made.append((f"inserted {name}", tiles(case.hu, case.spacing, middle)))
    for seed in seeds:
        reach = {"z_range": (LEVELS_MM[0], LEVELS_MM[-1] + 1.0), "spacing": 5.0, "thickness": 5.0}
        patient = simulate_patient(
            seed, "chest", box=260.0, detailed=detailed, pixels=448, field_of_view=340.0, **reach
        )
        made.append((f"simulated {seed}", tiles(patient.volume.hu, patient.volume.spacing, patient.heart_center)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[41, 42, 43, 44])
    parser.add_argument("--detailed", action="store_true", help="simulated bodies in detail")
    parser.add_argument("--blind", action="store_true")
    options = parser.parse_args()
    made = rows(options.seeds, options.detailed)
    if options.blind:
        order = np.random.default_rng(options.seeds[0]).permutation(len(made))
        made = [made[n] for n in order]
        options.output.with_suffix(".txt").write_text("\n".join(name for name, _ in made) + "\n", encoding="utf-8")
    sheet = Image.new("L", (len(LEVELS_MM) * (TILE + 2), len(made) * (TILE + 2)))
    for row, (name, pictures) in enumerate(made):
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (column * (TILE + 2), row * (TILE + 2)))
        if not options.blind:
            ImageDraw.Draw(sheet).text((6, row * (TILE + 2) + 6), name, fill=255)
    sheet.save(options.output)


if __name__ == "__main__":
    main()
