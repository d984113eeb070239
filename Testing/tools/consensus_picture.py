"""Draw the documentation's picture of a consensus: python Testing/tools/consensus_picture.py FILE.png

Two made-up readers of the simulated patient of Sample Data: the first has the true calcium, the second lacks a lesion,
gives one to another artery and draws one narrower. The panel is the module's own, drawn outside the application
(qt_stand_in.py); the slices are drawn by Slicer's view code from the scene as it is.
"""

import io
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "CoronaryCalciumScoring"), str(ROOT / "Testing" / "helpers")]

import numpy as np  # noqa: E402 after the paths that these modules lie on
import pytest  # noqa: E402
from command_cases import write_image  # noqa: E402
from coronary_calcium.arteries import LCX, RCA  # noqa: E402
from coronary_calcium.cohort.cases import CASES, FoundCase, Outcome  # noqa: E402
from coronary_calcium.cohort.readings import (  # noqa: E402
    DONE,
    ReadingStatus,
    reading_folder,
    reading_of,
    write_reading,
)
from coronary_calcium.cohort.state import CohortState  # noqa: E402
from coronary_calcium.scoring import score_labels  # noqa: E402
from coronary_calcium.simulation.patient import simulate_patient  # noqa: E402
from CoronaryCalciumScoringLib import slice_pictures  # noqa: E402
from CoronaryCalciumScoringLib.slice_pictures import views_at  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import PATIENT_SPACING_MM, SEED  # noqa: E402
from panel_pictures import WIDTH, show  # noqa: E402
from PIL import Image  # noqa: E402
from scipy import ndimage  # noqa: E402
from slicer_application import open_panel  # noqa: E402
from slicer_scene import Scene, slicer  # noqa: E402

CASE, FIRST, SECOND = "case-000001", "anna", "ben"
VIEW_PIXELS, VIEW_MM, COLORS = 275, 40.0, 128


def two_readings(volume, truth):
    """The label maps of the two readers."""
    lesions = score_labels(volume, truth).lesions
    second = truth.copy()
    flat = second.reshape(-1)
    flat[lesions[3].voxels] = 0
    flat[lesions[2].voxels] = LCX.label if lesions[2].artery != LCX.name else RCA.label
    largest = np.zeros(truth.shape, bool)
    largest.reshape(-1)[lesions[0].voxels] = True
    second[largest & ~ndimage.binary_erosion(largest, np.ones((1, 3, 3)))] = 0
    return truth, second


def make_cohort(folder):
    """A cohort of the simulated patient, read by both."""
    patient = simulate_patient(SEED, detailed=True, spacing=PATIENT_SPACING_MM, thickness=PATIENT_SPACING_MM)
    volume = patient.volume
    ct = write_image(folder.parent / "ct.nrrd", volume.hu, volume.spacing, volume.origin)
    with CohortState(folder) as state:
        state.add_cases([FoundCase("key", str(ct), id=CASE)])
        job = next(state.queued())
        state.finish([(job.number, Outcome("done", {"scores": {}, "warnings": [], "lesions": []}))])
    (folder / CASES).mkdir(exist_ok=True)
    for reader, labels in zip((FIRST, SECOND), two_readings(volume, patient.labels), strict=True):
        score = score_labels(volume, labels)
        status = ReadingStatus(DONE)
        write_reading(reading_folder(folder, reader, CASE), reading_of(score, labels, score.risk_category, status))


def main():
    target = Path(sys.argv[1])
    scene = Scene()
    with (
        tempfile.TemporaryDirectory() as name,
        pytest.MonkeyPatch.context() as patch,
        open_panel(patch) as application,
    ):
        folder = Path(name, "cohort")
        folder.mkdir()
        make_cohort(folder)
        widget = application.widget
        section, worklist = widget.consensus, widget.worklist
        worklist.form.readerEdit.text = "carol"
        worklist.openFolder(str(folder))
        application.until(lambda: not worklist.run.running)
        section.compareNext()
        application.until(lambda: section.consensus is not None and not section.run.running, 120)
        section.table.select(1)
        section.form.firstButton.click()
        section.table.select(0)
        widget.ui.consensusCollapsibleButton.collapsed = False
        show(application, WIDTH)
        button = widget.ui.consensusCollapsibleButton
        corner = button.mapTo(application.parent, button.rect.topLeft())
        panel_file = Path(name, "panel.png")
        assert application.parent.grab().save(str(panel_file))
        panel = (
            Image.open(panel_file)
            .convert("RGB")
            .crop((corner.x() - 4, corner.y() - 4, corner.x() + button.width + 4, corner.y() + button.height + 4))
        )
        consensus = section.consensus
        volume = widget.reviewPanel.review.ct.volume
        views = []
        for number, difference in enumerate(consensus.case.differences[:2]):
            consensus.jump(difference)
            x, y, z = volume.position(difference.place(volume.shape))
            view = views_at((-float(x), -float(y), float(z)), VIEW_MM)[0]
            node = consensus.opened.volumeNode
            drawn = slice_pictures._draw(scene.mrml, scene.application, node, view, f"Picture{number}", VIEW_PIXELS)
            views.append(Image.open(io.BytesIO(drawn)).convert("RGB"))
        picture = Image.new("RGB", (panel.width + VIEW_PIXELS + 8, max(panel.height, 2 * VIEW_PIXELS + 8)), "white")
        picture.paste(panel, (0, 0))
        for number, view in enumerate(views):
            picture.paste(view, (panel.width + 8, number * (VIEW_PIXELS + 8)))
        picture.quantize(COLORS).save(target, optimize=True)
        slicer.mrmlScene.Clear(False)
    scene.mrml.Clear(True)


if __name__ == "__main__":
    main()
