"""The scores as JSON, as Resources/Schemas/scores.schema.json describes it."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coronary_calcium
from coronary_calcium.arteries import ARTERIES
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS
from coronary_calcium.scoring.calcium_distribution import DENSITY_SCORE_SOURCE, DIFFUSIVITY_SOURCE
from coronary_calcium.scoring.calcium_quantities import (
    QUANTITIES,
    CaseQuantities,
    GroupQuantities,
    LesionQuantities,
    Value,
)
from coronary_calcium.scoring.components import minimum_pixels
from coronary_calcium.scoring.interpretation import ASSUMED_BMI, CAC_DRS_SOURCE, MESA_SOURCE, RESCAN_SOURCE
from coronary_calcium.scoring.lesions import LESION_CONNECTIVITY, Lesion
from coronary_calcium.scoring.reader_vs_ai import ReaderVsAI
from coronary_calcium.scoring.rule_comparison import ScoredByRules
from coronary_calcium.scoring.volume_mass import Quantity

if TYPE_CHECKING:
    from coronary_calcium.pipeline import CaseResult

SCHEMA_VERSION = "3.0"
# What is copied from the model card; the rest of it, such as training logs, stays with the weights.
_CARD_FACTS = ("name", "date", "statement", "sha256", "architecture", "metrics")


def scores(result: "CaseResult") -> dict[str, Any]:
    """The content of scores.json. Numbers are not rounded; nothing in it says who was scanned, or where files lie."""
    score = result.score
    return {
        "schema_version": SCHEMA_VERSION,
        "intended_use": RESEARCH_USE,
        "agatston": {
            "total": score.total.agatston,
            "by_artery": {artery.name: score.by_artery[artery.name].agatston for artery in ARTERIES},
        },
        "volume_mm3": _quantity(result.quantities.volume_mm3),
        "volume_interpolated_mm3": _quantity(result.quantities.interpolated_mm3),
        "mass_mg": _quantity(result.quantities.mass_mg)
        | {"calibration": dataclasses.asdict(result.quantities.calibration)},
        "risk_category": result.interpretation.category,
        "interpretation": _interpretation(result),
        "lesions": [_lesion(result, lesion) for lesion in score.lesions],
        "warnings": [{"code": warning.code, "message": warning.message} for warning in result.warnings],
        "acquisition": _acquisition(result),
        "rules": _rules(result),
        "all_quantities": None if result.all_quantities is None else _all_quantities(result.all_quantities),
        "rules_compared": [_compared(scored) for scored in result.compared],
        "reader_vs_ai": None if result.difference is None else _difference(result.difference),
        "coverage": _coverage(result),
        "provenance": _provenance(result),
    }


def write_scores(content: dict[str, Any], path: Path) -> None:
    """Write ``scores(result)``; raises ValueError for a number that JSON cannot hold (NaN, infinite)."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _quantity(quantity: Quantity) -> dict[str, Any]:
    return {"total": quantity.total, "by_artery": quantity.by_artery}


def _interpretation(result: "CaseResult") -> dict[str, Any]:
    interpretation, mesa = result.interpretation, result.mesa
    return {
        "cac_drs": interpretation.cac_drs,
        "vessels": interpretation.vessels,
        "vessels_known": interpretation.vessels_known,
        "lesions": interpretation.lesions,
        "rescan": _rescan(result.score.total.agatston, interpretation.repeatability_limit),
        "mesa_10_year_chd_risk": None if mesa is None else dataclasses.asdict(mesa),
        "sources": [CAC_DRS_SOURCE, RESCAN_SOURCE, *([MESA_SOURCE] if mesa else [])],
    }


def _rescan(agatston: float, limit: float | None) -> dict[str, float] | None:
    """Between which scores another scan of the same patient lies in 95 % of patients; nothing for a score of 0."""
    if limit is None:
        return None
    return {
        "limit_95": limit,
        "agatston_low": max(agatston - limit, 0.0),
        "agatston_high": agatston + limit,
        "assumed_body_mass_index": ASSUMED_BMI,
    }


def _all_quantities(quantities: CaseQuantities) -> dict[str, Any]:
    return {
        "definitions": {
            quantity.name: {"definition": quantity.definition, "unit": quantity.unit, "source": quantity.source}
            for quantity in QUANTITIES
        },
        "total": _group(quantities.total),
        "by_artery": {name: _group(group) for name, group in quantities.by_artery.items()},
        "lesions": [_lesion_quantities(one) for one in quantities.lesions],
        "arteries_with_calcium": quantities.arteries_with_calcium,
        "diffusivity": quantities.diffusivity,
        "sources": [DENSITY_SCORE_SOURCE, DIFFUSIVITY_SOURCE],
    }


def _values(values: dict[str, Value | None]) -> dict[str, Any]:
    return {name: None if value is None else {"value": value.number, "sd": value.sd} for name, value in values.items()}


def _group(group: GroupQuantities) -> dict[str, Any]:
    return {
        "lesions": group.lesions,
        "lesions_not_measured": group.not_measured,
        "mean_hu": group.mean_hu,
        "maximum_hu": group.maximum_hu,
        "density_mg_per_cm3": group.density_mg_per_cm3,
        "density_score": group.density_score,
        **_values(group.values),
    }


