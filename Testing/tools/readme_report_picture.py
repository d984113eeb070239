"""Draw the README's picture of the report: python Testing/tools/readme_report_picture.py demo/result/report.html FOLDER

Needs Chromium or Chrome. The page is as `make demo` writes it; its upper part is kept. To keep the file small, colors
are reduced to grays and those of the arteries: a general palette loses the arteries.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from coronary_calcium.arteries import ARTERIES
from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOW = (1100, 1600)
# What is kept of the window: the page without its margins, down to the second row of lesions.
KEPT, PIXELS = (66, 0, 1046, 1450), (706, 1044)
GRAYS, SHADES = 64, 16


def photographed(page, path):
    """Let a browser draw a page of the disk; nothing is loaded from anywhere else."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"Install one of {', '.join(BROWSERS)} first.")
    shot = f"--screenshot={path}"
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WINDOW[0]},{WINDOW[1]}"]
    subprocess.run([browser, *options, shot, page.resolve().as_uri()], check=True, capture_output=True)


def palette():
    """Grays, and every artery's color from its full strength down to the page's white and a CT's black."""
    grays = np.linspace(0, 255, GRAYS).repeat(3).reshape(-1, 3)
    mixed = [
        share * np.array(artery.color) * 255 + (1 - share) * ground
        for artery in ARTERIES
        for ground in (0, 255)
        for share in np.linspace(1, 0, SHADES, endpoint=False)
    ]
    image = Image.new("P", (1, 1))
    image.putpalette(np.rint(np.concatenate([grays, mixed])).astype(int).clip(0, 255).reshape(-1).tolist())
    return image


def main():
    page, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "page.png"
        photographed(page, path)
        picture = Image.open(path).convert("RGB").crop(KEPT).resize(PIXELS, Image.Resampling.LANCZOS)
    picture.quantize(palette=palette(), dither=Image.Dither.NONE).save(folder / "report.png", optimize=True)


if __name__ == "__main__":
    main()
