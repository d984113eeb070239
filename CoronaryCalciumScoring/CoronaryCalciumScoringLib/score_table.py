"""Scores and lesions as tables: what the panel shows, what is saved with the scene and copied to a spreadsheet."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import vtk
from coronary_calcium.arteries import ARTERIES
from coronary_calcium.atomic_write import whole_file
from coronary_calcium.scoring.agatston import CaseScore
from coronary_calcium.scoring.lesions import Lesion
from coronary_calcium.scoring.risk import FIVE_CATEGORIES, RiskScheme
from coronary_calcium.volume import CaseWarning, CTVolume

from .json_attribute import json_attribute
from .stored_prediction import StoredPrediction
from .volume_node import place_beside

COLUMNS = (
    ("Artery", vtk.VTK_STRING),
    ("Lesions", vtk.VTK_INT),
    ("Agatston", vtk.VTK_DOUBLE),
    ("Volume (mm3)", vtk.VTK_DOUBLE),
    ("Risk category", vtk.VTK_STRING),
)
# Only where the network was asked: its score, and by how much the reader's is higher.
PREDICTION_COLUMNS = (("AI Agatston", vtk.VTK_DOUBLE), ("Difference", vtk.VTK_DOUBLE))
TOTAL = "Total"
TABLE_FILE = "arteries.csv"
# The warnings travel with the table, as JSON, so that a saved scene still shows them.
WARNINGS_ATTRIBUTE = "CoronaryCalcium.Warnings"
# The rules that the scores were counted by.
RULES_ATTRIBUTE = "CoronaryCalcium.Rules"
# Role of the reference from the table to the CT that was scored, so that no score is shown beside another CT.
SCORED_VOLUME_ROLE = "scoredVolume"


@dataclass(frozen=True)
class ScoreRow:
    """One row of the table: an artery's name or ``TOTAL``, its scores, and the risk category (of the total only).

    ``predicted`` is the Agatston score that the network gave; None without a prediction.
    """

    artery: str
    lesions: int
    agatston: float
    volume_mm3: float
    risk_category: str
    predicted: float | None = None

    @property
    def difference(self) -> float | None:
        """By how much the Agatston score is higher than the predicted one; None without a prediction."""
        return None if self.predicted is None else self.agatston - self.predicted


def add_score_table(volumeNode, name: str):
    """Add an empty score table to a CT's scene, beside it in the subject hierarchy; returns the vtkMRMLTableNode."""
    scene = volumeNode.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetNodeReferenceID(SCORED_VOLUME_ROLE, volumeNode.GetID())
    place_beside(volumeNode, node)
    return node


def is_score_of(tableNode, volumeNode) -> bool:
    """Whether a table (or None) holds the scores of this CT (or None)."""
    return bool(tableNode and volumeNode) and tableNode.GetNodeReference(SCORED_VOLUME_ROLE) is volumeNode


def score_table_rows(
    score: CaseScore, predicted: CaseScore | None = None, scheme: RiskScheme = FIVE_CATEGORIES
) -> list[ScoreRow]:
    """The rows of a score, the total last; ``predicted`` is the score of the network's prediction."""
    rows = []
    for artery in ARTERIES:
        tally = score.by_artery[artery.name]
        before = predicted and predicted.by_artery[artery.name].agatston
        rows.append(ScoreRow(artery.name, tally.lesions, tally.agatston, tally.volume_mm3, "", before))
    total, before = score.total, predicted and predicted.total.agatston
    rows.append(
        ScoreRow(TOTAL, total.lesions, total.agatston, total.volume_mm3, scheme.category(total.agatston), before)
    )
    return rows


def show_score(
    tableNode,
    score: CaseScore,
    warnings: tuple[CaseWarning, ...] = (),
    predicted: CaseScore | None = None,
    scheme: RiskScheme = FIVE_CATEGORIES,
) -> None:
    """Write scores and warnings to the table node, in place of what it held; observers hear of it once.

    With ``predicted``, the scores of the network's prediction, the table also has ``PREDICTION_COLUMNS``.
    """
    modified = tableNode.StartModify()
    try:
        tableNode.RemoveAllColumns()
        for title, kind in COLUMNS + (PREDICTION_COLUMNS if predicted else ()):
            tableNode.AddColumn().SetName(title)
            tableNode.SetColumnType(title, kind)
        for row in score_table_rows(score, predicted, scheme):
            place = tableNode.AddEmptyRow()
            cells = [row.artery, row.lesions, row.agatston, row.volume_mm3, row.risk_category]
            for column, value in enumerate(cells + ([row.predicted, row.difference] if predicted else [])):
                tableNode.GetTable().SetValue(place, column, value)
        tableNode.SetAttribute(RULES_ATTRIBUTE, score.rules.name)
        store_warnings(tableNode, warnings)
        tableNode.Modified()
    finally:
        tableNode.EndModify(modified)


