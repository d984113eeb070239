"""A simulated body in detail: what a radiologist expects to see around the coronary arteries.

The heart's chambers, the arteries and the aorta are those of the simple anatomy, and so is the calcium. All else is
made of signed distances with irregular surfaces: a pericardial sac with its fat (``detailed_heart``), a chest wall of
skin, fat, muscles and oblique ribs (``detailed_chest_wall``), vertebrae and sternum with cortex and trabeculae
(``detailed_spine``), lungs with branching vessels (``lung_vessels``), and organs below a domed diaphragm.
"""

from dataclasses import replace

import numpy as np

from coronary_calcium.simulation.anatomy import Anatomy
from coronary_calcium.simulation.detailed_abdomen import Abdomen
from coronary_calcium.simulation.detailed_chest_wall import (
    CORTEX_MM,
    MUSCLE_DEPTH_MM,
    RIB_DEPTH_MM,
    RIB_END,
    RIB_HALF_HEIGHT_MM,
    RIB_HALF_MM,
    RIB_SPACING_MM,
    ChestWall,
)
from coronary_calcium.simulation.detailed_heart import DetailedHeart
from coronary_calcium.simulation.detailed_spine import sternum, vertebra
from coronary_calcium.simulation.detailed_vessels import DetailedVessels, detailed_airways
from coronary_calcium.simulation.painting import Grid
from coronary_calcium.simulation.smooth_fields import Noise, Plane, ramp, ridges, smooth_max, smooth_min
from coronary_calcium.simulation.tissue import AIR, BLOOD, FAT, LIVER, MUSCLE
from coronary_calcium.simulation.tube_cover import segments_cover

# Sheets of signed distances are made this far apart, and their points within them, mm.
_SHEET_MM, _COARSE_MM, _FINE_MM = 2.5, 3.0, 2.5
# The mediastinum reaches this far from the heart's middle, mm: to the right, to the left, to the front, to the back.
_REACH = (115.0, 130.0, 105.0, 150.0)
# Fat fills the angle between heart and diaphragm this far.
_ANGLE_FILL_MM = 22.0
# A shoulder blade reaches from the first angle to the second, where it is widest, between these heights.
_BLADE_ANGLES, _BLADE_HEIGHTS = (0.2, 0.36), (20.0, 130.0)
_LUNG, _SPLEEN, _PERICARDIUM, _CARTILAGE = -868.0, 48.0, 20.0, 95.0
_OUTER = ("depth", "muscle", "skin", "gland", "angle", "ribs", "diaphragm", "liver", "spleen", "stomach")
_INNER = ("chambers", "sac", "vessels", "whole", "filled", "behind")


def with_details(anatomy: Anatomy) -> Anatomy:
    """The anatomy as ``DetailedBody`` paints it: its bronchi reach into the lower lobes."""
    carina = anatomy.thorax.airways[0][0][-1]
    return replace(
        anatomy, thorax=replace(anatomy.thorax, airways=detailed_airways(anatomy.build, carina)), detailed=True
    )


class _Fields:
    """Named fields of a plane through the middle of a slice, and how they change along z."""

    def __init__(self, names, plane, middle, slope, thickness, pixel) -> None:
        self._names, self._plane, self._middle, self._slope = names, plane, middle, slope
        self._thickness, self._pixel = thickness, pixel

    def pixels(self, name: str) -> np.ndarray:
        """The field at the pixels."""
        return self._plane.pixels(self._middle[self._names.index(name)])

    def cover(self, name: str, inset: float = 0.0) -> np.ndarray:
        """The share of each voxel that lies ``inset`` mm inside of a surface, which may be oblique in the slice."""
        n = self._names.index(name)
        width = np.sqrt(self._pixel**2 + (self._thickness * np.clip(self._slope[n], -1, 1)) ** 2)
        return np.clip(0.5 - self._plane.pixels((self._middle[n] + inset) / width), 0, 1)


