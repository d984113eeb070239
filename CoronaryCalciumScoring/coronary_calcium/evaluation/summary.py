"""All figures of an evaluation with what they depend on: the content of evaluation.json."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import coronary_calcium
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.evaluation.figures import CATEGORIES, DEFINITIONS, EVERY_SLICE, SKIPPED, figures_of
from coronary_calcium.evaluation.results import PatientResult
from coronary_calcium.evaluation.run import EvaluationSettings
from coronary_calcium.evaluation.scan_metadata import GROUPINGS, groups_of

SCHEMA_VERSION = "2.0"
_CARD_FACTS = ("name", "date", "statement", "sha256", "architecture", "training")


def summary(
    results: list[PatientResult], card: dict[str, Any], settings: EvaluationSettings, command: str
) -> dict[str, Any]:
    """The figures of all patients and of every group, each patient, the definitions and the provenance.

    ``command`` is the command line that repeats it.
    """
    facts = [result.facts for result in results]
    seconds = [sum(result.measured.seconds.values()) for result in results if result.measured is not None]
    return {
        "schema_version": SCHEMA_VERSION,
        "intended_use": RESEARCH_USE,
        "figures": figures_of(results, intervals=True),
        "groups": {
            grouping.title: {
                name: figures_of([results[n] for n in members], intervals=grouping.fact == "kind")
                for name, members in groups_of(grouping, facts).items()
            }
            for grouping in GROUPINGS
        },
        "rejected": [
            {"patient": result.name, **asdict(result.rejection)} for result in results if result.rejection is not None
        ],
        "patients": [result.as_json() for result in results],
        "definitions": DEFINITIONS | {"slices": EVERY_SLICE if settings.every_slice else SKIPPED},
        "provenance": {
            "program": "coronary-calcium-scoring",
            "version": coronary_calcium.__version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command,
            "weights": {name: card[name] for name in _CARD_FACTS if name in card},
            "precision": settings.precision,
            "every_slice": settings.every_slice,
            "seconds_per_patient": sum(seconds) / len(seconds) if seconds else None,
        },
    }


def worst_first(results: list[PatientResult]) -> list[PatientResult]:
    """The scored patients by how many risk categories they are off, then by the difference of the scores."""

    def distance(result: PatientResult) -> tuple[int, float]:
        measured = result.measured
        assert measured is not None  # noqa: S101 (only the scored ones are sorted)
        categories = CATEGORIES.index(measured.found_category) - CATEGORIES.index(measured.true_category)
        return abs(categories), abs(measured.found_agatston["total"] - measured.true_agatston["total"])

    return sorted((result for result in results if result.measured is not None), key=distance, reverse=True)
