"""``coronary-calcium score``: a CT in, scores and a report out."""

import argparse
from dataclasses import replace

from coronary_calcium.commands.score_choices import add_choices, choices_of, rules_of, usable_comparison
from coronary_calcium.commands.score_input import add_dicomweb, input_path, store_objects, usable_input
from coronary_calcium.commands.usage import SCORED, WRONG_USAGE, named_path, usable_output
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
    score.add_argument(
        "input",
        type=named_path,
        nargs="?",
        help="DICOM folder, file or ZIP, or a .nrrd, .nii, .nii.gz, .mha or .mhd (or see --from-dicomweb)",
    )
    score.add_argument(
        "--output", type=named_path, required=True, help="folder for the results; made when it is not there"
    )
    score.add_argument(
        "--mask",
        type=named_path,
        help="label map (1 LM, 2 LAD, 3 LCX, 4 RCA) or DICOM SEG to score in place of the network's",
    )
    score.add_argument("--series", metavar="UID", help="the series to score, when the folder holds several")
    score.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto", help="default: auto")
    score.add_argument("--weights", type=named_path, help="other weights than the shipped ones (.safetensors)")
    dicom = score.add_argument_group(
        "DICOM objects",
        "They refer to the CT's DICOM images and carry the patient's identity from them, as every DICOM object does; "
        "the other files never do.",
    )
    dicom.add_argument("--dicom-seg", action="store_true", help="also write segmentation.dcm, a DICOM segmentation")
    dicom.add_argument("--dicom-sr", action="store_true", help="also write report-sr.dcm, a Structured Report")
    score.add_argument("--pdf", action="store_true", help="also write report.pdf, to print and sign")
    score.add_argument(
        "--with-identity", action="store_true", help="put patient and study from the DICOM header into the reports"
    )
    add_dicomweb(score)
    add_choices(score)
    score.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> int:
    # Imported here so that --help and wrong usage answer at once.
    from coronary_calcium.dicom_out.sources import require_sources  # noqa: PLC0415
    from coronary_calcium.pipeline import score_case  # noqa: PLC0415
    from coronary_calcium.progress import part_of  # noqa: PLC0415
    from coronary_calcium.reading import open_ct, open_mask  # noqa: PLC0415
    from coronary_calcium.reports import Extras, write_case  # noqa: PLC0415
    from coronary_calcium.reports.identity import read_identity  # noqa: PLC0415
    from coronary_calcium.stages import Stages  # noqa: PLC0415

    if not (usable_output(options.output) and usable_input(options) and usable_comparison(options)):
        return WRONG_USAGE
    stages = Stages()
    sending = options.to_dicomweb is not None
    extras = Extras(dicom_seg=options.dicom_seg or sending, dicom_sr=options.dicom_sr or sending, pdf=options.pdf)
    with TerminalProgress() as progress, input_path(options, part_of(progress, 0.0, 0.05)) as path:
        with stages.timed("read"):
            opened = open_ct(path, series_uid=options.series, progress=part_of(progress, 0.05, 0.1))
            if extras.dicom_seg or extras.dicom_sr:
                require_sources(opened.volume)  # told before the minutes of work, not after
            if options.with_identity:
                extras = replace(extras, identity=read_identity(opened.volume))
            labels, proposed = (
                None if file is None else open_mask(file, opened.volume) for file in (options.mask, options.proposal)
            )
        result = score_case(
            opened.volume,
            labels=labels,
            proposed=proposed,
            model_path=options.weights,
            device=options.device,
            rules=rules_of(options),
            choices=choices_of(options),
            progress=part_of(progress, 0.1, 0.95),
            stages=stages,
        )
        report = write_case(result, options.output, part_of(progress, 0.95, 1.0), extras)
    print_series(opened)
    print_result(result, report)
    return store_objects(options.to_dicomweb, options.output) if sending else SCORED
