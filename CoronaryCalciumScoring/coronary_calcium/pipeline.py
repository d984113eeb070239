"""A CT volume in, a scored case out: the one path that the command line and the Slicer module share."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coronary_calcium.disclaimers import trained_on
from coronary_calcium.heart.contrast import contrast_warning, require_native_heart
from coronary_calcium.heart.field import HeartField
from coronary_calcium.heart.find import find_heart
from coronary_calcium.inference.prediction import FOR_A_SCORE, RunExtent
from coronary_calcium.progress import Progress, Timing, no_progress, part_of
from coronary_calcium.scoring import CaseScore, score_labels
from coronary_calcium.scoring.calcium_quantities import CaseQuantities, case_quantities
from coronary_calcium.scoring.interpretation import MesaRisk, ScoreInterpretation, interpret_score, mesa_risk
from coronary_calcium.scoring.lesion_region import near_lesions
from coronary_calcium.scoring.lesion_warnings import Uncertainty, lesion_warnings
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
from coronary_calcium.volume import CaseWarning, CTVolume, each_once

if TYPE_CHECKING:
    from coronary_calcium.inference.prediction import Prediction
    from coronary_calcium.network.weights import LoadedModel


_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PredictedLesions:
    """What the network found on a CT.

    Attributes
    ----------
    prediction : its probabilities and arteries.
    labels : (k, j, i) uint8, the label map of the lesions that follow from them (``inference.postprocess``).
    model_card : the network's card with its checksum.
    """

    prediction: "Prediction"
    labels: np.ndarray
    model_card: dict[str, Any]

    @property
    def field(self) -> HeartField:
        """Where the network looked."""
        return self.prediction.covered


@dataclass(frozen=True, eq=False)
class CaseResult:
    """A scored case with everything that a reader of the score must know.

    Attributes
    ----------
    volume : the CT.
    labels : (k, j, i) uint8, the artery of every voxel marked as calcium (``arteries``).
    score : the scores of ``labels``.
    rules : how the scores were counted.
    warnings : all warnings, those of the CT first.
    options : what else the user chose.
    seconds : wall-clock seconds by stage.
    predicted : what the network found; None when ``labels`` were given in place of it.
    uncertainty : what the network was uncertain of; None when it has not marked the lesions.
    difference : what the reader of a given label map changed in the network's prediction; None where there was none.
    device : where the network ran, such as ``"cpu"``; ``"none"`` when it did not run.
    artery_map : (k, j, i) uint8, the arteries around the lesions as the network named them, where a reader has
        corrected its lesions; None where it is in ``predicted``, or no network has marked anything.
    """

    volume: CTVolume
    labels: np.ndarray
    score: CaseScore
    rules: RuleSet
    warnings: tuple[CaseWarning, ...]
    options: ScoringOptions = DEFAULT_OPTIONS
    seconds: Mapping[str, float] = field(default_factory=dict)
    predicted: PredictedLesions | None = None
    uncertainty: Uncertainty | None = None
    difference: ReaderVsAI | None = None
    device: str = "none"
    artery_map: np.ndarray | None = None

    @property
    def mask_given(self) -> bool:
        """Whether ``labels`` were given in place of the network's."""
        return self.predicted is None

    @property
    def prediction(self) -> "Prediction | None":
        """What the network gave; None when a label map was given."""
        return self.predicted.prediction if self.predicted else None

    @property
    def model_card(self) -> dict[str, Any] | None:
        """The card of the network that marked the calcium; None when a label map was given."""
        return self.predicted.model_card if self.predicted else None

    @property
    def how_marked(self) -> str:
        """Who marked the calcium, and what the network that found it, or that it is compared with, was trained on."""
        if not self.mask_given:
            return trained_on(self.model_card or {})
        if self.difference is None:
            return "The calcium was marked in a given label map; the network was not run."
        compared = "The calcium was marked in a given label map, and is compared with what the AI found."
        return f"{compared} {trained_on(self.difference.model)}".strip()

    @cached_property
    def quantities(self) -> Quantities:
        """Volume by the rule set, interpolated volume and calcium mass."""
        return measure(self.volume, self.labels, self.rules, calibrated(self.volume, self.options))

    @cached_property
    def all_quantities(self) -> CaseQuantities | None:
        """Every quantity, lesion by lesion; None unless the user asked for it."""
        if not self.options.all_quantities:
            return None
        artery_map = self.prediction.artery_map if self.prediction else self.artery_map
        return case_quantities(self.volume, self.score, self.quantities.calibration, artery_map)

    @cached_property
    def interpretation(self) -> ScoreInterpretation:
        """What the total score means."""
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
    ai_labels: np.ndarray | None = None,
    model_path: Path | None = None,
    device: str = "auto",
    rules: RuleSet = LITERATURE,
    progress: Progress = no_progress,
    timing: Timing | None = None,
    options: ScoringOptions = DEFAULT_OPTIONS,
) -> CaseResult:
    """Find the calcium of a CT, or take it from ``labels``, and score it: the steps below, one after the other.

    ``labels`` is a (k, j, i) uint8 array on the volume's grid; with it the network is neither loaded nor run, unless
    ``options.compare_ai`` asks what the reader changed in its prediction. ``ai_labels`` is an earlier prediction to
    compare ``labels`` with instead.
    ``device`` is ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``. ``timing`` has timed what went before. With
    ``options.kvp_adapted``, ``rules`` are adapted to the scan's tube voltage first.

    Raises InputError when the CT, the weights or the device cannot be used, the rules cannot be adapted, or the network
    would run where there is no heart or contrast medium (unless ``options.allowed`` has the code), and Cancelled when
    ``progress`` does.
    """
    timing = timing or Timing()
    if options.kvp_adapted:
        rules = adapted_to(rules, volume.acquisition.kvp, volume.acquisition.tin_filter)
    _log.debug(
        "scoring %s voxels (k, j, i) of %s mm, %s, by the %s rules",
        volume.shape,
        volume.spacing,
        volume.hu.dtype,
        rules.name,
    )
    calibrated(volume, options)  # rejected before the minutes of work, not after
    run_network = partial(predict_case, volume, model_path, device, rules, progress, timing, options.allowed)
    if labels is None:
        predicted = run_network()
        result = score_predicted(volume, predicted, rules, options, timing)
    elif options.compare_ai and ai_labels is None:
        predicted = run_network()
        scan = scan_warnings(volume, predicted, rules)
        result = score_given(volume, labels, rules, options, scan, timing=timing)
        result = compared_with(result, predicted.labels, predicted.model_card, predicted.prediction.device)
    else:
        with timing.timed("find heart"):
            field = find_heart(volume, part_of(progress, 0.0, 0.08))
        result = score_given(volume, labels, rules, options, scan_warnings(volume, field, rules), timing=timing)
        result = result if ai_labels is None else compared_with(result, ai_labels)
    progress(1.0, "Scored")
    return result


