"""The module's entry in Slicer's Sample Data: a patient made on this machine."""

import slicer
from CoronaryCalciumScoringLib.synthetic_ct import NAME, add_simulated_patient
from slicer.i18n import tr as _

from .application import showCT

CATEGORY = "Coronary Calcium Scoring"
NO_ADDRESS = ""


def registerSampleData() -> None:
    """Offer the simulated patient in the Sample Data module; called once the application is up."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        thumbnailFileName=thumbnail(),
        # Sample Data counts addresses and names also where it downloads nothing, and fails without them.
        uris=NO_ADDRESS,
        nodeNames=NAME,
        customDownloader=makePatient,
    )


def thumbnail() -> str:
    """Path of the entry's picture."""
    from coronary_calcium.resources import resource

    return str(resource("Icons", "CoronaryCalciumScoring128.png"))


def makePatient(source=None):
    """Make the simulated patient, as Sample Data has a data set downloaded; returns its volume nodes."""
    with slicer.util.tryWithErrorDisplay(_("The patient could not be simulated."), waitCursor=True):
        volumeNode = add_simulated_patient(slicer.mrmlScene, _showProgress)
        showCT(volumeNode)
        slicer.util.showStatusMessage("")
        return [volumeNode]
    slicer.util.showStatusMessage("")
    return []


def _showProgress(fraction: float, text: str) -> None:
    slicer.util.showStatusMessage(_("{text} {percent} %").format(text=text, percent=round(100 * fraction)))
    slicer.app.processEvents()