class DetailedBody:
    """Tissue with all its details, painted when a slice is asked for."""

    def __init__(self, r: np.random.Generator, anatomy: Anatomy, grid: Grid) -> None:
        self._grid, self._build = grid, anatomy.build
        self._plane = Plane(grid.x, grid.y, _COARSE_MM)
        self._columns, self._rows = (
            slice(*np.searchsorted(values, (-before, after)))
            for values, before, after in ((grid.x, *_REACH[:2]), (grid.y, *_REACH[2:]))
        )
        self._inner = Plane(grid.x[self._columns], grid.y[self._rows], _FINE_MM)
        self._wall, self._abdomen = ChestWall(r, anatomy.build, anatomy.pose), Abdomen(r, anatomy.build)
        self._heart = DetailedHeart(r, anatomy.heart, anatomy.pose)
        self._noise = {spacing: Noise(r, spacing, 96, 24) for spacing in (1.7, 3.5, 7.0, 14.0)}
        self._marrow = float(r.uniform(110, 185) - 0.8 * max(anatomy.build.age - 50, 0))
        self._cortex = float(r.uniform(600, 900))
        self._sheets: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._vessels = DetailedVessels(r, anatomy, self._lung_points(r))

    def tissue(self, z: float, thickness: float, factor: float) -> np.ndarray:
        """HU (j, i) of a slice of ``thickness``; ``factor`` is the mineral's HU over 120 kVp's."""
        both = self.paint(z, thickness)
        return both[0] + np.float32(factor - 1) * both[1]

    def paint(self, z: float, thickness: float) -> np.ndarray:
        """The slice's tissue, float32 (2, j, i): HU at 120 kVp, and the mineral's share of them."""
        outer, inner = self._fields(z, thickness)
        image = np.zeros((2, len(self._grid.y), len(self._grid.x)), dtype=np.float32)
        image[0] = AIR
        noise = {step: noise.at(self._grid.x, self._grid.y, z) for step, noise in self._noise.items()}
        depth = outer.pixels("depth")
        self._paint_table(image, z)
        self._paint_wall(image[0], outer, depth, noise)
        cage, muscles = outer.cover("depth"), outer.cover("muscle")
        self._paint_lungs(image[0], cage, noise, z, thickness)
        limit = np.clip(0.5 - (depth[self._rows, self._columns] - 3.0) / 2, 0, 1)
        self._paint_mediastinal_fat(image[0], inner, limit, noise)
        self._paint_abdomen(image[0], outer, cage, noise)
        self._paint_mediastinum(image[0], inner, limit, muscles, noise, z, thickness)
        self._paint_ribs(image, depth, outer, noise, thickness)
        self._paint_shoulder_blades(image, depth, outer, noise, z)
        self._paint_spine(image, noise, z)
        return image

    def _fields(self, z: float, thickness: float) -> tuple[_Fields, _Fields]:
        low, high = (self._fields_at(z + side * max(thickness, 1.0) / 2) for side in (-1, 1))
        made = []
        for names, plane, below, above in zip((_OUTER, _INNER), (self._plane, self._inner), low, high):
            slope = (above - below) / max(thickness, 1.0)
            made.append(_Fields(names, plane, (above + below) / 2, slope, thickness, self._grid.pixel))
        return made[0], made[1]

    def _fields_at(self, z: float) -> list[np.ndarray]:
        """The fields of both planes at ``z``, between those of two sheets."""
        below = int(np.floor(z / _SHEET_MM))
        share = np.float32(z / _SHEET_MM - below)
        return [a + share * (b - a) for a, b in zip(self._sheet(below), self._sheet(below + 1))]

    def _sheet(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The fields of both planes at one height; the last ones made are kept."""
        if number not in self._sheets:
            if len(self._sheets) > 8:
                self._sheets.pop(next(iter(self._sheets)))
            z = number * _SHEET_MM
            wall = self._wall.sheet(self._plane, z)
            x, y = self._wall.upright(self._plane, z)
            abdomen = self._abdomen.sheet(self._plane, x, y, z)
            outer = [getattr(wall if hasattr(wall, name) else abdomen, name) for name in _OUTER]
            heart = self._heart.sheet(self._inner, z)
            whole, behind = self._with_midline(heart.whole, z)
            x, y = self._wall.upright(self._inner, z)
            # Fat fills the angle between the heart and the diaphragm on which it lies.
            filled = smooth_min(whole, self._abdomen.sheet(self._inner, x, y, z).diaphragm, _ANGLE_FILL_MM)
            inner = [heart.chambers, heart.sac, heart.vessels, whole, filled, behind]
            self._sheets[number] = (np.stack(outer).astype(np.float32), np.stack(inner).astype(np.float32))
        return self._sheets[number]

    def _with_midline(self, whole: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
        """The mediastinum with what joins it to spine and sternum, and the distance to the spine's muscles."""
        build, size = self._build, self._build.size
        x, y = self._wall.upright(self._inner, z)
        right = x - build.midline
        back = y - build.spine_y
        wide = (18.5 + 26.0 * ramp(back, 10 * size, 44 * size)) * size
        spine = _box(right * 20 * size / wide, back - 36, 20.0 * size, 36.0 + 13.5 * size + 2.0, 9.0)
        front = _box(right - 5, y - build.sternum_y - 2, 3.0 + 7.0 * float(ramp(z, 20, 100)), 38.0, 3.0)
        upper = _box(right - 3, y - 0.45 * (build.sternum_y + build.spine_y), 24.0, 40.0, 14.0)
        upper = upper + 30.0 * (1 - float(ramp(z, 40, 75)))
        gullet = np.hypot(right - 9, y - build.spine_y + 13.5 * size + 9) - 10.0
        for part, reach in ((spine, 9.0), (front, 12.0), (upper, 14.0), (gullet, 9.0)):
            whole = smooth_min(whole, part, reach)
        behind = smooth_max(spine, build.spine_y + 7.0 * size - y, 4.0)
        return whole, behind

    def _lung_points(self, r: np.random.Generator) -> np.ndarray:
        """Points (n, 3) in the lungs, some mm from their surfaces."""
        points = []
        low, high = self._grid.z[0] - 10, self._grid.z[-1] + 10
        for number in range(int(low // _SHEET_MM), int(high // _SHEET_MM), 3):
            outer, inner = self._sheet(number)
            free = (outer[_OUTER.index("depth")] < -5) & (outer[_OUTER.index("diaphragm")] > 5)
            whole = inner[_INNER.index("whole")]
            columns, rows = (
                np.clip(np.searchsorted(fine, coarse), 0, len(fine) - 1)
                for fine, coarse in ((self._inner.x, self._plane.x), (self._inner.y, self._plane.y))
            )
            free &= whole[np.ix_(rows, columns)] > 4
            j, i = np.nonzero(free)
            chosen = r.choice(len(j), min(len(j), 400), replace=False)
            z = np.full(len(chosen), number * _SHEET_MM) + r.uniform(0, 3 * _SHEET_MM, len(chosen))
            points.append(np.stack([self._plane.x[i[chosen]], self._plane.y[j[chosen]], z], axis=1))
        made = np.concatenate(points)
        return made + r.uniform(-1.5, 1.5, made.shape)

    def _paint_table(self, image: np.ndarray, z: float) -> None:
        """A couch that is hollow to the front: two shells around foam."""
        middle, top, bend = self._wall.table
        x, y = self._grid.x[None, :] - middle, self._grid.y[:, None]
        below = y - top + x**2 / (2 * bend)
        inside = np.abs(x) < 205
        for first, last, hu in ((0.0, 26.0, -955.0), (0.0, 2.4, 150.0), (24.0, 26.5, 210.0)):
            _over(image[0], inside * _between(below, first, last, self._grid.pixel), hu)

    def _paint_wall(self, image: np.ndarray, outer: _Fields, depth: np.ndarray, noise: dict) -> None:
        """Skin, fat with its septa, gland, and muscles with the fat between and in them."""
        _over(image, outer.cover("skin"), 15.0)
        fat = FAT - 6 + 5 * noise[14.0] + 60 * ridges(noise[7.0], 0.13) * np.clip(noise[14.0] - 0.3, 0, 1)
        _over(image, outer.cover("skin", 1.7), fat)
        if self._build.female:
            strands = np.clip(0.45 + 0.35 * noise[7.0] + 0.25 * noise[3.5], 0, 1)
            _over(image, outer.cover("gland") * outer.cover("skin", 4.0), 12 + 4 * noise[14.0] - 105 * strands)
        muscle = MUSCLE + 4 * noise[7.0]
        muscle -= 105 * ridges(noise[7.0] + 0.5 * noise[3.5], 0.16) * np.clip(noise[14.0] + 0.1, 0, 1)
        _over(image, outer.cover("muscle"), muscle)
        planes = np.clip(1.25 - np.abs(depth - MUSCLE_DEPTH_MM - 0.6 + 0.5 * noise[14.0]), 0, 1)
        planes = np.maximum(planes, np.clip(1.1 - np.abs(depth - MUSCLE_DEPTH_MM - 9 + 2 * noise[14.0]), 0, 1))
        _over(image, planes * np.clip(0.55 + 0.4 * noise[14.0], 0, 0.95) * outer.cover("muscle", 2.0), FAT)
        # Fat under the pleura, in patches.
        _over(image, np.clip(1.6 - np.abs(depth - 0.8), 0, 1) * np.clip(0.2 + 0.5 * noise[14.0], 0, 0.9), FAT)

    def _paint_lungs(self, image: np.ndarray, cage: np.ndarray, noise: dict, z: float, thickness: float) -> None:
        gravity = 42.0 * (self._grid.y[:, None] - self._build.center_y) / self._build.half_y
        lung = _LUNG + gravity + 9 * noise[14.0] + 7 * noise[3.5] + 8 * noise[7.0]
        # Pulmonary lobules, and vessels too small to be drawn.
        lung += 25 * np.clip(noise[1.7] - 1.2, 0, 2)
        _over(image, cage, lung)
        x, y, vessels = self._grid.x, self._grid.y, self._vessels
        blood = segments_cover(vessels.lung, x, y, z, thickness)
        wall = segments_cover(vessels.bronchial_walls, x, y, z, thickness)
        lumen = segments_cover(vessels.bronchi, x, y, z, thickness)
        for cover, hu in ((wall, -60.0), (blood, BLOOD), (lumen, -960.0)):
            _over(image, cover * cage, hu)

    def _paint_abdomen(self, image: np.ndarray, outer: _Fields, cage: np.ndarray, noise: dict) -> None:
        below = outer.cover("diaphragm") * cage
        if not below.any():
            return
        _over(image, below, 45.0)
        fat = FAT + 6 * noise[14.0] + 90 * np.clip(noise[7.0] - 1.3, 0, 1)
        _over(image, outer.cover("diaphragm", 3.2) * cage, fat)
        _over(image, outer.cover("liver") * cage, LIVER + 2 * noise[14.0] - 14 * np.clip(noise[7.0] - 1.2, 0, 1))
        _over(image, outer.cover("spleen") * cage, _SPLEEN)
        _over(image, outer.cover("stomach") * cage, 42.0)
        level = self._grid.y[:, None] < self._abdomen.fluid_y
        _over(image, outer.cover("stomach", 3.5) * cage, np.where(level, -960.0, 18 + 18 * noise[7.0]))

    def _paint_mediastinal_fat(self, image: np.ndarray, inner: _Fields, limit: np.ndarray, noise: dict) -> None:
        where = (self._rows, self._columns)
        lumps = np.clip(noise[7.0][where] - 1.4, 0, 1)
        _over(image[where], inner.cover("filled") * limit, FAT + 2 + 5 * noise[14.0][where] + 40 * lumps)

    def _paint_mediastinum(self, image, inner: _Fields, limit, muscles, noise: dict, z, thickness) -> None:
        """Pericardium, heart and vessels; esophagus and airways; the muscles beside the spine."""
        where = (self._rows, self._columns)
        part, vessels, (x, y) = image[where], self._vessels, (self._grid.x[where[1]], self._grid.y[where[0]])
        slow, fine = noise[14.0][where], noise[3.5][where]
        sac = inner.pixels("sac")
        _over(part, np.clip(1.35 - np.abs(sac) / 0.9, 0, 1) * np.clip(0.75 + 0.35 * slow, 0, 1) * limit, _PERICARDIUM)
        _over(part, inner.cover("sac", 0.8), FAT + 4 * slow + 4 * fine)
        _over(part, segments_cover(vessels.small, x, y, z, thickness) * inner.cover("whole"), BLOOD)
        _over(part, inner.cover("chambers"), 45 + 2.5 * slow)
        _over(part, segments_cover(vessels.coronary, x, y, z, thickness), BLOOD)
        _over(part, segments_cover(vessels.esophagus, x, y, z, thickness), 38 + 4 * fine)
        _over(part, segments_cover(vessels.gas, x, y, z, thickness) * np.clip(slow - 0.4, 0, 1), -700.0)
        _over(part, inner.cover("vessels"), BLOOD + 1.5 * slow)
        _over(part, segments_cover(vessels.airway_walls, x, y, z, thickness), 15.0)
        _over(part, segments_cover(vessels.airways, x, y, z, thickness), AIR + 10)
        muscle = MUSCLE - 90 * ridges(noise[7.0][where] + 0.5 * fine, 0.16) * np.clip(slow + 0.2, 0, 1)
        _over(part, inner.cover("behind") * muscles[where], muscle)

    def _paint_ribs(self, image, depth, outer: _Fields, noise: dict, thickness: float) -> None:
        """Ribs and cartilages, which cross a slice obliquely: only where they can be."""
        ring = (depth > RIB_DEPTH_MM - 9) & (depth < RIB_DEPTH_MM + 9)
        away, angle, level = depth[ring] - RIB_DEPTH_MM, outer.pixels("angle")[ring], outer.pixels("ribs")[ring]
        grain = noise[1.7][ring]
        covers = np.zeros((3, len(away)), dtype=np.float32)
        steps = (np.arange(3) - 1) * thickness / 3
        for step in steps:
            at = level + step / RIB_SPACING_MM
            height = (at - np.round(at)) * RIB_SPACING_MM
            rib = (np.hypot(away / RIB_HALF_MM, height / RIB_HALF_HEIGHT_MM) - 1) * RIB_HALF_MM
            ends = np.maximum((0.055 - angle) * 200, (angle - RIB_END) * 300)
            rib = np.maximum(rib, ends)
            soft = (np.hypot(away / 4.6, height / 8.0) - 1) * 4.6
            soft = np.maximum(soft, np.maximum((RIB_END - angle) * 300, (angle - 0.955) * 300))
            covers += [
                np.clip(0.5 - part / self._grid.pixel, 0, 1) / len(steps) for part in (rib, rib + CORTEX_MM, soft)
            ]
        bone, core, cartilage = covers
        values = image[:, ring]
        rims = np.clip((self._build.age - 45) / 45, 0, 1) * 130 * np.clip(noise[3.5][ring] - 0.6, 0, 1)
        _over_both(values, cartilage, _CARTILAGE + 10 * grain + rims, 0.0)
        _over_both(values, bone, self._cortex * (0.85 + 0.1 * grain))
        _over_both(values, core, self._marrow * 0.75 + 60 * grain)
        image[:, ring] = values

    def _paint_shoulder_blades(self, image, depth, outer: _Fields, noise: dict, z: float) -> None:
        """Plates between the muscles of the back, wider towards the shoulders."""
        reach = _BLADE_ANGLES[0] + (_BLADE_ANGLES[1] - _BLADE_ANGLES[0]) * float(ramp(z, *_BLADE_HEIGHTS))
        if reach <= _BLADE_ANGLES[0]:
            return
        ring = (depth > MUSCLE_DEPTH_MM) & (depth < MUSCLE_DEPTH_MM + 26)
        angle = outer.pixels("angle")[ring]
        along = angle - _BLADE_ANGLES[0]
        plate = np.abs(depth[ring] - MUSCLE_DEPTH_MM - 4 - 70 * along + noise[14.0][ring]) - 1.5 - 10 * along
        plate = np.maximum(plate, np.maximum(-along, angle - reach) * 250)
        values = image[:, ring]
        bone, marrow = (np.clip(0.5 - (plate + inset) / self._grid.pixel, 0, 1) for inset in (0, 1.2))
        _over_both(values, bone, self._cortex * 0.8)
        _over_both(values, marrow, self._marrow + 50 * noise[1.7][ring])
        image[:, ring] = values

    def _paint_spine(self, image: np.ndarray, noise: dict, z: float) -> None:
        """The vertebra and the sternum at this height."""
        build, size, pixel = self._build, self._build.size, self._grid.pixel
        x, y = self._wall.upright_pixels(self._grid, z)
        grain = noise[1.7] + 0.6 * noise[3.5]
        for center_y, before, after in ((build.spine_y, 24 * size, 66 * size), (build.sternum_y, 20.0, 9.0)):
            rows = np.flatnonzero((y[:, 0] > center_y - before - 12) & (y[:, 0] < center_y + after + 12))
            columns = np.flatnonzero(np.abs(x[0] - build.midline) < 46 * size)
            if not len(rows) or not len(columns):
                continue
            where = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            right, back, texture = x[where] - build.midline, y[where] - center_y, grain[where]
            values = image[(slice(None), *where)]
            if center_y == build.sternum_y:
                self._paint_sternum(values, right, back, texture, z)
            else:
                self._paint_vertebra(values, right, back, texture, z, pixel)

    def _paint_sternum(self, values, right, back, texture, z) -> None:
        bone = sternum(right, back, z, self._build.size)
        cover, core = (np.clip(0.5 - (bone + inset) / self._grid.pixel, 0, 1) for inset in (0, 1.2))
        _over_both(values, cover, self._cortex * 0.5)
        _over_both(values, core, self._marrow * 0.5 + 45 * texture)

    def _paint_vertebra(self, values, right, back, texture, z, pixel) -> None:
        body, arch, canal, outside = vertebra(right, back, z, self._build.size)
        cover, core, bow, marrow, cord = (
            np.clip(0.5 - distance / pixel, 0, 1) for distance in (body, body + 1.1, arch, arch + 1.6, canal)
        )
        _over_both(values, cord, 12.0, 0.0)
        _over_both(values, cord * np.clip(0.5 - (canal + 3.0) / pixel, 0, 1), 30.0, 0.0)
        # Endplates are dense; between them is marrow, beyond them disc.
        disc = float(ramp(outside, -0.6, 0.6))
        plate = float(np.clip(1 - abs(outside + 0.6) / 1.6, 0, 1))
        _over_both(values, cover * disc, 85.0, 0.0)
        _over_both(values, cover * (1 - disc), self._cortex * 0.62 + 40 * texture)
        hu = self._marrow + 48 * texture + plate * (235 - self._marrow)
        _over_both(values, core * (1 - disc), hu)
        _over_both(values, bow, self._cortex * 0.72 + 60 * texture)
        _over_both(values, marrow, self._marrow + 55 * texture)


def _box(x, y, half_x: float, half_y: float, rounding: float) -> np.ndarray:
    """Signed distance in the plane to a rounded box around the origin."""
    beyond_x, beyond_y = np.abs(x) - half_x + rounding, np.abs(y) - half_y + rounding
    outside = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
    return outside + np.minimum(np.maximum(beyond_x, beyond_y), 0) - rounding


def _between(values: np.ndarray, low: float, high: float, pixel: float) -> np.ndarray:
    return np.clip(0.5 + (values - low) / pixel, 0, 1) * np.clip(0.5 - (values - high) / pixel, 0, 1)


def _over(image: np.ndarray, cover: np.ndarray, hu: np.ndarray | float) -> None:
    """Lay tissue of this HU over the image."""
    image += cover * (hu - image)


def _over_both(image: np.ndarray, cover: np.ndarray, hu: np.ndarray | float, mineral: float = 1.0) -> None:
    """Lay tissue over the image (2, ...); of its HU, ``mineral`` is the mineral's share."""
    image[0] += cover * (hu - image[0])
    image[1] += cover * (hu * mineral - image[1])