def predict_case(
    volume: CTVolume,
    weights: Path | None = None,
    device: str = "auto",
    rules: RuleSet = LITERATURE,
    progress: Progress = no_progress,
    timing: Timing | None = None,
    allowed: Collection[str] = (),
) -> PredictedLesions:
    """Find the heart, load the network and run it: all of ``score_case`` that needs the network.

    ``allowed`` are the codes of ``heart.contrast.OVERRULABLE`` that do not reject the CT. Raises InputError and
    Cancelled as ``score_case`` does.
    """
    timing = timing or Timing()
    with timing.timed("find heart"):
        field = find_heart(volume, part_of(progress, 0.0, 0.08))
    require_native_heart(volume, field, allowed)
    model = load_network(weights, device, progress, timing)
    return predict_lesions(volume, field, model, rules, part_of(progress, 0.1, 0.97), timing)


def load_network(
    weights: Path | None, device: str, progress: Progress = no_progress, timing: Timing | None = None
) -> "LoadedModel":
    """The network on the device to run it on; the shipped weights when ``weights`` is None.

    Raises InputError when weights or device cannot be used.
    """
    # torch takes seconds to import and is not there in a Slicer without it: a given label map needs none of this.
    with (timing or Timing()).timed("load network"):
        progress(0.08, "Loading the network")
        from coronary_calcium.inference.device import memory_rejected, resolve_device  # noqa: PLC0415
        from coronary_calcium.network.weights import load_model  # noqa: PLC0415

        chosen = resolve_device(device)
        with memory_rejected():
            return load_model(weights, device=chosen)