def store_warnings(tableNode, warnings: tuple[CaseWarning, ...]) -> None:
    """Keep with a score table node what must be known of its scores."""
    tableNode.SetAttribute(WARNINGS_ATTRIBUTE, json.dumps([[entry.code, entry.message] for entry in warnings]))


def table_text(tableNode) -> str:
    """The table as text for a spreadsheet: a line with the titles, then the rows, cells apart by tabs; not rounded."""
    return "\n".join("\t".join(line) for line in table_lines(tableNode)) + "\n"


def write_table(lines: list[list[str]], folder: str | Path) -> Path:
    """Write ``table_lines`` as ``TABLE_FILE`` into a folder that exists; returns the file's path."""
    path = Path(folder) / TABLE_FILE
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    return path


def table_lines(tableNode) -> list[list[str]]:
    """The cells of the table as text, numbers not rounded, below a line with the titles."""
    table = tableNode.GetTable()
    titles = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    return [titles] + [
        [_text(table.GetValue(row, column)) for column in range(len(titles))] for row in range(table.GetNumberOfRows())
    ]


def _text(value) -> str:
    """A cell as text; VTK itself would write no more than six digits of a number."""
    return repr(value.ToDouble()) if value.IsDouble() else value.ToString()


def score_rows(tableNode) -> list[ScoreRow]:
    """The rows of a score table node, the total last; empty when the table holds no scores."""
    table = tableNode.GetTable()
    with_prediction = table.GetNumberOfColumns() == len(COLUMNS + PREDICTION_COLUMNS)
    if not with_prediction and table.GetNumberOfColumns() != len(COLUMNS):
        return []
    return [
        ScoreRow(
            artery=table.GetValue(row, 0).ToString(),
            lesions=table.GetValue(row, 1).ToInt(),
            agatston=table.GetValue(row, 2).ToDouble(),
            volume_mm3=table.GetValue(row, 3).ToDouble(),
            risk_category=table.GetValue(row, 4).ToString(),
            predicted=table.GetValue(row, 5).ToDouble() if with_prediction else None,
        )
        for row in range(table.GetNumberOfRows())
    ]


def score_warnings(tableNode) -> list[CaseWarning]:
    """The warnings that belong to a score table node."""
    entries = json_attribute(tableNode, WARNINGS_ATTRIBUTE, list)
    return [CaseWarning(*entry[:2]) for entry in entries if _is_warning(entry)]


def _is_warning(entry: object) -> bool:
    """Whether an entry from JSON begins with a code and a message; a later version may add to them."""
    return isinstance(entry, list) and len(entry) >= 2 and all(isinstance(words, str) for words in entry[:2])


@dataclass(frozen=True)
class LesionRow:
    """A lesion as the list shows it.

    ``slice_number`` is its main slice, k, as in the exported tables; ``ras`` its place there in mm, and ``radius_mm``
    how far its voxels' centers lie from that at most; ``probability`` the network's, None where it found nothing.
    """

    id: int
    artery: str
    slice_number: int
    agatston: float
    maximum_hu: float
    probability: float | None
    ras: tuple[float, float, float]
    radius_mm: float = 0.0


def lesion_rows(score: CaseScore, volume: CTVolume, prediction: StoredPrediction | None) -> list[LesionRow]:
    """The lesions of a score on this CT by descending score."""
    return [_row(lesion, volume, prediction) for lesion in score.lesions]


def candidate_rows(lesions: list[Lesion], volume: CTVolume, name: str) -> list[LesionRow]:
    """Candidates as the list shows them, under a name in place of an artery's; their ids are negative."""
    rows = [_row(lesion, volume, None) for lesion in lesions]
    return [replace(row, id=-number, artery=name) for number, row in enumerate(rows, start=1)]


def _row(lesion: Lesion, volume: CTVolume, prediction: StoredPrediction | None) -> LesionRow:
    k, j, i = np.unravel_index(lesion.voxels, volume.shape)
    main = k == lesion.main_slice
    place = np.array((lesion.main_slice, j[main].mean(), i[main].mean()))
    x, y, z = volume.position(tuple(place))
    distances = np.linalg.norm((np.column_stack((k, j, i)) - place) * volume.spacing, axis=1)
    return LesionRow(
        lesion.id,
        lesion.artery,
        lesion.main_slice,
        lesion.agatston,
        lesion.maximum_hu,
        prediction.probability_of(lesion) if prediction else None,
        (-float(x), -float(y), float(z)),
        float(distances.max()),
    )
