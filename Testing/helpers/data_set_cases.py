"""Small data sets in the layouts that users have on disk, all of them made up."""

import json
import plistlib

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its own documentation uses
from coronary_calcium.datasets.registry import open_data_set
from dicom_factory import chest_hu, write_series

# Few and thick slices, which are quick to write.
SHAPE, SPACING, ORIGIN = (9, 64, 64), (8.0, 2.0, 2.0), (-64.0, -70.0, -300.0)
SPOT = np.s_[3:6, 29:34, 29:35]
LAD_NAME, LM_NAME = "Left Anterior Descending Artery", "Left Coronary Artery"
LCX_NAME, RCA_NAME = "Left Circumflex Artery", "Right Coronary Artery"


def chest(seed=0):
    """The coarse chest with a bright, uneven spot in slices 3 to 5; no two slices are alike."""
    hu = np.minimum(chest_hu(SHAPE), 100).astype(np.int16)
    hu[SPOT] = 200 + np.random.default_rng(seed).integers(0, 300, (3, 5, 6))
    return hu


def write_image(path, array, spacing=SPACING, origin=ORIGIN):
    """Write an array (k, j, i) as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
    return path


def labeled(shape=SHAPE, **places):
    """A label map; ``v8=(k, j, i)`` marks a voxel with 8."""
    labels = np.zeros(shape, np.int16)
    for value, place in places.items():
        labels[place] = int(value[1:])
    return labels


def box(x0, x1, y0, y1):
    """The corners of a rectangle, as (x, y) in pixels."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def roi(name, corners, total=None):
    """One outline as OsiriX exports it."""
    entry = {
        "Name": name,
        "NumberOfPoints": len(corners),
        "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in corners],
        "Area": 0.1,
    }
    return entry if total is None else {**entry, "Total": float(total)}


def write_outlines(path, images):
    """An OsiriX property list of {ImageIndex: [outlines]}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"ImageIndex": k, "NumberOfROIs": len(rois), "ROIs": rois} for k, rois in images.items()]
    path.write_bytes(plistlib.dumps({"Images": entries}))
    return path


def write_gated(root, patient="7", hu=None, images=None, **series):
    """One patient of COCA's gated release; returns the folder of its CT."""
    folder = root / "Gated_release_final" / "patient" / patient / "CS_3.0_I30f"
    write_series(folder, chest() if hu is None else hu, spacing=SPACING, origin=ORIGIN, **series)
    if images is not None:
        write_outlines(root / "Gated_release_final" / "calcium_xml" / f"{patient}.xml", images)
    return folder


def write_scores(path, rows, header=("filename ", "LCA", "LAD", "LCX", "RCA", "total")):
    """COCA's table of scores."""
    import openpyxl

    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    for row in (header, *rows):
        book.active.append(row)
    book.save(path)
    return path


def write_nongated(root, patient="3"):
    """The CT of one patient of COCA's non-gated release."""
    return write_series(root / "deidentified_nongated" / patient / patient, chest(), spacing=SPACING, origin=ORIGIN)


def write_simulated(root, name="patient-cardiac-000007", hu=None, labels=None, **series):
    """One patient as ``coronary-calcium simulate`` writes it."""
    hu = chest() if hu is None else hu
    write_series(root / name / "dicom", hu, **{"spacing": SPACING, "origin": ORIGIN, **series})
    labels = labeled(v2=SPOT) if labels is None else labels
    where = {key: series[key] for key in ("spacing", "origin") if key in series}
    write_image(root / name / "labels.nrrd", labels.astype(np.uint8), **where)
    by_artery = {"LM": 0.0, "LAD": 12.5, "LCX": 0.0, "RCA": 0.0}
    truth = {"seed": 7, "agatston_as_imaged": {"total": 12.5, "by_artery": by_artery}, "risk_category": "11-100"}
    (root / name / "truth.json").write_text(json.dumps(truth))
    return root / name


def only_case(folder, layout="auto"):
    """The one case of a folder, and what was left out."""
    cases = list(open_data_set(folder, layout).cases())
    whole = [case for case in cases if hasattr(case, "volume")]
    assert len(whole) == 1, cases
    return whole[0], [case for case in cases if case is not whole[0]]


def left_out(folder):
    """Why the only case of a folder is left out."""
    (left,) = open_data_set(folder).cases()
    return left.reason
