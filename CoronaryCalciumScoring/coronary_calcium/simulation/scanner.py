"""A simulated CT scanner: partial volume, kernel blur, motion, correlated noise, and streaks of bone and metal."""

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import fft, ndimage

from coronary_calcium.progress import Progress, no_progress
from coronary_calcium.simulation.painting import FINEST_STEP_MM, Grid, Motion, SlicePlace, add_deposits, smear
from coronary_calcium.simulation.protocol import KERNELS
from coronary_calcium.simulation.protocol import Protocol as ScanProtocol
from coronary_calcium.simulation.tissue import CALCIUM_FACTOR, Deposit, Texture
from coronary_calcium.volume import Acquisition, CTVolume

# Pixels above this HU send out streaks.
METAL_FROM_HU = 2600.0
# Mineral is what exceeds soft tissue by this much; the scanner is taken to correct for nothing denser than cortex.
_MINERAL_FROM_HU, _MINERAL_TO_HU = 150.0, 1500.0
# Bone hardens the beam, and a line integral through p HU mm of mineral comes out too small by this times p squared
# (Joseph and Spital, J Comput Assist Tomogr 1978;2:100: the error grows with the square of the bone). Dense cortex then
# loses 2 to 8 % of its HU, and the heart gets bands of an SD of 0.4 to 4 HU, the darkest of -3 to -50 HU beside bone.
_HARDENING = 1.0e-5
# Bands are wide: views and pixels this coarse show them.
_VIEWS, _COARSE_MM = 60, 3.0


