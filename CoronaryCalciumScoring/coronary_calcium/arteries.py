"""The coronary arteries: label values, names, codes and colours, in the one place that all outputs use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Artery:
    """One label of the calcium label map.

    ``label`` is the voxel value, ``code`` and ``meaning`` the SNOMED CT concept, ``color`` sRGB in 0..1.
    """

    label: int
    name: str
    meaning: str
    code: str
    color: tuple[float, float, float]


# Codes: DICOM PS3.16 CID 3015 "Coronary Artery" as SNOMED CT concepts. Colours: Okabe and Ito's palette, which
# readers with any of the common colour vision deficiencies can tell apart, on the grey of a CT.
LM = Artery(1, "LM", "Left main coronary artery", "3227004", (0.94, 0.89, 0.26))
LAD = Artery(2, "LAD", "Left anterior descending coronary artery", "59438005", (0.90, 0.62, 0.00))
LCX = Artery(3, "LCX", "Left circumflex coronary artery", "57396003", (0.34, 0.71, 0.91))
RCA = Artery(4, "RCA", "Right coronary artery", "13647002", (0.80, 0.47, 0.65))
# Calcium in a coronary artery that nobody has named yet: SNOMED CT "Coronary artery structure".
UNASSIGNED = Artery(5, "unassigned", "Coronary artery", "41801008", (0.00, 0.62, 0.45))

ARTERIES = (LM, LAD, LCX, RCA, UNASSIGNED)
NAMED_ARTERIES = (LM, LAD, LCX, RCA)
BY_LABEL = {artery.label: artery for artery in ARTERIES}
BY_NAME = {artery.name: artery for artery in ARTERIES}
