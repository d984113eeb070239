"""Tables 1 and 2 of DenseRAUnet: the paper's figures, and those of networks built the same way beside them."""

from dataclasses import dataclass
from typing import Any

from coronary_calcium.errors import InputError
from coronary_calcium.evaluation.statistics import share

PAPER_PATIENTS = 144
COMPARABLE = (
    "The paper's figures are those of 144 real scans that radiologists annotated, which are not public; the others are "
    "those of the patients evaluated here. Between the two only the order of the rows can be compared."
)
SOURCE = "DenseRAUnet, tables 1 and 2"
PARTS = ("Bootstrap", "RAU", "EDB", "scSE", "IoU")


@dataclass(frozen=True)
class Row:
    """A row of both tables.

    Attributes
    ----------
    key : its name on the command line.
    name : its name in table 2.
    parts : how many of ``PARTS`` it has, in their order.
    f1 : the paper's F1, table 1.
    right, right_filtered : the paper's CAC No. and CAC filter No., of 144, table 2.

    """

    key: str
    name: str
    parts: int
    f1: float
    right: int
    right_filtered: int

    @property
    def architecture(self) -> dict[str, bool]:
        """The switches of the network that the row is about."""
        return {f"use_{part.lower()}": n + 1 < self.parts for n, part in enumerate(PARTS[1:4])}


ROWS = (
    Row("baseline", "Dense U-net", 1, 0.65, 101, 99),
    Row("rau", "Dense U-net+RAU", 2, 0.68, 104, 111),
    Row("edb", "Dense U-net+RAU+EDB", 3, 0.69, 109, 115),
    Row("scse", "Dense U-net+RAU+EDB+scSE", 4, 0.71, 109, 117),
    Row("iou", "Our proposed method", 5, 0.75, 113, 120),
)
BY_KEY = {row.key: row for row in ROWS}


def check_row(row: Row, card: dict[str, Any]) -> None:
    """Reject weights whose network is not built as the row says, or that were trained with another loss."""
    for switch, wanted in row.architecture.items():
        if card["architecture"][switch] != wanted:
            raise InputError(
                "table-row",
                f"The weights for the row {row.key} have {switch} = {card['architecture'][switch]}, and that row needs "
                f"{wanted}; name the weights that were trained for it.",
            )
    iou = iou_of(card)
    if iou is not None and iou != (row.parts == len(PARTS)):
        raise InputError(
            "table-row",
            f"The weights for the row {row.key} were trained {'with' if iou else 'without'} the IoU loss, and that row "
            f"is {'without' if iou else 'with'} it; name the weights that were trained for it.",
        )


def iou_of(card: dict[str, Any]) -> bool | None:
    """Whether the weights were trained with the IoU loss, as their card says; None when it does not say."""
    recipe = card["training"].get("recipe")
    loss = recipe.get("loss") if isinstance(recipe, dict) else None
    weight = loss.get("iou") if isinstance(loss, dict) else None
    return weight > 0 if isinstance(weight, (int, float)) else None


def tables(evaluated: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Both tables with our figures beside the paper's.

    ``evaluated`` holds an evaluation's ``summary`` by row key; a row without one has None for our figures.
    """
    return {
        "source": SOURCE,
        "comparable": COMPARABLE,
        "rows": [_row(row, evaluated.get(row.key)) for row in ROWS],
        "rejected": {key: content["rejected"] for key, content in evaluated.items()},
    }


def _row(row: Row, content: dict[str, Any] | None) -> dict[str, Any]:
    figures = None if content is None else content["figures"]
    return {
        "key": row.key,
        "name": row.name,
        "parts": {part: n < row.parts for n, part in enumerate(PARTS)},
        "paper": {
            "f1": row.f1,
            "right": row.right,
            "right_filtered": row.right_filtered,
            "patients": PAPER_PATIENTS,
            "rate": share(row.right, PAPER_PATIENTS),
            "rate_filtered": share(row.right_filtered, PAPER_PATIENTS),
        },
        "here": None
        if figures is None
        else {
            "f1": figures["pixels"]["marked"]["f1"],
            "f1_interval": figures["pixels"]["marked"]["f1_interval"],
            "right": figures["cac_rate"]["right"],
            "right_filtered": figures["cac_filter_rate"]["right"],
            "patients": figures["patients"],
            "rate": figures["cac_rate"]["rate"],
            "rate_filtered": figures["cac_filter_rate"]["rate"],
        },
        "training": None if content is None else _training(content["provenance"]["weights"]),
    }


def _training(card: dict[str, Any]) -> dict[str, Any]:
    """What a row's network was trained with, so that unequal budgets show."""
    training = card["training"]
    recipe = training.get("recipe")
    return {
        "weights": card["name"],
        "sha256": card["sha256"],
        "recipe": recipe.get("name") if isinstance(recipe, dict) else recipe,
        "iterations": training.get("iterations"),
        "minutes": training.get("minutes"),
        "data": training.get("data"),
    }


def markdown(content: dict[str, Any]) -> str:
    """Both tables in the paper's layout, as Markdown."""
    rows = content["rows"]
    lines = [
        "Table 1. F1 score of the pixels",
        "",
        f"| {' | '.join(PARTS)} | F1, paper | F1, here | 95 % |",
        f"|{':-:|' * len(PARTS)}--:|--:|--:|",
    ]
    for row in rows:
        here = row["here"] or {}
        marks = " | ".join("✓" if has else "" for has in row["parts"].values())
        interval = here.get("f1_interval")
        shown = "–" if interval is None else f"{interval[0]:.2f}–{interval[1]:.2f}"
        lines.append(f"| {marks} | {row['paper']['f1']:.2f} | {_two(here.get('f1'))} | {shown} |")
    lines += [
        "",
        "Table 2. Risk category right, without (CAC) and with post-processing (CAC filter)",
        "",
        "| Tricks | | CAC No. | CAC filter No. | Patients | CAC rate | CAC filter rate |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        for where in ("paper", "here"):
            counts = row[where] or {}
            cells = [str(counts.get(name, "–")) for name in ("right", "right_filtered", "patients")]
            rates = [_two(counts.get(name)) for name in ("rate", "rate_filtered")]
            name = row["name"] if where == "paper" else ""
            lines.append(f"| {name} | {where} | {' | '.join([*cells, *rates])} |")
    lines += [
        "",
        "Training of the rows:",
        "",
        "| Row | Weights | Recipe | Iterations | Minutes |",
        "|---|---|---|--:|--:|",
    ]
    for row in rows:
        training = row["training"]
        facts = (
            ("–",) * 4
            if training is None
            else [str(training[name]) for name in ("weights", "recipe", "iterations", "minutes")]
        )
        lines.append(f"| {row['name']} | {' | '.join(fact.replace('|', '/') for fact in facts)} |")
    return "\n".join([*lines, "", content["comparable"], ""])


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
