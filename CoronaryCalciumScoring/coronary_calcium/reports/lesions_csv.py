"""The lesions as a table for spreadsheet programs."""

import csv
from pathlib import Path

from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.scoring.calcium_quantities import QUANTITIES, CaseQuantities, LesionQuantities
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


# Only with all quantities: what a lesion has beside the columns above; empty where it has no usable background.
MORE_COLUMNS = tuple(
    column
    for quantity in QUANTITIES
    if quantity.name not in COLUMNS
    for column in (quantity.name, f"{quantity.name}_sd")
    if column != "spatially_weighted_mm3_sd"
) + ("density_mg_per_cm3", "density_score", "background_hu", "noise_hu")


def write_lesions(
    score: CaseScore, calibration: MassCalibration, path: Path, quantities: CaseQuantities | None = None
) -> None:
    """Write one row per lesion, by descending score, below a header with the units; numbers are not rounded.

    With all ``quantities`` of the score, each row has ``MORE_COLUMNS``, too.
    """
    more = [_more(one) for one in quantities.lesions] if quantities else [()] * len(score.lesions)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS + (MORE_COLUMNS if quantities else ()))
        table.writerows((*_row(lesion, calibration), *added) for lesion, added in zip(score.lesions, more))


def _more(one: LesionQuantities) -> tuple:
    known: dict[str, float | None] = {
        "density_mg_per_cm3": one.density_mg_per_cm3,
        "density_score": one.density_score,
        "background_hu": one.region.background_hu if one.region else None,
        "noise_hu": one.region.noise_hu if one.region else None,
    }
    for name, value in one.values.items():
        known[name] = None if value is None else value.number
        known[f"{name}_sd"] = None if value is None else value.sd
    return tuple("" if known[column] is None else known[column] for column in MORE_COLUMNS)


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
