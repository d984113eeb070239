"""The ``coronary-calcium`` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from coronary_calcium import __version__
from coronary_calcium.errors import Cancelled, InputRefused
from coronary_calcium.terminal import TerminalProgress, print_result, print_series, say

# Exit codes, as documented in the README.
SCORED, WRONG_USAGE, REFUSED, INTERRUPTED = 0, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 2 wrong usage, 3 input refused, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputRefused as refusal:
        say(f"Refused: {refusal}")
        return REFUSED
    except (KeyboardInterrupt, Cancelled):
        say("Interrupted; nothing was written.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coronary-calcium",
        description="Coronary calcium scoring on non-contrast CT. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"coronary-calcium {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_score(commands)
    _add_simulate(commands)
    return parser


def _add_score(commands: argparse._SubParsersAction) -> None:
    score = commands.add_parser(
        "score",
        help="score a CT",
        description="Find coronary calcium on a non-contrast CT and score it. Writes scores.json, lesions.csv, "
        "segmentation.seg.nrrd and report.html.",
        epilog="Exit codes: 0 scored, 2 wrong usage, 3 input refused, 130 interrupted.",
    )
    score.add_argument("input", type=Path, help="DICOM folder, file or ZIP, or a .nrrd, .nii, .nii.gz, .mha or .mhd")
    score.add_argument("--output", type=Path, required=True, help="folder for the results; made when it is not there")
    score.add_argument("--mask", type=Path, help="label map (1 LM, 2 LAD, 3 LCX, 4 RCA) to score; no network is run")
    score.add_argument("--series", metavar="UID", help="the series to score, when the folder holds several")
    score.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto", help="default: auto")
    score.add_argument("--weights", type=Path, help="other weights than the shipped ones (.safetensors)")
    score.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> int:
    # Imported here so that --help and wrong usage answer at once.
    from coronary_calcium.pipeline import score_case  # noqa: PLC0415
    from coronary_calcium.progress import part_of  # noqa: PLC0415
    from coronary_calcium.reading import open_ct, open_mask  # noqa: PLC0415
    from coronary_calcium.reports import write_case  # noqa: PLC0415
    from coronary_calcium.stages import Stages  # noqa: PLC0415

    if not _usable_output(options.output):
        return WRONG_USAGE
    stages = Stages()
    with TerminalProgress() as progress:
        with stages.timed("read"):
            opened = open_ct(options.input, series_uid=options.series, progress=part_of(progress, 0.0, 0.1))
            labels = None if options.mask is None else open_mask(options.mask, opened.volume)
        result = score_case(
            opened.volume,
            labels=labels,
            model_path=options.weights,
            device=options.device,
            progress=part_of(progress, 0.1, 0.95),
            stages=stages,
        )
        report = write_case(result, options.output, part_of(progress, 0.95, 1.0))
    print_series(opened)
    print_result(result, report)
    return SCORED


def _usable_output(folder: Path) -> bool:
    """Whether results can be written there, told before minutes of work rather than after; makes nothing."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        say(f"--output {folder}: {existing} is a file; name a folder.")
        return False
    if not os.access(existing, os.W_OK | os.X_OK):
        say(f"--output {folder} cannot be written; name a folder that you may write to.")
        return False
    return True


def _add_simulate(commands: argparse._SubParsersAction) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="make simulated patients with known calcium",
        description="Write simulated patients as DICOM series with their ground truth, one folder a patient.",
    )
    simulate.add_argument("--n", type=int, default=1, help="how many patients (default: 1)")
    simulate.add_argument("--seed", type=int, default=7, help="the first patient's seed; the others follow")
    simulate.add_argument("--protocol", choices=("chest", "cardiac"), default="chest")
    simulate.add_argument("--thickness", type=float, help="slice thickness in mm (default: as the protocol draws)")
    simulate.add_argument("--spacing", type=float, help="slice spacing in mm (default: as the protocol draws)")
    simulate.add_argument("--output", type=Path, required=True, help="folder for the patients")
    simulate.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from coronary_calcium.progress import part_of  # noqa: PLC0415
    from coronary_calcium.simulation.dicom_series import write_patient  # noqa: PLC0415
    from coronary_calcium.simulation.patient import simulate_patient  # noqa: PLC0415

    lengths = [value for value in (options.thickness, options.spacing) if value is not None]
    if options.n < 1 or options.seed < 0 or any(not 0.2 <= value <= 10 for value in lengths):
        say("--n must be at least 1, --seed at least 0, --thickness and --spacing 0.2 to 10 mm.")
        return WRONG_USAGE
    if not _usable_output(options.output):
        return WRONG_USAGE
    changes = {name: getattr(options, name) for name in ("thickness", "spacing") if getattr(options, name) is not None}
    with TerminalProgress() as progress:
        for index in range(options.n):
            seed = options.seed + index
            start, stop = index / options.n, (index + 1) / options.n
            middle = start + 0.95 * (stop - start)
            patient = simulate_patient(seed, options.protocol, progress=part_of(progress, start, middle), **changes)
            folder = options.output / f"patient-{options.protocol}-{seed:06d}"
            write_patient(patient, folder, part_of(progress, middle, stop))
    say(f"Wrote {options.n} simulated patient(s) to {options.output}")
    return SCORED


if __name__ == "__main__":
    sys.exit(main())
