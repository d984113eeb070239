"""Telling header texts that say "no contrast medium" from those that name one, in the languages of their writers.

What is taken for "none" by mistake loses a warning. So an entry for the agent says none only when it holds no other
word: "NON IONIC" and "IOHEXOL, NO REACTION" name a medium.
"""

import re
import unicodedata


def _vocabulary(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that say by themselves that no medium was given, in an entry for the agent and in a description.
_NATIVE = _vocabulary(
    "native nativ nativa nativo nativaufnahme nativscan nativni natywne natywny unenhanced nonenhanced noncontrast "
    "precontrast"
)
# Words that say so in an entry for the agent, and may be about anything in a description.
_NOTHING = _vocabulary(
    "none nil n na 0 plain blank blanco keine keines keins nessuno ninguno nenhum aucun brak geen ingen nein nie nej "
    "nee nao"
)
# Words that say so of the medium behind them; alone in an entry for the agent they say it as well.
_WITHOUT = _vocabulary(
    "without wo no non not ohne kein nicht sans sin senza sem bez zonder utan uten uden ilman fara без pre vor avant"
)
_MEDIUM = _vocabulary(
    "contrast contrasts contraste contrastes contrasto contraststof kontrast kontrasta kontrastu kontrastem "
    "kontrastmittel kontrastmiddel kontrastmedel km mdc mezzo medio meio pdc injection injected injecte injecao "
    "inyeccion iniezione enhancement enhanced dye iv контраста контрастирования контрастного"
)
# Words that may stand beside these and add nothing.
_FILLING = _vocabulary(
    "agent medium media material produit product de di del du d da intravenous intraveineuse gabe given used "
    "administered applied ml cc mg scan ct tc tdm applicable a any the"
)
_WITH = _vocabulary("with w mit avec con com med met s и and und et e y post c")
# Spellings that would fall apart into words of other meanings.
_SPELLINGS = (
    (re.compile(r"\bw\s*[/.]\s*w\s*[/.]?\s*o\b\.?"), " with without "),  # "w/wo", "w/w/o": one series of two
    (re.compile(r"\bw\s*[/.]\s*o\b\.?"), " without "),
    (re.compile(r"\bs/c\b"), " sin contraste "),
    (re.compile(r"\bm\.\s?d\.\s?c\b\.?"), " mdc "),
    (re.compile(r"\bi\.\s?v\b\.?"), " iv "),
    (re.compile(r"\bk\.\s?m\b\.?"), " km "),
    (re.compile(r"(?<!\w)(?:c|km|iv)\+"), " with contrast "),
    (re.compile(r"(?<!\w)(?:c|km|iv)-(?!\w)|(?<![\w-])-(?:c|km)\b"), " native "),  # "C-", "KM-", "-C"
)
# Scripts without spaces between words: Chinese, Japanese and Korean for "plain" and "no contrast".
_UNSPACED = re.compile("平扫|平掃|单纯|單純|単純|非造影|造影なし|造影剤なし|无造影|無造影|无对比剂|비조영|조영제 ?없음")


def says_no_contrast(entry: str) -> bool:
    """Whether an entry for the contrast agent says that none was given: it is empty, or all of its words say so."""
    words = _words(entry)
    denials = _NATIVE | _NOTHING | _WITHOUT
    return not words or (
        all(word in denials | _MEDIUM | _FILLING for word in words) and any(word in denials for word in words)
    )


def describes_no_contrast(description: str) -> bool:
    """Whether a series' description, which is about other things as well, says that no contrast medium was given.

    One that speaks of contrast medium with and without says nothing of the series.
    """
    words = _words(description)
    denied = False
    place = 0
    while place < len(words):
        end = place + 1
        if words[place] in _WITHOUT:
            while end < len(words) and words[end] in _FILLING:
                end += 1
            is_denial = end < len(words) and words[end] in _MEDIUM
            while is_denial and end < len(words) and words[end] in _MEDIUM | _FILLING:
                end += 1
        else:
            is_denial = words[place] in _NATIVE
        if words[place] in _MEDIUM or (is_denial and place and words[place - 1] in _WITH):
            return False
        denied = denied or is_denial
        place = end if is_denial else place + 1
    return denied


def _words(text: str) -> list[str]:
    """The words of a text in small letters and without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("–", "-").replace("−", "-").replace("_", " "))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = _UNSPACED.sub(" native ", unicodedata.normalize("NFKC", plain))
    for pattern, words in _SPELLINGS:
        plain = pattern.sub(words, plain)
    return re.findall(r"\w+", plain)
