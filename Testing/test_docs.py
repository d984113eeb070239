"""The documentation: links lead somewhere, examples run, commands exist, and figures are those of the model card."""

import argparse
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
from command_cases import write_case
from coronary_calcium.cli.main import _parser
from coronary_calcium.io.checks import REFORMATTED
from coronary_calcium.scoring.rules import KVP_WARNING
from model_card_page import CAPTIONS, CARD, FIGURES, PAGE, figures_page, page

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
# Two screens.
README_LINES = 80

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:(?<=\n\n)|^)((?:    .*\n)+)", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
# What the user guide prints in bold besides controls: other modules, what a click does, and keys.
NOT_IN_THE_PANEL = {
    "PyTorch", "Sample Data", "Simulated chest CT", "DICOM", "Coronary Calcium Scoring", "Reassign", "Remove", "Add",
    "Part of a lesion", "Check before relying on this score",
}  # fmt: skip
KEY = r"[NP0-4]|Shift|Shift\+[NPUDLGAB]|Ctrl\+[ZY]"
# Not lines of ours, though they are in our documents.
OTHER_PROGRAMS = ("pip ", "export ", "torchrun ")


def text_of(path):
    return path.read_text(encoding="utf-8")


def prose(text):
    """A page without its code blocks, in which nothing is a link or a heading."""
    return INDENTED.sub("\n", FENCE.sub("", text))


def anchors(path):
    """The anchors of a page's headings, as GitHub names them."""
    titles = (re.sub(r"[`*]|\[|\]\([^)]*\)", "", title).lower() for title in HEADING.findall(prose(text_of(path))))
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in titles}


def broken(path):
    """The links of a page that lead nowhere in the repository."""
    for target in LINK.findall(prose(text_of(path))):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        if not goal.exists() or not goal.is_relative_to(ROOT) or (anchor and anchor not in anchors(goal)):
            yield target


def code_lines(path):
    """The lines of a page's code blocks that are commands, continued ones joined, without comments."""
    text = text_of(path)
    blocks = [code for language, code in FENCE.findall(text) if language in ("", "sh", "bash")]
    blocks += INDENTED.findall(FENCE.sub("", text))
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def commands():
    return [(path.name, words) for path in PAGES for words in code_lines(path)]


def known_options():
    """Every option of every command."""
    return set(options_of(_parser()))


