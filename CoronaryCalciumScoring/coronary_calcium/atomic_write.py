"""Files and folders that appear whole or not at all: written under another name beside their place, then renamed.

Whatever ends the process, an earlier file of that name stays as it was until the new one is complete. What a killed
process leaves is ``NAME.partial``, which the next write of that file replaces, or a hidden folder ``.partial-*``, which
the next ``hidden_folder`` at that place removes.
"""

import contextlib
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from coronary_calcium.errors import InputError

PARTIAL_FILE, PARTIAL_FOLDER = ".partial", ".partial-"
# No run takes a day to write its results.
_STALE_S = 86400.0


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The path to write a file to; it appears as ``path`` when the block ends, and is gone when the block fails."""
    partial = path.with_name(path.name + PARTIAL_FILE)
    try:
        yield partial
        with partial.open("rb+") as written:
            # Else a power failure may leave an empty file under the name.
            os.fsync(written.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file that appears under its name only when it is complete; text as UTF-8."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def hidden_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write into, on the same disk as ``folder``; it is gone afterwards.

    It lies inside a folder that exists, since that may be a disk of its own (a mount), and beside one that does not.
    """
    beside = folder if folder.is_dir() else folder.absolute().parent
    _remove_stale(beside)
    with new_hidden_folder(beside) as partial:
        yield partial


@contextlib.contextmanager
def new_hidden_folder(beside: Path) -> Iterator[Path]:
    """A new folder inside ``beside``, gone afterwards; who uses it removes what killed processes left."""
    partial = beside / f"{PARTIAL_FOLDER}{socket.gethostname()[:128]}-{os.getpid()}-{uuid.uuid4().hex}"
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_stale(beside: Path) -> None:
    """Remove what runs that were killed left here: of processes of this computer that live no more, or a day old."""
    for left in beside.glob(f"{PARTIAL_FOLDER}*"):
        host, _, rest = left.name.removeprefix(PARTIAL_FOLDER).rpartition("-")[0].rpartition("-")
        dead = host == socket.gethostname()[:128] and rest.isdecimal() and not _is_running(int(rest))
        with contextlib.suppress(OSError):
            old = time.time() - left.stat().st_mtime > _STALE_S
            if (dead or old) and left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)


def _is_running(process: int) -> bool:
    """Whether a process of this computer lives; taken for granted where asking would end it, as on Windows."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


@contextlib.contextmanager
def new_parents(folder: Path) -> Iterator[None]:
    """Make the folders above ``folder``; on an error, those that were made go again."""
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def move_into(partial: Path, folder: Path, outdated: tuple[str, ...] = ()) -> None:
    """Move the finished files to their place, ``outdated`` ones away; when it fails halfway, earlier ones come back."""
    if not folder.is_dir():
        partial.rename(folder)
        return
    names = sorted(path.name for path in partial.iterdir())
    taken = [name for name in names if (folder / name).is_dir()]
    if taken:
        raise InputError(
            "output", f"{folder} holds a folder named {taken[0]}, where a result must go; name another folder."
        )
    earlier = partial / "earlier"
    earlier.mkdir()
    moved: list[str] = []
    try:
        for name in names:
            moved.append(name)
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder / name, earlier / name)
            os.replace(partial / name, folder / name)
        for name in outdated:
            with contextlib.suppress(FileNotFoundError):
                os.replace(folder / name, earlier / name)
    except BaseException:
        for name in outdated:
            if (earlier / name).exists():
                os.replace(earlier / name, folder / name)
        for name in moved:
            if (earlier / name).exists():
                os.replace(earlier / name, folder / name)
            elif not (partial / name).exists():
                (folder / name).unlink(missing_ok=True)
        raise
