"""The command: its files, its figures, how it goes on after an interruption, and the paper's tables."""

import csv
import io
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from command_cases import run, write_weights
from coronary_calcium.cli.console import PatientProgress
from coronary_calcium.disclaimers import RESEARCH_USE
from coronary_calcium.errors import InputError
from coronary_calcium.evaluation import paper_tables, results
from coronary_calcium.evaluation import run as evaluation_run
from coronary_calcium.evaluation.report import COLUMNS, patients_csv
from coronary_calcium.evaluation.results import PatientResult, Rejection, from_json
from coronary_calcium.evaluation.scan_metadata import unknown_metadata
from coronary_calcium.inference.postprocess import POSTPROCESSING_LIMITS
from coronary_calcium.network import weights as network_weights
from evaluation_cases import CARD, model, write_cases

FILES = {"evaluation.html", "evaluation.json", "patients.csv", "patients"}


@pytest.fixture
def stub(monkeypatch):
    """The command with a stand-in for the network; the model that it uses."""
    made = model()
    for module in (evaluation_run, network_weights):
        monkeypatch.setattr(module, "load_model", lambda path=None, device="cpu": made)
    return made


def numbers(folder):
    return json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))


def rows(folder):
    return list(csv.DictReader((folder / "patients.csv").read_text(encoding="utf-8").splitlines()))


def evaluate(tmp_path, *options):
    return run("evaluate", "--data", tmp_path / "data", "--output", tmp_path / "out", *options)


def test_an_evaluation_writes_page_table_and_numbers(tmp_path, stub):
    write_cases(tmp_path / "data")
    outcome = evaluate(tmp_path)
    assert outcome.code == 0, outcome
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    content = numbers(tmp_path / "out")
    figures = content["figures"]
    # Of each patient 46 pixels are found, 4 marked wrongly and 4 missed; two of three lesions, both given to the LAD.
    assert figures["pixels"]["marked"]["f1"] == pytest.approx(2 * 46 / (2 * 46 + 4 + 4))
    assert (figures["lesions"]["detected"], figures["lesions"]["true"]) == (4, 6)
    assert (figures["lesions"]["artery_right"], figures["lesions"]["artery_of"]) == (2, 4)
    assert figures["lesions"]["false_positives_per_scan"] == 1
    assert figures["cac_filter_rate"]["right"] == figures["cac_filter_rate"]["of"] == 2
    assert set(content["groups"]["Protocol"]) == {"chest", "cardiac"}
    assert content["provenance"]["weights"]["sha256"] == CARD["sha256"]
    assert content["provenance"]["command"] == "coronary-calcium evaluate --data data"
    assert [row["patient"] for row in rows(tmp_path / "out")] == ["case-0.npz", "case-1.npz"]
    assert rows(tmp_path / "out")[0]["true_positive"] == "46"
    assert "Pixel F1           0.92" in outcome.out and f"\n{CARD['statement']}\n{RESEARCH_USE}\n" in outcome.out