def options_of(parser):
    """Every option of a parser and of the commands below it."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options_of(below)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_and_anchor_leads_somewhere(path):
    assert list(broken(path)) == []


def test_every_page_of_docs_is_reached_from_the_readme_and_from_the_index():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    for start, folder in ((ROOT / "README.md", "docs/"), (ROOT / "docs" / "README.md", "")):
        linked = {target.partition("#")[0] for target in LINK.findall(text_of(start))}
        assert {name for name in pages if folder + name not in linked} == set(), start


def test_every_command_line_is_one_that_the_program_takes(capsys):
    lines = [words[1:] for _, words in commands() if words[0] == "coronary-calcium" and words[1] != "COMMAND"]
    assert len(lines) > 20
    for words in lines:
        try:
            _parser().parse_args(words)
        except SystemExit as end:
            pytest.fail(f"coronary-calcium {shlex.join(words)}: {capsys.readouterr().err}{end.code}")


def test_every_option_that_a_sentence_names_exists():
    known = known_options()
    for path in PAGES:
        if path == FIGURES:  # its commands are those of the model card, with words between them
            continue
        for span in SPAN.findall(prose(text_of(path))):
            if span.startswith(OTHER_PROGRAMS) or not span.startswith(("-", "coronary-calcium")):
                continue
            assert set(re.findall(r"(?<!\S)--[a-z-]+", span)) <= known, f"{path.name}: {span}"


def test_every_module_and_script_that_a_command_runs_exists_and_takes_its_options(capsys):
    ran = [words for _, words in commands() if words[0] == "python"]
    assert ran
    for words in ran:
        if words[1] != "-m":
            assert (ROOT / words[1]).is_file(), words
            continue
        with pytest.raises(SystemExit):
            importlib.import_module(words[2]).main(["--help"])
        known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
        assert {word for word in words if word.startswith("--")} <= known, words


def test_every_make_target_exists():
    targets = {line.partition(":")[0] for line in text_of(ROOT / "Makefile").splitlines() if re.match(r"\w+:", line)}
    assert {words[1] for _, words in commands() if words[0] == "make"} <= targets


def test_every_warning_is_listed_with_the_file_that_decides_it():
    engine = ROOT / "CoronaryCalciumScoring" / "coronary_calcium"
    listed = dict(re.findall(r"^\| `([a-z-]+)` \|.*\[`(\S+)`\]", text_of(ROOT / "docs" / "dicom.md"), re.MULTILINE))
    for code, file in listed.items():
        name = {KVP_WARNING: "KVP_WARNING", REFORMATTED: "REFORMATTED"}.get(code, f'"{code}"')
        assert name in text_of(engine / file), code
    for package in ("io", "heart", "scoring", "inference", "dicom_export", "reports"):
        for path in (engine / package).glob("*.py"):
            given = set(re.findall(r'CaseWarning\(\s*"([a-z-]+)"', text_of(path)))
            assert given <= set(listed), path.name


def test_every_control_that_the_user_guide_names_is_in_the_panel():
    folder = ROOT / "CoronaryCalciumScoring"
    shown = set(re.findall(r"<string>([^<]+)</string>", text_of(folder / "Resources/UI/CoronaryCalciumScoring.ui")))
    for path in folder.glob("CoronaryCalciumScoring*/*.py"):
        shown |= set(re.findall(r'_\("([^"]+)"\)', text_of(path)))
    named = set(re.findall(r"\*\*([^*]+)\*\*", prose(text_of(ROOT / "docs" / "user-guide.md")))) - NOT_IN_THE_PANEL
    assert {name for name in named if not re.fullmatch(KEY, name)} <= shown


def examples():
    return [
        pytest.param(code, id=f"{path.name}-{number}")
        for path in PAGES
        for number, (language, code) in enumerate(FENCE.findall(text_of(path)))
        if language == "python"
    ]


@pytest.fixture
def beside_a_ct(tmp_path, monkeypatch):
    """The working folder holds a small CT with its labels, under the names that the examples use."""
    ct, mask = write_case(tmp_path)
    ct.rename(tmp_path / "CT")
    mask.rename(tmp_path / "labels.nrrd")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("code", examples())
def test_every_python_example_runs(code, beside_a_ct):
    exec(compile(code, "example", "exec"), {"__name__": "example"})


def test_the_readme_is_at_most_two_screens_long():
    assert len(text_of(ROOT / "README.md").splitlines()) <= README_LINES


def test_the_page_of_the_model_card_is_written_from_the_card():
    card, pictures = json.loads(text_of(CARD)), json.loads(text_of(CAPTIONS))
    assert text_of(PAGE) == page(text_of(PAGE), card, pictures), "run python Testing/tools/model_card_page.py"
    assert text_of(FIGURES) == figures_page(card), "run python Testing/tools/model_card_page.py"


def test_the_page_of_the_model_card_says_when_text_or_pictures_are_of_earlier_weights():
    card, pictures = json.loads(text_of(CARD)), json.loads(text_of(CAPTIONS))
    current = page(text_of(PAGE), card, pictures | {"weights": card["sha256"]})
    newer = page(current, card | {"sha256": "0" * 64}, pictures | {"weights": card["sha256"]})
    for sentence in ("was written for earlier weights", "(With earlier weights, "):
        assert sentence in newer
    stated = re.findall(r"written for the weights (\w+)", current)
    assert ("was written for earlier weights" in current) == (not card["sha256"].startswith(stated[0]))


def test_the_pictures_of_the_model_card_are_small():
    for picture in json.loads(text_of(CAPTIONS))["pictures"]:
        assert (ROOT / "docs" / "pictures" / picture["file"]).stat().st_size <= 80_000, picture["file"]


def test_the_figures_of_the_readme_are_those_of_the_model_card():
    card = json.loads(text_of(CARD))["metrics"]["test_patients"]
    groups = [card["protocol"]["chest"], card["protocol"]["cardiac"], card]
    for title, name, scale in (("pixel F1", "pixel_f1", 1), ("risk category right", "cac_filter_rate", 100)):
        (row,) = re.findall(rf"^\| {title} \|(.*)\|$", text_of(ROOT / "README.md"), re.MULTILINE)
        shown = [float(cell.strip().rstrip(" %")) for cell in row.split("|")]
        assert shown == pytest.approx([scale * group[name] for group in groups], abs=0.0051 * scale), title
