"""What a simulated body is made of: layers painted one over the other, and the HU they have at 120 kVp."""

from dataclasses import dataclass

from coronary_calcium.simulation.shapes import Shape

AIR, LUNG, FAT, MUSCLE, BLOOD, MYOCARDIUM, LIVER = -1000.0, -850.0, -100.0, 55.0, 42.0, 48.0, 58.0
# Calcium and bone lose contrast with rising tube voltage; soft tissue hardly changes. Factors relative to 120 kVp
# follow the calcium thresholds of Grani et al., Eur Heart J Cardiovasc Imaging 2018 (177, 145, 130 HU at 80, 100, 120).
CALCIUM_FACTOR = {80: 177 / 130, 100: 145 / 130, 120: 1.0, 140: 117 / 130}


@dataclass(frozen=True)
class Layer:
    """A shape of one material; ``mineral`` ones change with the tube voltage."""

    shape: Shape
    hu: float
    mineral: bool = False


@dataclass(frozen=True)
class Deposit:
    """Calcium (or metal) with an artery's label, or label 0 when it is not coronary.

    The parts of one coronary plaque share its number ``plaque`` and its ``form``.
    """

    shape: Shape
    hu: float
    label: int
    kind: str
    plaque: int = 0
    form: str = ""
