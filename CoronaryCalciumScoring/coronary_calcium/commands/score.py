"""``coronary-calcium score``: a CT in, scores and a report out."""

import argparse
from pathlib import Path

from coronary_calcium.commands.usage import SCORED, WRONG_USAGE, usable_output
from coronary_calcium.terminal import TerminalProgress, print_result, print_series


def add_score(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
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

    if not usable_output(options.output):
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
