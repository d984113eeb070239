"""What travels to a GPU machine that is there for minutes: real hearts and labeled scans in one archive.

``python -m coronary_calcium.training.gpu_bundle --backgrounds DIR --cases DIR --held-out DIR --output BUNDLE``
"""

import argparse
import logging
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from coronary_calcium.datasets.case_format import arrays_of, load_case
from coronary_calcium.simulation.backgrounds import pack, rounded_hu, unpack

# What is in a bundle, and the folders that it is unpacked into.
BACKGROUNDS, CASES, HELD_OUT = "backgrounds", "cases", "held-out"
_LOG = logging.getLogger(__name__)


def pack_bundle(backgrounds: Path, cases: Path | None, held_out: Path | None, output: Path) -> int:
    """Backgrounds, labeled cases and held-out cases in one archive; returns its size in bytes."""
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-bundle-") as scratch:
        folder = Path(scratch)
        for path in sorted(backgrounds.glob("*.npz")):
            shutil.copyfile(path, folder / f"{BACKGROUNDS}+{path.name}")
        for kind, given in ((CASES, cases), (HELD_OUT, held_out)):
            for path in sorted(given.glob("*.npz")) if given else ():
                _store_case(path, folder / f"{kind}+{path.name}")
        return pack(folder, output)


def _store_case(path: Path, target: Path) -> None:
    """A copy of a case that compresses well: HU rounded, arrays as they are."""
    case = load_case(path)
    with target.open("wb") as stream:
        np.savez(stream, **arrays_of(replace(case, hu=rounded_hu(case.hu))))  # type: ignore[arg-type]


def unpack_bundle(bundle: Path, work: Path) -> dict[str, list[Path]]:
    """The bundle's files, by kind, each in a folder of ``work``."""
    found: dict[str, list[Path]] = {kind: [] for kind in (BACKGROUNDS, CASES, HELD_OUT)}
    for path in unpack(bundle, work / "bundle"):
        kind, _, name = path.name.partition("+")
        if kind in found and name:
            (work / kind).mkdir(exist_ok=True)
            found[kind].append(path.replace(work / kind / name))
    (work / CASES).mkdir(exist_ok=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Pack a bundle; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backgrounds", type=Path, required=True, help="folder of background files")
    parser.add_argument("--cases", type=Path, help="folder of labeled cases to train on as well")
    parser.add_argument("--held-out", type=Path, help="folder of cases for validation")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    size = pack_bundle(options.backgrounds, options.cases, options.held_out, options.output)
    _LOG.info("%s: %.1f MiB", options.output, size / 2**20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
