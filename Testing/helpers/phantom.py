"""Label maps of the QRM phantom's inserts, drawn from the published table of where they lie."""

import csv
from dataclasses import dataclass

import numpy as np
from shared_data import truth_table

# Half the side, in pixels and slices, of the box that is marked around an insert. The largest insert has a radius of
# 5 pixels and reaches over 1 slice to either side; the rest is room for blur. The published scores come out with 9 to
# 11 pixels and 1 to 5 slices: a smaller box cuts off the blurred rim, a larger one takes in a grain of noise above
# 130 HU and 1 mm2 beside the smallest insert, or another part of the phantom.
HALF_SIDE = 10
HALF_SLICES = 3

SHAPE = (47, 512, 512)
# So that artery scores differ: the inserts of high, medium and low density are marked as LAD, LCX and RCA.
LABEL_OF_DENSITY = {800: 2, 400: 3, 200: 4}

TOTAL = 966.63


@dataclass(frozen=True)
class Insert:
    """A visible insert: name, label, voxel index (k, j, i) of its center, published Agatston score."""

    name: str
    label: int
    center: tuple[int, int, int]
    agatston: float


def inserts() -> list[Insert]:
    """The seven inserts with a published position; the two smallest of low density are lost in the noise."""
    with truth_table().open(newline="") as table:
        return [
            Insert(
                name=row["insert"],
                label=LABEL_OF_DENSITY[int(row["density_mg_per_cm3"])],
                center=(int(row["z_index"]), int(row["y"]), int(row["x"])),
                agatston=float(row["agatston_literature"]),
            )
            for row in csv.DictReader(table)
            if row["z_index"]
        ]


def insert_mask(volume, insert) -> np.ndarray:
    """Labels (k, j, i), uint8, of one insert on the phantom's scan."""
    assert volume.shape == SHAPE
    labels = np.zeros(volume.shape, dtype=np.uint8)
    k, j, i = insert.center
    labels[
        k - HALF_SLICES : k + HALF_SLICES + 1,
        j - HALF_SIDE : j + HALF_SIDE + 1,
        i - HALF_SIDE : i + HALF_SIDE + 1,
    ] = insert.label
    return labels


def phantom_mask(volume) -> np.ndarray:
    """Labels (k, j, i), uint8, of all inserts; their boxes do not touch."""
    return np.sum([insert_mask(volume, insert) for insert in inserts()], axis=0, dtype=np.uint8)