def predict_lesions(
    volume: CTVolume,
    field: HeartField,
    model: "LoadedModel",
    rules: RuleSet = LITERATURE,
    progress: Progress = no_progress,
    timing: Timing | None = None,
    extent: RunExtent = FOR_A_SCORE,
) -> PredictedLesions:
    """Run the network where the heart is, and make lesions of what it says.

    Raises InputError when memory does not suffice or the network's answer is of no use, Cancelled when ``progress``
    does.
    """
    from coronary_calcium.inference.device import memory_rejected  # noqa: PLC0415
    from coronary_calcium.inference.postprocess import label_lesions  # noqa: PLC0415
    from coronary_calcium.inference.predict import predict  # noqa: PLC0415

    timing = timing or Timing()
    with timing.timed("network"), memory_rejected():
        prediction = predict(volume, field, model, rules, progress, extent)
    with timing.timed("lesions"):
        labels = label_lesions(volume, prediction, rules)
        # Whole windows are millions of voxels, of which nobody looks at the others.
        if prediction.artery_map is not None:
            prediction.artery_map[~near_lesions(volume, labels)] = 0
    return PredictedLesions(prediction, labels, model.card)


def score_predicted(
    volume: CTVolume,
    predicted: PredictedLesions,
    rules: RuleSet = LITERATURE,
    options: ScoringOptions = DEFAULT_OPTIONS,
    timing: Timing | None = None,
) -> CaseResult:
    """The scores of what the network found, with all warnings."""
    from coronary_calcium.inference.postprocess import uncertainty_of  # noqa: PLC0415

    timing = timing or Timing()
    prediction = predicted.prediction
    with timing.timed("score"):
        score = score_labels(volume, predicted.labels, rules, prediction.probability)
        uncertainty = uncertainty_of(volume, prediction, score, rules)
        left_out = uncertainty.left_out_lesions(volume, rules)
    found = scan_warnings(volume, predicted, rules)
    return CaseResult(
        volume=volume,
        labels=predicted.labels,
        score=score,
        rules=rules,
        warnings=each_once(*found, *lesion_warnings(score, options.risk_scheme, uncertainty, left_out)),
        options=options,
        seconds=timing.seconds,
        predicted=predicted,
        uncertainty=uncertainty,
        device=prediction.device,
    )


def score_given(
    volume: CTVolume,
    labels: np.ndarray,
    rules: RuleSet = LITERATURE,
    options: ScoringOptions = DEFAULT_OPTIONS,
    scan: Sequence[CaseWarning] = (),
    uncertainty: Uncertainty | None = None,
    timing: Timing | None = None,
) -> CaseResult:
    """The scores of a given label map, (k, j, i) integers on the volume's grid.

    ``scan`` are the ``scan_warnings``; ``uncertainty`` is that of the network whose lesions a reader has corrected.
    """
    timing = timing or Timing()
    with timing.timed("score"):
        score = score_labels(volume, labels, rules)
        left_out = uncertainty.left_out_lesions(volume, rules) if uncertainty else ()
    return CaseResult(
        volume=volume,
        labels=np.asarray(labels, dtype=np.uint8),
        score=score,
        rules=rules,
        warnings=each_once(*scan, *lesion_warnings(score, options.risk_scheme, uncertainty, left_out)),
        options=options,
        seconds=timing.seconds,
        uncertainty=uncertainty,
    )


def compared_with(
    result: CaseResult, ai_labels: np.ndarray, model_card: Mapping[str, Any] | None = None, device: str = "none"
) -> CaseResult:
    """A reader's result with what it changed in the network's label map, (k, j, i) on the same grid."""
    ai_score = score_labels(result.volume, ai_labels, result.rules)
    return replace(result, difference=reader_vs_ai(result.score, ai_score, model_card), device=device)


def scan_warnings(volume: CTVolume, heart: HeartField | PredictedLesions, rules: RuleSet) -> tuple[CaseWarning, ...]:
    """What must be known of the scan, whatever is marked on it: of the CT, contrast, the heart and the network's run.

    ``heart`` is where it was found or, where the network was asked, what the network found there; only then it matters
    that it was not found.
    """
    predicted = heart if isinstance(heart, PredictedLesions) else None
    field = heart.field if isinstance(heart, PredictedLesions) else heart
    # A heart that is cut lacks calcium, whoever marks what is there.
    cut = field.warnings if field.found or predicted else ()
    run = predicted.prediction.warnings if predicted else ()
    return each_once(*adapted_warnings(volume.warnings, rules), *contrast_warning(volume, field), *cut, *run)


def calibrated(volume: CTVolume, options: ScoringOptions) -> MassCalibration:
    """The calibration of mass that the user chose: marked rods, a factor, or the header's or typical one.

    Raises InputError("mass-rods") when the marks give none.
    """
    if options.rods is not None:
        return calibration_from_marks(volume, options.rods)
    return calibration_of(volume.acquisition, options.mass_factor)
