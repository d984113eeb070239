"""What the words of a DICOM image type (0008,0008) say of an image: projections, computed images, virtual energies.

The first two values are the standard's, the others anybody's: vendors write "CALCIUM SUPPRESSION", "CALCIUM_SUPP_25" or
"CaSupp" for one thing. So words are compared without their separators' kind, in capital letters.
"""

import re
from collections.abc import Iterable

_LOCALIZER = {"LOCALIZER", "SCOUT", "TOPOGRAM"}
# Beside the standard's words for projections, those of vendors. Siemens writes "CT_SOM5 MIP" as one value.
_PROJECTIONS = {"MIP", "MINIP", "MIN_IP", "MAX_IP", "PROJECTION IMAGE", "MAXIMUM", "MINIMUM", "VRT", "RENDERED",
                "VOLUME_RENDER", "SSD", "SCREEN SAVE"}  # fmt: skip
# Images computed from others by arithmetic (PS3.3 C.8.16.2.1.4, derived pixel contrast), and from several energies
# (PS3.3 C.8.15.3.1 and PS3.17 annex JJJJ, multi-energy): their values are not those of tissue, or calcium has been
# taken out of them.
_COMPUTED = {"ADDITION", "DIVISION", "MULTIPLICATION", "SUBTRACTION", "STD_DEVIATION", "QUANTITY", "MAT_SPECIFIC",
             "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_MODIFIED", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM",
             "ELECTRON_DENSITY"}  # fmt: skip
# The same in the vendors' words (Siemens syngo and NAEOTOM, Philips IQon, GE GSI, Canon), separators as spaces.
_SPECTRAL = re.compile(
    r"\b("
    r"CA(LCIUM)? ?SUPP\w*|CA(LCIUM)? ?(REMOV|SUBTR|FREE)\w*|PURE ?(CALCIUM|LUMEN)|BONE ?(REMOV|SUBTR|SUPP)\w*"
    r"|VNC\w*|VNI\w*|VNE|TNC|VUE|VIRTUAL ?(NON|UN|TRUE) ?\w+"
    r"|IODIN\w*|IODMAP|IO ?MAP|PBV|PERFUSED ?BLOOD\w*"
    r"|Z ?EFF\w*|EFF\w* ?(Z|ATOMIC)\w*|ATOMIC ?NUM\w*|RHO ?Z|ELECTRON ?DENS\w*|ELEC ?DENS\w*|REL ?ELEC\w*"
    r"|MATERIAL ?(DENS|DECOMP|MAP|BASIS)\w*|MAT ?DENS\w*|BASIS ?MAT\w*|GSI ?MD|MD"
    r"|URIC ?ACID\w*|GOUT|PHOTO ?ELECTRIC\w*|COMPTON\w*|SCATTER|WATER|HYDROXYAPATITE|HAP|FAT ?(MAP|FRACTION)"
    r"|OVERLAY\w*|FUSED|CBF|CBV|MTT|TTP|TMAX|PERFUSION"
    r")\b"
)
_VIRTUAL_ENERGY = re.compile(r"\b(VMI\w*|MONO(?!CHROME)\w*|\d+ ?KEV|KEV ?\d*)\b")
_KEV = re.compile(r"(\d{2,3}) ?(KEV)?\b")
# What manufacturers and scanners' descriptions call these images.
_DESCRIBED = re.compile(
    r"\b(VNC|VUE|VIRTUAL ?(NON|UN) ?(CONTRAST|ENHANCED|CALCIUM|IODINE)\w*|CALCIUM ?SUPP\w*|PURE ?(CALCIUM|LUMEN)|IODINE"
    r" ?(MAP|DENS\w*|OVERLAY|NO ?WATER)|IODINE|Z ?EFF\w*|ELECTRON ?DENS\w*|MONO ?E\w*|MONOENERGETIC\w*|VMI|\d+ ?KEV)\b"
)


def _words(values: Iterable[str]) -> set[str]:
    """The values, and the single words in them."""
    values = tuple(values)
    return {*values, *(word for value in values for word in value.split())}


def _spaced(value: str) -> str:
    """A value with every separator as one space."""
    return re.sub(r"[\W_]+", " ", value.upper()).strip()


def is_localizer(image_type: Iterable[str]) -> bool:
    """Whether an image is the scanner's overview picture."""
    return bool(_LOCALIZER & _words(image_type))


def is_projection(image_type: Iterable[str]) -> bool:
    """Whether an image is a projection or a rendering of many slices."""
    return bool(_PROJECTIONS & _words(image_type))


def computed_word(image_type: Iterable[str]) -> str | None:
    """The word that says that an image was computed from others, or that materials were taken out; None without."""
    image_type = tuple(image_type)
    standard = sorted(_COMPUTED & _words(image_type))
    if standard:
        return standard[0]
    return next((match[0] for value in image_type if (match := _SPECTRAL.search(_spaced(value)))), None)


def virtual_energy(image_type: Iterable[str]) -> str | None:
    """What a virtual monoenergetic image says of its energy, such as "40 keV" ("" where it gives none); None if it is
    no such image.
    """
    spaced = [_spaced(value) for value in image_type]
    marked = [value for value in spaced if _VIRTUAL_ENERGY.search(value)]
    if not marked:
        return None
    energies = [match[1] for value in [*marked, *spaced[2:]] if (match := _KEV.search(value))]
    return f"{energies[0]} keV" if energies else ""


def describes_spectral(description: str) -> str | None:
    """The word of a series' description that speaks of a spectral image; None without."""
    match = _DESCRIBED.search(_spaced(description))
    return None if match is None else match[0]
