"""The state of a cohort: found cases, what became of them, what has changed, and questions in SQL."""

import csv
import os
import sys
import time

import pytest
from cohort_work import make_cohort, record_of, settings_of
from command_cases import SPACING, marked, patient_hu, run, write_image
from coronary_calcium.cohort.case_search import read_folder, rows_of_csv, search_folder
from coronary_calcium.cohort.cases import DATABASE, DONE, REJECTED, FoundCase, Outcome, checked_id
from coronary_calcium.cohort.export import write_tables
from coronary_calcium.cohort.score_table import VIEWS
from coronary_calcium.cohort.state import CohortState, select
from coronary_calcium.errors import InputError
from dicom_factory import write_series
from rejections import rejection


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two studies, one of them in two folders, an image, and what is no CT."""
    top = tmp_path_factory.mktemp("input")
    hu = patient_hu()[:4]
    write_series(top / "anna" / "thin", hu, spacing=SPACING, StudyInstanceUID="1.2.3", PatientID="A")
    write_series(top / "anna" / "thick", hu, spacing=SPACING, StudyInstanceUID="1.2.3", PatientID="A")
    write_series(top / "ben", hu, spacing=SPACING, StudyInstanceUID="1.2.4", PatientID="B")
    write_image(top / "ben" / "labels.nrrd", marked(patient_hu())[:4])
    write_image(top / "carl.nrrd", hu)
    (top / "notes.txt").write_text("Anna Muster")
    return top


def searched(state, top):
    read = []

    def folders(paths):
        read.extend(paths)
        return [read_folder(path, state.salt) for path in paths]

    return search_folder(state, top, folders), read


def test_series_are_grouped_by_study_and_files_that_are_no_ct_are_counted(tree, tmp_path):
    with CohortState(tmp_path / "cohort") as state:
        counts, _ = searched(state, tree)
        jobs = list(state.queued())
        assert [job.id for job in jobs] == ["case-000001", "case-000002", "case-000003"]
        assert sorted(len(job.case.files) for job in jobs) == [0, 1, 2]
        assert (counts.label_maps, counts.other) == (1, 1)


def test_what_has_not_changed_is_not_read_again_and_what_was_added_is_found(tree, tmp_path):
    with CohortState(tmp_path / "cohort") as state:
        searched(state, tree)
        assert searched(state, tree)[1] == []
        added = write_image(tree / "dora.nrrd", patient_hu()[:4])
        try:
            assert searched(state, tree)[1] == [str(tree.resolve())]
            assert [job.id for job in state.queued()][-1] == "case-000004"
        finally:
            added.unlink()


def test_a_study_that_lost_a_file_counts_as_changed(tree, tmp_path):
    with CohortState(tmp_path / "cohort") as state:
        searched(state, tree)
        job = next(one for one in state.queued() if len(one.case.files) == 1)
        settings = settings_of(tmp_path / "cohort")
        state.finish([(job.number, Outcome(DONE, record_of(job, settings)))])
        assert state.changed(settings.identity) == {}
        gone = next((tree / "ben").glob("[0-9A-F]*"))
        kept = gone.read_bytes()
        gone.unlink()
        try:
            searched(state, tree)
            assert state.changed(settings.identity) == {"files": 1}
        finally:
            gone.write_bytes(kept)


def test_ids_and_the_views_say_nothing_of_the_patient(tree, tmp_path):
    with CohortState(tmp_path / "cohort") as state:
        searched(state, tree)
    for view in ("cohort", "warnings", "lesions"):
        names, rows = select(tmp_path / "cohort", f"SELECT * FROM {view}")
        assert not {"path", "study", "key"} & set(names)
        assert not any(word in str(rows) for word in ("anna", "ben", "1.2.3", str(tree)))


def test_other_weights_or_rules_are_told_and_queued_again_when_asked(tmp_path):
    folder = make_cohort(tmp_path, 3)
    settings = settings_of(folder, weights_sha256="old")
    with CohortState(folder) as state:
        for job in state.queued():
            state.finish([(job.number, Outcome(DONE, record_of(job, settings)))])
        now = settings_of(folder, weights_sha256="new").identity
        assert state.changed(now) == {"weights": 3} and state.counts()["done"] == 3
        assert sum(state.categories().values()) == 3
        assert state.requeue_changed(now) == 3 and state.counts()["queued"] == 3
        assert state.categories() == {}


def test_the_status_lists_the_categories_in_the_order_of_their_scheme(tmp_path):
    status = run("cohort", "status", scored_cohort(tmp_path, 6)).out
    assert [line.split() for line in status.split("\n\n")[1].splitlines()] == [
        ["risk", "category", "cases"],
        ["0", "0"],
        ["1-10", "0"],
        ["11-100", "1"],
        ["101-400", "3"],
        [">400", "1"],
    ]


def test_every_column_that_can_be_asked_for_is_listed(tmp_path):
    folder = make_cohort(tmp_path, 1)
    for view, columns in VIEWS.items():
        assert select(folder, f"SELECT * FROM {view}")[0] == [one.name for one in columns]
    listed = run("cohort", "query", folder, "--columns").out
    assert all(f"{view}\n  id " in listed for view in VIEWS)


def test_outcomes_are_kept_all_or_none(tmp_path):
    folder = make_cohort(tmp_path, 3)
    with CohortState(folder) as state:
        jobs = list(state.queued())
        outcomes = [(job.number, Outcome(DONE, record_of(job, settings_of(folder)))) for job in jobs]
        outcomes[2][1].record["lesions"] = [{}]
        with pytest.raises(KeyError):
            state.finish(outcomes)
        assert state.counts()["queued"] == 3 and state.categories() == {}
        state.finish(outcomes[:2])
        assert state.counts()["done"] == 2


def test_a_rejected_case_keeps_its_reason_and_is_not_queued_again_by_itself(tmp_path):
    folder = make_cohort(tmp_path, ["a"])
    with CohortState(folder) as state:
        (job,) = state.queued()
        state.finish([(job.number, Outcome(REJECTED, code="not-ct", reason="It is no CT."))])
    with CohortState(folder) as state:
        assert list(state.queued()) == []
        assert state.requeue("state = ?", "rejected") == 1
    assert select(folder, "SELECT id, state, code FROM cohort")[1] == [("a", "queued", "")]


def scored_cohort(folder, cases):
    """A cohort of which all cases but the last are done."""
    make_cohort(folder, cases)
    with CohortState(folder) as state:
        jobs = list(state.queued())
        state.finish([(job.number, Outcome(DONE, record_of(job, settings_of(folder)))) for job in jobs[:-1]])
    return folder


def test_the_parquet_file_has_the_columns_the_rows_and_the_types_of_the_table(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'coronary-calcium-scoring[parquet]'")
    folder = scored_cohort(tmp_path, 4)
    assert write_tables(folder) == [folder / "cohort.csv", folder / "cohort.parquet"]
    table = parquet.read_table(folder / "cohort.parquet")
    with (folder / "cohort.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert table.column_names == list(rows[0])
    types = {name: str(table.schema.field(name).type) for name in ("id", "agatston", "kvp", "lesions", "attempts")}
    assert types == {"id": "string", "agatston": "double", "kvp": "double", "lesions": "int64", "attempts": "int64"}
    # What is not there is null, not zero and no empty text.
    assert table["agatston"].to_pylist() == [100.0, 200.0, 300.0, None]
    assert [None if row["agatston"] == "" else float(row["agatston"]) for row in rows] == [100.0, 200.0, 300.0, None]
    assert table["kernel"].to_pylist() == ["B35f", "B35f", "B35f", None]


def test_without_pyarrow_there_is_the_csv_alone_and_no_parquet_file_of_an_earlier_run(tmp_path, monkeypatch):
    folder = scored_cohort(tmp_path, 2)
    (folder / "cohort.parquet").write_text("earlier")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert write_tables(folder) == [folder / "cohort.csv"]
    assert not list(folder.glob("*.parquet*"))


@pytest.mark.parametrize("sql", ["DELETE FROM scores", "UPDATE case_state SET id = 'x'", "DROP VIEW cohort"])
def test_a_question_cannot_change_anything(tmp_path, sql):
    folder = make_cohort(tmp_path, 2)
    assert rejection(lambda: select(folder, sql)).code == "cohort-query"
    assert select(folder, "SELECT COUNT(*) FROM cohort")[1] == [(2,)]


def test_a_csv_names_cases_with_ids_and_masks_beside_itself(tmp_path):
    (tmp_path / "list.csv").write_text("id,path,mask\nfirst,a.nrrd,a-mask.nrrd\n,b.nrrd,\n")
    cases = list(rows_of_csv(tmp_path / "list.csv", "salt"))
    assert [(case.id, case.path, case.mask) for case in cases] == [
        ("first", str(tmp_path / "a.nrrd"), str(tmp_path / "a-mask.nrrd")),
        (None, str(tmp_path / "b.nrrd"), None),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("id,file\na,b\n", "cohort-csv"),
        ("path\n\n,\n", "cohort-csv"),
        ("id,path\n../x,b\n", "cohort-id"),
        ("id,path\na,b\na,c\n", "cohort-csv"),
    ],
)
def test_a_csv_that_cannot_be_used_is_rejected_with_the_line(tmp_path, text, code):
    (tmp_path / "list.csv").write_text(text)
    assert rejection(lambda: list(rows_of_csv(tmp_path / "list.csv", "salt"))).code == code


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a/b", "a\\b", "a b", ".hidden", "x" * 65, "a.", "ä", "con", "NUL.x", "com1"]
)
def test_an_id_that_cannot_name_a_folder_everywhere_is_rejected(text):
    with pytest.raises(InputError):
        checked_id(text)


def test_a_cohort_where_nothing_can_be_written_is_read_and_nothing_is_made_beside_it(tmp_path, monkeypatch):
    folder = make_cohort(tmp_path, ["a"])
    there = sorted(path.name for path in folder.iterdir())
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert select(folder, "SELECT id FROM cohort")[1] == [("a",)]
    assert sorted(path.name for path in folder.iterdir()) == there


def test_a_damaged_state_file_is_said_to_be_damaged(tmp_path):
    (tmp_path / DATABASE).write_bytes(b"no database at all" * 100)
    error = rejection(lambda: select(tmp_path, "SELECT 1 FROM cohort"))
    assert error.code == "cohort-state" and "is damaged" in str(error)


def test_an_id_that_another_case_has_is_rejected_and_nothing_is_added(tmp_path):
    folder = make_cohort(tmp_path, ["a"])
    with CohortState(folder) as state:
        more = [FoundCase("k1", "/x", id="b"), FoundCase("k2", "/y", id="a")]
        assert rejection(lambda: state.add_cases(more)).code == "cohort-id"
        assert sum(state.counts().values()) == 1


def test_a_cohort_of_25000_cases_is_taken_up_again_in_seconds(tmp_path):
    cases = int(os.environ.get("COHORT_CASES", "2500"))
    folder = make_cohort(tmp_path, cases)
    start = time.process_time()
    with CohortState(folder) as state:
        state.begin_run("next", lambda case_id, run: None)
        assert state.changed(settings_of(folder).identity) == {}
        assert sum(1 for _ in state.queued()) == cases
    # 25,000 are to be taken up in 10 s; what is measured is in docs/cohorts.md.
    assert time.process_time() - start < 10 * cases / 25_000 + 0.5
