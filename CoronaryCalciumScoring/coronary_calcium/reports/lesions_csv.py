"""The lesions as a table for spreadsheet programs."""

import csv
from pathlib import Path

from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.volume_mass import MassCalibration

# Every cell is a number or one of the five artery names: there is no text in it that a spreadsheet could run.
COLUMNS = (
    "id",
    "artery",
    "agatston",
    "volume_mm3",
    "mass_mg",
    "area_mm2",
    "maximum_hu",
    "mean_hu",
    "voxels",
    "first_slice",
    "last_slice",
    "main_slice",
    "centroid_x_lps_mm",
    "centroid_y_lps_mm",
    "centroid_z_lps_mm",
    "probability",
)


def write_lesions(score: CaseScore, calibration: MassCalibration, path: Path) -> None:
    """Write one row a lesion, by descending score, below a header with the units; numbers are not rounded."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(_row(lesion, calibration) for lesion in score.lesions)


def _row(lesion: Lesion, calibration: MassCalibration) -> tuple:
    return (
        lesion.id,
        lesion.artery,
        lesion.agatston,
        lesion.volume_mm3,
        calibration.mass_of(lesion),
        lesion.area_mm2,
        lesion.maximum_hu,
        lesion.mean_hu,
        lesion.voxels.size,
        lesion.first_slice,
        lesion.last_slice,
        lesion.main_slice,
        *lesion.centroid_lps,
        "" if lesion.probability is None else lesion.probability,
    )
