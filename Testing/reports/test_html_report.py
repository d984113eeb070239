"""The page: what it says in each state, that it is self-contained, and that nothing in it is taken for markup."""

import base64
import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from coronary_calcium.disclaimers import NO_CLINICAL_LABELS, RESEARCH_USE
from coronary_calcium.formatting import number
from coronary_calcium.reports import html_report, pictures, write_case
from coronary_calcium.reports.html_report import KEY_PICTURES
from coronary_calcium.scoring.reader_vs_ai import reader_vs_ai
from example_results import CARD, case_result, empty_case, many_lesions_case, scored_case
from PIL import Image
from report_page import page_of


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return page_of(scored_case(), tmp_path_factory.mktemp("report"))


def test_the_total_and_the_risk_category_come_first(page):
    result = scored_case()
    positions = [
        page.text.index(part)
        for part in (
            RESEARCH_USE,
            f"{result.score.total.agatston:.1f} Agatston score",
            f"Risk category {result.score.risk_category}",
            "Warnings",
            "By artery",
            "Overview",
            "Lesions By descending score",
            "Rules",
        )
    ]
    assert positions == sorted(positions)


def test_every_artery_has_a_row_with_its_scores(page):
    for name, tally in scored_case().score.by_artery.items():
        row = f"{tally.lesions} {number(tally.agatston)} {number(tally.volume_mm3)}"
        label = "Not assigned" if name == "unassigned" else f"{name} "
        assert re.search(rf"{label}.{{0,30}}{re.escape(row)}", page.text), name


def test_every_lesion_has_two_pictures_and_its_facts(page):
    lesions = scored_case().score.lesions
    assert len(page.images()) == 2 + KEY_PICTURES + 2 * len(lesions)
    for lesion in lesions:
        artery = "Not assigned" if lesion.artery == "unassigned" else lesion.artery
        assert (
            f"{lesion.id} · {artery} Agatston {number(lesion.agatston)} Maximum {lesion.maximum_hu:.0f} HU" in page.text
        )
    assert "AI probability 0.75" in page.text


def test_the_page_loads_nothing_and_runs_nothing(page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "form", "a"}
        assert not any(name.startswith("on") for name in attributes)
    sources = [image["src"] for image in page.images()]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    for source in sources:
        Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))).verify()
    text = (html_report.resource("Report", "report.css")).read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text


def test_every_picture_says_what_it_shows(page):
    assert all(image["alt"] for image in page.images())


def test_text_from_headers_and_warnings_is_shown_and_not_taken_for_markup(page):
    result = scored_case()
    assert result.volume.acquisition.kernel in page.text
    assert result.warnings[0].message in page.text
    assert "b" not in {tag for tag, _ in page.elements}


def test_the_network_s_origin_is_stated(page):
    assert NO_CLINICAL_LABELS in page.text
    assert CARD["statement"] in page.text
    assert CARD["sha256"] in page.text


def test_another_network_s_own_origin_is_stated_and_no_other(tmp_path):
    said = "The network was trained on cases of: COCA gated."
    page = page_of(scored_case(card={**CARD, "statement": f"{said} {RESEARCH_USE}"}), tmp_path)
    assert page.text.count(said) == 2 and page.text.count(f"{RESEARCH_USE} {said}") == 1
    assert NO_CLINICAL_LABELS not in page.text


def test_a_corrected_prediction_states_the_origin_of_the_network_that_made_it(tmp_path):
    result = scored_case(mask_given=True)
    result = replace(result, difference=reader_vs_ai(result.score, result.score, CARD))
    page = page_of(result, tmp_path)
    assert "marked in a given label map, and is compared with what the AI found" in page.text
    assert NO_CLINICAL_LABELS in page.text


def test_a_score_of_0_says_what_was_examined(tmp_path):
    page = page_of(empty_case(), tmp_path)
    assert "0 Agatston score Risk category 0" in page.text
    assert "The network found no coronary calcium in slices 2–14 of this scan (slices 0–15)." in page.text
    assert "not that there is none" in page.text
    assert "Lesions By descending score" not in page.text
    assert len(page.images()) == 2


def test_slices_of_several_windows_are_told_as_ranges():
    windows = [{"first_slice": a, "last_slice": b} for a, b in ((10, 20), (0, 3), (4, 6), (15, 18), (30, 30))]
    assert html_report._covered(windows) == [(0, 6), (10, 20), (30, 30)]


def test_a_given_mask_is_said_to_be_one(tmp_path):
    page = page_of(scored_case(mask_given=True), tmp_path)
    assert "marked in a given label map; the network was not run" in page.text
    assert NO_CLINICAL_LABELS not in page.text
    assert "AI probability" not in page.text


def test_a_mask_that_counts_for_nothing_says_why(tmp_path):
    result = scored_case(mask_given=True)
    result.volume.hu[:] = 100
    page = page_of(case_result(result.volume, result.labels, mask_given=True), tmp_path)
    assert "The label map marks 85 voxels, but none of them counts" in page.text
    assert not page.images()
    page = page_of(empty_case(mask_given=True), tmp_path)
    assert "The label map marks no voxel." in page.text


def test_a_heart_that_was_not_found_is_said_so(tmp_path):
    assert "not found; the whole body was searched" in page_of(scored_case(found=False), tmp_path).text
    page = page_of(empty_case(found=False), tmp_path)
    assert "The network found no coronary calcium" in page.text
    assert not page.images()


def test_many_lesions_are_not_all_drawn_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PICTURES", 4)
    result = many_lesions_case(30)
    assert result.score.total.lesions == 30
    page = page_of(result, tmp_path)
    assert len(page.images()) == 2 + KEY_PICTURES + 2 * 4
    assert "26 more lesions, together 117.0 Agatston, are not shown here; lesions.csv lists them all." in page.text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.04, "< 0.1"), (0.05, "0.1"), (0.06, "0.1"), (966.626, "966.6"), (-3.04, "-3.0"), (None, "–")],
)
def test_only_an_exact_0_is_shown_as_0(value, text):
    assert number(value) == text


def test_the_page_is_dark_in_a_dark_room_and_as_narrow_as_a_telephone(tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed (Debian package chromium)")
    write_case(many_lesions_case(3), tmp_path)
    (tmp_path / "frame.html").write_text(
        '<iframe id="shown" src="report.html" style="width: 320px; border: 0"></iframe><p id="said"></p>'
        "<script>shown.onload = () => { const page = shown.contentDocument;"
        "const color = shown.contentWindow.getComputedStyle(page.body).backgroundColor;"
        "said.textContent = `wide ${page.documentElement.scrollWidth} ${color}` }</script>"
    )
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom"]
    options.append("--allow-file-access-from-files")
    options += ["--blink-settings=preferredColorScheme=0", "--virtual-time-budget=3000"]
    page = (tmp_path / "frame.html").as_uri()
    done = subprocess.run([browser, *options, page], capture_output=True, text=True, check=True, timeout=120)
    assert '<p id="said">wide 320 rgb(20, 23, 26)</p>' in done.stdout
