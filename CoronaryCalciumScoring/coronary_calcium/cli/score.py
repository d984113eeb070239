"""``coronary-calcium score``: a CT in, scores and a report out."""

import argparse
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coronary_calcium.cli.console import (
    INTERRUPTED,
    REJECTED,
    SCORED,
    WRONG_USAGE,
    TerminalProgress,
    add_device,
    named_path,
    print_result,
    print_series,
    say,
    usable_output,
)
from coronary_calcium.errors import InputError
from coronary_calcium.progress import Progress
from coronary_calcium.scoring.rules import LITERATURE, RULE_SETS, RuleSet

if TYPE_CHECKING:
    from coronary_calcium.scoring.interpretation import RiskFactors
    from coronary_calcium.scoring.options import ScoringOptions
    from coronary_calcium.scoring.risk import RiskScheme
    from coronary_calcium.scoring.volume_mass import CalibrationInserts
    from coronary_calcium.volume import CTVolume


def add_dicomweb(score: argparse.ArgumentParser) -> None:
    """Add the options to the command's parser."""
    web = score.add_argument_group(
        "DICOMweb",
        "No network is used unless a server is named. User and password, or a token, come from netrc or from "
        "DICOMWEB_USER and DICOMWEB_PASSWORD, or DICOMWEB_TOKEN.",
    )
    web.add_argument("--from-dicomweb", metavar="URL", help="fetch the CT from this server; with --study and --series")
    web.add_argument("--study", metavar="UID", help="the study to fetch from")
    web.add_argument("--to-dicomweb", metavar="URL", help="also store both DICOM objects on this server")


def usable_input(options: argparse.Namespace) -> bool:
    """Whether exactly one CT is named, checked before any work."""
    from coronary_calcium.dicomweb import is_uid  # noqa: PLC0415 - not needed for --help

    if (options.input is None) == (options.from_dicomweb is None):
        say("Give one CT: a file or folder, or --from-dicomweb URL with --study UID and --series UID.")
        return False
    if options.from_dicomweb is None:
        if options.study is not None:
            say("--study is used with --from-dicomweb only; leave it out.")
        return options.study is None
    if not all(uid is not None and is_uid(uid) for uid in (options.study, options.series)):
        say("--from-dicomweb needs --study UID and --series UID, both made of digits and dots.")
        return False
    return True


@contextmanager
def input_path(options: argparse.Namespace, progress: Progress) -> Iterator[Path]:
    """The CT's path; what was fetched or unpacked lies in a temporary folder that goes at the end of the block."""
    from coronary_calcium.dicomweb import check_servers, fetch_series  # noqa: PLC0415
    from coronary_calcium.io.ct_reader import with_files  # noqa: PLC0415 - brings pydicom

    check_servers(options.from_dicomweb, options.to_dicomweb)
    if options.from_dicomweb is None:
        if options.dicom_seg or options.dicom_sr or options.to_dicomweb or options.with_identity:
            with with_files(options.input, progress) as path:
                yield path
        else:
            yield options.input
        return
    with tempfile.TemporaryDirectory(prefix="coronary-calcium-") as name:
        fetch_series(options.from_dicomweb, options.study, options.series, Path(name), progress)
        yield Path(name)


def store_objects(url: str, folder: Path) -> int:
    """Store the DICOM objects of a results folder on a server; returns the exit code.

    Raises InputError (see ``dicomweb.store``); the results stay in the folder whatever happens.
    """
    from coronary_calcium.dicomweb import store  # noqa: PLC0415 - pydicom is slow to import
    from coronary_calcium.reports.case_files import DICOM_REPORT, DICOM_SEGMENTATION  # noqa: PLC0415

    if not all((folder / name).is_file() for name in (DICOM_SEGMENTATION, DICOM_REPORT)):
        say(f"Nothing was sent, because the DICOM objects could not be made; the results are in {folder}.")
        return REJECTED
    try:
        store(url, [folder / DICOM_SEGMENTATION, folder / DICOM_REPORT])
    except KeyboardInterrupt:
        say(f"Interrupted while sending the DICOM objects; the results are in {folder}.")
        return INTERRUPTED
    say("Stored segmentation.dcm and report-sr.dcm on the DICOMweb server.")
    return SCORED


