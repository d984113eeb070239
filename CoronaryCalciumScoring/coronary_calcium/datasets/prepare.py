"""Training cases (.npz) made of any data set, kept where they are up to date."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from coronary_calcium.atomic_write import PARTIAL_FILE, write_whole
from coronary_calcium.datasets.base import Case, DataSet, Entry, LeftOut, opened
from coronary_calcium.datasets.case_format import REVIEWED_FACTS, write_training_case
from coronary_calcium.errors import InputError
from coronary_calcium.heart.find import find_heart
from coronary_calcium.progress import Progress, no_progress, part_of

SUFFIX = ".npz"
# What recipes and reports call scans with and without gating, as the simulated training cases do.
_KINDS = {True: "cardiac", False: "chest"}
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Prepared:
    """What came of a data set: names of training cases made now and kept from before, and cases left out."""

    layout: str
    made: tuple[str, ...]
    kept: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def prepare(data: DataSet, output: Path, progress: Progress = no_progress) -> Prepared:
    """Write a training case for every case of a data set into a folder, and a list of them (``list_path``).

    A case that is there and younger than what it is made of is kept, so an interrupted run goes on where it ended; one
    that the data set no longer has is removed. Several data sets may be prepared into one folder. Raises InputError:
    ``"not-marked"`` for a data set that has scores only, ``"no-training-data"`` when not one case can be used; OSError
    when the folder cannot be written to; whatever ``progress`` raises.
    """
    if not data.marked:
        raise InputError(
            "not-marked",
            "The data set has scores but no marked calcium, from which training learns: use it for evaluation, and "
            "train with another one.",
        )
    output.mkdir(parents=True, exist_ok=True)
    before = _made_before(list_path(data, output))
    made, kept, left_out = [], [], list(data.left_out)
    try:
        for number, entry in enumerate(data.entries):
            share = part_of(progress, number / len(data.entries), (number + 1) / len(data.entries))
            path = output / f"{_mark(data)}-{_plain(entry.name)}{SUFFIX}"
            if _up_to_date(path, entry):
                kept.append(path.name)
                share(1.0, f"{entry.name}: was there")
                continue
            rejected = _make(entry, path, share)
            if rejected is None:
                made.append(path.name)
            else:
                # What was made of an earlier state must not be trained on any more.
                path.unlink(missing_ok=True)
                left_out.append(rejected)
    finally:
        for unfinished in output.glob(f"{_mark(data)}-*{PARTIAL_FILE}"):
            unfinished.unlink()
    for name in before - {*made, *kept}:
        (output / name).unlink(missing_ok=True)
    prepared = Prepared(data.layout, tuple(made), tuple(kept), tuple(left_out))
    write_whole(list_path(data, output), json.dumps(asdict(prepared), indent=2) + "\n")
    if not made and not kept:
        first = left_out[0]
        raise InputError(
            "no-training-data",
            f"None of the {len(left_out)} cases can be used; the first, {first.name}: {first.reason}",
        )
    progress(1.0, "training cases prepared")
    return prepared


def list_path(data: DataSet, output: Path) -> Path:
    """The list of what was made of a data set, and of what was left out and why, beside the training cases."""
    return output / f"prepared-{_mark(data)}.json"


def ensure_cases(folder: str | Path, cache: str | Path, progress: Progress = no_progress) -> Path:
    """A folder of training cases: ``folder`` itself when it holds them, or one in ``cache``, where they are made.

    ``folder`` may hold training cases (.npz), cases saved from Slicer, or any data set that ``registry.open_data_set``
    knows; ``cache`` is written to only when training cases have to be made, each data set into a folder of its own.
    Of several processes that train together, one must call it before the others do. Raises as ``open_data_set`` and
    ``prepare`` do.
    """
    folder = Path(folder)
    ready = {path.stem for path in folder.glob(f"*{SUFFIX}")} if folder.is_dir() else set()
    if ready and not _unsaved(folder, ready):
        return folder
    # Imported late: training machines read ready cases without SimpleITK and pydicom.
    from coronary_calcium.datasets.registry import open_data_set  # noqa: PLC0415

    return prepare_in(Path(cache), open_data_set(folder), progress)[0]


def prepare_in(cache: Path, data: DataSet, progress: Progress = no_progress) -> tuple[Path, Prepared]:
    """The training cases of a data set in a folder of their own in ``cache``, and what came of it; as ``prepare``."""
    cases = cache / _mark(data)
    return cases, prepare(data, cases, progress)


def _unsaved(folder: Path, ready: set[str]) -> bool:
    """Whether cases saved from Slicer lie beside training cases that were not made of them."""
    saved = {path.parent.name for path in folder.glob(f"*/{REVIEWED_FACTS}")}
    return any(name not in ready for name in saved if not name.startswith("."))


def _make(entry: Entry, path: Path, progress: Progress) -> LeftOut | None:
    """Write the training case of an entry; returns why not, if so."""

    def named(fraction: float, text: str) -> None:
        progress(fraction, f"{entry.name}: {text}")

    case = opened(entry, part_of(named, 0.0, 0.6))
    if isinstance(case, LeftOut):
        return case
    if case.labels is None:
        return LeftOut(case.name, "No calcium is marked in it.")
    field = find_heart(case.volume, part_of(named, 0.6, 0.9))
    if not field.found:
        return LeftOut(case.name, "The heart was not found in it, so it is not known which part to keep.")
    write_training_case(path, case.volume, case.labels, field.windows, _facts(case))
    named(1.0, "written")
    return None


def _facts(case: Case) -> dict[str, object]:
    """What the training case says of its origin; the scan's facts by the names that simulated ones have them under."""
    acquisition = case.volume.acquisition
    facts = {
        "kind": _KINDS.get(case.facts["gated"]),
        "kernel": acquisition.kernel,
        "thickness_mm": acquisition.slice_thickness_mm,
        "kvp": acquisition.kvp,
        "acquisition": asdict(acquisition),
        **case.facts,
        "warnings": [warning.code for warning in (*case.volume.warnings, *case.warnings)],
    }
    return {name: value for name, value in facts.items() if value is not None}


def _up_to_date(path: Path, entry: Entry) -> bool:
    """Whether a training case is there and not older than anything that it is made of."""
    if not path.is_file():
        return False
    made = path.stat().st_mtime
    return all(source.stat().st_mtime <= made for source in entry.sources)


def _mark(data: DataSet) -> str:
    """What tells a data set's files from those of others: the layout, and a checksum of where it lies."""
    return f"{data.layout}-{_checksum(str(data.folder.resolve()))}"


def _plain(name: str) -> str:
    """A case's name with what no file name should hold replaced; names that differ only in that stay apart."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:_LONGEST_NAME]
    return plain if plain == name else f"{plain}-{_checksum(name)}"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _made_before(path: Path) -> set[str]:
    """The names of the training cases on a list; only plain file names, whatever the list says."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        names = {str(name) for name in (*listed["made"], *listed["kept"])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if Path(name).name == name and name.endswith(SUFFIX)}
