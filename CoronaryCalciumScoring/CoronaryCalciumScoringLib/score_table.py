"""Scores as a table in the scene: what the panel shows, what is saved with the scene and copied to a spreadsheet."""

import json
from dataclasses import dataclass

import vtk
from coronary_calcium.arteries import ARTERIES
from coronary_calcium.scoring.case_score import CaseScore
from coronary_calcium.volume import CaseWarning

from .hierarchy import place_beside

COLUMNS = (
    ("Artery", vtk.VTK_STRING),
    ("Lesions", vtk.VTK_INT),
    ("Agatston", vtk.VTK_DOUBLE),
    ("Volume (mm3)", vtk.VTK_DOUBLE),
    ("Risk category", vtk.VTK_STRING),
)
TOTAL = "Total"
# The warnings travel with the table, as JSON, so that a saved scene still shows them.
WARNINGS_ATTRIBUTE = "CoronaryCalcium.Warnings"
# Role of the reference from the table to the CT that was scored, so that no score is shown beside another CT.
SCORED_VOLUME_ROLE = "scoredVolume"


@dataclass(frozen=True)
class ScoreRow:
    """One row of the table: an artery's name or ``TOTAL``, its scores, and the risk category (of the total only)."""

    artery: str
    lesions: int
    agatston: float
    volume_mm3: float
    risk_category: str


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


def show_score(tableNode, score: CaseScore, warnings: tuple[CaseWarning, ...] = ()) -> None:
    """Write scores and warnings to the table node, in place of what it held; observers hear of it once."""
    tallies = [(artery.name, score.by_artery[artery.name], "") for artery in ARTERIES]
    tallies.append((TOTAL, score.total, score.risk_category))
    modified = tableNode.StartModify()
    try:
        tableNode.RemoveAllColumns()
        for title, kind in COLUMNS:
            tableNode.AddColumn().SetName(title)
            tableNode.SetColumnType(title, kind)
        for name, tally, category in tallies:
            row = tableNode.AddEmptyRow()
            table = tableNode.GetTable()
            for column, value in enumerate((name, tally.lesions, tally.agatston, tally.volume_mm3, category)):
                table.SetValue(row, column, value)
        tableNode.SetAttribute(WARNINGS_ATTRIBUTE, json.dumps([[entry.code, entry.message] for entry in warnings]))
        tableNode.Modified()
    finally:
        tableNode.EndModify(modified)


def score_rows(tableNode) -> list[ScoreRow]:
    """The rows of a score table node, the total last; empty when the table holds no scores."""
    table = tableNode.GetTable()
    if table.GetNumberOfColumns() != len(COLUMNS):
        return []
    return [
        ScoreRow(
            artery=table.GetValue(row, 0).ToString(),
            lesions=table.GetValue(row, 1).ToInt(),
            agatston=table.GetValue(row, 2).ToDouble(),
            volume_mm3=table.GetValue(row, 3).ToDouble(),
            risk_category=table.GetValue(row, 4).ToString(),
        )
        for row in range(table.GetNumberOfRows())
    ]


def score_warnings(tableNode) -> list[CaseWarning]:
    """The warnings that belong to a score table node."""
    return [
        CaseWarning(code, message) for code, message in json.loads(tableNode.GetAttribute(WARNINGS_ATTRIBUTE) or "[]")
    ]