# What --mesa calls the numbers that the risk score asks for, and what the code calls them.
_MESA_NUMBERS = {
    "age": "age",
    "cholesterol": "total_cholesterol",
    "hdl": "hdl_cholesterol",
    "pressure": "systolic_pressure",
}
_MESA_FLAGS = ("diabetes", "smoker", "lipid-medication", "pressure-medication", "family-history")
_SEXES = ("male", "female")
# Calibration inserts of phantoms: density in mg/cm3 of hydroxyapatite, and the radius of a disk inside one, in mm.
_DENSITIES, _RADII_MM = (10.0, 2000.0), (1.0, 50.0)


# The rejections that a user may overrule, by their code; as heart.contrast has them, which brings numpy.
OVERRULING = {
    "contrast-suspected": ("--allow-contrast", "score a CT that looks as if contrast medium was given, with a warning"),
    "no-heart": ("--allow-no-heart", "search the whole body where no heart is found, with a warning; takes minutes"),
}


def _add_comparison(score: argparse.ArgumentParser) -> None:
    """Add the options that compare a reader's mask with the network."""
    compared = score.add_argument_group("reader versus AI").add_mutually_exclusive_group()
    compared.add_argument(
        "--compare-ai", action="store_true", help="with --mask: also run the network and report what the reader changed"
    )
    compared.add_argument(
        "--prediction",
        "--proposal",  # its name in version 1
        type=named_path,
        help="with --mask: compare with this earlier prediction of the network instead",
    )


def add_choices(score: argparse.ArgumentParser, one_patient: bool = True) -> None:
    """Add the options, in a group of their own; without ``one_patient``, those alone that hold for many patients."""
    group = score.add_argument_group("rules, calibration and interpretation")
    if one_patient:
        _add_comparison(score)
    group.add_argument("--rules", choices=RULE_SETS, default=LITERATURE.name, help="rule set (default: literature)")
    group.add_argument("--compare-rules", action="store_true", help="score the same lesions by every rule set")
    group.add_argument("--kvp-adapted", action="store_true", help="adapt the thresholds to the scan's tube voltage")
    mass = group.add_mutually_exclusive_group()
    mass.add_argument(
        "--mass-calibration",
        type=_mass_factor,
        metavar="FACTOR",
        help="mg/cm3/HU, about 0.8 at 120 kVp (default: the header's, or a typical one, labeled uncalibrated)",
    )
    group.add_argument(
        "--quantities",
        choices=("standard", "all"),
        default="standard",
        help="all: also integrated, volume-fraction and spatially weighted calcium, density and diffusivity, in every "
        "output",
    )
    group.add_argument(
        "--risk-scheme", type=_risk_scheme, metavar="NAME", help="five (default), four-300 or four-400 categories"
    )
    rejections = score.add_argument_group("what is rejected otherwise")
    for code, (flag, text) in OVERRULING.items():
        rejections.add_argument(flag, action="append_const", dest="allowed", const=code, default=[], help=text)
    if not one_patient:
        score.set_defaults(mass_rods=None, mesa=None, compare_ai=False)
        return
    mass.add_argument(
        "--mass-rods",
        type=_rods,
        metavar="MARKS",
        help="calibrate mass with a phantom in the scan: the centers of its calibration rod and water in patient "
        "coordinates (DICOM's LPS, mm), rod=X:Y:Z,water=X:Y:Z and, if different, density=200 in mg/cm3, radius=5 in mm",
    )
    group.add_argument(
        "--mesa",
        type=_risk_factors,
        metavar="FACTORS",
        help="10-year risk of coronary heart disease from risk factors separated by commas, in mg/dl and mmHg: "
        "age=63,sex=male,ethnicity=white,cholesterol=210,hdl=45,pressure=140 and, where they apply, "
        + ",".join(_MESA_FLAGS),
    )


def usable_comparison(options: argparse.Namespace) -> bool:
    """Whether there is a reader's mask to compare with the network, checked before any work."""
    if options.mask is None and (options.compare_ai or options.prediction is not None):
        say(
            f"{'--compare-ai' if options.compare_ai else '--prediction'} compares a reader's mask with the AI: "
            "give the mask with --mask."
        )
        return False
    return True


def rules_of(options: argparse.Namespace) -> RuleSet:
    """The rule set that was named."""
    return RULE_SETS[options.rules]


