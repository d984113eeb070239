"""Draw the documentation's pictures of the panel: python Testing/tools/readme_pictures.py FOLDER

The panel is the module's own form and code, drawn outside the application (qt_stand_in.py); the simulated patient of
Sample Data is scored by the network, and one lesion is then assigned to another artery. The slice views are drawn by
Slicer's view code. Takes minutes on a CPU.
"""

import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "CoronaryCalciumScoring"), str(ROOT / "Testing" / "helpers")]

import pytest  # noqa: E402 after the paths that these modules lie on
from CoronaryCalciumScoringLib.slice_pictures import draw_views, views_at  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import add_simulated_patient  # noqa: E402
from panel_pictures import WIDTH, show  # noqa: E402
from PIL import Image, ImageDraw, ImageFont, ImageOps  # noqa: E402
from slicer_application import open_panel  # noqa: E402
from slicer_scene import Scene  # noqa: E402

VIEW_PIXELS, VIEW_MM = 300, 110.0
LONGEST_RUN_SECONDS = 3600
# Enough for a panel, and a file of half the size; of a CT's noise, five bits a color are enough.
PANEL_COLORS, VIEW_BITS = 128, 5


def draw_panel(application, path):
    """Draw the panel as it is."""
    show(application, WIDTH)
    application.parent.grab().save(str(path))
    Image.open(path).convert("RGB").quantize(PANEL_COLORS).save(path, optimize=True)


def draw_slices(review, path):
    """Draw three views of the lesion with the highest score, framed, side by side, with their captions."""
    lesion = review.lesion_rows()[0]
    views = views_at(lesion.ras, VIEW_MM)
    strip = Image.new("RGB", (len(views) * VIEW_PIXELS, VIEW_PIXELS))
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(16)
    mark = (lesion.ras, lesion.radius_mm)
    drawn = draw_views(review.volumeNode, review.segmentationNode, views, VIEW_PIXELS, mark)
    for number, picture in enumerate(drawn):
        strip.paste(Image.open(io.BytesIO(picture.png)).convert("RGB"), (number * VIEW_PIXELS, 0))
        draw.text((number * VIEW_PIXELS + 8, 6), picture.caption, fill="white", font=font)
    ImageOps.posterize(strip, VIEW_BITS).save(path, optimize=True)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene()
    volume = add_simulated_patient(scene.mrml)
    with pytest.MonkeyPatch.context() as patch, open_panel(patch) as application:
        ui, panel = application.widget.ui, application.widget.reviewPanel
        application.widget.enter()
        ui.applyButton.click()
        application.until(lambda: ui.progressBar.value >= 40 or not application.running(), LONGEST_RUN_SECONDS)
        draw_panel(application, folder / "panel-running.png")
        application.until(lambda: not application.running(), LONGEST_RUN_SECONDS)
        draw_panel(application, folder / "panel-scored.png")
        draw_slices(panel.review, folder / "slice-views.png")
        ui.rcaButton.click()
        panel.onClick(panel.review.lesion_rows()[0].ras, False)
        draw_panel(application, folder / "panel-corrected.png")
        application.folder = str(folder / "results")
        ui.resultsButton.click()
        application.until(lambda: not application.running(), LONGEST_RUN_SECONDS)
        scene.mrml.RemoveNode(volume)


if __name__ == "__main__":
    main()
