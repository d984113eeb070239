"""A CT volume in, a scored case out: the one path that the command line and the Slicer module share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coronary_calcium.disclaimers import trained_on
from coronary_calcium.heart.contrast import contrast_warning
from coronary_calcium.heart.field import HeartField
from coronary_calcium.heart.find import find_heart
from coronary_calcium.progress import Progress, Timing, no_progress, part_of
from coronary_calcium.scoring import CaseScore, score_labels
from coronary_calcium.scoring.calcium_quantities import CaseQuantities, case_quantities
from coronary_calcium.scoring.interpretation import MesaRisk, ScoreInterpretation, interpret_score, mesa_risk
from coronary_calcium.scoring.options import DEFAULT_OPTIONS, ScoringOptions
from coronary_calcium.scoring.reader_vs_ai import ReaderVsAI, reader_vs_ai
from coronary_calcium.scoring.rule_comparison import ScoredByRules, compare_rules
from coronary_calcium.scoring.rules import LITERATURE, RuleSet, adapted_to, adapted_warnings
from coronary_calcium.scoring.volume_mass import (
    MassCalibration,
    Quantities,
    calibration_from_marks,
    calibration_of,
    measure,
)
from coronary_calcium.volume import CaseWarning, CTVolume

if TYPE_CHECKING:
    from coronary_calcium.inference.predict import Prediction

# Arteries of 400 mm in all and 4 mm across have 5 mL, lumen included; blur makes calcium look up to twice as large.
MOST_CALCIUM_MM3 = 10_000.0
# One every 2 mm of those arteries.
MOST_LESIONS = 200


@dataclass(frozen=True, eq=False)
class CaseResult:
    """A scored case with everything that a reader of the score must know.

    Attributes
    ----------
    volume : the CT.
    labels : (k, j, i) uint8, the artery of every voxel marked as calcium (``arteries``).
    score : the scores of ``labels``.
    prediction : what the network proposed; None when a label map was given.
    model_card : the network's card with its checksum; None when a label map was given.
    rules : how the scores were counted.
    device : where the network ran, such as ``"cpu"``; ``"none"`` when it did not run.
    seconds : wall-clock seconds by stage.
    warnings : all warnings, those of the CT first.
    mask_given : whether ``labels`` were given in place of the network's.
    options : what else the user chose.
    difference : what the reader of a given label map changed in the network's prediction; None where there was none.

    """

    volume: CTVolume
    labels: np.ndarray
    score: CaseScore
    prediction: "Prediction | None"
    model_card: dict[str, Any] | None
    rules: RuleSet
    device: str
    seconds: dict[str, float]
    warnings: tuple[CaseWarning, ...]
    mask_given: bool
    options: ScoringOptions = DEFAULT_OPTIONS
    difference: ReaderVsAI | None = None

    @property
    def how_marked(self) -> str:
        """Who marked the calcium, and what the network that marked or proposed it was trained on."""
        if not self.mask_given:
            return trained_on(self.model_card or {})
        if self.difference is None:
            return "The calcium was marked in a given label map; the network was not run."
        proposed = "The calcium was marked in a given label map, and is compared with what the network proposed."
        return f"{proposed} {trained_on(self.difference.model)}".strip()

    @cached_property
    def quantities(self) -> Quantities:
        """Volume by the rule set, interpolated volume and calcium mass."""
        return measure(self.volume, self.labels, self.rules, calibrated(self.volume, self.options))

    @cached_property
    def all_quantities(self) -> CaseQuantities | None:
        """Every quantity, lesion by lesion; None unless the user asked for it."""
        if not self.options.all_quantities:
            return None
        return case_quantities(self.volume, self.score, self.quantities.calibration)

    @cached_property
    def interpretation(self) -> ScoreInterpretation:
        """What the total score stands for."""
        return interpret_score(self.score, self.options.risk_scheme)

    @cached_property
    def mesa(self) -> MesaRisk | None:
        """10-year risk of coronary heart disease; None without risk factors."""
        factors = self.options.risk_factors
        return None if factors is None else mesa_risk(factors, self.score.total.agatston)

    @cached_property
    def compared(self) -> tuple[ScoredByRules, ...]:
        """The same lesions by every rule set; empty unless the user asked for it."""
        if not self.options.compare_rules:
            return ()
        return compare_rules(self.volume, self.labels, self.rules, self.quantities.calibration)


def score_case(
    volume: CTVolume,
    *,
    labels: np.ndarray | None = None,
    proposed: np.ndarray | None = None,
    model_path: Path | None = None,
    device: str = "auto",
    rules: RuleSet = LITERATURE,
    progress: Progress = no_progress,
    timing: Timing | None = None,
    options: ScoringOptions = DEFAULT_OPTIONS,
) -> CaseResult:
    """Propose the calcium of a CT, or take it from ``labels``, and score it.

    ``labels`` is a (k, j, i) uint8 array on the volume's grid; with it the network is neither loaded nor run, unless
    ``options.compare_ai`` asks what the reader changed in its prediction. ``proposed`` is an earlier prediction to
    compare ``labels`` with instead. ``device`` is ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``. ``timing`` has timed
    what went before. With ``options.kvp_adapted``, ``rules`` are adapted to the scan's tube voltage first.

    Raises InputError when the CT, the weights or the device cannot be used, or the rules cannot be adapted, and
    Cancelled when ``progress`` does.
    """
    timing = timing or Timing()
    if options.kvp_adapted:
        rules = adapted_to(rules, volume.acquisition.kvp)
    calibrated(volume, options)  # rejected before the minutes of work, not after
    with timing.timed("find heart"):
        field = find_heart(volume, part_of(progress, 0.0, 0.08))
    warnings = [*adapted_warnings(volume.warnings, rules), *contrast_warning(volume, field)]
    if field.found:
        warnings += field.warnings  # a heart that is cut lacks calcium, whoever marks what is there
    if labels is not None:
        with timing.timed("score"):
            score = score_labels(volume, labels, rules)
        warnings += [*_mask_warning(score), *_amount_warning(score)]
        difference, ran_on = None, "none"
        if proposed is not None:
            difference = reader_vs_ai(score, score_labels(volume, proposed, rules))
        elif options.compare_ai:
            prediction, marked, card = _predict(volume, field, model_path, device, rules, progress, timing)
            difference = reader_vs_ai(score, score_labels(volume, marked, rules), card)
            ran_on = prediction.device
            warnings += [*field.warnings, *prediction.warnings]
        progress(1.0, "Scored")
        return CaseResult(
            volume,
            np.asarray(labels, dtype=np.uint8),
            score,
            None,
            None,
            rules,
            ran_on,
            timing.seconds,
            _unique(warnings),
            True,
            options,
            difference,
        )
    if not field.found:
        warnings += field.warnings
    prediction, labels, card = _predict(volume, field, model_path, device, rules, progress, timing)
    with timing.timed("score"):
        from coronary_calcium.inference.postprocess import uncertainty_warnings  # noqa: PLC0415 (torch, as in _predict)

        score = score_labels(volume, labels, rules, prediction.probability)
        doubt = uncertainty_warnings(volume, prediction, score, rules, options.risk_scheme)
    progress(1.0, "Scored")
    return CaseResult(
        volume=volume,
        labels=labels,
        score=score,
        prediction=prediction,
        model_card=card,
        rules=rules,
        device=prediction.device,
        seconds=timing.seconds,
        warnings=_unique(
            [*warnings, *prediction.warnings, *(doubt or _zero_warning(score, prediction)), *_amount_warning(score)]
        ),
        mask_given=False,
        options=options,
    )


def calibrated(volume: CTVolume, options: ScoringOptions) -> MassCalibration:
    """The calibration of mass that the user chose: marked rods, a factor, or the header's or typical one.

    Raises InputError("mass-rods") when the marks give none.
    """
    if options.rods is not None:
        return calibration_from_marks(volume, options.rods)
    return calibration_of(volume.acquisition, options.mass_factor)


def _predict(
    volume: CTVolume,
    field: HeartField,
    model_path: Path | None,
    device: str,
    rules: RuleSet,
    progress: Progress,
    timing: Timing,
) -> tuple["Prediction", np.ndarray, dict[str, Any]]:
    """The network's prediction, the lesions' label map and the network's card."""
    # torch takes seconds to import and is not there in a Slicer without it: a given label map needs none of this.
    with timing.timed("load network"):
        progress(0.08, "Loading the network")
        from coronary_calcium.inference.device import memory_rejected, resolve_device  # noqa: PLC0415
        from coronary_calcium.inference.postprocess import label_lesions  # noqa: PLC0415
        from coronary_calcium.inference.predict import predict  # noqa: PLC0415
        from coronary_calcium.network.weights import load_model  # noqa: PLC0415

        chosen = resolve_device(device)
        with memory_rejected():
            model = load_model(model_path, device=chosen)
    with timing.timed("network"), memory_rejected():
        prediction = predict(volume, field, model, device=chosen, rules=rules, progress=part_of(progress, 0.1, 0.97))
    with timing.timed("lesions"):
        labels = label_lesions(volume, prediction, rules)
    return prediction, labels, model.card