class Page(HTMLParser):
    """What a page loads, and its words."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_loads_nothing_and_shows_the_worst_cases(tmp_path, stub):
    write_cases(tmp_path / "data")
    (tmp_path / "data" / "case-0.npz").rename(tmp_path / "data" / "<b>a&b.npz")
    evaluate(tmp_path)
    text = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.loads) == 2 and all(address.startswith("data:image/png;base64,") for address in page.loads)
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", text)
    assert "<b>a&b.npz" in " ".join(page.words) and "<b>a" not in text
    assert RESEARCH_USE in text and text.count("<circle") == 2 * 5


def test_an_evaluation_goes_on_where_it_stopped(tmp_path, stub):
    write_cases(tmp_path / "data", 3)
    evaluate(tmp_path, "--limit", "1")
    first = stub.network.calls
    assert first > 0
    evaluate(tmp_path)
    assert stub.network.calls == 3 * first
    before = numbers(tmp_path / "out")
    evaluate(tmp_path)
    assert stub.network.calls == 3 * first
    assert numbers(tmp_path / "out")["figures"] == before["figures"]
    write_cases(tmp_path / "data", 1)  # written again: its files are others
    evaluate(tmp_path)
    assert stub.network.calls == 4 * first
    stub.card["sha256"], earlier = "f" * 64, stub.card["sha256"]
    try:
        evaluate(tmp_path, "--limit", "1")
    finally:
        stub.card["sha256"] = earlier
    assert stub.network.calls == 5 * first


def test_results_of_other_limits_are_not_taken_for_those_of_today(tmp_path, stub, monkeypatch):
    write_cases(tmp_path / "data", 1)
    evaluate(tmp_path)
    calls = stub.network.calls
    monkeypatch.setattr(results, "POSTPROCESSING_LIMITS", replace(POSTPROCESSING_LIMITS, lesion_probability=0.9))
    evaluate(tmp_path)
    assert stub.network.calls == 2 * calls


def test_a_kept_result_reads_back_as_it_was(tmp_path, stub):
    write_cases(tmp_path / "data", 1)
    evaluate(tmp_path)
    (file,) = (tmp_path / "out" / "patients").rglob("*.json")
    content = json.loads(file.read_text())["result"]
    assert json.loads(json.dumps(from_json(content).as_json())) == content
    file.write_text("{", encoding="utf-8")
    calls = stub.network.calls
    assert evaluate(tmp_path).code == 0 and stub.network.calls == 2 * calls


def test_a_rejected_patient_is_listed_and_counts_as_wrong(tmp_path, stub):
    write_cases(tmp_path / "data", 1)
    (tmp_path / "data" / "broken.npz").write_bytes(b"nothing")
    outcome = evaluate(tmp_path)
    assert outcome.code == 0 and "Rejected: broken.npz" in outcome.err
    content = numbers(tmp_path / "out")
    assert [(one["patient"], one["code"]) for one in content["rejected"]] == [("broken.npz", "training-case")]
    figures = content["figures"]
    assert (figures["patients"], figures["rejected"]) == (2, 1)
    assert (figures["cac_filter_rate"]["right"], figures["cac_filter_rate"]["of"]) == (1, 2)
    assert "broken.npz" in (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert {row["patient"]: row["rejected"] for row in rows(tmp_path / "out")}["broken.npz"] == "training-case"


def test_a_rejected_patient_counts_in_the_group_that_its_truth_states(tmp_path, stub):
    write_cases(tmp_path / "data", 1)
    folder = tmp_path / "data" / "patient-cardiac-000007"
    folder.mkdir()
    (folder / "truth.json").write_text('{"protocol": {"kernel": "sharp"}}', encoding="utf-8")
    assert evaluate(tmp_path).code == 0
    (row,) = [row for row in rows(tmp_path / "out") if row["rejected"]]
    assert (row["rejected"], row["kind"], row["kernel"]) == ("no-ct", "cardiac", "sharp")


def test_a_patient_rejected_after_it_was_opened_keeps_its_facts(tmp_path, stub, monkeypatch):
    def reject(*arguments, **options):
        raise InputError("weights-output", "x")

    write_cases(tmp_path / "data", 1)
    monkeypatch.setattr(evaluation_run, "measure", reject)
    assert evaluate(tmp_path).code == 0
    (row,) = rows(tmp_path / "out")
    assert (row["rejected"], row["kind"], row["noise_hu"]) == ("weights-output", "chest", "10.0")


def test_only_rejected_patients_make_a_page_without_figures(tmp_path, stub):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "broken.npz").write_bytes(b"nothing")
    assert evaluate(tmp_path).code == 0
    assert numbers(tmp_path / "out")["figures"]["pixels"]["marked"]["f1"] is None


def test_without_an_output_folder_the_figures_are_printed_and_nothing_is_left(tmp_path, stub, monkeypatch):
    write_cases(tmp_path / "data", 1)
    monkeypatch.chdir(tmp_path)
    outcome = run("evaluate", "--data", tmp_path / "data")
    assert outcome.code == 0 and "Pixel F1" in outcome.out
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "options",
    [
        ("--limit", "0"),
        ("--jobs", "0"),
        ("--table", "nonsense=w"),
        ("--table", "rau"),
        ("--table", "rau=a", "--table", "rau=b"),
        ("--table", "rau=a", "--weights", "b"),
    ],
)
def test_wrong_usage_is_told_before_any_work(tmp_path, options):
    write_cases(tmp_path / "data", 1)
    assert evaluate(tmp_path, *options).code == 2
    assert not (tmp_path / "out").exists()


class Terminal(io.StringIO):
    """What the bar takes for a terminal."""

    def isatty(self):
        return True


def test_the_time_left_does_not_count_patients_known_already(monkeypatch):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with PatientProgress(4) as progress:
        for _ in range(2):
            progress("known", True)
        time.sleep(0.2)
        progress("new", False)
    last = [shown for shown in terminal.getvalue().split("\r") if "3/4" in shown][-1]
    rate = re.search(r"([0-9.]+)patient/s", last)
    # One new patient in 0.2 s or more; below one a second the bar shows seconds a patient.
    assert "<" in last and ("s/patient" in last or float(rate.group(1)) < 5.1)


def test_several_jobs_give_what_one_gives(tmp_path):
    weights = write_weights(tmp_path)
    write_cases(tmp_path / "data", bright_slices=1)
    assert evaluate(tmp_path, "--weights", weights, "--jobs", "2").code == 0
    one = run("evaluate", "--data", tmp_path / "data", "--output", tmp_path / "one", "--weights", weights, "--limit", 1)
    assert one.code == 0
    several, single = (numbers(tmp_path / name)["patients"][0]["measured"] for name in ("out", "one"))
    for measured in (several, single):
        del measured["seconds"]
    assert several == single


def test_the_table_has_a_guarded_cell_for_what_a_spreadsheet_would_run():
    result = PatientResult("=cmd()", unknown_metadata() | {"kernel": "@x"}, rejection=Rejection("no-ct", "x"))
    header, row = patients_csv([result]).splitlines()
    assert header.split(",") == list(COLUMNS)
    assert row.startswith("'=cmd(),,'@x,") and len(row.split(",")) == len(COLUMNS)


def test_the_papers_rates_are_those_of_its_table_2():
    rates = [(row["paper"]["rate"], row["paper"]["rate_filtered"]) for row in paper_tables.tables({})["rows"]]
    assert [(f"{rate:.2f}", f"{filtered:.2f}") for rate, filtered in rates] == [
        ("0.70", "0.69"),
        ("0.72", "0.77"),
        ("0.76", "0.80"),
        ("0.76", "0.81"),
        ("0.78", "0.83"),
    ]


def test_the_tables_stand_beside_the_papers_figures(tmp_path, stub):
    write_cases(tmp_path / "data")
    outcome = evaluate(tmp_path, "--table", f"iou={tmp_path / 'best.safetensors'}")
    assert outcome.code == 0, outcome
    assert "| ✓ | ✓ | ✓ | ✓ | ✓ | 0.75 | 0.92 |" in outcome.out
    assert "| Our proposed method | paper | 113 | 120 | 144 | 0.78 | 0.83 |" in outcome.out
    assert "|  | here | 2 | 2 | 2 | 1.00 | 1.00 |" in outcome.out
    assert "| Our proposed method | stand-in | none | 7 | 0.5 |" in outcome.out
    assert "| Dense U-net | – | – | – | – |" in outcome.out
    assert {"tables.html", "tables.md", "tables.json", "iou", "patients"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert (tmp_path / "out" / "tables.md").read_text(encoding="utf-8") == outcome.out


@pytest.mark.parametrize("row", ["baseline", "rau", "edb", "scse"])
def test_weights_of_another_network_or_loss_are_rejected_for_a_row(tmp_path, stub, row):
    write_cases(tmp_path / "data", 1)
    outcome = evaluate(tmp_path, "--table", f"{row}={tmp_path / 'best.safetensors'}")
    assert outcome.code == 3 and f"row {row}" in outcome.err
    assert stub.network.calls == 0
