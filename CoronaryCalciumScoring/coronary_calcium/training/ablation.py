"""The rows of the paper's tables 1 and 2: five networks, each with one more of the paper's parts, trained alike."""

from pathlib import Path

from coronary_calcium.progress import Progress, no_progress, part_of
from coronary_calcium.training.config import Recipe, changed
from coronary_calcium.training.trainer import train

# Table 1, from top to bottom; every row keeps what the rows above it have added.
_PARTS = (
    ("1-baseline", {"network": {"use_rau": False, "use_edb": False, "use_scse": False}, "loss": {"iou": 0.0}}),
    ("2-rau", {"network": {"use_rau": True}}),
    ("3-edb", {"network": {"use_edb": True}}),
    ("4-scse", {"network": {"use_scse": True}}),
    ("5-iou", {"loss": {"iou": 1.0}}),
)


def ablation_recipes(recipe: Recipe) -> list[Recipe]:
    """The recipe's five variants, in the order of the paper's table 1; everything else in them is the recipe's."""
    variants, last = [], recipe
    for name, part in _PARTS:
        last = changed(last, f"{recipe.name}-{name}", part)
        variants.append(last)
    return variants


def train_ablation(
    recipe: Recipe,
    train_folder: Path,
    val_folder: Path | None,
    output: Path,
    progress: Progress = no_progress,
    device: str = "auto",
) -> list[Path]:
    """Train the five variants one after the other; returns the paths of their weights.

    Each has a folder of its own in ``output``, "1-baseline" to "5-iou"; a run that is started again goes on where it
    was. Give the recipe a limit in iterations: with one in minutes, the larger networks get fewer iterations. Raises
    as ``train`` does.
    """
    weights = []
    for row, (variant, (name, _)) in enumerate(zip(ablation_recipes(recipe), _PARTS, strict=True)):
        part = part_of(progress, row / len(_PARTS), (row + 1) / len(_PARTS))

        def report(fraction: float, text: str, name: str = name, part: Progress = part) -> None:
            part(fraction, f"{name}: {text}")

        weights.append(train(variant, train_folder, val_folder, output / name, report, device=device))
    return weights