def _mask_warning(score: CaseScore) -> tuple[CaseWarning, ...]:
    """``mask-empty`` or ``mask-not-counted`` when the given label map comes to nothing."""
    if score.total.lesions:
        return ()
    if not score.labeled_voxels:
        return (CaseWarning("mask-empty", "The mask marks nothing, so the score of 0 says nothing about the patient."),)
    return (
        CaseWarning(
            "mask-not-counted",
            f"None of the {score.labeled_voxels} voxels that the mask marks counts: they are below "
            f"{score.rules.for_volume.threshold_hu:g} HU or in parts that are too small; check that the mask was drawn "
            "on this CT.",
        ),
    )


def _zero_warning(score: CaseScore, prediction: "Prediction") -> tuple[CaseWarning, ...]:
    """``nothing-marked`` when the network marked nothing, although there was something that it could have marked."""
    if score.total.lesions or not prediction.slices_run:
        return ()
    return (
        CaseWarning(
            "nothing-marked",
            f"The network marked nothing, although {prediction.slices_run} slices hold spots of "
            f"{score.rules.threshold_hu:.0f} HU and more in the heart's region: look at them before you rely on a "
            "score of 0.",
        ),
    )


def _amount_warning(score: CaseScore) -> tuple[CaseWarning, ...]:
    """``implausible-amount`` when more is marked than coronary arteries can hold."""
    if score.total.volume_mm3 <= MOST_CALCIUM_MM3 and score.total.lesions <= MOST_LESIONS:
        return ()
    return (
        CaseWarning(
            "implausible-amount",
            f"{score.total.lesions} lesions of {score.total.volume_mm3 / 1000:.1f} mL are more than coronary arteries "
            "hold: bone, metal, contrast medium or noise was probably marked as well; check the lesions before you use "
            "the score.",
        ),
    )


def _unique(warnings: list[CaseWarning]) -> tuple[CaseWarning, ...]:
    """The warnings without repetitions of a code, the first of each kept."""
    kept: dict[str, CaseWarning] = {}
    for warning in warnings:
        kept.setdefault(warning.code, warning)
    return tuple(kept.values())
