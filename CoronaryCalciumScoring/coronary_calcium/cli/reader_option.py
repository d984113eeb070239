"""The option ``--reader``: a reader's done cases of a cohort where another command takes a data set."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from coronary_calcium.cli.console import say

if TYPE_CHECKING:
    from coronary_calcium.datasets.base import DataSet, LeftOut

# More than this many are not listed on the terminal; the list in the folder has all of them.
_MOST_LISTED = 20


def add_reader(parser: argparse.ArgumentParser, also: str = "") -> None:
    """Add the option to a command whose ``--data``, and what ``also`` names, may then be a cohort."""
    parser.add_argument(
        "--reader",
        metavar="NAME",
        help=f"take the cases that this reader has marked as done: --data{also} is the folder of a cohort",
    )


def data_of_reader(cohort: Path, reader: str) -> "DataSet":
    """The reader's done cases; says how many there are, and how many do not take part. Raises as ``reader_cases``."""
    from coronary_calcium.cohort.reader_cases import reader_cases  # noqa: PLC0415 - not needed for --help

    cases = reader_cases(cohort, reader)
    say(cases.counted(reader))
    return cases.data


def is_cohort(folder: Path) -> bool:
    """Whether a folder is a cohort's."""
    from coronary_calcium.cohort.cases import DATABASE  # noqa: PLC0415 - not needed for --help

    return (folder / DATABASE).is_file()


def say_left_out(left_out: "tuple[LeftOut, ...]", listed_in: Path | None = None) -> None:
    """Which cases are left out and why; many are not all said where there is a list of them."""
    for left in left_out if listed_in is None else left_out[:_MOST_LISTED]:
        say(f"Left out {left.name}: {left.reason}")
    more = len(left_out) - _MOST_LISTED
    if more > 0 and listed_in is not None:
        say(f"... and {more} more, listed in {listed_in}")