def scoring_options_of(options: argparse.Namespace) -> "ScoringOptions":
    """The other options."""
    from coronary_calcium.scoring.options import ScoringOptions  # noqa: PLC0415 (brings numpy; --help answers at once)
    from coronary_calcium.scoring.risk import FIVE_CATEGORIES  # noqa: PLC0415

    return ScoringOptions(
        kvp_adapted=options.kvp_adapted,
        compare_rules=options.compare_rules,
        mass_factor=options.mass_calibration,
        rods=options.mass_rods,
        compare_ai=options.compare_ai,
        risk_scheme=options.risk_scheme or FIVE_CATEGORIES,
        risk_factors=options.mesa,
        all_quantities=options.quantities == "all",
        allowed=frozenset(options.allowed),
    )


def _mass_factor(text: str) -> float:
    from coronary_calcium.scoring.volume_mass import PLAUSIBLE_MG_PER_CM3_HU, is_plausible  # noqa: PLC0415

    try:
        factor = float(text)
    except ValueError:
        factor = None
    if factor is None or not is_plausible(factor):
        lowest, highest = PLAUSIBLE_MG_PER_CM3_HU
        raise argparse.ArgumentTypeError(f"{text} is not a factor in mg/cm3/HU; give {lowest:g} to {highest:g}")
    return factor


def _rods(text: str) -> "CalibrationInserts":
    from coronary_calcium.scoring.volume_mass import RADIUS_MM, ROD_MG_PER_CM3, CalibrationInserts  # noqa: PLC0415

    words = [word.partition("=")[::2] for word in text.split(",")]
    given = dict(words)
    if len(given) != len(words) or not {"rod", "water"} <= set(given) <= {"rod", "water", "density", "radius"}:
        raise argparse.ArgumentTypeError(
            "give rod=X:Y:Z,water=X:Y:Z, each once, and density=... or radius=... if needed"
        )
    try:
        rod, water = (tuple(float(part) for part in given[name].split(":")) for name in ("rod", "water"))
        density, radius = float(given.get("density", ROD_MG_PER_CM3)), float(given.get("radius", RADIUS_MM))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} contains something that is not a number") from None
    if len(rod) != 3 or len(water) != 3 or not all(map(math.isfinite, (*rod, *water))):
        raise argparse.ArgumentTypeError("a point is three numbers in mm separated by colons, such as rod=12.5:-40:310")
    for name, value, (lowest, highest) in (("density", density, _DENSITIES), ("radius", radius, _RADII_MM)):
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{name} must be {lowest:g} to {highest:g}, not {value:g}")
    return CalibrationInserts(rod, water, density, radius)


def _risk_scheme(name: str) -> "RiskScheme":
    from coronary_calcium.scoring.risk import RISK_SCHEMES  # noqa: PLC0415

    if name not in RISK_SCHEMES:
        raise argparse.ArgumentTypeError(f"there is no scheme {name}; choose from {', '.join(RISK_SCHEMES)}")
    return RISK_SCHEMES[name]


