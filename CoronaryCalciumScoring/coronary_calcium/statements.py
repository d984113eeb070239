"""Sentences that every output carries in the same words."""

RESEARCH_USE = "Research use only: not a medical device, not for diagnosis or treatment decisions."
NO_CLINICAL_LABELS = "The network was trained on simulated calcium, without clinical labels."
