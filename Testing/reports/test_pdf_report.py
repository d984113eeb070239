"""The report to print and sign: the scores on one page, patient and study only when asked, nothing taken for markup."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from coronary_calcium.cli.main import main
from coronary_calcium.dicom_export.export import write_dicom
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.errors import InputError
from coronary_calcium.reports import Extras, pdf_fonts, write_case
from coronary_calcium.reports.identity import Identity, read_identity
from coronary_calcium.scoring.options import ScoringOptions
from coronary_calcium.scoring.quantity_table import quantity_table
from coronary_calcium.volume import CaseWarning
from dicom_tools import scored_series
from example_results import empty_case, many_lesions_case, scored_case

NASTY = '<b>O\'Brien</b> & <img src="file:///etc/passwd"> <script>alert(1)</script>'
SOMEBODY = Identity(NASTY, "SYN-4711", "1950-01-02", "2026-01-31", "ACC-99")


def words(pdf, *options):
    """The text of a PDF; skips without pdftotext."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (Debian package poppler-utils)")
    done = subprocess.run(["pdftotext", *options, pdf, "-"], capture_output=True, text=True, check=True, timeout=60)
    return " ".join(done.stdout.split())


def written(result, folder, **extras):
    write_case(result, folder, extras=Extras(pdf=True, **extras))
    return folder / "report.pdf"


def test_the_first_page_says_what_a_reader_signs(tmp_path):
    result = scored_case()
    first = words(written(result, tmp_path), "-l", "1", "-layout")
    for part in (
        f"{result.score.total.agatston:.1f}",
        f"Risk category {result.interpretation.category} (of {result.interpretation.scheme.title})",
        "CAC-DRS", "LM", "LAD", "LCX", "RCA", "Not assigned", "Agatston 1990", "100.0 kVp", "Signature", RESEARCH_USE,
    ):  # fmt: skip
        assert part in first, part
    assert result.warnings[0].message.split(";")[0] in first


def test_all_quantities_are_in_the_pdf_when_they_are_asked_for(tmp_path):
    result = replace(scored_case(), options=ScoringOptions(all_quantities=True))
    told = words(written(result, tmp_path / "asked"), "-layout")
    assert "More quantities" in told
    for row in quantity_table(result.all_quantities).rows:
        assert f"{row.title} {' '.join(row.cells)}" in told, row.title
    assert "More quantities" not in words(written(scored_case(), tmp_path / "plain"), "-layout")


def test_every_lesion_is_on_the_pages_behind(tmp_path):
    result = scored_case()
    behind = words(written(result, tmp_path), "-f", "2")
    for lesion in result.score.lesions:
        assert f"{lesion.id} · " in behind
    assert behind.count("Agatston") >= len(result.score.lesions)


def test_no_calcium_is_one_page(tmp_path):
    text = words(written(empty_case(), tmp_path))
    assert "Page 1" in text and "Page 2" not in text and "Signature" in text


def test_many_lesions_and_many_long_warnings_lose_nothing(tmp_path):
    warnings = tuple(CaseWarning(f"code-{n}", f"Number {n}: " + "a long sentence " * 20 + "ends.") for n in range(9))
    result = replace(many_lesions_case(70), warnings=warnings)
    pdf = written(result, tmp_path)
    text = words(pdf)
    assert all(f"Number {n}:" in text for n in range(9))
    assert "4 more warning(s) on the next page" in text and "10 more lesion(s)" in text
    assert "Signature" in words(pdf, "-l", "1")


def test_patient_and_study_are_there_only_when_given_and_only_in_the_reports(tmp_path):
    plain = written(scored_case(), tmp_path / "plain")
    assert "SYN-4711" not in words(plain)
    pdf = written(scored_case(), tmp_path / "named", identity=SOMEBODY)
    for value in ("SYN-4711", "1950-01-02", "2026-01-31", "ACC-99"):
        assert value in words(pdf)
    holds = {path.name for path in pdf.parent.iterdir() if b"ACC-99" in path.read_bytes()}
    assert holds == {"report.html"}  # the PDF's text is compressed


def test_what_the_header_holds_is_text_and_never_markup(tmp_path):
    pdf = written(scored_case(), tmp_path, identity=SOMEBODY)
    assert "<script>alert(1)</script>" in words(pdf).replace("> ", ">")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page


@pytest.fixture
def no_other_fonts(monkeypatch):
    """A computer on which the embedded font is the only one."""
    monkeypatch.setattr(pdf_fonts, "_found", dict)


NAMES = {
    "Cyrillic": "Иванов Пётр",
    "Greek": "Παπαδόπουλος Γιώργος",
    "Czech": "Dvořák Jiří",
    "Vietnamese": "Nguyễn Văn An",
    "Hebrew": "כהן דוד",
    "Arabic": "محمد علي",
    "Thai": "สมชาย",
    "Japanese": "Yamada, 山田",
    "Korean": "홍길동",
    "Hindi": "राम",
}


@pytest.mark.parametrize("script", NAMES)
def test_a_name_in_any_script_is_readable_or_the_pdf_is_rejected_before_anything_is_written(tmp_path, script):
    identity = replace(SOMEBODY, name=NAMES[script])
    try:
        text = words(written(empty_case(), tmp_path / "out", identity=identity), "-l", "1")
    except InputError as rejection:
        assert rejection.code == "pdf-letters" and not (tmp_path / "out").exists()
        if script in ("Cyrillic", "Greek", "Czech", "Vietnamese", "Hebrew", "Arabic") and pdf_fonts._found():
            raise
        return
    assert "?" not in text.split("Accession number")[1].split("SYN-4711")[0]
    if script not in ("Hebrew", "Arabic", "Thai"):  # the order and the forms in which they are stored are the printer's
        assert NAMES[script] in text


