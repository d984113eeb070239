"""``coronary-calcium evaluate``: weights measured on patients of known calcium."""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coronary_calcium.cli.console import (
    SCORED,
    WRONG_USAGE,
    PatientProgress,
    add_device,
    named_path,
    say,
    usable_output,
)
from coronary_calcium.cli.reader_option import add_reader, data_of_reader, is_cohort, say_left_out
from coronary_calcium.disclaimers import RESEARCH_USE, trained_on
from coronary_calcium.errors import InputError

if TYPE_CHECKING:
    from coronary_calcium.evaluation.patients import Patient
    from coronary_calcium.evaluation.results import PatientResult
    from coronary_calcium.evaluation.run import EvaluationSettings


def add_evaluate(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure weights on patients of known calcium",
        description="Run the network on patients of known calcium and measure its answers: pixels, lesions, arteries, "
        "risk categories and scores. Writes evaluation.html, patients.csv and evaluation.json; an evaluation that was "
        "interrupted goes on where it stopped when it is started again with the same --output.",
        epilog="Exit codes: 0 evaluated, 2 wrong usage, 3 rejected, 130 interrupted.",
    )
    evaluate.add_argument(
        "--data",
        type=named_path,
        required=True,
        help="folder of patients: as coronary-calcium simulate or the Slicer module writes them, folders with a CT "
        "(dicom/ or ct.nrrd) and labels.nrrd, real scans with a reading (NAME-labels.nrrd beside NAME), or training "
        "cases (.npz); with --reader, a cohort",
    )
    add_reader(evaluate)
    evaluate.add_argument(
        "--weights", type=named_path, help="weights to use instead of the shipped ones (.safetensors)"
    )
    evaluate.add_argument(
        "--table",
        action="append",
        type=_table_row,
        metavar="ROW=WEIGHTS",
        help="weights for a row of the paper's tables: baseline, rau, edb, scse or iou; once for each row. Writes "
        "tables.html, .md and .json, and each row's evaluation into a folder of its name",
    )
    evaluate.add_argument("--output", type=named_path, help="folder for the results (default: only print them)")
    evaluate.add_argument("--limit", type=int, metavar="N", help="only N of the patients, spread evenly")
    evaluate.add_argument("--jobs", type=int, default=1, metavar="N", help="patients in parallel (default: 1)")
    add_device(evaluate, "where the network runs")
    evaluate.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="bfloat16 is faster on CPUs and GPUs that have it, and not used where it is slower; scoring itself "
        "uses float32 (default)",
    )
    evaluate.add_argument(
        "--every-slice",
        action="store_true",
        help="run the network also where nothing could count; slower, and changes only the CAC rate without "
        "post-processing and the network's pixels",
    )
    evaluate.set_defaults(run=_evaluate)


def _table_row(text: str) -> tuple[str, Path]:
    from coronary_calcium.evaluation.paper_tables import BY_KEY  # noqa: PLC0415

    key, equals, path = text.partition("=")
    if key not in BY_KEY or not equals or not path:
        raise argparse.ArgumentTypeError(f"give ROW=WEIGHTS with ROW one of {', '.join(BY_KEY)}, not {text}")
    return key, Path(path)


def _evaluate(options: argparse.Namespace) -> int:
    # Imported here so that --help and wrong usage answer at once.
    from coronary_calcium.evaluation.run import EvaluationSettings  # noqa: PLC0415

    wrong = _wrong_usage(options)
    if wrong:
        say(wrong)
        return WRONG_USAGE
    if options.output is not None and not usable_output(options.output):
        return WRONG_USAGE
    patients = _limited(_patients(options), options.limit)
    options.precision = _precision(options)
    with _folder(options.output) as folder:
        if options.table:
            _tables(options, patients, folder)
        else:
            settings = EvaluationSettings(options.weights, options.device, options.precision, options.every_slice)
            content = _one(options, patients, settings, folder, folder)
            sys.stdout.write("\n".join([*_reading_lines(content), *_key_figures(content)]))
    if options.output is not None:
        name = "tables.html" if options.table else "evaluation.html"
        say(f"Results: {(options.output / name).resolve()}")
    return SCORED


def _wrong_usage(options: argparse.Namespace) -> str | None:
    """What is wrong with the options, or None."""
    if options.limit is not None and options.limit < 1:
        return "--limit must be at least 1."
    if options.jobs < 1:
        return "--jobs must be at least 1."
    if options.table and options.weights is not None:
        return "--table names its own weights; leave out --weights."
    if options.table and len({key for key, _ in options.table}) < len(options.table):
        return "--table names a row twice; name each once."
    return None


def _precision(options: argparse.Namespace) -> str:
    """The precision asked for, or float32 where the device is slower in that one."""
    from coronary_calcium.inference.device import resolve_device  # noqa: PLC0415
    from coronary_calcium.network.precision import NO_FAST_BFLOAT16, usable_precision  # noqa: PLC0415

    usable = usable_precision(options.precision, resolve_device(options.device))
    if usable != options.precision:
        say(NO_FAST_BFLOAT16)
    return usable


def _patients(options: argparse.Namespace) -> list["Patient"]:
    """The patients of ``--data``; a reader's readings that cannot be used are said."""
    from coronary_calcium.evaluation.patients import data_set_patients, find_patients  # noqa: PLC0415

    if options.reader is not None:
        data = data_of_reader(options.data, options.reader)
        say_left_out(data.left_out)
        return data_set_patients(data)
    if is_cohort(options.data):
        raise InputError(
            "cohort-reader", f"{options.data} is a cohort: say whose readings are the truth, with --reader NAME."
        )
    return find_patients(options.data)


