"""``coronary-calcium selftest``: the QRM insert, simulated or from a site's own scanner, truth beside measurement."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from coronary_calcium.cli.console import SCORED, WRONG_USAGE, TerminalProgress, say, usable_output
from coronary_calcium.disclaimers import RESEARCH_USE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coronary_calcium.phantom.insert_quantities import InsertQuantities
    from coronary_calcium.phantom.measurement import Measurement
    from coronary_calcium.phantom.scan_conditions import ConditionErrors
    from coronary_calcium.scoring.calcium_quantities import CalciumQuantity, Value

# What a scanner can do; the simulator would scan beyond it, at the price of memory and time.
_THICKNESS_MM = (0.2, 10.0)
_NOISE_HU = (0.0, 200.0)
_DOSE = (0.01, 10.0)


def add_selftest(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    selftest = commands.add_parser(
        "selftest",
        help="score a phantom of known calcium",
        description="Score the QRM cardiac calcification insert: nine cylinders of known size, density and mass. It is "
        "scanned by a simulator, or found in a scan of your own; the truth is printed beside the measurement.",
    )
    selftest.add_argument(
        "--phantom", type=Path, metavar="DICOM", help="a scan of the insert, in place of a simulation"
    )
    selftest.add_argument("--series", metavar="UID", help="the series of --phantom, when there are several")
    simulation = selftest.add_argument_group("simulated scan")
    simulation.add_argument("--thickness", type=float, default=3.0, help="of slices, in mm (default: 3)")
    simulation.add_argument("--spacing", type=float, help="of slices, in mm (default: their thickness)")
    simulation.add_argument("--kernel", choices=("soft", "standard", "medium", "sharp"), default="standard")
    noise = simulation.add_mutually_exclusive_group()
    noise.add_argument("--noise", type=float, help="SD in HU")
    noise.add_argument(
        "--dose", type=float, default=1.0, help="share of the dose that gives 20 HU with the standard kernel at 3 mm"
    )
    simulation.add_argument("--kvp", type=int, choices=(80, 100, 120, 140), default=120, help="default: 120")
    selftest.add_argument("--kvp-adapted", action="store_true", help="adapt the thresholds to the tube voltage")
    selftest.add_argument(
        "--quantities",
        action="store_true",
        help="measure every quantity (integrated mass and others) and how it repeats: the digital insert over tube "
        "voltage, dose, kernel and slice thickness in about a minute, or the scan of --phantom resampled, with more "
        "noise and blur, and moved",
    )
    selftest.add_argument(
        "--output",
        type=Path,
        help="folder for selftest.json and the simulated scan as DICOM, or for the table and picture of --quantities",
    )
    selftest.set_defaults(run=_selftest)


def _selftest(options: argparse.Namespace) -> int:
    if options.output is not None and not usable_output(options.output):
        return WRONG_USAGE
    wrong = _wrong_number(options)
    if wrong:
        say(wrong)
        return WRONG_USAGE
    if options.quantities:
        return _quantities(options)
    from coronary_calcium.phantom.measurement import measure_insert, write_measurement  # noqa: PLC0415
    from coronary_calcium.scoring.rules import LITERATURE, adapted_to  # noqa: PLC0415

    with TerminalProgress() as progress:
        volume, placement = _found(options, progress) if options.phantom else _simulated(options, progress)
        kvp = volume.acquisition.kvp
        tin_filter = volume.acquisition.tin_filter
        rules = adapted_to(LITERATURE, kvp, tin_filter) if options.kvp_adapted else LITERATURE
        measurement = measure_insert(volume, placement, rules)
        if options.output is not None:
            write_measurement(volume, measurement, options.output, with_scan=options.phantom is None)
    sys.stdout.write("\n".join(_table(measurement)))
    return SCORED


def _quantities(options: argparse.Namespace) -> int:
    """Print how every quantity does under each condition; write it as JSON and, of the digital insert, as a picture."""
    from coronary_calcium.phantom.insert_quantities import insert_quantities  # noqa: PLC0415
    from coronary_calcium.phantom.quantity_picture import write_errors  # noqa: PLC0415
    from coronary_calcium.phantom.scan_conditions import changed_errors, digital_errors  # noqa: PLC0415
    from coronary_calcium.progress import part_of  # noqa: PLC0415

    lines = []
    with TerminalProgress() as progress:
        if options.phantom:
            volume, placement = _found(options, part_of(progress, 0.0, 0.4))
            lines += _insert_table(insert_quantities(volume, placement))
            conditions = changed_errors(volume, placement, part_of(progress, 0.4, 1.0))
        else:
            conditions = digital_errors(progress=progress)
        if options.output is not None:
            write_errors(conditions, options.output, picture=not options.phantom)
    sys.stdout.write("\n".join([*lines, *_errors_table(conditions)]))
    return SCORED


def _insert_table(measured: "Sequence[InsertQuantities]") -> list[str]:
    """Truth beside each quantity, a line per cylinder."""
    from coronary_calcium.scoring.calcium_quantities import QUANTITIES  # noqa: PLC0415

    titles = "".join(f"{_short(quantity):>20}" for quantity in QUANTITIES)
    lines = ["", f"{'Insert':<14}{'true mg':>9}{'true mm3':>10}{titles}"]
    for one in measured:
        cylinder = one.cylinder
        cells = [_cell(one.values[quantity.name]) for quantity in QUANTITIES]
        name = f"{cylinder.diameter_mm:g} mm, {cylinder.mg_per_cm3:.0f}"
        lines.append(
            f"{name:<14}{cylinder.mass_mg:>9.2f}{cylinder.volume_mm3:>10.2f}"
            + "".join(f"{cell:>20}" for cell in cells)
            + ("" if one.counted else "  not counted; measured where it lies")
        )
    return lines


def _cell(value: "Value | None") -> str:
    if value is None:
        return "-"
    return f"{value.number:.2f}" + ("" if value.sd is None else f" +- {value.sd:.2f}")


def _errors_table(conditions: "Sequence[ConditionErrors]") -> list[str]:
    """Error, bias and variation of each quantity, a line a condition."""
    from coronary_calcium.scoring.calcium_quantities import QUANTITIES  # noqa: PLC0415

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{round(100 * value)}"

    lines = [
        "",
        "In %, over the cylinders of 5 and 3 mm: mean absolute error / bias / variation between scans.",
        f"{'Scan':<26}" + "".join(f"{_short(quantity):>20}" for quantity in QUANTITIES),
    ]
    for condition in conditions:
        errors = [condition.errors[quantity.name] for quantity in QUANTITIES]
        cells = [f"{percent(one.error)} / {percent(one.bias)} / {percent(one.variation)}" for one in errors]
        lines.append(f"{condition.title:<26}" + "".join(f"{cell:>20}" for cell in cells))
    return [*lines, "", RESEARCH_USE, ""]


def _short(quantity: "CalciumQuantity") -> str:
    """A quantity's title, as short as a column is."""
    return quantity.title.replace("Volume-fraction mass", "Vol.-fraction mass")


