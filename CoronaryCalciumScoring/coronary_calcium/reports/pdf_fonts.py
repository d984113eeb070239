"""Fonts for names in any script: the embedded one for Latin letters, and for others TrueType fonts of this computer.

A report to be signed must show whose it is. So a name in letters that no font here has, or in a script that must be
shaped and cannot be, is rejected before any work rather than printed as question marks.
"""

import os
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from coronary_calcium.errors import InputError

# Bitstream Vera comes with reportlab and is embedded, so that the page is the same everywhere.
FONT, BOLD = "Vera", "VeraBd"
# Shown in texts other than names for a letter that no font has.
UNKNOWN_LETTER = "?"
# TrueType fonts of Linux distributions, Windows and macOS, in the order in which a letter is looked for.
_FILES = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansArabic-Regular.ttf"),
    *("NotoNaskhArabic-Regular.ttf", "NotoSansThai-Regular.ttf", "NotoSansArmenian-Regular.ttf", "Loma.ttf"),
    *("Garuda.ttf", "DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "wqy-zenhei.ttc", "wqy-microhei.ttc"),
    *("NanumGothic.ttf", "NotoSansSC-Regular.ttf", "NotoSansJP-Regular.ttf", "NotoSansKR-Regular.ttf"),
    *("arial.ttf", "segoeui.ttf", "tahoma.ttf", "leelawui.ttf", "msyh.ttc", "simsun.ttc", "msgothic.ttc"),
    *("malgun.ttf", "Arial Unicode.ttf", "Arial.ttf", "Tahoma.ttf", "Thonburi.ttc", "AppleGothic.ttf"),
)
# The same in bold, where there are any.
_BOLD_FILES = ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "arialbd.ttf", "Arial Bold.ttf")
_FOLDERS = {
    "win32": (r"C:\Windows\Fonts",),
    "darwin": ("/Library/Fonts", "/System/Library/Fonts", "~/Library/Fonts"),
}
_OTHER_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
# Scripts whose letters change place or shape by their neighbors beyond what is done here (Unicode's blocks): Syriac,
# N'Ko and Mandaic; those of India, Sri Lanka, Tibet and Myanmar; Khmer, Mongolian and those of Indonesia and the
# Philippines; their extensions; and the like of all these beyond the first plane.
_NEED_SHAPING = (
    *((0x0700, 0x074F), (0x07C0, 0x07FF), (0x0840, 0x086F), (0x0900, 0x0DFF), (0x0F00, 0x109F), (0x1700, 0x18AF)),
    *((0x1900, 0x194F), (0x1A00, 0x1AAF), (0x1B00, 0x1C4F), (0x1CD0, 0x1CFF), (0xA800, 0xA8FF), (0xA930, 0xA9FF)),
    *((0xAA00, 0xAA7F), (0xAAE0, 0xAAFF), (0xABC0, 0xABFF), (0x10A00, 0x10A5F), (0x10AC0, 0x10AFF)),
    *((0x10B80, 0x10BAF), (0x10D00, 0x10D3F), (0x10F30, 0x11FFF), (0x1E900, 0x1E95F)),
)


def register_fonts() -> None:
    """Make the embedded fonts known to reportlab; doing it twice does no harm."""
    for name in (FONT, BOLD):
        pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=BOLD, italic=FONT, boldItalic=BOLD)


@cache
def _found() -> dict[str, Path]:
    """The font files of this computer that are of interest, by name in small letters."""
    wanted = {name.lower() for name in (*_BOLD_FILES, *_FILES)}
    found: dict[str, Path] = {}
    for folder in _FOLDERS.get(sys.platform, _OTHER_FOLDERS):
        for parent, _, names in os.walk(Path(folder).expanduser()):
            found |= {name.lower(): Path(parent, name) for name in names if name.lower() in wanted}
    return found


