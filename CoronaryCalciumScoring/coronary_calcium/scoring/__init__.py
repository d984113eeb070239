"""Scores: voxels that are marked as calcium in, Agatston score, volume, lesions and risk category out."""

from coronary_calcium.scoring.agatston import CaseScore, Tally, score_labels
from coronary_calcium.scoring.lesions import Lesion

__all__ = ["CaseScore", "Lesion", "Tally", "score_labels"]
