"""How a segment of coronary calcium is coded, as 3D Slicer writes it; pure text, used by files and by the scene."""

from coronary_calcium.arteries import Artery

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

    Parts are parted by ``~`` and a code's three by ``^``: list, category, type, type modifier, region list, region,
    region modifier.
    """
    codes = [CATEGORY_LIST, CATEGORY, CALCIFICATION, _NO_CODE, REGION_LIST, region(artery), _NO_CODE]
    return "~".join(code if isinstance(code, str) else "^".join(code) for code in codes)
