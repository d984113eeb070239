"""Draw the documentation's picture of the worklist: python Testing/tools/worklist_picture.py FILE

The panel is the module's own form and code, drawn outside the application (qt_stand_in.py); the cases are made up.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "CoronaryCalciumScoring"), str(ROOT / "Testing" / "helpers")]

import pytest  # noqa: E402 after the paths that these modules lie on
from coronary_calcium.cohort.readings import (  # noqa: E402
    DONE,
    NOT_GRADABLE,
    OPEN,
    SECOND_LOOK,
    ReadingStatus,
    reading_folder,
    reading_of_nothing,
    write_reading,
)
from panel_pictures import WIDE, show  # noqa: E402
from PIL import Image  # noqa: E402
from slicer_application import open_panel  # noqa: E402
from slicer_scene import Scene  # noqa: E402
from worklist_cases import large_worklist  # noqa: E402

CASES, COLORS = 60, 256
MARKS = {0: (DONE, ""), 1: (SECOND_LOOK, ""), 2: (NOT_GRADABLE, "Motion"), 3: (OPEN, "")}


def main():
    path = Path(sys.argv[1])
    scene = Scene()
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        open_panel(patch) as application,
    ):
        cohort = large_worklist(Path(folder) / "cohort", CASES)
        section = application.widget.worklist
        section.form.readerEdit.text = "anna"
        application.widget.ui.worklistCollapsibleButton.collapsed = False
        section.openFolder(str(cohort))
        application.until(lambda: not section.run.running)
        section.form.orderComboBox.currentIndex = 1
        first = [one.row for one in section.table.placed]
        for place, (mark, reason) in MARKS.items():
            row, nothing = first[place], reading_of_nothing(ReadingStatus(mark, reason))
            scores = nothing.agatston | {"total": row.ai.agatston}
            reading = replace(nothing, agatston=scores, category=row.ai.category)
            write_reading(reading_folder(cohort, "anna", row.id), reading)
        section.openFolder(str(cohort))
        application.until(lambda: not section.run.running)
        show(application, WIDE)
        form = application.widget.ui.worklistCollapsibleButton
        form.grab().save(str(path))
        Image.open(path).convert("RGB").quantize(COLORS).save(path, optimize=True)
        scene.mrml.Clear(False)


if __name__ == "__main__":
    main()
