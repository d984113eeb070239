"""A simulated CT scanner: protocols, partial volume, blur of the kernel, motion and correlated noise."""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from coronary_calcium.simulation.tissue import AIR, CALCIUM_FACTOR, Deposit, Layer

# (thickness, spacing) in mm that chest and gated cardiac protocols reconstruct; weights favour what is common.
CHEST_SLICES = (
    (1.0, 1.0),
    (1.0, 0.7),
    (1.25, 1.25),
    (1.5, 1.5),
    (2.0, 2.0),
    (2.5, 2.5),
    (3.0, 3.0),
    (3.0, 2.0),
    (5.0, 5.0),
    (5.0, 2.5),
    (8.0, 8.0),
    (0.6, 0.5),
)
CHEST_SLICE_WEIGHTS = (0.16, 0.06, 0.12, 0.08, 0.1, 0.1, 0.12, 0.04, 0.13, 0.04, 0.02, 0.03)
CARDIAC_SLICES = ((3.0, 3.0), (2.5, 2.5), (3.0, 1.5), (1.5, 1.5), (0.5, 0.5))
CARDIAC_SLICE_WEIGHTS = (0.5, 0.28, 0.12, 0.07, 0.03)
# In-plane point spread (full width at half maximum, mm) and edge enhancement of kernels from soft to sharp.
KERNELS = {"soft": (1.6, 0.0), "standard": (1.25, 0.0), "medium": (1.0, 0.25), "sharp": (0.75, 0.9)}
# Noise of each kernel, as a share of the standard one's.
KERNEL_NOISE = {"soft": 0.75, "standard": 1.0, "medium": 1.15, "sharp": 1.7}
# Calcium is finer than a pixel: it is sampled on a grid this many times finer in the plane.
SUPERSAMPLING = 3
# ... and at least this finely through the slice: the thinnest plaques are 0.6 mm across.
FINEST_STEP_MM = 0.6


@dataclass(frozen=True)
class Protocol:
    """How the simulated scan is made; lengths in mm, noise as the SD in HU in the heart."""

    gated: bool
    field_of_view: float
    pixels: int
    thickness: float
    spacing: float
    kernel: str
    noise: float
    kvp: int
    motion: float
    center: tuple[float, float]
    z_range: tuple[float, float]

    @property
    def pixel(self) -> float:
        """Pixel size in mm."""
        return self.field_of_view / self.pixels


def draw_protocol(random: np.random.Generator, kind: str) -> Protocol:
    """A ``"chest"`` or gated ``"cardiac"`` protocol as scanners use them."""
    r = random
    if kind == "chest":
        thickness, spacing = CHEST_SLICES[r.choice(len(CHEST_SLICES), p=CHEST_SLICE_WEIGHTS)]
        kernel = r.choice(list(KERNELS), p=[0.35, 0.35, 0.2, 0.1])
        noise = float(np.clip(np.exp(r.normal(3.05, 0.4)) / np.sqrt(np.clip(thickness, 1, 5) / 2), 5, 60))
        noise *= KERNEL_NOISE[kernel]
        center = (float(r.normal(-15, 10)), float(r.normal(15, 12)))
        return Protocol(
            False,
            float(r.uniform(300, 430)),
            512,
            thickness,
            spacing,
            str(kernel),
            noise,
            int(r.choice([100, 120, 120, 120, 140])),
            float(r.uniform(0, 3.5)),
            center,
            (-135.0, 165.0),
        )
    thickness, spacing = CARDIAC_SLICES[r.choice(len(CARDIAC_SLICES), p=CARDIAC_SLICE_WEIGHTS)]
    kernel = r.choice(["soft", "standard", "medium"], p=[0.3, 0.55, 0.15])
    noise = float(np.clip(r.normal(22, 6), 12, 40))
    center = (float(r.normal(0, 5)), float(r.normal(0, 5)))
    return Protocol(
        True,
        float(r.uniform(170, 250)),
        512,
        thickness,
        spacing,
        str(kernel),
        noise,
        120,
        float(r.uniform(0, 0.8)),
        center,
        (-78.0, 66.0),
    )


