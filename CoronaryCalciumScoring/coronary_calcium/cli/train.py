"""``coronary-calcium train``: weights from training cases."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coronary_calcium.cli.console import (
    INTERRUPTED,
    SCORED,
    WRONG_USAGE,
    LongProgress,
    add_device,
    named_path,
    say,
    usable_output,
)
from coronary_calcium.cli.reader_option import add_reader, data_of_reader, is_cohort, say_left_out
from coronary_calcium.errors import Cancelled, InputError
from coronary_calcium.parallel import handled
from coronary_calcium.progress import Progress, part_of

_TORCHRUN_RANK, _TORCHRUN_PROCESSES = "RANK", "WORLD_SIZE"


def add_train(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    train = commands.add_parser(
        "train",
        help="train the network on cases with known calcium",
        description="Train the network as a recipe says. The output folder gets the weights with their model card, a "
        "checkpoint, metrics and pictures of predictions; the same command goes on from the checkpoint. Several GPUs "
        "or computers train together with torchrun --nproc-per-node N -m coronary_calcium.cli.main train ...",
    )
    train.add_argument("recipe", help="a TOML file, or the name of one that comes with the program: best, paper, ...")
    train.add_argument(
        "--data",
        type=named_path,
        required=True,
        help="folder of training cases, which may grow during training, or any data set that `prepare` reads; with "
        "--reader, a cohort",
    )
    add_reader(train, also=" (and --validation, if you like)")
    train.add_argument("--validation", type=named_path, help="folder of cases held out for validation")
    train.add_argument("--output", type=named_path, required=True, help="folder for the run")
    start = train.add_mutually_exclusive_group()
    start.add_argument(
        "--initialize", "--initialise", type=named_path, metavar="WEIGHTS", help="start from these weights"
    )
    start.add_argument(
        "--ablation", action="store_true", help="train the five networks of the paper's table 1, each in its own folder"
    )
    train.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="replaces a value of the recipe, such as minutes=8 or network.use_rau=false; may be repeated",
    )
    add_device(train, "where to train")
    train.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    if not usable_output(options.output):
        return WRONG_USAGE
    from coronary_calcium.training.ablation import train_ablation  # noqa: PLC0415 (brings torch; --help answers at once)
    from coronary_calcium.training.config import load_recipe  # noqa: PLC0415
    from coronary_calcium.training.metrics_log import NO_TENSORBOARD, has_tensorboard  # noqa: PLC0415
    from coronary_calcium.training.trainer import train  # noqa: PLC0415

    recipe = load_recipe(options.recipe, options.settings)
    first = os.environ.get(_TORCHRUN_RANK, "0") == "0"
    if first and not has_tensorboard():
        say(NO_TENSORBOARD)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    with _stop_after_iteration() as is_stopped, LongProgress(quiet=not first) as bar:

        def progress(fraction: float, text: str) -> None:
            bar(fraction, text)
            if is_stopped():
                raise Cancelled

        try:
            data = _cases(options.data, options.output, options.reader, progress)
            held_out = options.reader if options.validation and is_cohort(options.validation) else None
            validation = options.validation and _cases(options.validation, options.output, held_out, progress)
            where = (recipe, data, validation, options.output, progress)
            if options.ablation:
                train_ablation(*where, device=options.device)
            else:
                train(*where, initialize=options.initialize, device=options.device)
        except Cancelled:
            stopped = True
        else:
            stopped = False
    if first:
        say(
            f"Stopped; the same command goes on from the checkpoint in {options.output}."
            if stopped
            else f"Trained; the weights are in {options.output}."
        )
    return INTERRUPTED if stopped else SCORED


def _cases(folder: Path, output: Path, reader: str | None, progress: Progress) -> Path:
    """The folder of the training cases that ``--data`` or ``--validation`` means."""
    if reader is None and is_cohort(folder):
        raise InputError(
            "cohort-reader", f"{folder} is a cohort: say whose readings to learn from, with --reader NAME."
        )
    return (
        training_cases(folder, output, progress) if reader is None else _reader_cases(folder, output, reader, progress)
    )


def _reader_cases(cohort: Path, output: Path, reader: str, progress: Progress) -> Path:
    """A folder of training cases made of a reader's done cases, beside the run; says what takes part and what not."""
    from coronary_calcium.datasets.prepare import list_path, prepare_in  # noqa: PLC0415

    if int(os.environ.get(_TORCHRUN_PROCESSES, "1")) > 1:
        raise InputError(
            "cohort-reader",
            "Several processes cannot all make the training cases: make them with `coronary-calcium prepare --reader`, "
            "and train on that folder.",
        )
    data = data_of_reader(cohort, reader)
    folder, prepared = prepare_in(output / "cases", data, part_of(progress, 0.0, 0.0))
    say_left_out(prepared.left_out, list_path(data, folder))
    say(f"Training cases of {reader}: {len(prepared.made) + len(prepared.kept)}.")
    return folder


def training_cases(folder: Path, output: Path, progress: Progress) -> Path:
    """A folder of training cases: the one named, or one that is made of the data set in it beside the run."""
    # Several processes would all make them; they train on cases that `coronary-calcium prepare` has made.
    if int(os.environ.get(_TORCHRUN_PROCESSES, "1")) > 1:
        return folder
    from coronary_calcium.datasets.prepare import ensure_cases  # noqa: PLC0415

    return ensure_cases(folder, output / "cases", part_of(progress, 0.0, 0.0))


@contextmanager
def _stop_after_iteration() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a request to end has come: the iteration is finished, so that the checkpoint is a whole one.

    A second Ctrl-C ends the program at once; the last checkpoint stays.
    """
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    with handled(ask, signal.SIGINT, signal.SIGTERM):
        yield asked.is_set
