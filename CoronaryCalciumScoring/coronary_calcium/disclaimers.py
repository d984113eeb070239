"""Sentences that every output carries in the same words."""

from collections.abc import Mapping
from typing import Any

RESEARCH_USE = "Research use only: not a medical device, not for diagnosis or treatment decisions."
NO_CLINICAL_LABELS = "The network was trained on simulated calcium, without clinical labels."


def trained_on(card: Mapping[str, Any]) -> str:
    """What a network was trained on, in the words of its card, without ``RESEARCH_USE``, which every output has anyway.

    Empty when the card, or what is kept of it, does not say.
    """
    return str(card.get("statement", "")).removesuffix(RESEARCH_USE).strip()
