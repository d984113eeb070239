"""``coronary-calcium agreement``: how well the readers of a cohort agree, with each other and with the network."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from coronary_calcium.cli.console import SCORED, WRONG_USAGE, add_cohort_folder, named_path, say, usable_output
from coronary_calcium.disclaimers import RESEARCH_USE


def add_agreement(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "agreement",
        help="how well the readers of a cohort agree",
        description="ICC, kappa, Bland-Altman, lesions and time of every pair of readers, on the cases that all of "
        "them have done. Writes agreement.html, agreement.csv and agreement.json.",
    )
    add_cohort_folder(command)
    command.add_argument("--readers", nargs="+", required=True, metavar="READER", help="two or more; AI is the network")
    command.add_argument("--output", type=named_path, help="folder for the results (default: agreement in the cohort)")
    command.set_defaults(run=_agreement)


def _agreement(options: argparse.Namespace) -> int:
    from coronary_calcium.cohort.agreement import agreement, shared_cases, write_agreement  # noqa: PLC0415
    from coronary_calcium.cohort.state import require_cohort  # noqa: PLC0415

    require_cohort(options.cohort)
    output = options.output or options.cohort / "agreement"
    if not usable_output(output):
        return WRONG_USAGE
    cases = shared_cases(options.cohort, options.readers)
    content = agreement(cases)
    page = write_agreement(output, cases, content, datetime.now(UTC))
    sys.stdout.write("\n".join(["", f"{len(cases.ids)} cases", *map(_line, content["pairs"]), RESEARCH_USE, ""]))
    say(f"Results: {page.resolve()}")
    return SCORED


def _line(pair: dict[str, Any]) -> str:
    """A pair in a line."""
    kappa, total, lesions = pair["kappa"], pair["agatston"]["total"], pair["lesions"]
    return (
        f"{pair['first']} and {pair['second']}: kappa {_two(kappa['linear']['value'])} linear, "
        f"{_two(kappa['quadratic']['value'])} quadratic; ICC(2,1) {_two(total['icc_2_1'])}; bias {_two(total['bias'])}"
        f"; lesions: {lesions['both']} both, {lesions['only_first']} only {pair['first']}, "
        f"{lesions['only_second']} only {pair['second']}"
    )


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
