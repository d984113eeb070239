"""What only the application knows: the packages of its Python, and its DICOM database."""

import os

import qt
import slicer
from coronary_calcium.volume import Acquisition
from CoronaryCalciumScoringLib.slice_views import show_in_slices
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.4"
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
    """How the scan was made, from the header of its first slice in the DICOM database; None where there is none."""
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    path = database.fileForInstance(uids[0]) if uids and database else ""
    if not path or not os.path.isfile(path):
        return None
    import pydicom
    from coronary_calcium.io.slice_header import acquisition_of

    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, pydicom.errors.InvalidDicomError):
        return None
    return acquisition_of(dataset, str(dataset.file_meta.get("TransferSyntaxUID", "")))


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
    """Install the packages of a file of requirements that Slicer does not ship, asking first."""
    try:
        from slicer.packaging import load_requirements, pip_ensure
    except ModuleNotFoundError as error:
        raise RuntimeError(_("This module needs 3D Slicer 5.12 or newer.")) from error
    pip_ensure(load_requirements(requirements), requester="Coronary Calcium Scoring")


def ensurePackages(requirements: str) -> None:
    """Install what the network needs and Slicer does not ship, asking first; raises RuntimeError when the user
    declines.
    """
    ensureRequirements(requirements)
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ModuleNotFoundError as error:
        raise RuntimeError(
            _("The network needs PyTorch: install the extension PyTorch in the Extensions Manager and restart Slicer.")
        ) from error
    torchUtils = PyTorchUtilsLogic()
    if torchUtils.torchInstalled():
        return
    if torchUtils.installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT) is None:
        raise RuntimeError(_("The network needs PyTorch, which was not installed."))


def confirmScoring(reason: str) -> bool:
    """Ask whether to score what was rejected for ``reason`` all the same."""
    question = _("Score it all the same? The result will carry a warning.")
    return slicer.util.confirmYesNoDisplay(f"{reason}\n\n{question}", windowTitle=_("Coronary Calcium Scoring")) is True
