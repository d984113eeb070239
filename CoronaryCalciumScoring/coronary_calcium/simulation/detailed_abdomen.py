"""Diaphragm, liver, spleen and stomach in detail, as far as a chest scan shows them."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.simulation.smooth_fields import Noise, Plane, smooth_max
from coronary_calcium.simulation.thorax_anatomy import Build


@dataclass(frozen=True, eq=False)
class AbdomenSheet:
    """Signed distances (j, i) at one height, mm: below the diaphragm (negative there), and of the organs."""

    diaphragm: np.ndarray
    liver: np.ndarray
    spleen: np.ndarray
    stomach: np.ndarray


class Abdomen:
    """The organs below the diaphragm of a build."""

    def __init__(self, r: np.random.Generator, build: Build) -> None:
        size, middle = build.size, build.center_y
        self._right_top = float(r.uniform(-34, -16)) * size
        self._left_top = self._right_top - float(r.uniform(8, 20)) * size
        self._domes = (
            (build.midline - 60 * size, middle - 6, self._right_top, 84.0 * size, 96.0 * size),
            (build.midline + 66 * size, middle - 2, self._left_top, 76.0 * size, 92.0 * size),
        )
        self._lobe = build.midline + 26 * size
        self._spleen = (np.array([build.midline + 92 * size, middle + 42, self._left_top - 40]), (27, 40, 40))
        self._stomach = (np.array([build.midline + 62 * size, middle - 16, self._left_top - 30]), (40, 44, 27))
        # Gas rises: who lies on the back has it in front, above a level of fluid.
        self.fluid_y = middle - 16 - float(r.uniform(-6, 22))
        self._middle, self._waves = middle, Noise(r, 34.0)

    def sheet(self, plane: Plane, x: np.ndarray, y: np.ndarray, z: float) -> AbdomenSheet:
        """The distances at height ``z``; x and y (j, i) as of a patient who lies straight."""
        wave = self._waves.at(plane.x, plane.y, z)
        height = np.full(x.shape, -400.0)
        for center_x, center_y, top, wide, deep in self._domes:
            square = ((x - center_x) / wide) ** 2 + ((y - center_y) / deep) ** 2
            height = smooth_max(height, top - 26 * square - 36 * square**2, 20.0)
        slopes = np.gradient(height, plane.y[1] - plane.y[0])
        diaphragm = (z - height - 1.5 * wave) / np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)
        # The left lobe lies in front.
        edge = self._lobe + 0.55 * (self._middle - y) - 0.25 * (z - self._left_top)
        liver = smooth_max((x - edge) * 0.8 + 2.0 * wave, diaphragm + 0.3, 5.0)
        organs = []
        for center, radii in (self._spleen, self._stomach):
            local = [(x - center[0]) / radii[0], (y - center[1]) / radii[1], (z - center[2]) / radii[2]]
            norm = np.sqrt(local[0] ** 2 + local[1] ** 2 + local[2] ** 2)
            organs.append(smooth_max((norm - 1) * min(radii) + 2.5 * wave, diaphragm + 3.5, 8.0))
        return AbdomenSheet(diaphragm, liver, organs[0], organs[1])
