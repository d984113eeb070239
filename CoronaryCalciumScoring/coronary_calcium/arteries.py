"""The coronary arteries: label values, names, codes, colors and terminology, in the one place all outputs use."""

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


# Codes: DICOM PS3.16 CID 3015 "Coronary Artery" as SNOMED CT concepts. Colors: Okabe and Ito's palette, which
# readers with any of the common color vision deficiencies can tell apart, on the gray of a CT.
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


# Name of the segment tag that holds the text, and the lists that Slicer looks the codes up in.
TERMINOLOGY_TAG = "TerminologyEntry"
CATEGORY_LIST = "Segmentation category and type - DICOM master list"
REGION_LIST = "Anatomic codes - DICOM master list"

# (scheme, value, meaning), as in DICOM PS3.16: category of CID 7150; type of the contexts for calcification (CID 3802).
CATEGORY = ("SCT", "49755003", "Morphologically Abnormal Structure")
CALCIFICATION = ("SCT", "18115005", "Pathologic calcification")
_NO_CODE = ("", "", "")


def region(artery: Artery) -> tuple[str, str, str]:
    """The artery as a coded anatomic region: (scheme, value, meaning)."""
    return ("SCT", artery.code, artery.meaning)


def terminology(artery: Artery) -> str:
    """The terminology entry of the segment that holds one artery's calcium.

    Entries are separated by ``~`` and a code's three by ``^``: list, category, type, type modifier, region list,
    region, region modifier.
    """
    codes = [CATEGORY_LIST, CATEGORY, CALCIFICATION, _NO_CODE, REGION_LIST, region(artery), _NO_CODE]
    return "~".join(code if isinstance(code, str) else "^".join(code) for code in codes)
