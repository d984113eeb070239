"""Telling sharp reconstruction kernels, which raise the score by noise and edge enhancement, by their names."""

import re

# Siemens numbers its kernels by sharpness: the SOMATOM Sensation manual recommends B30 and B40 as standard and B50 to
# B80 for higher sharpness; in the newer names (Br40, Qr36, I50f) the number means the same, and "l" is for lungs.
_SIEMENS = re.compile(r"\b[A-Z]{1,2}(\d{2})[A-Z]?\b")
_SIEMENS_LUNG = re.compile(r"\bBL\d{2}")
SIEMENS_SHARP_FROM = 50
# Canon and Toshiba: FC01-FC19 body, FC20-FC29 brain, FC30-FC39 bone, FC40-FC49 heart and vessels, from FC50 on lung
# and bone.
_CANON = re.compile(r"\bFC\s?(\d{2})")
# Philips: A and B are smooth and standard; D, E, F and the Y family enhance edges, L is for lungs.
_PHILIPS_SHARP = re.compile(r"^(D|E|F|L|LUNG|Y[A-E]|Y-?SHARP.*|DETAIL|BONE)$")
# GE, and anyone who writes words.
_SHARP_WORDS = ("LUNG", "BONE", "EDGE", "ULTRA", "DETAIL", "SHARP")


def is_sharp(kernel: str | None, manufacturer: str | None) -> bool:
    """Whether a kernel's name is that of a sharp one; False for names that are not known."""
    name = (kernel or "").upper().strip()
    maker = (manufacturer or "").upper()
    if any(word in name for word in _SHARP_WORDS):
        return True
    if "PHILIPS" in maker:
        return bool(_PHILIPS_SHARP.match(name))
    canon = _CANON.search(name)
    if canon:
        number = int(canon.group(1))
        return 30 <= number < 40 or number >= 50
    if "SIEMENS" in maker or not maker:
        siemens = _SIEMENS.search(name)
        return bool(_SIEMENS_LUNG.search(name)) or (siemens is not None and int(siemens.group(1)) >= SIEMENS_SHARP_FROM)
    return False
