"""Recipes: small TOML files with everything that a training run depends on, besides its data."""

import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from coronary_calcium.errors import InputError
from coronary_calcium.network.denseraunet import SIDE_MULTIPLE
from coronary_calcium.network.precision import PRECISIONS
from coronary_calcium.network.preprocessing import INPUT_SIZE
from coronary_calcium.training.cases import CaseOptions
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
class OptimizerOptions:
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
    """A training run. It ends after ``iterations``, ``epochs`` or ``minutes``, whichever comes first.

    Attributes
    ----------
    iterations, epochs, minutes : 0 is no limit; one of them is needed. An epoch takes every slice of every case once,
        in random order; without epochs, each sample's case and slice are drawn as ``samples`` and ``cases`` say.
    batch : samples of an iteration, or of each part of it.
    accumulate : an iteration averages the gradients of this many batches, for a larger batch in the same memory.
    threads : CPU threads; 0 uses all cores. On cores that other programs use as well, one
        thread is best: two spin at each barrier while the other one waits for a core, and an iteration was seen to
        take 12.5 CPU seconds instead of 1.3.
    precision : "float32" or "bfloat16" (automatic mixed precision, where the device gains by it).
    ema : largest decay of the exponential moving average of the weights, which is what is saved; 0 for none.
    checkpoint_minutes, validation_minutes, rescan_minutes : how often to save, to validate and to look for new cases.
    validation_slices : how many windows of the held-out cases a validation looks at.
    final_patch_share : in this last share of the run, patches have ``final_patch`` pixels.
    coarse_pixels, coarse_share : in this first share of the run, samples are whole windows of so many pixels, as 256:
        all of the heart for a quarter of the work.

    """

    name: str
    iterations: int = 0
    epochs: int = 0
    minutes: float = 0.0
    batch: int = 4
    accumulate: int = 1
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
    coarse_pixels: int = 0
    coarse_share: float = 0.0
    cases: CaseOptions = field(default_factory=CaseOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    samples: SampleOptions = field(default_factory=SampleOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    loss: LossOptions = field(default_factory=LossOptions)

    def shares(self) -> Iterator[float]:
        """Every entry that is a share."""
        samples = self.samples
        yield from self.cases.shares.values()
        yield from (samples.calcium_slices, samples.bright_slices, samples.focus, samples.blur, samples.sharpen)
        yield from (
            samples.thicken,
            self.final_patch_share,
            self.coarse_share,
            self.coarse_share + self.final_patch_share,
        )

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON knows it."""
        return asdict(self)


_TABLES = {
    "cases": CaseOptions,
    "network": NetworkOptions,
    "samples": SampleOptions,
    "optimizer": OptimizerOptions,
    "loss": LossOptions,
}


def load_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe: a TOML file, or the name of one that comes with the program.

    ``settings`` replace entries of it, each as a line of TOML: "minutes = 8", "network.use_rau = false".

    Raises InputError("recipe") when it is absent, not TOML, or has unknown or impossible entries.
    """
    path = Path(path)
    if not path.is_file() and (RECIPES / f"{path.name}.toml").is_file():
        path = RECIPES / f"{path.name}.toml"
    try:
        with path.open("rb") as stream:
            entries = tomllib.load(stream)
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise InputError("recipe", f"There is no recipe {path.name}; name a TOML file or one of {known}.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError("recipe", f"The recipe {path.name} is not valid TOML ({error}); correct it.") from error
    for setting in settings:
        _merge(entries, _parsed_setting(setting))
    return _built(path.stem, entries)


def changed(recipe: Recipe, name: str, changes: dict[str, Any]) -> Recipe:
    """A recipe of another name with entries replaced: ``{"network": {"use_rau": False}, "minutes": 8}``."""
    entries = recipe.as_dict()
    del entries["name"]
    _merge(entries, changes)
    return _built(name, entries)


def _parsed_setting(setting: str) -> dict[str, Any]:
    try:
        return tomllib.loads(setting)
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            "recipe", f'The setting {setting} is not valid TOML; write it as name=value, text as name="text".'
        ) from error


def _merge(entries: dict[str, Any], changes: dict[str, Any]) -> None:
    """Replace entries in place; those of a table one by one."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(entries.get(name), dict):
            _merge(entries[name], value)
        else:
            entries[name] = value


def _built(name_of_recipe: str, entries: dict[str, Any]) -> Recipe:
    tables: dict[str, Any] = {"name": name_of_recipe}
    for name, value in entries.items():
        tables[name] = _checked(name, _TABLES[name], value) if name in _TABLES else value
    recipe = _checked("the recipe", Recipe, tables)
    _check_values(recipe)
    return recipe


def _checked(name: str, kind: type, entries: Any) -> Any:
    known = {entry.name for entry in fields(kind)}
    if not isinstance(entries, dict) or not entries.keys() <= known:
        unknown = sorted(entries.keys() - known) if isinstance(entries, dict) else [str(entries)]
        raise InputError("recipe", f"Unknown entries in {name}: {', '.join(unknown)}; correct the recipe.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in entries.items()}
    for entry in fields(kind):
        if entry.name in values and not _is_like(values[entry.name], _default(entry)):
            raise InputError("recipe", f"{entry.name} in {name} has an impossible value; correct the recipe.")
    return kind(**values)


def _default(entry: Field) -> Any:
    """What an entry is when the recipe does not say; an empty string for the name, which alone has no default."""
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return "" if entry.default is MISSING else entry.default


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value has the type of the default; a whole number may stand for a number, if it is finite."""
    if isinstance(default, float):
        return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(default, tuple) and default:
        return isinstance(value, tuple) and len(value) == len(default) and all(map(_is_like, value, default))
    if isinstance(default, dict):
        return isinstance(value, dict) and all(_is_like(part, 0.0) for part in value.values())
    return type(value) is type(default)


def _check_values(recipe: Recipe) -> None:
    sizes = [recipe.samples.patch, *filter(None, (recipe.final_patch, recipe.coarse_pixels))]
    ends = (recipe.iterations, recipe.epochs, recipe.minutes)
    shares = list(recipe.shares())
    checks = {
        f"patch must be a multiple of {SIDE_MULTIPLE} up to {INPUT_SIZE}": all(
            0 < size <= INPUT_SIZE and size % SIDE_MULTIPLE == 0 for size in sizes
        ),
        # At 1/32 of its side, such a patch has a single value a channel, from which BN can learn nothing.
        f"a batch of one needs patches larger than {SIDE_MULTIPLE}": recipe.batch > 1 or min(sizes) > SIDE_MULTIPLE,
        "iterations, epochs or minutes must be positive, and none negative": max(ends) > 0 <= min(ends),
        "batch and accumulate must be positive": min(recipe.batch, recipe.accumulate) > 0,
        "shares must be from 0 to 1, and together at most 1": all(0 <= share <= 1 for share in shares)
        and sum(recipe.cases.shares.values()) <= 1,
        "blur and sharpen together are at most 1": recipe.samples.blur + recipe.samples.sharpen <= 1,
        "crop_pixels must be 0 or more, and go with a patch of the whole window": recipe.samples.crop_pixels == 0
        or (recipe.samples.crop_pixels > 0 and sizes == [INPUT_SIZE]),
        "epochs go with patches of one size": not (recipe.epochs and (recipe.final_patch or recipe.coarse_pixels)),
        "patches must not be larger than the window": max(recipe.samples.patch, recipe.final_patch)
        <= recipe.samples.pixels,
        f"precision must be one of {', '.join(PRECISIONS)}": recipe.precision in PRECISIONS,
        'the optimizer must be "adamw" or "sgd"': recipe.optimizer.name in ("adamw", "sgd"),
        'the schedule must be "cosine" or "paper"': recipe.optimizer.schedule in ("cosine", "paper"),
        "ema must be at least 0 and below 1": 0 <= recipe.ema < 1,
    }
    for sentence, holds in checks.items():
        if not holds:
            raise InputError("recipe", f"In the recipe {recipe.name}, {sentence}; correct it.")
