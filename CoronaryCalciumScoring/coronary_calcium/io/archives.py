"""Unpacking ZIP archives and gzip files of a CT without trusting them."""

import gzip
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from coronary_calcium.errors import InputError
from coronary_calcium.io.image_files import image_suffix
from coronary_calcium.progress import Progress

# 8 GiB hold several whole CT examinations.
MAXIMUM_UNPACKED_BYTES = 8 * 2**30
MAXIMUM_MEMBERS = 100_000
# An archive within an archive, as portals make them, and one more.
_DEEPEST = 3
_PIECE = 2**20
# A header may name its data file, so these keep their names, if they can lead nowhere.
_DATA_SUFFIXES = (".raw", ".zraw")
_PLAIN_NAME = re.compile(r"\w[\w. -]{0,100}")


def is_packed(path: Path) -> bool:
    """Whether a file is a ZIP archive, or packed by gzip and no NIfTI image, which is read as it is."""
    if path.name.lower().endswith(".gz"):
        return image_suffix(path) is None
    return zipfile.is_zipfile(path)


@contextmanager
def unpacked(paths: Sequence[Path], progress: Progress) -> Iterator[Path]:
    """A temporary folder with the files of ZIP archives and of gzip files, removed at the end of the block.

    Files are numbered, not named as in the archive, so no name can lead out of the folder; only image files, which may
    name each other, keep a name that holds no path. Links are left out; archives in an archive are unpacked as well.
    Raises InputError: ``"bad-zip"``, ``"zip-too-large"``, ``"zip-encrypted"``.
    """
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-") as name:
        folder = Path(name)
        unpacker = _Unpacker(folder, progress)
        try:
            for path in paths:
                unpacker.unpack(path)
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


class _Unpacker:
    """Writes what archives hold into one folder, within bounds that hold for all of them together."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._left = min(MAXIMUM_UNPACKED_BYTES, shutil.disk_usage(folder).free)
        self._members = 0

    def unpack(self, path: Path, depth: int = 1) -> None:
        """Unpack one archive or gzip file, and the archives in it."""
        if depth > _DEEPEST:
            return
        if not zipfile.is_zipfile(path):
            with gzip.open(path) as source:
                self._write(source, self._place(path.name.removesuffix(".gz")), depth)
            return
        with zipfile.ZipFile(path) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not stat.S_ISLNK(member.external_attr >> 16)
            ]
            declared = sum(member.file_size for member in members)
            if self._members + len(members) > MAXIMUM_MEMBERS or declared > self._left:
                raise _too_large(declared, len(members))
            if any(member.flag_bits & 1 for member in members):
                raise InputError(
                    "zip-encrypted", "The ZIP file is protected by a password: unpack it and give the folder."
                )
            for number, member in enumerate(members):
                # zipfile ends at the declared size and checks the checksum, so no member can grow beyond it.
                with archive.open(member) as source:
                    self._write(source, self._place(member.filename), depth)
                if number % 16 == 0:
                    self._progress(number / len(members), "unpacking the ZIP file")

    def _write(self, source: IO[bytes] | gzip.GzipFile, target: Path, depth: int) -> None:
        """Copy a file, and unpack it when it is packed itself."""
        with target.open("wb") as file:
            while piece := source.read(_PIECE):
                self._left -= len(piece)
                if self._left < 0:
                    raise _too_large(MAXIMUM_UNPACKED_BYTES, self._members)
                file.write(piece)
        if image_suffix(target) is None and target.stat().st_size and is_packed(target):
            self.unpack(target, depth + 1)
            target.unlink()

    def _place(self, name: str) -> Path:
        """Where a member is written."""
        self._members += 1
        last = name.replace("\\", "/").rsplit("/", 1)[-1]
        named = self._folder / last
        keeps = image_suffix(named) is not None or named.suffix.lower() in _DATA_SUFFIXES
        if keeps and _PLAIN_NAME.fullmatch(last) and not named.exists():
            return named
        packed = ".gz" if last.lower().endswith(".gz") and not keeps else ""
        return self._folder / f"{self._members:06d}{image_suffix(named) or packed}"


def _too_large(size: int, members: int) -> InputError:
    return InputError(
        "zip-too-large",
        f"The ZIP file would unpack to {size / 2**20:.0f} MiB in {members} files, more than fits into the temporary "
        "folder: give a ZIP of the CT series alone, or the unpacked folder.",
    )
