"""What the model card of newly trained weights says of their training, in the sentence that every output repeats."""

from collections.abc import Mapping, Sequence
from typing import Any

from coronary_calcium.statements import NO_CLINICAL_LABELS, RESEARCH_USE, trained_on

# How the ``source`` of a case begins whose calcium is simulated, as patients and implants write it.
_SIMULATED = ("simulated patient", "calcium implanted in ")


def training_statement(sources: Sequence[str], initialised_from: Mapping[str, Any] | None) -> str:
    """The card's ``statement``: no clinical labels when all is simulated, else where the cases come from.

    ``initialised_from`` is the card entry of the weights that the training began with; those of a card that says
    nothing of it are taken for simulated, as all were before it was said.
    """
    earlier = "" if initialised_from is None else trained_on(initialised_from) or NO_CLINICAL_LABELS
    if earlier in ("", NO_CLINICAL_LABELS) and all(source.startswith(_SIMULATED) for source in sources):
        return f"{NO_CLINICAL_LABELS} {RESEARCH_USE}"
    before = f"Of the weights that it began with: {earlier}" if earlier else ""
    return " ".join(filter(None, [f"The network was trained on cases of: {', '.join(sources)}.", before, RESEARCH_USE]))
