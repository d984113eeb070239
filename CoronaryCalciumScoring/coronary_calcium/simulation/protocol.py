"""How a simulated scan is made: slices, kernels, noise, tube voltage, field of view and motion of common protocols."""

from dataclasses import dataclass

import numpy as np

# (thickness, spacing) in mm that chest and gated cardiac protocols reconstruct; weights favor what is common.
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
KERNELS = {
    "soft": (1.6, 0.0),
    "standard": (1.25, 0.0),
    "medium": (1.0, 0.25),
    "sharp": (0.75, 0.9),
    "edge": (0.7, 1.6),
}
# Noise of each kernel, as a share of the standard one's. In one real scan (Philips), the SD in the
# heart is 6.7 HU with the soft kernel B and 38.6 HU with the sharp one L.
KERNEL_NOISE = {"soft": 0.75, "standard": 1.0, "medium": 1.15, "sharp": 1.7, "edge": 3.0}


@dataclass(frozen=True)
class Protocol:
    """How the simulated scan is made; lengths in mm, noise as the SD in HU in the heart.

    ``motion_form`` is one of ``painting.MOTION_FORMS``.
    """

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
    motion_form: str = "line"

    @property
    def kind(self) -> str:
        """``"cardiac"`` when gated, else ``"chest"``."""
        return "cardiac" if self.gated else "chest"

    @property
    def pixel(self) -> float:
        """Pixel size in mm."""
        return self.field_of_view / self.pixels


def draw_protocol(random: np.random.Generator, kind: str) -> Protocol:
    """A ``"chest"`` or gated ``"cardiac"`` protocol as scanners use them."""
    r = random
    if kind == "chest":
        thickness, spacing = CHEST_SLICES[r.choice(len(CHEST_SLICES), p=CHEST_SLICE_WEIGHTS)]
        kernel = r.choice(list(KERNELS), p=[0.3, 0.3, 0.2, 0.12, 0.08])
        noise = float(np.clip(np.exp(r.normal(3.05, 0.4)) / np.sqrt(np.clip(thickness, 1, 5) / 2), 5, 60))
        noise = min(noise * KERNEL_NOISE[kernel], 85.0)
        center = (float(r.normal(-15, 10)), float(r.normal(15, 12)))
        return Protocol(
            False,
            float(r.uniform(280, 500)),
            512,
            thickness,
            spacing,
            str(kernel),
            noise,
            int(r.choice([80, 100, 120, 140], p=[0.06, 0.2, 0.6, 0.14])),
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
        float(r.uniform(150, 260)),
        512,
        thickness,
        spacing,
        str(kernel),
        noise,
        int(r.choice([100, 120], p=[0.15, 0.85])),
        float(r.uniform(0, 0.8)),
        center,
        (-78.0, 66.0),
    )
