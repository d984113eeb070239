"""Unpacking a ZIP of a DICOM folder without trusting it."""

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress

# 8 GiB hold several whole CT examinations.
MAXIMUM_UNPACKED_BYTES = 8 * 2**30
MAXIMUM_MEMBERS = 100_000
_PIECE = 2**20


@contextmanager
def unpacked(path: Path, progress: Progress) -> Iterator[Path]:
    """A temporary folder with the ZIP's files, removed at the end of the block.

    Files are numbered, not named as in the archive, so no name can lead out of the folder; links are left out. Raises
    InputError: ``"bad-zip"``, ``"zip-too-large"``, ``"zip-encrypted"``.
    """
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-") as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, folder, progress)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            ValueError,
            RuntimeError,
            OSError,
        ) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                "bad-zip", "The ZIP file is damaged or cannot be unpacked here: unpack it yourself and give the folder."
            ) from None
        yield folder


def _unpack(archive: zipfile.ZipFile, folder: Path, progress: Progress) -> None:
    """Write every regular file of the archive into the folder."""
    members = [
        member for member in archive.infolist() if not member.is_dir() and not stat.S_ISLNK(member.external_attr >> 16)
    ]
    room = min(MAXIMUM_UNPACKED_BYTES, shutil.disk_usage(folder).free)
    declared = sum(member.file_size for member in members)
    if len(members) > MAXIMUM_MEMBERS or declared > room:
        raise InputError(
            "zip-too-large",
            f"The ZIP file would unpack to {declared / 2**20:.0f} MiB in {len(members)} files, more than fits into the "
            "temporary folder: give a ZIP of the CT series alone, or the unpacked folder.",
        )
    if any(member.flag_bits & 1 for member in members):
        raise InputError("zip-encrypted", "The ZIP file is protected by a password: unpack it and give the folder.")
    for number, member in enumerate(members):
        # zipfile ends at the declared size and checks the checksum, so no member can grow beyond what was added up.
        with archive.open(member) as source, (folder / f"{number:06d}").open("wb") as target:
            shutil.copyfileobj(source, target, _PIECE)
        if number % 16 == 0:
            progress(number / len(members), "unpacking the ZIP file")
