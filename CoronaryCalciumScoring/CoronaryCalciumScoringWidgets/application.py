"""What only the application knows: the packages of its Python, and its DICOM database."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import qt
import slicer
from coronary_calcium.errors import InputError
from coronary_calcium.volume import Acquisition
from CoronaryCalciumScoringLib.slice_views import show_in_slices
from CoronaryCalciumScoringLib.volume_node import stored_acquisition
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.4"
# Where the folder that was chosen last is kept.
FOLDER_SETTING = "CoronaryCalciumScoring/Folder"
# What to do with a review that a new run would take the place of.
KEEP, REPLACE, NEW = "keep", "replace", "new"


def askAboutReview(name: str) -> str:
    """Ask whether a new run keeps a review with the reader's work (then nothing runs), replaces it or goes beside it.

    Where nobody can answer, as in tests of the application, it goes beside it.
    """
    if slicer.app.testingEnabled():
        return NEW
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.windowTitle = _("Coronary Calcium Scoring")
    box.text = _("{name} holds your corrections.").format(name=name)
    box.informativeText = _("Keep it and do not run, replace it by the new result, or add the new result beside it?")
    buttons = {
        KEEP: box.addButton(_("Keep"), qt.QMessageBox.RejectRole),
        REPLACE: box.addButton(_("Replace"), qt.QMessageBox.DestructiveRole),
        NEW: box.addButton(_("Add new"), qt.QMessageBox.AcceptRole),
    }
    box.setDefaultButton(buttons[NEW])
    box.exec_()
    clicked = box.clickedButton()
    return next((answer for answer, button in buttons.items() if button == clicked), KEEP)


def showCT(volumeNode) -> None:
    """Show a CT in all slice views, and all of it when they showed something else before."""
    if show_in_slices(volumeNode):
        slicer.util.resetSliceViews()


def shownVolume():
    """The CT that the slice views show, or None."""
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        node = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
        if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode":
            return node
    return None


def acquisitionOf(volumeNode) -> Acquisition | None:
    """How the scan was made, from the header of its first slice in the DICOM database, or as the
    simulator or a worklist knows it. None where nothing is known.
    """
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    path = database.fileForInstance(uids[0]) if uids and database else ""
    if not path or not os.path.isfile(path):
        return stored_acquisition(volumeNode)
    from coronary_calcium.io.slice_header import read_headers

    headers = read_headers(Path(path))  # of an enhanced CT, voltage and kernel are in the frames' functional groups
    return headers[0].acquisition if headers else None


def dicomFilesOf(volumeNode) -> tuple[list[str], str]:
    """The DICOM files that a CT was loaded from, and why they are not known (one sentence, else empty)."""
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split() if volumeNode else []
    if not uids:
        return [], _("This CT was not loaded from Slicer's DICOM database, so no DICOM object can refer to its images.")
    database = getattr(slicer, "dicomDatabase", None)
    files = [database.fileForInstance(uid) for uid in uids] if database else []
    if not files or not all(path and os.path.isfile(path) for path in files):
        return [], _("The images of this CT are not in Slicer's DICOM database any more: import and load them again.")
    return files, ""


def ensureRequirements(requirements: str) -> None:
    """Install the packages of a file of requirements that Slicer does not ship, asking first.

    Raises InputError ("packages") with what to do when the user declines or the installation fails.
    """
    try:
        from slicer.packaging import load_requirements, pip_ensure
    except ModuleNotFoundError as error:
        raise InputError("packages", _("This module needs 3D Slicer 5.12 or newer.")) from error
    try:
        pip_ensure(load_requirements(requirements), requester="Coronary Calcium Scoring")
    except RuntimeError as error:
        if "declined" in str(error).lower():
            raise _declined(_("Python packages that are needed were not installed.")) from error
        raise InputError(
            "packages", _("Python packages could not be installed ({reason}).").format(reason=error)
        ) from error


def _declined(what: str) -> InputError:
    return InputError(
        "packages",
        _("{what} Press the button again and agree, or use Start without AI, which needs none.").format(what=what),
    )


def ensurePackages(requirements: str) -> None:
    """Install what the network needs and Slicer does not ship, asking first; raises InputError when it is missing.

    PyTorch itself is not imported: that takes seconds, in which the window would be frozen.
    """
    ensureRequirements(requirements)
    if importlib.util.find_spec("torch") is not None:
        return
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ModuleNotFoundError as error:
        raise InputError(
            "packages",
            _("The network needs PyTorch: install the extension PyTorch in the Extensions Manager and restart Slicer."),
        ) from error
    if PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT) is None:
        raise _declined(_("The network needs PyTorch, which was not installed."))


def askFolder(parent, title: str, names: Sequence[str] = (), setting: str = FOLDER_SETTING) -> str:
    """Ask for a folder, beginning at the one that was chosen last, and before files of these names are replaced.

    The setting keeps which was chosen last.

    Empty when the user does not want to write.
    """
    settings = qt.QSettings()
    folder = qt.QFileDialog.getExistingDirectory(parent, title, settings.value(setting) or "")
    if not folder:
        return ""
    settings.setValue(setting, folder)
    present = [name for name in names if os.path.exists(os.path.join(folder, name))]
    if present and not slicer.util.confirmOkCancelDisplay(
        _("{folder} already holds {names}. Replace them?").format(folder=folder, names=", ".join(present)),
        windowTitle=_("Coronary Calcium Scoring"),
    ):
        return ""
    return folder


def addToDicomDatabase(path: str) -> None:
    """Copy a DICOM file into Slicer's DICOM database, which lists it under the patient and study of its header.

    Raises RuntimeError when the database does not take it.
    """
    from DICOMLib import DICOMUtils

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, folder)
        if not DICOMUtils.importDicom(folder, copyFiles=True):
            raise RuntimeError(_("Slicer's DICOM database did not take the file."))


def confirmScoring(reason: str) -> bool:
    """Ask whether to score what was rejected for ``reason`` all the same."""
    question = _("Score it all the same? The result will carry a warning.")
    return slicer.util.confirmYesNoDisplay(f"{reason}\n\n{question}", windowTitle=_("Coronary Calcium Scoring")) is True
