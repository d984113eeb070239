"""Weights in parts: files small enough to be brought back from a machine, and one file of them again.

``python -m coronary_calcium.training.weights_parts --parts DIR --output WEIGHTS``
"""

import argparse
import hashlib
import json
import logging
import shutil
import sys
from pathlib import Path

from coronary_calcium.atomic_write import write_whole
from coronary_calcium.errors import InputError
from coronary_calcium.training.checkpoint import WEIGHTS

PART_BYTES = 15 * 2**20
_LOG = logging.getLogger(__name__)


def split_file(path: Path, out: Path, size: int = PART_BYTES) -> list[Path]:
    """Copy a file in parts of at most ``size`` bytes: NAME.part00 and so on; returns their paths."""
    content = path.read_bytes()
    parts = []
    for number, start in enumerate(range(0, len(content), size)):
        parts.append(out / f"{path.name}.part{number:02d}")
        parts[-1].write_bytes(content[start : start + size])
    return parts


def join_parts(folder: Path, output: Path) -> Path:
    """The weights of a folder of parts in one file, with their card beside it; returns its path.

    Raises InputError("weights-checksum") when a part is missing or damaged.
    """
    content = b"".join(path.read_bytes() for path in sorted(folder.glob(f"{WEIGHTS}.part*")))
    card = (folder / WEIGHTS).with_suffix(".json")
    if (
        not card.is_file()
        or json.loads(card.read_text(encoding="utf-8"))["sha256"] != hashlib.sha256(content).hexdigest()
    ):
        raise InputError(
            "weights-checksum", f"The parts in {folder} are not the weights of their card; fetch all of them again."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, content)
    shutil.copyfile(card, output.with_suffix(".json"))
    return output


def main(arguments: list[str] | None = None) -> int:
    """Join the parts; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=Path, required=True, help="folder of the parts and their model card")
    parser.add_argument("--output", type=Path, required=True, help="the weights file to write, its card beside it")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    _LOG.info("%s", join_parts(options.parts, options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())