def _wrong_number(options: argparse.Namespace) -> str | None:
    """What is wrong with the numbers, or None."""
    ranges = (
        ("--thickness", options.thickness, _THICKNESS_MM),
        ("--spacing", options.spacing, _THICKNESS_MM),
        ("--noise", options.noise, _NOISE_HU),
        ("--dose", options.dose, _DOSE),
    )
    for name, value, (lowest, highest) in ranges:
        if value is not None and not lowest <= value <= highest:
            return f"{name} must be {lowest:g} to {highest:g}, not {value:g}."
    return None


def _found(options, progress):
    """The scan that was given, and where the insert lies in it."""
    from coronary_calcium.io import open_ct  # noqa: PLC0415
    from coronary_calcium.phantom.insert_search import find_insert  # noqa: PLC0415
    from coronary_calcium.progress import part_of  # noqa: PLC0415

    volume = open_ct(options.phantom, series_uid=options.series, progress=part_of(progress, 0.0, 0.6)).volume
    progress(0.6, "Finding the insert")
    return volume, find_insert(volume)


def _simulated(options, progress):
    """A simulated scan, and where the insert lies in it."""
    from coronary_calcium.phantom.digital_scan import Scan, noise_at, scan_insert  # noqa: PLC0415

    noise = options.noise
    if noise is None:
        noise = noise_at(options.dose, options.thickness, options.kernel)
    spacing = options.spacing or options.thickness
    return scan_insert(Scan(options.thickness, spacing, options.kernel, noise, options.kvp), progress)


def _table(measurement: "Measurement") -> list[str]:
    """Truth beside measurement, a line per cylinder."""
    lines = [
        "",
        f"{'Insert':<16}{'mg/cm3':>7}{'Agatston':>12}{'':>10}{'Volume mm3':>13}{'':>10}{'':>14}{'Mass mg':>9}{'':>10}",
        f"{'':<16}{'':>7}{'ideal':>12}{'measured':>10}{'true':>13}{'measured':>10}{'interpolated':>14}{'true':>9}"
        f"{'measured':>10}",
    ]
    for measured in measurement.cylinders:
        cylinder = measured.cylinder
        name = f"{cylinder.diameter_mm:g} mm, {cylinder.density}"
        lines.append(_row(name, f"{cylinder.mg_per_cm3:.0f}", measurement.values_of(measured)))
    lines += [
        _row("Total", "", measurement.totals),
        "",
        f"Rules: {measurement.rules.title}. Mass: {measurement.calibration.mg_per_cm3_hu:.3f} mg/cm3/HU, "
        f"{measurement.calibration.source}.",
        RESEARCH_USE,
        "",
    ]
    return lines


def _row(name: str, density: str, values: dict[str, float]) -> str:
    return (
        f"{name:<16}{density:>7}{values['agatston_ideal']:>12.2f}{values['agatston']:>10.2f}"
        f"{values['volume_true_mm3']:>13.2f}{values['volume_mm3']:>10.2f}{values['volume_interpolated_mm3']:>14.2f}"
        f"{values['mass_true_mg']:>9.2f}{values['mass_mg']:>10.2f}"
    )