def _risk_factors(text: str) -> "RiskFactors":
    from coronary_calcium.scoring.interpretation import RiskFactors  # noqa: PLC0415

    words = [word.partition("=") for word in text.split(",")]
    given = {name: value for name, equals, value in words if equals}
    flags = {name for name, equals, _ in words if not equals}
    expected = {*_MESA_NUMBERS, "sex", "ethnicity"}
    if set(given) != expected or not flags <= set(_MESA_FLAGS) or len(words) != len(given) + len(flags):
        raise argparse.ArgumentTypeError(
            f"give {', '.join(f'{name}=...' for name in sorted(expected))}, each once, and any of "
            f"{', '.join(_MESA_FLAGS)}"
        )
    if given["sex"] not in _SEXES:
        raise argparse.ArgumentTypeError(f"sex must be {' or '.join(_SEXES)}, not {given['sex']}")
    factors: dict[str, Any] = {name.replace("-", "_"): name in flags for name in _MESA_FLAGS}
    try:
        factors |= {field: float(given[name]) for name, field in _MESA_NUMBERS.items()}
        return RiskFactors(male=given["sex"] == "male", ethnicity=given["ethnicity"], **factors)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_score(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    score = commands.add_parser(
        "score",
        help="score a CT",
        description="Find coronary calcium on a non-contrast CT and score it. Writes scores.json, lesions.csv, "
        "segmentation.seg.nrrd and report.html.",
        epilog="Exit codes: 0 scored, 2 wrong usage, 3 input rejected, 130 interrupted.",
    )
    score.add_argument(
        "input",
        type=named_path,
        nargs="?",
        help="DICOM folder, file or ZIP, or a .nrrd, .nii, .nii.gz, .mha or .mhd (or see --from-dicomweb)",
    )
    score.add_argument("--output", type=named_path, required=True, help="folder for the results; created if missing")
    score.add_argument(
        "--mask",
        type=named_path,
        help="label map (1 LM, 2 LAD, 3 LCX, 4 RCA) or DICOM SEG to score instead of running the network",
    )
    score.add_argument("--series", metavar="UID", help="the series to score, if the folder holds several")
    add_device(score, "where the network runs")
    score.add_argument("--weights", type=named_path, help="weights to use instead of the shipped ones (.safetensors)")
    dicom = score.add_argument_group(
        "DICOM objects",
        "They refer to the CT's DICOM images and carry the patient's identity from them, as every DICOM object does.",
    )
    dicom.add_argument("--dicom-seg", action="store_true", help="also write segmentation.dcm, a DICOM segmentation")
    dicom.add_argument("--dicom-sr", action="store_true", help="also write report-sr.dcm, a Structured Report")
    score.add_argument("--pdf", action="store_true", help="also write report.pdf, to print and sign")
    score.add_argument(
        "--paper", choices=("a4", "letter"), help="of the PDF (default: what is usual in the computer's country)"
    )
    score.add_argument(
        "--with-identity", action="store_true", help="put patient and study from the DICOM header into the reports"
    )
    add_dicomweb(score)
    add_choices(score)
    score.set_defaults(run=_score)


def _tell_if_impossible(volume: "CTVolume", sending: bool) -> None:
    """Say before the work that no DICOM objects can be made; the scores are written all the same, unless to be sent.

    Raises InputError("no-dicom-source") when the CT has no DICOM files at all.
    """
    from coronary_calcium.dicom_export.sources import read_sources, require_sources  # noqa: PLC0415
    from coronary_calcium.reports.case_files import no_dicom_objects  # noqa: PLC0415

    require_sources(volume)
    try:
        read_sources(volume)
    except Exception as error:  # whatever the libraries raise on a header, the scores are written
        if sending and isinstance(error, InputError):
            raise
        say(f"{no_dicom_objects(error).message} The scores will be written.")


def _score(options: argparse.Namespace) -> int:
    # Imported here so that --help and wrong usage answer at once.
    from coronary_calcium.io import open_ct, open_mask  # noqa: PLC0415
    from coronary_calcium.pipeline import score_case  # noqa: PLC0415
    from coronary_calcium.progress import Timing, part_of  # noqa: PLC0415
    from coronary_calcium.reports import Extras  # noqa: PLC0415
    from coronary_calcium.reports.case_files import require_pdf, write_results  # noqa: PLC0415
    from coronary_calcium.reports.identity import read_identity  # noqa: PLC0415

    if not (usable_output(options.output) and usable_input(options) and usable_comparison(options)):
        return WRONG_USAGE
    timing = Timing()
    sending = options.to_dicomweb is not None
    extras = Extras(
        dicom_seg=options.dicom_seg or sending,
        dicom_sr=options.dicom_sr or sending,
        pdf=options.pdf,
        paper=options.paper,
    )
    with TerminalProgress() as progress, input_path(options, part_of(progress, 0.0, 0.05)) as path:
        with timing.timed("read"):
            opened = open_ct(path, series_uid=options.series, progress=part_of(progress, 0.05, 0.1))
            if extras.dicom_seg or extras.dicom_sr:
                _tell_if_impossible(opened.volume, sending)
            if options.with_identity:
                extras = replace(extras, identity=read_identity(opened.volume))
            if extras.pdf:
                require_pdf(extras.identity)  # before the minutes of work, not after
            labels, ai_labels = (
                None if file is None else open_mask(file, opened.volume) for file in (options.mask, options.prediction)
            )
        result = score_case(
            opened.volume,
            labels=labels,
            ai_labels=ai_labels,
            model_path=options.weights,
            device=options.device,
            rules=rules_of(options),
            options=scoring_options_of(options),
            progress=part_of(progress, 0.1, 0.95),
            timing=timing,
        )
        written = write_results(result, options.output, part_of(progress, 0.95, 1.0), extras)
    print_series(opened)
    print_result(written.result, written.report)
    if written.removed:
        say(f"Removed from the folder, because of earlier scores: {', '.join(written.removed)}.")
    return store_objects(options.to_dicomweb, options.output) if sending else SCORED
