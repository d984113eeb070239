"""``coronary-calcium simulate``: patients with known calcium, as DICOM."""

import argparse
from pathlib import Path

from coronary_calcium.commands.usage import SCORED, WRONG_USAGE, usable_output
from coronary_calcium.terminal import TerminalProgress, say


def add_simulate(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    simulate = commands.add_parser(
        "simulate",
        help="make simulated patients with known calcium",
        description="Write simulated patients as DICOM series with their ground truth, one folder a patient.",
    )
    simulate.add_argument("--n", type=int, default=1, help="how many patients (default: 1)")
    simulate.add_argument("--seed", type=int, default=7, help="the first patient's seed; the others follow")
    simulate.add_argument("--protocol", choices=("chest", "cardiac"), default="chest")
    simulate.add_argument("--thickness", type=float, help="slice thickness in mm (default: as the protocol draws)")
    simulate.add_argument("--spacing", type=float, help="slice spacing in mm (default: as the protocol draws)")
    simulate.add_argument("--output", type=Path, required=True, help="folder for the patients")
    simulate.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from coronary_calcium.progress import part_of  # noqa: PLC0415
    from coronary_calcium.simulation.dicom_series import write_patient  # noqa: PLC0415
    from coronary_calcium.simulation.patient import simulate_patient  # noqa: PLC0415

    lengths = [value for value in (options.thickness, options.spacing) if value is not None]
    if options.n < 1 or options.seed < 0 or any(not 0.2 <= value <= 10 for value in lengths):
        say("--n must be at least 1, --seed at least 0, --thickness and --spacing 0.2 to 10 mm.")
        return WRONG_USAGE
    if not usable_output(options.output):
        return WRONG_USAGE
    changes = {name: getattr(options, name) for name in ("thickness", "spacing") if getattr(options, name) is not None}
    with TerminalProgress() as progress:
        for index in range(options.n):
            seed = options.seed + index
            start, stop = index / options.n, (index + 1) / options.n
            middle = start + 0.95 * (stop - start)
            patient = simulate_patient(seed, options.protocol, progress=part_of(progress, start, middle), **changes)
            folder = options.output / f"patient-{options.protocol}-{seed:06d}"
            write_patient(patient, folder, part_of(progress, middle, stop))
    say(f"Wrote {options.n} simulated patient(s) to {options.output}")
    return SCORED