def test_scripts_from_right_to_left_are_turned_around_and_joined():
    pytest.importorskip("bidi")
    assert pdf_fonts.as_set("כהן 12") == "12 ןהכ"
    assert pdf_fonts.as_set("محمد") == "\ufeaa\ufee4\ufea4\ufee3"
    assert pdf_fonts.as_set("Doe Jane") == "Doe Jane"


@pytest.mark.parametrize("name", ["Иванов", "山田", "Dvořák"])
def test_a_name_that_no_font_here_has_is_rejected_with_the_reason(tmp_path, no_other_fonts, name):
    with pytest.raises(InputError, match="install the Noto or DejaVu fonts") as rejection:
        written(empty_case(), tmp_path / "out", identity=replace(SOMEBODY, name=name))
    assert rejection.value.code == "pdf-letters" and not (tmp_path / "out").exists()


def test_without_the_packages_a_name_from_right_to_left_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bidi", None)
    with pytest.raises(InputError, match="python-bidi"):
        written(empty_case(), tmp_path / "out", identity=replace(SOMEBODY, name=NAMES["Hebrew"]))


SHAPED = {
    "Devanagari": "राम शर्मा",
    "Bengali": "রহিম",
    "Tamil": "குமார்",
    "Telugu": "రాము",
    "Gujarati": "પટેલ",
    "Gurmukhi": "ਸਿੰਘ",
    "Kannada": "ರಾಜು",
    "Malayalam": "രാജൻ",
    "Oriya": "ରାମ",
    "Sinhala": "සුනිල්",
    "Tibetan": "བསྟན་འཛིན",
    "Myanmar": "အောင်",
    "Khmer": "សុខា",
    "Javanese": "ꦗꦮ",
    "Syriac": "ܡܪܝܡ",
    "Nko": "ߒߞߏ",
    "Chakma": "𑄌𑄋𑄴",
}


@pytest.mark.parametrize("script", SHAPED)
def test_a_script_whose_letters_must_be_joined_and_ordered_is_rejected_by_its_name(tmp_path, monkeypatch, script):
    """Also where a font has the letters: in the order in which they are stored they would be another word."""
    monkeypatch.setattr(pdf_fonts, "_has", lambda font, letter: True)
    with pytest.raises(InputError, match=rf"script \({script}\)") as rejection:
        written(empty_case(), tmp_path / "out", identity=replace(SOMEBODY, name=f"Doe {SHAPED[script]}"))
    assert rejection.value.code == "pdf-letters" and not (tmp_path / "out").exists()
    pdf_fonts.register_fonts()
    assert set(pdf_fonts.markup(SHAPED[script])) <= {"?", " "}


def test_texts_from_right_to_left_are_not_printed_in_the_wrong_order_without_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "bidi.algorithm", None)
    assert pdf_fonts.as_set("כהן 12") == "??? 12"


def test_letters_of_other_texts_that_no_font_has_are_shown_as_question_marks(no_other_fonts):
    pdf_fonts.register_fonts()
    assert pdf_fonts.markup("Müller & Яна") == "Müller &amp; ???"


def test_identity_comes_from_the_header_as_a_reader_writes_it(tmp_path):
    scored = scored_series(tmp_path / "ct", PatientName="Doe^Jane^^Dr", AccessionNumber="")
    assert read_identity(scored.volume) == Identity("Doe Jane Dr", "SYN-4711", "1950-01-02", "2026-01-31", "")


def test_without_dicom_files_there_is_no_identity(tmp_path):
    with pytest.raises(InputError) as rejection:
        read_identity(scored_case().volume)
    assert rejection.value.code == "no-identity"


def test_the_command_writes_both_on_request(tmp_path, capsys):
    result = scored_series(tmp_path / "ct")
    write_dicom(result, tmp_path / "seg.dcm")
    arguments = ["score", str(tmp_path / "ct"), "--mask", str(tmp_path / "seg.dcm"), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--pdf", "--with-identity"]) == 0
    said = capsys.readouterr()
    assert "Synthetic Person" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Synthetic Person" in words(tmp_path / "out" / "report.pdf")
    assert "Synthetic" not in said.out + said.err


def test_without_reportlab_the_rejection_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "coronary_calcium.reports.pdf_report", raising=False)
    monkeypatch.delitem(sys.modules, "coronary_calcium.reports.pdf_parts", raising=False)
    monkeypatch.delitem(sys.modules, "coronary_calcium.reports.pdf_fonts", raising=False)
    monkeypatch.setitem(sys.modules, "reportlab.lib", None)
    with pytest.raises(InputError, match="pip install reportlab"):
        written(scored_case(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("paper", "language", "size"),
    [
        *[("a4", "en_US.UTF-8", "595 x 842"), ("letter", "de_DE.UTF-8", "612 x 792")],
        *[(None, "en_US.UTF-8", "612 x 792"), (None, "en_CA", "612 x 792"), (None, "de_DE.UTF-8", "595 x 842")],
        (None, "C", "595 x 842"),
    ],
)
def test_the_paper_is_the_countrys_or_the_named_one(tmp_path, monkeypatch, paper, language, size):
    if shutil.which("pdfinfo") is None:
        pytest.skip("pdfinfo is not installed (Debian package poppler-utils)")
    monkeypatch.setenv("LC_ALL", language)
    pdf = written(scored_case(), tmp_path, paper=paper)
    said = subprocess.run(["pdfinfo", pdf], capture_output=True, text=True, check=True, timeout=60).stdout
    wide, _, high = next(line for line in said.splitlines() if line.startswith("Page size")).split()[2:5]
    assert f"{float(wide):.0f} x {float(high):.0f}" == size
    assert "Signature" in words(pdf, "-l", "1")
