"""The folder that a worklist works in: a cohort's, or one made for a folder of CTs that nobody has scored."""

import importlib.util
import os
import shutil
from pathlib import Path

from coronary_calcium.cohort.cases import DATABASE
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress

# In a folder of CTs: a cohort of its cases, for what the readers do. `cohort run` with it for its --output scores the
# same cases under the same ids.
READINGS_FOLDER = "calcium-readings"


def cohort_of(folder: Path, progress: Progress = no_progress) -> Path:
    """The cohort's folder of a folder that a reader names: itself, or the one in it, made or brought up to date.

    In a folder of CTs every study and every image is a case, as `cohort run` finds them; none is scored. Raises
    InputError: "no-file" when there is no such folder, "cohort-empty" when it holds no CT, "output" when it cannot be
    written, "packages" where Python was built without sqlite3; and Cancelled when ``progress`` does.
    """
    if importlib.util.find_spec("sqlite3") is None or importlib.util.find_spec("_sqlite3") is None:
        raise InputError("packages", "This Python has no sqlite3, which lists of cases need: use a newer 3D Slicer.")
    from coronary_calcium.cohort.case_search import read_folder, search_folder  # noqa: PLC0415 - it brings pydicom
    from coronary_calcium.cohort.state import CohortState  # noqa: PLC0415

    if not folder.is_dir():
        raise InputError("no-file", f"There is no folder {folder}: check the path.")
    if (folder / DATABASE).is_file():
        if not os.access(folder, os.W_OK):
            raise InputError(
                "output", f"{folder} cannot be written, and readings are kept in it: copy it to where you may write."
            )
        return folder
    readings = folder / READINGS_FOLDER
    known = readings.is_dir()
    try:
        with CohortState(readings) as state:
            search_folder(
                state,
                folder,
                lambda paths: (read_folder(path, state.salt) for path in paths),
                lambda count: progress(0.0, f"Searching for CTs: {count} folders"),
            )
            cases = sum(state.counts().values())
        if not cases:
            raise InputError("cohort-empty", f"There is no CT in {folder}: name a folder with DICOM or image files.")
    except BaseException:
        if not known:
            shutil.rmtree(readings, ignore_errors=True)
        raise
    return readings