def bone_streaks(tissue: np.ndarray, pixel: float) -> np.ndarray | float:
    """What beam hardening adds to a slice ``tissue`` in HU (j, i) of square pixels of ``pixel`` mm: mostly dark bands
    between dense bones.

    The slice's mineral is projected along parallel beams, the error of its line integrals filtered and projected back.
    """
    mineral = np.clip(tissue, None, _MINERAL_TO_HU) - _MINERAL_FROM_HU
    np.maximum(mineral, 0, out=mineral)
    if not mineral.any():
        return 0.0
    step = max(round(_COARSE_MM / pixel), 1)
    coarse = _block_means(mineral, step)
    size = pixel * step
    y, x = ((np.arange(n) - (n - 1) / 2) * size for n in coarse.shape)
    beams = 2 * int(np.ceil(np.hypot(*coarse.shape) / 2)) + 3
    ramp = np.abs(fft.rfftfreq(2 * beams, size))
    dense_j, dense_i = np.nonzero(coarse)
    weights = coarse[dense_j, dense_i] * size
    error = np.zeros(coarse.shape)
    for angle in np.arange(_VIEWS) * np.pi / _VIEWS:
        # Every pixel's beam as a place among the beams, shared between the two nearest ones.
        at = (x[dense_i] * np.cos(angle) + y[dense_j] * np.sin(angle)) / size + beams // 2
        near = at.astype(int)
        share = at - near
        path = np.bincount(near, weights * (1 - share), beams) + np.bincount(near + 1, weights * share, beams)
        filtered = fft.irfft(fft.rfft(-_HARDENING * path**2, 2 * beams) * ramp)[:beams]
        where = (x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle)) / size + beams // 2
        error += np.interp(where, np.arange(beams), filtered)
    error *= np.pi / _VIEWS
    rows, columns = ((np.arange(n) + 0.5) / step - 0.5 for n in tissue.shape)
    streaks = ndimage.map_coordinates(error, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    return streaks.astype(np.float32)


def _block_means(image: np.ndarray, step: int) -> np.ndarray:
    """The means of squares of ``step`` pixels; the last ones are filled up with 0."""
    rows, columns = (-(-n // step) * step for n in image.shape)
    padded = np.zeros((rows, columns), image.dtype)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded.reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))


def metal_streaks(r: np.random.Generator, tissue: np.ndarray, pixel: float) -> np.ndarray | float:
    """Bright and dark rays from what is too dense for the detector: metal, as a star that fades with the distance."""
    metal = tissue > METAL_FROM_HU
    if not metal.any():
        return 0.0
    pieces, count = ndimage.label(metal)
    rows, columns = np.indices(tissue.shape, dtype=np.float32)
    streaks = np.zeros(tissue.shape, dtype=np.float32)
    for center, size in zip(
        ndimage.center_of_mass(metal, pieces, range(1, count + 1)), np.bincount(pieces.ravel())[1:]
    ):
        down, right = rows - center[0], columns - center[1]
        rays = ndimage.gaussian_filter1d(r.normal(0, 1, 360), r.uniform(1.0, 3.0), mode="wrap")
        rays = (rays + np.roll(rays, 180)) / max(float(rays.std()), 1e-6)
        angle = ((np.arctan2(down, right) / (2 * np.pi) + 0.5) * 360).astype(int) % 360
        strength = min(25.0 + 9.0 * np.sqrt(size) * pixel, 140.0) / (1 + np.hypot(down, right) * pixel / 14)
        streaks += (rays[angle] * strength).astype(np.float32)
    return streaks * (tissue > -700)


# What the maps of added HU belong to; label n lies at n - 1, and label 0 therefore last.
ADDED_BY = ("LM", "LAD", "LCX", "RCA", "not coronary")
# In a scan that is not gated, the heart rises and sinks by this share of its motion, with waves of this length.
BREATH_SHARE, BREATH_MM = 0.5, 9.0


class Tissue(Protocol):
    """What can tell the HU of the tissue in a slice."""

    def tissue(self, z: float, thickness: float, factor: float) -> np.ndarray:
        """HU (j, i); ``factor`` is the mineral's HU relative to 120 kVp."""


@dataclass(frozen=True)
class Rendering:
    """How finely a body is rendered.

    Attributes
    ----------
    textured : without it, soft tissue is as even as a phantom's plastic, and bone hardens no beam.
    finest_step : calcium is sampled through the slice every so many mm.
    """

    textured: bool = True
    finest_step: float = FINEST_STEP_MM


OF_A_PATIENT = Rendering()


def expose(
    random: np.random.Generator,
    body: Tissue,
    deposits: list[Deposit],
    protocol: ScanProtocol,
    grid: Grid,
    progress: Progress = no_progress,
    rendering: Rendering = OF_A_PATIENT,
) -> tuple[np.ndarray, np.ndarray]:
    """The scan: HU (k, j, i) int16, and what calcium adds to it in HU, (5, k, j, i) float16 as ``ADDED_BY`` lists.

    The second array is blurred like the image, without noise: it tells which voxels are bright because of a plaque.
    """
    r = random
    factor = CALCIUM_FACTOR.get(protocol.kvp, 1.0)
    shape = (len(grid.z), len(grid.y), len(grid.x))
    image = np.empty(shape, dtype=np.int16)
    added = np.zeros((len(ADDED_BY), *shape), dtype=np.float16)
    texture = Texture(r, grid.pixel) if rendering.textured else None
    phase = r.uniform(0, 2 * np.pi)
    for k, z in enumerate(grid.z):
        # A breath, or another beat, displaces the heart along the table as well.
        height = z if protocol.gated else z + BREATH_SHARE * protocol.motion * np.sin(phase + z / BREATH_MM)
        motion = Motion.draw(r, protocol.motion, protocol.motion_form)
        tissue = smear(body.tissue(height, protocol.thickness, factor), grid, motion)
        if texture is not None:
            texture.add_to(tissue, z)
        extra = np.zeros((len(ADDED_BY), *shape[1:]), dtype=np.float32)
        add_deposits(
            tissue, extra, deposits, SlicePlace(grid, height, protocol.thickness, motion, rendering.finest_step), factor
        )
        blurred = blur(tissue, protocol)
        for label in np.flatnonzero(extra.any(axis=(1, 2))):
            added[label, k] = blur(extra[label], protocol)
        blurred += metal_streaks(r, tissue, grid.pixel)
        if rendering.textured:
            blurred += bone_streaks(tissue, grid.pixel)
        noise = noise_of(r, shape[1:], protocol.pixel, KERNELS[protocol.kernel], protocol.noise)
        image[k] = np.clip(np.rint(blurred + noise), -1024, 3071)
        progress((k + 1) / len(grid.z), "Scanning the simulated patient")
    return image, added


def scanned_volume(hu: np.ndarray, protocol: ScanProtocol, grid: Grid, model: str) -> CTVolume:
    """The CT of ``expose``'s HU (k, j, i); ``model`` is what its header calls the scanner."""
    return CTVolume(
        hu=hu,
        spacing=(protocol.spacing, protocol.pixel, protocol.pixel),
        origin=(float(grid.x[0]), float(grid.y[0]), float(grid.z[0])),
        acquisition=Acquisition(
            modality="CT",
            kvp=float(protocol.kvp),
            kernel=protocol.kernel,
            slice_thickness_mm=protocol.thickness,
            manufacturer="Simulated",
            model=model,
            lossy_compression=False,
        ),
    )


def blur(image: np.ndarray, protocol: ScanProtocol) -> np.ndarray:
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


def noise_of(
    r: np.random.Generator, shape: tuple[int, int], pixel: float, kernel: tuple[float, float], deviation: float
) -> np.ndarray:
    """Noise (j, i) of one slice, with the spectrum of ``_noise_amplitude`` and an SD of ``deviation`` HU.

    ``kernel`` is the point spread's width in mm and the edge enhancement.
    """
    amplitude = _noise_amplitude(tuple(shape), pixel, tuple(kernel))
    noise = fft.irfft2(fft.rfft2(r.standard_normal(shape, dtype=np.float32)) * amplitude, s=shape)
    noise *= deviation / max(float(noise.std()), 1e-6)
    return noise.astype(np.float32)


@functools.lru_cache(maxsize=8)
def _noise_amplitude(shape: tuple[int, int], pixel: float, kernel: tuple[float, float]) -> np.ndarray:
    """The ramp of filtered back projection under the kernel, and streaks along i of 15 % of its SD."""
    width, enhancement = kernel
    rows = fft.fftfreq(shape[0], pixel)[:, None]
    columns = fft.rfftfreq(shape[1], pixel)[None, :]
    frequency = np.hypot(rows, columns)
    transfer = np.exp(-2 * (np.pi * (width / 2.355) * frequency) ** 2)
    transfer = transfer * (1 + enhancement * (1 - np.exp(-2 * (np.pi * 1.1 * frequency) ** 2)))
    grain = np.sqrt(frequency + 0.02) * transfer
    streaks = np.exp(-2 * np.pi**2 * ((0.6 * pixel * rows) ** 2 + (14 * pixel * columns) ** 2))
    power = (grain**2) / (grain**2).mean() + (0.15 * streaks) ** 2 / (streaks**2).mean()
    # Noise does not change a slice's mean.
    power[0, 0] = 0.0
    return np.sqrt(power).astype(np.float32)
