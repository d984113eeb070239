"""A simulated CT scanner: partial volume, blur of the kernel, motion and correlated noise."""

import numpy as np
from scipy import fft, ndimage

from coronary_calcium.simulation.painting import FINEST_STEP_MM, Grid, Motion, add_deposits, paint_slice
from coronary_calcium.simulation.protocol import KERNELS, Protocol
from coronary_calcium.simulation.tissue import CALCIUM_FACTOR, Deposit, Layer

# What the maps of added HU belong to; label n lies at n - 1, and label 0 therefore last.
ADDED_BY = ("LM", "LAD", "LCX", "RCA", "not coronary")


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
    """The scan: HU (k, j, i) int16, and what calcium adds to it in HU, (5, k, j, i) float16 as ``ADDED_BY`` lists.

    The second array is blurred like the image, without noise: it tells which voxels are bright because of a plaque.
    Without ``textured``, soft tissue is as even as a phantom's plastic. Calcium is sampled through the slice every
    ``finest_step`` mm.
    """
    r = random
    factor = CALCIUM_FACTOR.get(protocol.kvp, 1.0)
    painted = [(layer, layer.hu * (factor if layer.mineral else 1.0)) for layer in layers]
    shape = (len(grid.z), len(grid.y), len(grid.x))
    image = np.empty(shape, dtype=np.int16)
    added = np.zeros((len(ADDED_BY), *shape), dtype=np.float16)
    sub = int(np.clip(np.ceil(protocol.thickness / 1.3), 1, 6))
    offsets = ((np.arange(sub) + 0.5) / sub - 0.5) * protocol.thickness
    texture = _tissue_texture(r, shape[1:]) * textured
    for k, z in enumerate(grid.z):
        tissue = np.mean([paint_slice(painted, grid, z + offset) for offset in offsets], axis=0)
        soft = (tissue > -150) & (tissue < 150)
        tissue += np.where(soft, np.roll(texture, 7 * k, axis=0), 0)
        extra = np.zeros((len(ADDED_BY), *shape[1:]), dtype=np.float32)
        add_deposits(
            tissue,
            extra,
            deposits,
            grid,
            z,
            protocol.thickness,
            factor=factor,
            finest_step=finest_step,
            motion=Motion.draw(r, protocol.motion),
        )
        blurred = blur(tissue, protocol)
        for label in np.flatnonzero(extra.any(axis=(1, 2))):
            added[label, k] = blur(extra[label], protocol)
        noise = noise_of(r, shape[1:], protocol.pixel, KERNELS[protocol.kernel], protocol.noise)
        image[k] = np.clip(np.rint(blurred + noise), -1024, 3071)
        if progress is not None:
            progress((k + 1) / len(grid.z), "Scanning the simulated patient")
    return image, added


def blur(image: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The kernel's point spread over a slice (j, i) whose pixels already average over their own area."""
    width, enhancement = KERNELS[protocol.kernel]
    variance = (width / 2.355) ** 2 - protocol.pixel**2 / 12
    sigma = np.sqrt(max(variance, 1e-4)) / protocol.pixel
    return sharpened(ndimage.gaussian_filter(image, sigma, truncate=3.0), enhancement, 1.1 / protocol.pixel)


def sharpened(image: np.ndarray, enhancement: float, sigma: float) -> np.ndarray:
    """The image plus ``enhancement`` times what a Gaussian of ``sigma`` pixels takes from it."""
    if not enhancement:
        return image
    return image + enhancement * (image - ndimage.gaussian_filter(image, sigma, truncate=3.0))


def _tissue_texture(r, shape):
    """Slow differences within soft tissue, about 5 HU."""
    coarse = r.normal(0, 1, (shape[0] // 12 + 2, shape[1] // 12 + 2))
    zoomed = ndimage.zoom(coarse, 12, order=1)[: shape[0], : shape[1]]
    return (5.0 * zoomed).astype(np.float32)


def noise_of(
    r: np.random.Generator, shape: tuple[int, int], pixel: float, kernel: tuple[float, float], deviation: float
) -> np.ndarray:
    """Noise (j, i) of one slice: the ramp of filtered back projection under the kernel's transfer, plus streaks.

    ``kernel`` is the point spread's width in mm and the edge enhancement, ``deviation`` the noise's SD in HU.
    """
    width, enhancement = kernel
    rows = fft.fftfreq(shape[0], pixel)[:, None]
    columns = fft.rfftfreq(shape[1], pixel)[None, :]
    frequency = np.hypot(rows, columns)
    transfer = np.exp(-2 * (np.pi * (width / 2.355) * frequency) ** 2)
    transfer = transfer * (1 + enhancement * (1 - np.exp(-2 * (np.pi * 1.1 * frequency) ** 2)))
    power = (np.sqrt(frequency + 0.02) * transfer).astype(np.float32)
    noise = fft.irfft2(fft.rfft2(r.standard_normal(shape, dtype=np.float32)) * power, s=shape)
    noise *= deviation / max(float(noise.std()), 1e-6)
    streaks = ndimage.gaussian_filter(r.standard_normal(shape, dtype=np.float32), (0.6, 14))
    noise += streaks * (0.25 * deviation / max(float(streaks.std()), 1e-6))
    return noise.astype(np.float32)
