"""COCA's gated cardiac CTs (Stanford AIMI): ``patient/<id>/<series>/*.dcm``, ``calcium_xml/<id>.xml``."""

from functools import partial
from pathlib import Path

from coronary_calcium.datasets import osirix
from coronary_calcium.datasets.case import Case, DataSet, Entry, LeftOut, files_in, folders_in, in_order
from coronary_calcium.errors import InputRefused
from coronary_calcium.progress import Progress, part_of
from coronary_calcium.reading import open_ct
from coronary_calcium.volume import CaseWarning, CTVolume

NAME = "coca-gated"
RELEASE, CTS, OUTLINES = "Gated_release_final", "patient", "calcium_xml"
# The share of a case's outlines that must hold the sum of HU that they state. In the right order of slices nearly all
# do, in any other none but by chance.
_LEAST_SHARE = 0.5
_NOT_FITTING = (
    "The outlines do not hold the HU that they state on this CT, so they belong to another series or to other slices: "
    "put the CT that belongs to the XML file into the patient's folder."
)


def find(folder: Path) -> Path | None:
    """The release's folder at or below this one, or None when this is another layout."""
    places = (folder, folder / RELEASE, *(path / RELEASE for path in folders_in(folder).values()))
    for place in places:
        if (place / OUTLINES).is_dir() or (place.name == RELEASE and (place / CTS).is_dir()):
            return place
    return None


def open_folder(folder: Path) -> DataSet:
    """The data set in a folder that ``find`` found.

    Raises InputRefused: ``"partial-data-set"`` when CTs or outlines are missing altogether, ``"needs-package"``.
    """
    missing = [name for name in (CTS, OUTLINES) if not (folder / name).is_dir()]
    if missing:
        raise InputRefused(
            "partial-data-set",
            f"COCA's folder {folder} lacks {missing[0]}/: download the whole of {RELEASE}.",
        )
    cts, outlines = folders_in(folder / CTS), files_in(folder / OUTLINES, ".xml")
    both = in_order(cts.keys() & outlines.keys())
    if not both:
        raise InputRefused(
            "partial-data-set",
            f"In {folder} no patient has both a CT in {CTS}/ and outlines in {OUTLINES}/: download the whole of "
            f"{RELEASE}.",
        )
    osirix.require_fill()
    entries = [
        Entry(name, (outlines[name], cts[name]), partial(_open, name, cts[name], outlines[name])) for name in both
    ]
    left_out = [
        *(
            LeftOut(name, f"It has no outlines in {OUTLINES}/, and whether it is free of calcium is not stated.")
            for name in in_order(cts.keys() - outlines.keys())
        ),
        *(LeftOut(name, f"Its CT is missing in {CTS}/.") for name in in_order(outlines.keys() - cts.keys())),
    ]
    return DataSet(NAME, folder, tuple(entries), tuple(left_out))


def _open(name: str, folder: Path, xml: Path, progress: Progress) -> Case:
    outlines, odd = osirix.read_outlines(xml)
    opened = open_ct(folder, progress=part_of(progress, 0.0, 0.6))
    # With several series in the folder, the one on which the outlines were drawn is that which they fit.
    others = [series.series_uid for series in opened.others]
    refusals = []
    for number, uid in enumerate([None, *others]):
        progress(0.6 + 0.4 * number / (len(others) + 1), "filling the outlines")
        try:
            volume = (opened if uid is None else open_ct(folder, series_uid=uid)).volume
            inexact = _fit(outlines, volume, alone=not others)
            labels, overlap = osirix.draw(outlines, volume)
        except InputRefused as refusal:
            refusals.append(refusal)
            continue
        facts = {"source": "COCA gated", "gated": True, "left_main_in_lad": False}
        return Case(name, volume, labels, None, facts, odd + inexact + overlap)
    raise refusals[0]


def _fit(outlines: tuple[osirix.Outline, ...], volume: CTVolume, *, alone: bool) -> tuple[CaseWarning, ...]:
    """Refuse outlines that were not drawn on this CT; warn of those that do not hold what they state.

    ``alone`` says that there is no other series on which they may have been drawn.
    """
    if volume.series is None:
        raise InputRefused(
            "not-axial", "The series is not axial, so the outlines cannot be placed in it: give the original series."
        )
    matching, stated = osirix.matching(outlines, volume)
    if stated and matching < _LEAST_SHARE * stated:
        raise InputRefused("outlines-elsewhere", _NOT_FITTING)
    if not stated and not alone:
        raise InputRefused(
            "outlines-elsewhere",
            "The folder holds several series, and the XML file does not tell on which the outlines were drawn: leave "
            "only that one in the folder.",
        )
    if not stated and outlines:
        return (CaseWarning("outlines-unchecked", "The outlines state no sums of HU, so their place is not checked."),)
    if matching < stated:
        text = f"{stated - matching} of {stated} outlines do not hold exactly the HU that they state."
        return (CaseWarning("outlines-inexact", text),)
    return ()
