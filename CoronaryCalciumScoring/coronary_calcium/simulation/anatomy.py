"""A simulated patient's anatomy: the build, the heart and the chest, and how they lie on the table."""

from dataclasses import dataclass, replace

import numpy as np

from coronary_calcium.simulation.heart_anatomy import Heart, build_heart
from coronary_calcium.simulation.shapes import Pose
from coronary_calcium.simulation.thorax_anatomy import Build, Thorax, build_thorax, draw_build
from coronary_calcium.simulation.tissue import Layer

# Patients lie on their back to within 12 degrees, and as straight on the table.
_MOST_ROLL, _MOST_LEAN = np.radians(12), 0.12


@dataclass(frozen=True)
class Anatomy:
    """A body without its calcium, lying on the table in its pose: what several simulated patients may share.

    A ``detailed`` one is painted by ``detailed_body``; without details, its ``layers`` are all that there is.
    """

    build: Build
    heart: Heart
    thorax: Thorax
    pose: Pose
    detailed: bool = False

    @property
    def layers(self) -> list[Layer]:
        """All tissue in painting order."""
        upright = [*self.thorax.before, *self.heart.layers, *self.thorax.after]
        return [replace(layer, shape=self.pose.shape(layer.shape)) for layer in upright]


def draw_anatomy(r: np.random.Generator) -> Anatomy:
    """A body of random age, sex and size, lying nearly straight."""
    build = draw_build(r)
    heart = build_heart(r, build.size, (build.midline, build.spine_y))
    roll = float(np.clip(r.normal(0, np.radians(4)), -_MOST_ROLL, _MOST_ROLL))
    lean = np.clip(r.normal(0, 0.05, 2), -_MOST_LEAN, _MOST_LEAN)
    return Anatomy(build, heart, build_thorax(r, build), Pose(roll, (float(lean[0]), float(lean[1]))))
