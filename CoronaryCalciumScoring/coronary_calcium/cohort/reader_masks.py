"""Taking over a reader's label maps, drawn with whatever program, as readings of a cohort's cases."""

from pathlib import Path

from coronary_calcium.cohort.case_worker import opened_case
from coronary_calcium.cohort.cases import checked_id
from coronary_calcium.cohort.readings import AI, DONE, ReadingStatus, reading_folder, reading_of, write_reading
from coronary_calcium.cohort.state import CohortState, require_cohort
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress, no_progress

_SUFFIXES = (".seg.nrrd", ".nrrd", ".nii.gz", ".nii", ".mha", ".dcm")


def add_readings(
    cohort: Path, masks: Path, reader: str, progress: Progress = no_progress
) -> tuple[int, list[tuple[str, str]]]:
    """Score each label map on its case's CT by the literature's rules, and keep it as the reader's done case.

    A label map's name is its case's id. Returns how many were taken, and the others' ids with the reason. Raises
    InputError: "cohort-missing", "cohort-id" for a name that cannot be a reader's, "no-file" without label maps.
    """
    from coronary_calcium.io import open_mask  # noqa: PLC0415 - slow to import
    from coronary_calcium.scoring import score_labels  # noqa: PLC0415

    require_cohort(cohort)
    if checked_id(reader) == AI:
        raise InputError("cohort-id", f"{AI} is the network's name; give the reader another.")
    named = _by_id(masks)
    rejected: list[tuple[str, str]] = []
    with CohortState(cohort) as state:
        for count, (case_id, path) in enumerate(sorted(named.items())):
            progress(count / len(named), f"Reading {case_id}")
            try:
                with opened_case(state.job(case_id).case) as opened:
                    labels = open_mask(path, opened.volume)
                score = score_labels(opened.volume, labels)
            except InputError as rejection:
                rejected.append((case_id, str(rejection)))
                continue
            reading = reading_of(score, labels, score.risk_category, ReadingStatus(DONE))
            write_reading(reading_folder(cohort, reader, case_id), reading)
    progress(1.0, "Read")
    return len(named) - len(rejected), rejected


def _by_id(masks: Path) -> dict[str, Path]:
    files = sorted(masks.iterdir()) if masks.is_dir() else []
    named = {
        path.name[: -len(suffix)]: path
        for path in files
        for suffix in [next((one for one in _SUFFIXES if path.name.lower().endswith(one)), "")]
        if suffix
    }
    if not named:
        raise InputError("no-file", f"{masks} holds no label maps; name a folder of ID.nrrd, ID.seg.nrrd, ...")
    return named
