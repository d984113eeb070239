"""Check that the built wheel carries everything that the command needs: all modules and all data files."""

import sys
import zipfile
from pathlib import Path

PACKAGE = Path("CoronaryCalciumScoring/coronary_calcium")
DATA = [Path("CoronaryCalciumScoring/Resources") / name for name in ("Weights", "Schemas", "Report")]


def main(wheel: str) -> int:
    """Returns 0 when nothing is missing."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    modules = {f"coronary_calcium/{path.relative_to(PACKAGE).as_posix()}" for path in PACKAGE.rglob("*.py")}
    data = {
        f"coronary_calcium/Resources/{folder.name}/{path.relative_to(folder).as_posix()}"
        for folder in DATA
        for path in folder.rglob("*")
        if path.is_file()
    }
    missing = sorted((modules | data) - inside)
    for name in missing:
        sys.stderr.write(f"missing from the wheel: {name}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
