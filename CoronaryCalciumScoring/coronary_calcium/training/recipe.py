"""Recipes: small TOML files with everything that a training run depends on, besides its data."""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from coronary_calcium.errors import InputRefused
from coronary_calcium.network.denseraunet import SIDE_MULTIPLE
from coronary_calcium.network.preprocessing import INPUT_SIZE
from coronary_calcium.training.samples import SampleOptions

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class NetworkOptions:
    """DenseRAUNet's switches."""

    use_rau: bool = True
    use_edb: bool = True
    use_scse: bool = True
    artery_head: bool = True


@dataclass(frozen=True)
class OptimiserOptions:
    """How weights are changed.

    ``name`` is "adamw" or "sgd"; the learning rate rises over ``warmup`` iterations to ``learning_rate`` and falls to
    a hundredth of it along half a cosine ("cosine"), or is multiplied by 0.99 every 2000 iterations ("paper").
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup: int = 100
    weight_decay: float = 1e-4
    momentum: float = 0.9
    gradient_norm: float = 5.0


@dataclass(frozen=True)
class LossOptions:
    """Weights of the losses. Pixels below ``minimum_hu`` take no part in the calcium losses; they cannot be scored."""

    alpha: float = 8.0
    beta: float = 1.0
    threshold: float = 0.9
    iou: float = 1.0
    artery: float = 0.5
    minimum_hu: float = -1000.0


@dataclass(frozen=True)
class Recipe:
    """A training run. It ends after ``iterations`` or ``minutes``, whichever comes first.

    Attributes
    ----------
    threads : processor threads; 0 leaves it to the cores there are. On cores that other programs use as well, one
        thread is best: two spin at each barrier while the other one waits for a core, and an iteration was seen to
        take 12.5 processor seconds in place of 1.3.
    precision : "float32" or "bfloat16" (automatic mixed precision).
    ema : largest decay of the exponential moving average of the weights, which is what is saved; 0 for none.
    checkpoint_minutes, validation_minutes, rescan_minutes : how often to save, to validate and to look for new cases.
    validation_slices : how many windows of the held-out cases a validation looks at.
    final_patch_share : in this last share of the run, patches have ``final_patch`` pixels.
    """

    name: str
    iterations: int
    minutes: float = 1e6
    batch: int = 4
    seed: int = 1
    threads: int = 0
    precision: str = "float32"
    ema: float = 0.999
    checkpoint_minutes: float = 5.0
    validation_minutes: float = 15.0
    validation_slices: int = 40
    rescan_minutes: float = 1.0
    cases_in_memory: int = 200
    final_patch: int = 0
    final_patch_share: float = 0.0
    network: NetworkOptions = field(default_factory=NetworkOptions)
    samples: SampleOptions = field(default_factory=SampleOptions)
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    loss: LossOptions = field(default_factory=LossOptions)

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON knows it."""
        return asdict(self)


_TABLES = {"network": NetworkOptions, "samples": SampleOptions, "optimiser": OptimiserOptions, "loss": LossOptions}


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe: a TOML file, or the name of one that comes with the program.

    Raises InputRefused("recipe") when it is absent, not TOML, or has unknown or impossible entries.
    """
    path = Path(path)
    if not path.is_file() and (RECIPES / f"{path.name}.toml").is_file():
        path = RECIPES / f"{path.name}.toml"
    try:
        with path.open("rb") as stream:
            entries = tomllib.load(stream)
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise InputRefused("recipe", f"There is no recipe {path.name}; name a TOML file or one of {known}.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputRefused("recipe", f"The recipe {path.name} is not valid TOML ({error}); correct it.") from error
    tables: dict[str, Any] = {"name": path.stem}
    for name, value in entries.items():
        tables[name] = _checked(name, _TABLES[name], value) if name in _TABLES else value
    recipe = _checked("the recipe", Recipe, tables)
    _check_values(recipe)
    return recipe


def _checked(name: str, kind: type, entries: Any) -> Any:
    known = {entry.name for entry in fields(kind)}
    if not isinstance(entries, dict) or not entries.keys() <= known:
        unknown = sorted(entries.keys() - known) if isinstance(entries, dict) else [str(entries)]
        raise InputRefused("recipe", f"Unknown entries in {name}: {', '.join(unknown)}; correct the recipe.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in entries.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise InputRefused("recipe", f"Entries are missing in {name} ({error}); correct the recipe.") from error


def _check_values(recipe: Recipe) -> None:
    sizes = [recipe.samples.patch] + ([recipe.final_patch] if recipe.final_patch else [])
    checks = {
        f"patch must be a multiple of {SIDE_MULTIPLE} up to {INPUT_SIZE}": all(
            0 < size <= INPUT_SIZE and size % SIDE_MULTIPLE == 0 for size in sizes
        ),
        # At 1/32 of its side, such a patch has a single value a channel, from which BN can learn nothing.
        f"a batch of one needs patches larger than {SIDE_MULTIPLE}": recipe.batch > 1 or min(sizes) > SIDE_MULTIPLE,
        "iterations, minutes and batch must be positive": min(recipe.iterations, recipe.minutes, recipe.batch) > 0,
        'precision must be "float32" or "bfloat16"': recipe.precision in ("float32", "bfloat16"),
        'the optimiser must be "adamw" or "sgd"': recipe.optimiser.name in ("adamw", "sgd"),
        'the schedule must be "cosine" or "paper"': recipe.optimiser.schedule in ("cosine", "paper"),
        "ema must be at least 0 and below 1": 0 <= recipe.ema < 1,
    }
    for sentence, holds in checks.items():
        if not holds:
            raise InputRefused("recipe", f"In the recipe {recipe.name}, {sentence}; correct it.")
