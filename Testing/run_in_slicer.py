"""Run the module's own test inside 3D Slicer: python Testing/run_in_slicer.py /path/to/Slicer [--screenshots FOLDER]

With --screenshots, a picture of the window is saved after each step of the workflow. Ends with 0 when all tests
passed. It needs no network and none of the module's Python packages. On Linux without a display it needs xvfb-run
(package xvfb).
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

MODULE_FOLDER = Path(__file__).resolve().parent.parent / "CoronaryCalciumScoring"
# A first start of Slicer on a slow machine takes a minute; the tests take seconds.
TIMEOUT_SECONDS = 600
# The module's test looks for the folder of the pictures here (CoronaryCalciumScoringWidgets/module_test.py).
SCREENSHOTS_VARIABLE = "CORONARY_CALCIUM_SCREENSHOTS"

# Runs in Slicer's Python once the application is up, and ends it with the result.
CODE = """
import traceback, unittest
import slicer
status = 1
try:
    suite = unittest.defaultTestLoader.loadTestsFromName("CoronaryCalciumScoring")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    status = 0 if result.testsRun and result.wasSuccessful() else 1
except Exception:
    traceback.print_exc()
slicer.util.exit(status)
"""


def command(executable: Path, environment: dict[str, str], script: Path) -> list[str]:
    """The command line; ``script`` is a file with ``CODE``, because Slicer's --python-code takes no line break.

    Raises SystemExit when there is no display and no way to make one.
    """
    display = []
    if sys.platform == "linux" and not environment.get("DISPLAY"):
        if shutil.which("xvfb-run") is None:
            raise SystemExit("There is no display: install xvfb (apt-get install xvfb) or run this on a desktop.")
        display = ["xvfb-run", "--auto-servernum"]
    options = ["--testing", "--no-splash", "--ignore-slicerrc", "--additional-module-paths", str(MODULE_FOLDER)]
    return [*display, str(executable), *options, "--python-script", str(script)]


def main(arguments: list[str] | None = None) -> int:
    """Run the tests in the given Slicer; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slicer", type=Path, help="the Slicer executable")
    parser.add_argument(
        "--screenshots", type=Path, metavar="FOLDER", help="save a picture of the window after each step"
    )
    options = parser.parse_args(arguments)
    executable, environment = options.slicer, dict(os.environ)
    if not executable.is_file():
        raise SystemExit(f"{executable} is not a file: give the path of the Slicer executable.")
    if options.screenshots is not None:
        options.screenshots.mkdir(parents=True, exist_ok=True)
        environment[SCREENSHOTS_VARIABLE] = str(options.screenshots.resolve())
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "module_test_in_slicer.py"
        script.write_text(CODE, encoding="utf-8")
        return _run(command(executable, environment, script), environment)


def _run(arguments: list[str], environment: dict[str, str]) -> int:
    """Run Slicer and wait for its end; returns its exit status."""
    # A session of its own, so that Slicer ends with the launchers that started it.
    process = subprocess.Popen(arguments, env=environment, start_new_session=True)
    try:
        return process.wait(TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        _end(process)
        raise SystemExit(
            f"Slicer did not end within {TIMEOUT_SECONDS} s; its output above says how far it came."
        ) from None
    except KeyboardInterrupt:
        _end(process)
        raise


def _end(process: subprocess.Popen) -> None:
    """End a process and all that it has started, as far as the system can tell which they are."""
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
