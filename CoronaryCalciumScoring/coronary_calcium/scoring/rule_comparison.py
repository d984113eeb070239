"""The same lesions under every rule set: which decision makes two programs differ."""

from dataclasses import dataclass

import numpy as np

from coronary_calcium.scoring.agatston import CaseScore, score_labels
from coronary_calcium.scoring.components import minimum_pixels
from coronary_calcium.scoring.rules import RULE_SETS, RuleSet
from coronary_calcium.scoring.volume_mass import MassCalibration, Quantities, measure
from coronary_calcium.volume import CTVolume


@dataclass(frozen=True)
class ScoredByRules:
    """A case's scores by one rule set, and what its smallest component is in pixels of this scan."""

    rules: RuleSet
    score: CaseScore
    quantities: Quantities
    minimum_pixels: int


def compare_rules(
    volume: CTVolume, labels: np.ndarray, used: RuleSet, calibration: MassCalibration
) -> tuple[ScoredByRules, ...]:
    """The scores of a label map by every named rule set, and first by ``used`` where that is none of them.

    All see the same marked voxels; a rule set with a lower threshold finds nothing where nothing was marked.
    """
    rule_sets = [*RULE_SETS.values()] if used in RULE_SETS.values() else [used, *RULE_SETS.values()]
    return tuple(
        ScoredByRules(
            rules,
            score_labels(volume, labels, rules),
            measure(volume, labels, rules, calibration),
            minimum_pixels(volume.spacing, rules),
        )
        for rules in rule_sets
    )