def _fallbacks(bold: bool) -> Iterator[str]:
    """The other fonts that are here, registered one by one as they are asked for."""
    found = _found()
    for file in (*_BOLD_FILES, *_FILES) if bold else _FILES:
        path = found.get(file.lower())
        if path is None:
            continue
        name = f"fallback-{path.stem}"
        if name not in pdfmetrics.getRegisteredFontNames():
            try:
                pdfmetrics.registerFont(TTFont(name, str(path)))
            except (TTFError, OSError):
                continue  # with outlines that cannot be embedded, or damaged
        yield name


def _has(font: str, letter: str) -> bool:
    return ord(letter) in pdfmetrics.getFont(font).face.charToGlyph


def _font_of(letters: str, bold: bool = False) -> str | None:
    """The first font that has all the letters; None if none has, or if they could not be set in the right order."""
    if any(_needs_shaping(letter) for letter in letters):
        return None
    fonts = (FONT, *_fallbacks(bold)) if not all(_has(FONT, letter) for letter in letters) else (FONT,)
    return next((font for font in fonts if all(_has(font, letter) for letter in letters)), None)


def markup(value: object, bold: bool = False) -> str:
    """A text for reportlab's paragraphs in a font that has its letters, or in several; nothing is taken for markup."""
    text = as_set(str(value))
    whole = _font_of(text, bold)
    if whole is not None:
        return _in_font(text, whole)
    return "".join(
        _in_font("".join(letters), font) for font, letters in groupby(text, lambda letter: _font_of(letter, bold))
    )


def _needs_shaping(letter: str) -> bool:
    """Whether a letter's script must be shaped, as nothing here does."""
    return any(low <= ord(letter) <= high for low, high in _NEED_SHAPING)


def _in_font(letters: str, font: str | None) -> str:
    if font is None:
        return UNKNOWN_LETTER * len(letters)
    return escape(letters) if font == FONT else f'<font name="{font}">{escape(letters)}</font>'


def as_set(text: str) -> str:
    """The letters from left to right as they are printed: Arabic joined, right-to-left scripts turned around."""
    plain = unicodedata.normalize("NFC", text)
    if not _is_right_to_left(plain):
        return plain
    try:
        from arabic_reshaper import reshape  # noqa: PLC0415 - optional
        from bidi.algorithm import get_display  # noqa: PLC0415
    except ImportError:
        # Rather no letters than in the wrong order; names are rejected before (``reject_unprintable``).
        return "".join(UNKNOWN_LETTER if _is_right_to_left(letter) else letter for letter in plain)
    return str(get_display(reshape(plain)))


def _is_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def reject_unprintable(texts: tuple[str, ...]) -> None:
    """Raise InputError("pdf-letters") when a text to be identified by cannot be printed readably here."""
    register_fonts()
    for text in texts:
        if any(_needs_shaping(letter) for letter in text):
            raise InputError(
                "pdf-letters",
                f"Patient or study is written in a script ({_script(text)}) whose letters the PDF cannot join and "
                "order correctly: leave out the PDF and print report.html, or leave out the identity.",
            )
        if _is_right_to_left(text) and not _sets_right_to_left():
            raise InputError(
                "pdf-letters",
                "Patient or study is written from right to left, which the PDF needs the packages python-bidi and "
                "arabic-reshaper for: pip install python-bidi arabic-reshaper, or print report.html.",
            )
        if any(_font_of(letter) is None for letter in as_set(text) if not letter.isspace()):
            raise InputError(
                "pdf-letters",
                "Patient or study is written in letters that no TrueType font of this computer has, so the PDF would "
                "not name the patient: install the Noto or DejaVu fonts, or print report.html.",
            )


def _script(text: str) -> str:
    """The script of the first letter that must be shaped, as Unicode names it: "Devanagari"."""
    letter = next(letter for letter in text if _needs_shaping(letter))
    return unicodedata.name(letter, "unknown letters").split(" ")[0].capitalize()


def _sets_right_to_left() -> bool:
    try:
        import arabic_reshaper  # noqa: F401, PLC0415
        import bidi  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True