def _lesion_quantities(one: LesionQuantities) -> dict[str, Any]:
    region = one.region
    return {
        "id": one.lesion.id,
        "density_mg_per_cm3": one.density_mg_per_cm3,
        "density_score": one.density_score,
        "background_hu": None if region is None else region.background_hu,
        "background_even": None if region is None else region.even,
        "noise_hu": None if region is None else region.noise_hu,
        "reach_mm": None if region is None else region.reach_mm,
        "reason": one.reason,
        **_values(one.values),
    }


def _compared(scored: ScoredByRules) -> dict[str, Any]:
    rules, total = scored.rules, scored.score.total
    return {
        "name": rules.name,
        "agatston": total.agatston,
        "volume_mm3": scored.quantities.volume_mm3.total,
        "mass_mg": scored.quantities.mass_mg.total,
        "lesions": total.lesions,
        "minimum_area_mm2": rules.minimum_area_mm2,
        "minimum_pixels": scored.minimum_pixels,
        "connectivity_in_slice": rules.connectivity,
        "volume_method": rules.volume_method,
        "volume_threshold_hu": rules.for_volume.threshold_hu,
    }


def _difference(difference: ReaderVsAI) -> dict[str, Any]:
    names = [artery.name for artery in ARTERIES]
    predicted, change = zip(*(difference.of_artery(name) for name in names))
    predicted_total, change_of_total = difference.of_total
    return {
        "model": {name: difference.model.get(name) for name in ("name", "sha256")},
        "ai_agatston": {"total": predicted_total, "by_artery": dict(zip(names, predicted))},
        "change_of_agatston": {"total": change_of_total, "by_artery": dict(zip(names, change))},
        "lesions_unchanged": difference.unchanged,
        "lesions_changed": [dataclasses.asdict(lesion) for lesion in difference.changes],
        "summary": difference.summary,
    }


def _lesion(result: "CaseResult", lesion: Lesion) -> dict[str, Any]:
    return {
        "id": lesion.id,
        "artery": lesion.artery,
        "slices": {"first": lesion.first_slice, "last": lesion.last_slice, "main": lesion.main_slice},
        "centroid_lps_mm": list(lesion.centroid_lps),
        "area_mm2": lesion.area_mm2,
        "volume_mm3": lesion.volume_mm3,
        "mass_mg": result.quantities.calibration.mass_of(lesion),
        "voxels": int(lesion.voxels.size),
        "maximum_hu": lesion.maximum_hu,
        "mean_hu": lesion.mean_hu,
        "agatston": lesion.agatston,
        "probability": lesion.probability,
    }


def _acquisition(result: "CaseResult") -> dict[str, Any]:
    volume = result.volume
    slices, rows, columns = volume.shape
    return {
        **dataclasses.asdict(volume.acquisition),
        "size": {"slices": slices, "rows": rows, "columns": columns},
        "spacing_mm": dict(zip(("slice", "row", "column"), volume.spacing)),
    }


def _rules(result: "CaseResult") -> dict[str, Any]:
    rules, spacing, scheme = result.rules, result.volume.spacing, result.interpretation.scheme
    return {
        "name": rules.name,
        "threshold_hu": rules.threshold_hu,
        "weight_limits_hu": list(rules.weight_limits_hu),
        "minimum_area_mm2": rules.minimum_area_mm2,
        "minimum_pixels": minimum_pixels(spacing, rules),
        "connectivity_in_slice": rules.connectivity,
        "connectivity_of_lesions": LESION_CONNECTIVITY,
        "reference_spacing_mm": rules.reference_spacing_mm,
        "spacing_factor": spacing[0] / rules.reference_spacing_mm,
        **{
            name: None if result.mask_given else limit
            for name, limit in dataclasses.asdict(POSTPROCESSING_LIMITS).items()
        },
        "volume_method": rules.volume_method,
        "volume_threshold_hu": rules.for_volume.threshold_hu,
        "adapted_to_kvp": rules.kvp,
        "risk_scheme": scheme.name,
        "risk_categories": list(scheme.categories),
        "risk_rule": scheme.rule,
        "sources": [*rules.sources, scheme.source],
    }


def _coverage(result: "CaseResult") -> dict[str, Any]:
    """What was looked at; without a network's run, nothing but what the mask marks."""
    coverage: dict[str, Any] = {
        "labels_from": "mask" if result.mask_given else "network",
        "labeled_voxels": result.score.labeled_voxels,
        "counted_voxels": result.score.counted_voxels,
        "heart_found": None,
        "window_size_mm": None,
        "windows": [],
        "slices_run": 0,
        "slices_skipped": 0,
    }
    if result.prediction is None:
        return coverage
    field = result.prediction.covered
    windows = [
        {
            "first_slice": int(window.k0),
            "last_slice": int(window.k1) - 1,
            "center_row": float(window.center_j),
            "center_column": float(window.center_i),
        }
        for window in field.windows
    ]
    return coverage | {
        "heart_found": bool(field.found),
        "window_size_mm": float(field.size_mm),
        "windows": windows,
        "slices_run": int(result.prediction.slices_run),
        "slices_skipped": int(result.prediction.slices_skipped),
    }


def _provenance(result: "CaseResult") -> dict[str, Any]:
    card = result.model_card
    return {
        "program": "coronary-calcium-scoring",
        "version": coronary_calcium.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "weights": None
        if card is None
        else {name: card[name] for name in _CARD_FACTS} | {"training_data": card["training"]["data"]},
        "device": result.device,
        "seconds": {stage: float(seconds) for stage, seconds in result.seconds.items()},
    }
