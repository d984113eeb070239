"""How long `coronary-calcium score` takes, stage by stage, and how much memory: one real and one simulated chest CT.

Run by `make benchmark`; not a test. Needs a POSIX system, which tells a finished program's time and memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import shared_data

REAL, SIMULATED = "real", "simulated"
REAL_SERIES = "chest-A0001-soft"
# 350 slices of 1 mm: from below the diaphragm to the top of the lungs.
SEED, Z_RANGE = 7, (-160.0, 189.0)
# What the project promises on two cores without a GPU: seconds, and GB of memory.
TARGETS = {REAL: (60.0, 4.0), SIMULATED: (180.0, None)}


@dataclass(frozen=True)
class Run:
    """One finished run of the command: wall-clock and CPU seconds, peak memory in GB, and its scores.json."""

    wall: float
    processor: float
    gigabytes: float
    scores: dict


def score(dicom: Path, weights: Path | None, threads: int) -> Run:
    """Run the command as a user does, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-benchmark-") as output:
        command = [sys.executable, "-m", "coronary_calcium.cli.main", "score", str(dicom), "--output", output]
        command += ["--device", "cpu"] + (["--weights", str(weights)] if weights else [])
        limits = dict.fromkeys(("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), str(threads))
        package = Path(__file__).resolve().parents[2] / "CoronaryCalciumScoring"
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env={**os.environ, **limits, "PYTHONPATH": str(package)}
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"The command failed with exit code {process.returncode}.")
        scores = json.loads(Path(output, "scores.json").read_text(encoding="utf-8"))
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e9, scores)


def simulated_series(folder: Path) -> Path:
    """The DICOM folder of the simulated patient, made where it is not there yet."""
    from coronary_calcium.simulation.dicom_series import write_patient
    from coronary_calcium.simulation.patient import simulate_patient

    place = folder / f"benchmark-{SEED:06d}"
    # Written last, so that an interrupted simulation is not taken for a finished one.
    if not (place / "truth.json").is_file():
        say(f"Simulating a chest CT of {Z_RANGE[1] - Z_RANGE[0] + 1:.0f} slices; this takes some minutes.")
        changes = {"pixels": 512, "spacing": 1.0, "thickness": 1.0, "z_range": Z_RANGE}
        write_patient(simulate_patient(SEED, "chest", **changes), place)
    return place / "dicom"


def show(name: str, run: Run, threads: int) -> None:
    """The run as a table."""
    scores, (seconds, gigabytes) = run.scores, TARGETS[name]
    size, coverage = scores["acquisition"]["size"], scores["coverage"]
    timing = scores["provenance"]["seconds"]
    say(f"\n{name}: {size['slices']} slices of {size['rows']} x {size['columns']}, {threads} thread(s)")
    for stage, took in timing.items():
        say(f"  {stage:<28}{took:>9.1f} s")
    say(f"  {'start, report and end':<28}{run.wall - sum(timing.values()):>9.1f} s")
    say(f"  {'wall clock':<28}{run.wall:>9.1f} s   target {seconds:g} s on two cores: {verdict(run.wall, seconds)}")
    say(f"  {'processor':<28}{run.processor:>9.1f} s")
    memory = "" if gigabytes is None else f"  target {gigabytes:g} GB: {verdict(run.gigabytes, gigabytes)}"
    say(f"  {'peak memory':<28}{run.gigabytes:>9.2f} GB{memory}")
    say(f"  {'slices run':<28}{coverage['slices_run']:>9}")
    say(f"  {'slices skipped':<28}{coverage['slices_skipped']:>9}")
    say(f"  {'Agatston score':<28}{scores['agatston']['total']:>9.2f}")


def verdict(value: float, target: float) -> str:
    """Whether a target is met."""
    return "met" if value <= target else "MISSED"


def say(text: str) -> None:
    """One line of the table."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=(REAL, SIMULATED), help="one of the two cases")
    parser.add_argument("--weights", type=Path, help="other weights than the shipped ones (.safetensors)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--folder", type=Path, help="where the simulated CT is kept for the next run")
    options = parser.parse_args()
    if options.only != SIMULATED:
        if (shared_data.FOLDER / f"{REAL_SERIES}.tar.xz").is_file():
            show(REAL, score(shared_data.real_series(REAL_SERIES), options.weights, options.threads), options.threads)
        else:
            say(f"{REAL}: left out; it needs {REAL_SERIES}.tar.xz ({shared_data.PUBLISHED[REAL_SERIES]}).")
    if options.only != REAL:
        with tempfile.TemporaryDirectory(prefix="coronary-calcium-benchmark-") as scratch:
            series = simulated_series(options.folder or Path(scratch))
            show(SIMULATED, score(series, options.weights, options.threads), options.threads)


if __name__ == "__main__":
    main()
