"""Where the CT to score comes from, and where DICOM objects go: a path, or a DICOMweb server."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coronary_calcium.commands.usage import INTERRUPTED, SCORED
from coronary_calcium.progress import Progress
from coronary_calcium.terminal import say


def add_dicomweb(score: argparse.ArgumentParser) -> None:
    """Add the options to the command's parser."""
    web = score.add_argument_group(
        "DICOMweb",
        "No network is used unless a server is named. User and password, or a token, come from netrc or from "
        "DICOMWEB_USER and DICOMWEB_PASSWORD, or DICOMWEB_TOKEN.",
    )
    web.add_argument("--from-dicomweb", metavar="URL", help="fetch the CT from this server; with --study and --series")
    web.add_argument("--study", metavar="UID", help="the study to fetch from")
    web.add_argument("--to-dicomweb", metavar="URL", help="store both DICOM objects on this server, too")


def usable_input(options: argparse.Namespace) -> bool:
    """Whether exactly one CT is named, told before any work."""
    from coronary_calcium.dicomweb import is_uid  # noqa: PLC0415 - not needed for --help

    if (options.input is None) == (options.from_dicomweb is None):
        say("Name one CT: a file or folder, or --from-dicomweb URL with --study UID and --series UID.")
        return False
    if options.from_dicomweb is None:
        if options.study is not None:
            say("--study belongs to --from-dicomweb; leave it out.")
        return options.study is None
    if not all(uid is not None and is_uid(uid) for uid in (options.study, options.series)):
        say("--from-dicomweb needs --study UID and --series UID, each of digits and dots.")
        return False
    return True


@contextmanager
def input_path(options: argparse.Namespace, progress: Progress) -> Iterator[Path]:
    """The CT's path; a fetched series lies in a temporary folder that goes at the end of the block."""
    from coronary_calcium.dicomweb import check_servers, fetch_series  # noqa: PLC0415

    check_servers(options.from_dicomweb, options.to_dicomweb)
    if options.from_dicomweb is None:
        yield options.input
        return
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-") as name:
        fetch_series(options.from_dicomweb, options.study, options.series, Path(name), progress)
        yield Path(name)


def store_objects(url: str, folder: Path) -> int:
    """Store the DICOM objects of a results folder on a server; returns the exit code.

    Raises InputRefused (see ``dicomweb.store``); the results stay in the folder whatever happens.
    """
    from coronary_calcium.dicomweb import store  # noqa: PLC0415 - pydicom is slow to import
    from coronary_calcium.reports.case_files import DICOM_REPORT, DICOM_SEGMENTATION  # noqa: PLC0415

    try:
        store(url, [folder / DICOM_SEGMENTATION, folder / DICOM_REPORT])
    except KeyboardInterrupt:
        say(f"Interrupted while the DICOM objects were sent; the results are in {folder}.")
        return INTERRUPTED
    say("Stored segmentation.dcm and report-sr.dcm on the DICOMweb server.")
    return SCORED