@dataclass(frozen=True)
class Grid:
    """Pixel centres of the image to make: columns ``x``, rows ``y`` and slices ``z`` in mm."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    pixel: float


def scan_grid(protocol: Protocol, box: float | None = None) -> Grid:
    """The protocol's grid; with ``box``, only the part within ``box`` / 2 mm of the heart's centre."""
    steps = (np.arange(protocol.pixels) - (protocol.pixels - 1) / 2) * protocol.pixel
    x, y = steps + protocol.center[0], steps + protocol.center[1]
    z = np.arange(protocol.z_range[0], protocol.z_range[1] + 1e-6, protocol.spacing)
    if box is not None:
        x, y = x[np.abs(x) <= box / 2], y[np.abs(y) <= box / 2]
    return Grid(x, y, z, protocol.pixel)


def _window(bounds, values, margin):
    """Index range of ``values`` (ascending) inside ``bounds`` widened by ``margin``."""
    return np.searchsorted(values, bounds[0] - margin), np.searchsorted(values, bounds[1] + margin)


def _slice_of(shape, z, margin):
    """The part of a shape that can reach the slice at ``z``, or None."""
    low, high = shape.bounds()[2]
    if z < low - margin or z > high + margin:
        return None
    return shape.part_near(z, margin) if hasattr(shape, "part_near") else shape


def paint_slice(layers: list[tuple[Layer, float]], grid: Grid, z: float) -> np.ndarray:
    """HU (j, i) of the tissue at height ``z``: each layer covers what is below it, edges blended over a pixel."""
    image = np.full((len(grid.y), len(grid.x)), AIR, dtype=np.float32)
    margin = grid.pixel
    for layer, hu in layers:
        part = _slice_of(layer.shape, z, margin)
        if part is None:
            continue
        bounds = part.bounds()
        i0, i1 = _window(bounds[0], grid.x, margin)
        j0, j1 = _window(bounds[1], grid.y, margin)
        if i0 >= i1 or j0 >= j1:
            continue
        distance = part.distance(grid.x[None, i0:i1], grid.y[j0:j1, None], np.full((1, 1), z))
        cover = np.clip(0.5 - distance / grid.pixel, 0, 1).astype(np.float32)
        region = image[j0:j1, i0:i1]
        region += cover * (hu - region)
    return image


def cover_of(shape, grid: Grid, z: float) -> tuple[np.ndarray, tuple[slice, slice]] | None:
    """Share of each pixel that a small shape fills at height ``z``, and where; None when it does not reach."""
    part = _slice_of(shape, z, 0.5)
    if part is None:
        return None
    bounds = part.bounds()
    i0, i1 = _window(bounds[0], grid.x, grid.pixel)
    j0, j1 = _window(bounds[1], grid.y, grid.pixel)
    if i0 >= i1 or j0 >= j1:
        return None
    fine = grid.pixel / SUPERSAMPLING
    shift = (np.arange(SUPERSAMPLING) - (SUPERSAMPLING - 1) / 2) * fine
    x = (grid.x[i0:i1, None] + shift).reshape(-1)
    y = (grid.y[j0:j1, None] + shift).reshape(-1)
    distance = part.distance(x[None, :], y[:, None], np.full((1, 1), z))
    cover = np.clip(0.5 - distance / fine, 0, 1)
    cover = cover.reshape(j1 - j0, SUPERSAMPLING, i1 - i0, SUPERSAMPLING).mean(axis=(1, 3))
    return cover.astype(np.float32), (slice(j0, j1), slice(i0, i1))


def expose(
    random: np.random.Generator,
    layers: list[Layer],
    deposits: list[Deposit],
    protocol: Protocol,
    grid: Grid,
    progress=None,
    *,
    textured: bool = True,
    finest_step: float = FINEST_STEP_MM,
):
    """The scan: HU (k, j, i) int16, and what the coronary plaques add to it in HU, (4, k, j, i) float16 by artery.

    The second array is blurred like the image, without noise: it tells which voxels are bright because of a plaque.
    Without ``textured``, soft tissue is as even as a phantom's plastic. Calcium is sampled through the slice every
    ``finest_step`` mm.
    """
    r = random
    factor = CALCIUM_FACTOR.get(protocol.kvp, 1.0)
    painted = [(layer, layer.hu * (factor if layer.mineral else 1.0)) for layer in layers]
    shape = (len(grid.z), len(grid.y), len(grid.x))
    image = np.empty(shape, dtype=np.int16)
    added = np.zeros((4, *shape), dtype=np.float16)
    sub = int(np.clip(np.ceil(protocol.thickness / 1.3), 1, 6))
    offsets = ((np.arange(sub) + 0.5) / sub - 0.5) * protocol.thickness
    texture = _tissue_texture(r, shape[1:]) * textured
    for k, z in enumerate(grid.z):
        tissue = np.mean([paint_slice(painted, grid, z + offset) for offset in offsets], axis=0)
        soft = (tissue > -150) & (tissue < 150)
        tissue += np.where(soft, np.roll(texture, 7 * k, axis=0), 0)
        extra = np.zeros((4, *shape[1:]), dtype=np.float32)
        _add_deposits(r, tissue, extra, deposits, protocol, grid, z, factor, finest_step)
        blurred = _blur(tissue, protocol)
        for label in np.flatnonzero(extra.any(axis=(1, 2))):
            added[label, k] = _blur(extra[label], protocol)
        image[k] = np.clip(np.rint(blurred + _noise(r, shape[1:], protocol)), -1024, 3071)
        if progress is not None:
            progress((k + 1) / len(grid.z), "Scanning the simulated patient")
    return image, added


def _add_deposits(r, tissue, extra, deposits, protocol, grid, z, factor, finest_step):
    """Paint the calcium of one slice, smeared along the motion of the heart."""
    angle = r.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    ghosts = (
        np.array([0.0]) if protocol.motion < 0.5 else np.array([-0.5, 0.0, 0.5]) * protocol.motion * r.uniform(0.3, 1.3)
    )
    weights = np.full(len(ghosts), 1 / len(ghosts)) if len(ghosts) == 1 else r.dirichlet([2, 4, 2])
    count = max(4, int(np.ceil(protocol.thickness / finest_step)))
    heights = z + ((np.arange(count) + 0.5) / count - 0.5) * protocol.thickness
    margin = protocol.thickness
    for deposit in deposits:
        if _slice_of(deposit.shape, z, margin) is None:
            continue
        cover = np.zeros_like(tissue)
        for ghost, weight in zip(ghosts, weights):
            moved = Grid(grid.x - ghost * direction[0], grid.y - ghost * direction[1], grid.z, grid.pixel)
            for height in heights:
                found = cover_of(deposit.shape, moved, height)
                if found is not None:
                    cover[found[1]] += weight / len(heights) * found[0]
        hu = deposit.hu * (factor if deposit.hu < 4000 else 1.0)
        change = cover * (hu - tissue)
        tissue += change
        if deposit.label:
            extra[deposit.label - 1] += np.maximum(change, 0)


def _blur(image, protocol):
    width, enhancement = KERNELS[protocol.kernel]
    variance = (width / 2.355) ** 2 - protocol.pixel**2 / 12
    sigma = np.sqrt(max(variance, 1e-4)) / protocol.pixel
    blurred = ndimage.gaussian_filter(image, sigma, truncate=3.0)
    if enhancement:
        blurred += enhancement * (blurred - ndimage.gaussian_filter(blurred, 1.1 / protocol.pixel, truncate=3.0))
    return blurred


def _tissue_texture(r, shape):
    """Slow differences within soft tissue, about 5 HU."""
    coarse = r.normal(0, 1, (shape[0] // 12 + 2, shape[1] // 12 + 2))
    zoomed = ndimage.zoom(coarse, 12, order=1)[: shape[0], : shape[1]]
    return (5.0 * zoomed).astype(np.float32)


def _noise(r, shape, protocol):
    """Noise of one slice: the ramp of filtered back projection under the kernel's transfer function, plus streaks."""
    width, enhancement = KERNELS[protocol.kernel]
    rows = fft.fftfreq(shape[0], protocol.pixel)[:, None]
    columns = fft.rfftfreq(shape[1], protocol.pixel)[None, :]
    frequency = np.hypot(rows, columns)
    transfer = np.exp(-2 * (np.pi * (width / 2.355) * frequency) ** 2)
    transfer = transfer * (1 + enhancement * (1 - np.exp(-2 * (np.pi * 1.1 * frequency) ** 2)))
    white = fft.rfft2(r.standard_normal(shape, dtype=np.float32))
    noise = fft.irfft2(white * np.sqrt(frequency + 0.02) * transfer, s=shape)
    noise *= protocol.noise / max(float(noise.std()), 1e-6)
    streaks = ndimage.gaussian_filter(r.standard_normal(shape, dtype=np.float32), (0.6, 14))
    noise += streaks * (0.25 * protocol.noise / max(float(streaks.std()), 1e-6))
    return noise.astype(np.float32)
