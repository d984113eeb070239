"""The QRM cardiac calcification insert: nine cylinders of hydroxyapatite of known size, density and mass."""

import math
from dataclasses import dataclass

import numpy as np

from coronary_calcium.scoring.rules import LITERATURE, RuleSet
from coronary_calcium.simulation.tissue import HU_PER_MG_PER_CM3

# Diameter, which is the length too, in mm, and density in mg/cm3. Masses and sizes are those of the workbook published
# with the scan github.com/MolloiLab/CAC-stanford-data, data/canon/Large_rep1: 168.2 mg in total.
SIZES_MM = {"large": 5.0, "medium": 3.0, "small": 1.0}
DENSITIES_MG_PER_CM3 = {"high": 800.0, "medium": 400.0, "low": 200.0}
# The cylinders of one density lie on a line from the insert's axis outwards, the three lines 120 degrees apart. The
# small and the medium ones lie 25 and 12.5 mm from the large one (github.com/nwerf/FQM_Analysis), which was found
# 37.3 mm from the axis in the scan named above.
DISTANCES_MM = {"large": 37.3, "medium": 24.8, "small": 12.3}
# A rod of known density on the axis, and water 23 mm from it, opposite the low density (FQM_Analysis, which measures
# both within 6.9 mm, 30 mm from the cylinders along the axis). The rod is 20 mm across.
ROD_MG_PER_CM3 = 200.0
ROD_DIAMETER_MM = 20.0
WATER_DISTANCE_MM = 23.0
CALIBRATION_RADIUS_MM = 6.9
CALIBRATION_HEIGHT_MM = 30.0


@dataclass(frozen=True)
class Cylinder:
    """One of the nine cylinders; its axis is that of the insert."""

    size: str
    density: str

    @property
    def name(self) -> str:
        """Such as ``"large_high"``."""
        return f"{self.size}_{self.density}"

    @property
    def diameter_mm(self) -> float:
        """Diameter, and length too."""
        return SIZES_MM[self.size]

    @property
    def mg_per_cm3(self) -> float:
        """Density of hydroxyapatite."""
        return DENSITIES_MG_PER_CM3[self.density]

    @property
    def area_mm2(self) -> float:
        """Area in an axial slice."""
        return math.pi * self.diameter_mm**2 / 4

    @property
    def volume_mm3(self) -> float:
        """Volume."""
        return self.area_mm2 * self.diameter_mm

    @property
    def mass_mg(self) -> float:
        """Mass of hydroxyapatite."""
        return self.volume_mm3 * self.mg_per_cm3 / 1000

    def ideal_agatston(self, rules: RuleSet = LITERATURE) -> float:
        """The score without blur, noise and partial volume: area x weight x length / 3 mm at 1.3 HU per mg/cm3."""
        hu = self.mg_per_cm3 * HU_PER_MG_PER_CM3
        if self.area_mm2 < rules.minimum_area_mm2 or hu < rules.threshold_hu:
            return 0.0
        weight = 1 + sum(hu >= limit for limit in rules.weight_limits_hu)
        return self.area_mm2 * weight * self.diameter_mm / rules.reference_spacing_mm


CYLINDERS = tuple(Cylinder(size, density) for density in DENSITIES_MG_PER_CM3 for size in SIZES_MM)


@dataclass(frozen=True, eq=False)
class Placement:
    """Where an insert lies in patient coordinates (LPS, mm).

    Attributes
    ----------
    center : (3,), on the axis at the height of the cylinders' middle.
    outwards : for each density, the unit vector (3,) from the axis to its cylinders.
    rod_side : unit vector (3,) along the axis, from the cylinders to the rod.

    """

    center: np.ndarray
    outwards: dict[str, np.ndarray]
    rod_side: np.ndarray

    def position(self, cylinder: Cylinder) -> np.ndarray:
        """Center (3,) of a cylinder."""
        return self.center + DISTANCES_MM[cylinder.size] * self.outwards[cylinder.density]

    @property
    def rod(self) -> np.ndarray:
        """Where the rod is measured (3,)."""
        return self.center + CALIBRATION_HEIGHT_MM * self.rod_side

    @property
    def water(self) -> np.ndarray:
        """Where the water is measured (3,)."""
        return self.rod - WATER_DISTANCE_MM * self.outwards["low"]
