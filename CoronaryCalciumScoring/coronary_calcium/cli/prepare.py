"""``coronary-calcium prepare``: training cases from a data set."""

import argparse

from coronary_calcium.cli.console import SCORED, WRONG_USAGE, TerminalProgress, named_path, say, usable_output
from coronary_calcium.cli.reader_option import add_reader, data_of_reader, say_left_out

# As ``datasets.registry.LAYOUTS`` and ``AUTO``, whose import would slow down --help; a test compares them.
LAYOUT_NAMES = ("auto", "simulated", "reviewed", "coca-gated", "coca-nongated", "orcascore", "nlst")


def add_prepare(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "prepare",
        help="make training cases from a data set",
        description="Make training cases from simulated patients, cases saved from Slicer, COCA, orCaScore, the NLST "
        "annotations or a reader's cases of a cohort. Existing cases are kept, so an interrupted run goes on. A list "
        "in the output folder (prepared-*.json) says what was left out, and why.",
    )
    parser.add_argument("--data", type=named_path, required=True, help="folder of the data set")
    parser.add_argument("--output", type=named_path, required=True, help="folder for the training cases")
    parser.add_argument("--layout", choices=LAYOUT_NAMES, default="auto", help="the data set (default: detected)")
    add_reader(parser)
    parser.set_defaults(run=_prepare)


def _prepare(options: argparse.Namespace) -> int:
    from coronary_calcium.datasets.prepare import list_path, prepare  # noqa: PLC0415
    from coronary_calcium.datasets.registry import open_data_set  # noqa: PLC0415 - not needed for --help

    if options.output.resolve() == options.data.resolve():
        say("--output must be another folder than --data.")
        return WRONG_USAGE
    if not usable_output(options.output):
        return WRONG_USAGE
    if options.reader is not None:
        data = data_of_reader(options.data, options.reader)
    else:
        data = open_data_set(options.data, options.layout)
    with TerminalProgress() as progress:
        prepared = prepare(data, options.output, progress)
    say_left_out(prepared.left_out, list_path(data, options.output))
    say(
        f"{len(prepared.made) + len(prepared.kept)} training case(s) in {options.output}: {len(prepared.made)} new, "
        f"{len(prepared.kept)} already there. Left out: {len(prepared.left_out)}."
    )
    return SCORED
