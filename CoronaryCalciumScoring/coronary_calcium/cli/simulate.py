"""``coronary-calcium simulate``: patients with known calcium, as DICOM."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from coronary_calcium.cli.console import SCORED, WRONG_USAGE, PatientProgress, TerminalProgress, say, usable_output
from coronary_calcium.progress import Progress, no_progress, part_of

_FIRST_SEED = 7
# Not together with --test-set, whose patients are always the same.
_CHOICES = ("n", "seed", "protocol", "anatomy", "thickness", "spacing")

# Seed and kind of scan.
Wanted = tuple[int, str]


def add_simulate(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    simulate = commands.add_parser(
        "simulate",
        help="make simulated patients with known calcium",
        description="Write simulated patients as DICOM series with their ground truth, one folder per patient.",
    )
    simulate.add_argument("--n", type=int, help="how many patients (default: 1)")
    simulate.add_argument(
        "--seed", type=int, help=f"the first patient's seed; the others follow (default: {_FIRST_SEED})"
    )
    simulate.add_argument("--protocol", choices=("chest", "cardiac"), help="default: chest")
    simulate.add_argument(
        "--anatomy",
        choices=("simple", "detailed"),
        help="simple: the bodies on which weights are trained and measured (default); detailed: chests that look like "
        "real ones, with the same arteries and calcium",
    )
    simulate.add_argument("--thickness", type=float, help="slice thickness in mm (default: as the protocol draws)")
    simulate.add_argument("--spacing", type=float, help="slice spacing in mm (default: as the protocol draws)")
    simulate.add_argument(
        "--test-set",
        action="store_true",
        help="make the 144 patients on which weights are measured, 100 chest and 44 cardiac scans; those already "
        "in the output folder are kept, so an interrupted run goes on",
    )
    simulate.add_argument("--jobs", type=int, default=1, metavar="N", help="patients in parallel (default: 1)")
    simulate.add_argument("--output", type=Path, required=True, help="folder for the patients")
    simulate.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    wrong = _wrong_usage(options)
    if wrong:
        say(wrong)
        return WRONG_USAGE
    if not usable_output(options.output):
        return WRONG_USAGE
    changes: dict[str, Any] = {
        name: getattr(options, name) for name in ("thickness", "spacing") if getattr(options, name) is not None
    }
    changes["detailed"] = options.anatomy == "detailed"
    wanted = _wanted(options)
    make = partial(_make, output=options.output, changes=changes)
    if len(wanted) == 1:
        with TerminalProgress() as progress:
            make(wanted[0], progress=progress)
        kept = 0
    else:
        kept = _make_many(make, wanted, options)
    there = f" ({kept} were already there)" if kept else ""
    say(f"Wrote {len(wanted) - kept} simulated patient(s) to {options.output}{there}")
    return SCORED


def _wrong_usage(options: argparse.Namespace) -> str | None:
    """What is wrong with the options, or None."""
    given = [name for name in _CHOICES if getattr(options, name) is not None]
    if options.test_set and given:
        return f"--test-set makes patients that are always the same; leave out --{given[0]}."
    if options.jobs < 1:
        return "--jobs must be at least 1."
    lengths = [value for value in (options.thickness, options.spacing) if value is not None]
    negative = options.seed is not None and options.seed < 0
    if (options.n is not None and options.n < 1) or negative or any(not 0.2 <= value <= 10 for value in lengths):
        return "--n must be at least 1, --seed at least 0, --thickness and --spacing 0.2 to 10 mm."
    return None


def _wanted(options: argparse.Namespace) -> Sequence[Wanted]:
    if options.test_set:
        from coronary_calcium.simulation.patient import TEST_SET  # noqa: PLC0415 - not needed for --help

        return TEST_SET
    first = _FIRST_SEED if options.seed is None else options.seed
    return [(seed, options.protocol or "chest") for seed in range(first, first + (options.n or 1))]


def _folder(wanted: Wanted, output: Path) -> Path:
    seed, kind = wanted
    return output / f"patient-{kind}-{seed:06d}"


def _make(wanted: Wanted, output: Path, changes: dict[str, Any], progress: Progress = no_progress) -> None:
    """Simulate and write one patient."""
    from coronary_calcium.simulation.dicom_series import write_patient  # noqa: PLC0415 - not needed for --help
    from coronary_calcium.simulation.patient import simulate_patient  # noqa: PLC0415

    seed, kind = wanted
    patient = simulate_patient(seed, kind, progress=part_of(progress, 0, 0.95), **changes)
    write_patient(patient, _folder(wanted, output), part_of(progress, 0.95, 1))


def _make_many(make: partial, wanted: Sequence[Wanted], options: argparse.Namespace) -> int:
    """Make all patients; returns how many of the test set were there."""
    from coronary_calcium.parallel import outcomes  # noqa: PLC0415 - not needed for --help
    from coronary_calcium.simulation.dicom_series import is_complete  # noqa: PLC0415

    # Other patients are made again: the folder's name does not say with which options they were made.
    kept = [one for one in wanted if options.test_set and is_complete(_folder(one, options.output))]
    with PatientProgress(len(wanted)) as progress:
        for one in kept:
            progress(f"{_folder(one, options.output).name} was already there", True)
        waiting = [one for one in wanted if one not in kept]
        with closing(outcomes(make, waiting, options.jobs)) as made:
            for one, _ in made:
                progress(_folder(one, options.output).name, False)
    return len(kept)