def _limited(patients: list["Patient"], limit: int | None) -> list["Patient"]:
    """Some of the patients, spread evenly, so that a few of each protocol are among them."""
    if limit is None or limit >= len(patients):
        return patients
    return [patients[n * len(patients) // limit] for n in range(limit)]


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """The folder for the results; without one, a temporary folder that goes at the end."""
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-") as name:
        yield Path(name)


def _one(
    options: argparse.Namespace, patients: list["Patient"], settings: "EvaluationSettings", folder: Path, kept_in: Path
) -> dict[str, Any]:
    """Evaluate one set of weights and write its files; returns its summary."""
    from coronary_calcium.evaluation.report import write_evaluation  # noqa: PLC0415
    from coronary_calcium.evaluation.results import ResultCache  # noqa: PLC0415
    from coronary_calcium.evaluation.run import evaluate  # noqa: PLC0415
    from coronary_calcium.evaluation.summary import summary  # noqa: PLC0415
    from coronary_calcium.network.weights import load_model  # noqa: PLC0415

    kept = ResultCache(kept_in, settings.key)
    with PatientProgress(len(patients)) as progress:
        results = evaluate(
            patients, settings, kept, options.jobs, lambda result, known: progress(_line(result, known), known)
        )
    content = summary(results, load_model(settings.weights).card, settings, _command(options, settings))
    write_evaluation(folder, results, content, kept)
    for rejected in content["rejected"]:
        say(f"Rejected: {rejected['patient']}: {rejected['message']}")
    return content


def _tables(options: argparse.Namespace, patients: list["Patient"], folder: Path) -> None:
    from coronary_calcium.evaluation.paper_tables import BY_KEY, check_row, markdown, tables  # noqa: PLC0415
    from coronary_calcium.evaluation.report import write_tables  # noqa: PLC0415
    from coronary_calcium.evaluation.run import EvaluationSettings  # noqa: PLC0415
    from coronary_calcium.network.weights import load_model  # noqa: PLC0415

    for key, weights in options.table:
        check_row(BY_KEY[key], load_model(weights).card)  # all of them before the hours of work
    evaluated = {}
    for key, weights in options.table:
        say(f"Row {key}: {weights.name}")
        settings = EvaluationSettings(weights, options.device, options.precision, options.every_slice)
        evaluated[key] = _one(options, patients, settings, folder / key, folder)
    content = tables(evaluated)
    write_tables(folder, content)
    sys.stdout.write(markdown(content))


def _line(result: "PatientResult", known: bool) -> str:
    """A patient in a few words."""
    measured = result.measured
    if measured is None:
        return f"{result.name}: rejected"
    seconds = "already measured" if known else f"{sum(measured.seconds.values()):.0f} s"
    true, found = measured.true_agatston["total"], measured.found_agatston["total"]
    return f"{result.name}: Agatston {true:.1f} true, {found:.1f} found, {seconds}"


def _command(options: argparse.Namespace, settings: "EvaluationSettings") -> str:
    """The command that repeats an evaluation, with names of files and folders but not where they lie."""
    words = ["coronary-calcium", "evaluate", "--data", options.data.name or "."]
    if options.reader is not None:
        words += ["--reader", options.reader]
    if settings.weights is not None:
        words += ["--weights", settings.weights.name]
    if options.limit is not None:
        words += ["--limit", str(options.limit)]
    if settings.precision != "float32":
        words += ["--precision", settings.precision]
    return shlex.join(words + (["--every-slice"] if settings.every_slice else []))


def _key_figures(content: dict[str, Any]) -> list[str]:
    """The figures that one looks at first, a line each."""
    figures = content["figures"]
    pixels, lesions, total = figures["pixels"]["marked"], figures["lesions"], figures["agatston"]["total"]
    rate, filtered = figures["cac_rate"], figures["cac_filter_rate"]
    return [
        "",
        f"Patients           {figures['patients']}, rejected {figures['rejected']}",
        f"Pixel F1           {_two(pixels['f1'])} (precision {_two(pixels['precision'])}, "
        f"recall {_two(pixels['recall'])})",
        f"Lesions detected   {lesions['detected']} of {lesions['true']} ({_two(lesions['sensitivity'])}), "
        f"{_two(lesions['false_positives_per_scan'])} false ones per scan",
        f"Artery right       {lesions['artery_right']} of {lesions['artery_of']} "
        f"({_two(lesions['artery_right_share'])})",
        f"CAC rate           {rate['right']} of {rate['of']} ({_two(rate['rate'])}), without post-processing",
        f"CAC filter rate    {filtered['right']} of {filtered['of']} ({_two(filtered['rate'])})",
        f"Linear kappa       {_two(figures['kappa']['linear'])}",
        f"ICC(2,1)           {_two(total['icc_2_1'])}; Agatston bias {_two(total['bias'])}",
        trained_on(content["provenance"]["weights"]),
        RESEARCH_USE,
        "",
    ]


def _reading_lines(content: dict[str, Any]) -> list[str]:
    """The real scans that were read by eye, each in a few lines."""
    from coronary_calcium.evaluation.reading_comparison import reading_lines  # noqa: PLC0415
    from coronary_calcium.evaluation.results import from_json  # noqa: PLC0415

    lines = []
    for result in map(from_json, content["patients"]):
        measured = result.measured
        if measured is not None and measured.reading is not None:
            scores = measured.true_agatston, measured.found_agatston
            lines += ["", *reading_lines(result.name, *scores, measured.reading)]
    return lines


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
