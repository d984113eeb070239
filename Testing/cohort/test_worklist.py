"""A reader's worklist: rows, blinding, orders with their reasons, filters, and what is next."""

import json
from dataclasses import replace

import numpy as np
import pytest
from cohort_work import make_cohort, settings_of
from command_cases import AGATSTON, marked, patient_hu, write_image
from coronary_calcium.cohort.case_worker import score_into_folder
from coronary_calcium.cohort.cases import FoundCase, Outcome
from coronary_calcium.cohort.readings import (
    AI,
    DONE,
    NOT_GRADABLE,
    OPEN,
    SECOND_LOOK,
    ReadingStatus,
    reading_folder,
    reading_of,
    reading_of_nothing,
    write_reading,
)
from coronary_calcium.cohort.state import CohortState
from coronary_calcium.cohort.uncertainty_file import read_uncertainty, write_uncertainty
from coronary_calcium.cohort.worklist import (
    BY_DISAGREEMENT,
    BY_ID,
    BY_UNCERTAINTY,
    IN_PROGRESS,
    ORDERS,
    RANDOM,
    TO_READ,
    UNREAD,
    Blinding,
    Worklist,
    neighbor,
    next_to_read,
    orders_for,
    sort_rows,
)
from coronary_calcium.cohort.worklist_case import read_case
from coronary_calcium.cohort.worklist_folder import READINGS_FOLDER, cohort_of
from coronary_calcium.errors import Cancelled
from coronary_calcium.pipeline import score_case
from coronary_calcium.scoring import score_labels
from coronary_calcium.scoring.lesion_warnings import Uncertainty
from coronary_calcium.scoring.risk import FIVE_CATEGORIES
from coronary_calcium.volume import CTVolume
from rejections import rejection

# What the network said of each case: score, uncertainty, reason.
NETWORK = {
    "a": (0.0, 0.0, ""),
    "b": (405.0, 0.0, ""),
    "c": (250.0, 0.61, "101-400 or >400: 2 uncertain lesions, 22 % of the score"),
    "d": (5000.0, 0.0, ""),
}


def scored_cohort(folder, network=NETWORK):
    make_cohort(folder, network)
    with CohortState(folder) as state:
        for job in list(state.queued()):
            agatston, uncertainty, why = network[job.id]
            scores = {
                "agatston": agatston,
                "risk_category": FIVE_CATEGORIES.category(agatston),
                "uncertainty": uncertainty,
                "uncertainty_reason": why,
            }
            warnings = [{"code": "kvp", "message": "100 kVp."}]
            if uncertainty:
                warnings.append({"code": "uncertain-lesions", "message": "2 lesions are uncertain."})
            record = {"scores": scores, "warnings": warnings, "lesions": []}
            state.finish([(job.number, Outcome("done", record))])
    return folder


def read(folder, reader, case_id, pixels, mark=OPEN, **status):
    """A reading with one lesion of so many pixels of 1 mm2 and weight 3."""
    hu = np.full((3, 20, 20), 40, np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    hu[1].flat[:pixels], labels[1].flat[:pixels] = 350, 2
    score = score_labels(CTVolume(hu, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0)), labels)
    reading = reading_of(score, labels, score.risk_category, ReadingStatus(mark, **status))
    write_reading(reading_folder(folder, reader, case_id), reading)


@pytest.fixture
def cohort(tmp_path):
    return scored_cohort(tmp_path / "cohort")


def ids(placed):
    return [one.row.id for one in placed]


def test_a_row_has_the_ais_score_until_the_reader_has_one(cohort):
    rows = Worklist(cohort, "anna").rows
    assert [rows[name].status for name in "abcd"] == [UNREAD] * 4
    assert (rows["c"].score.agatston, rows["c"].score.category, rows["c"].uncertainty) == (250.0, "101-400", 0.61)
    read(cohort, "anna", "c", 10, mark=DONE, seconds=12.5, clicks=3)
    row = Worklist(cohort, "anna").rows["c"]
    assert (row.status, row.score.agatston, row.ai.agatston, row.seconds, row.clicks) == (DONE, 30.0, 250.0, 12.5, 3)


def test_each_reader_has_their_own_marks(cohort):
    read(cohort, "anna", "a", 4)
    read(cohort, "anna", "b", 4, mark=SECOND_LOOK)
    write_reading(reading_folder(cohort, "anna", "d"), reading_of_nothing(ReadingStatus(NOT_GRADABLE, "motion")))
    anna, ben = Worklist(cohort, "anna"), Worklist(cohort, "ben")
    assert [anna.rows[name].status for name in "abcd"] == [IN_PROGRESS, SECOND_LOOK, UNREAD, NOT_GRADABLE]
    assert (anna.rows["d"].reason, anna.rows["d"].score) == ("motion", None)
    assert [ben.rows[name].status for name in "abcd"] == [UNREAD] * 4
    assert ben.rows["a"].others["anna"].agatston == 12.0 and "anna" not in ben.rows["d"].others
    assert anna.counts() == {UNREAD: 1, IN_PROGRESS: 1, DONE: 0, SECOND_LOOK: 1, NOT_GRADABLE: 1}


def test_a_blinded_reader_gets_nothing_of_the_ai_and_of_others(cohort):
    read(cohort, "anna", "a", 4)
    blinded = Worklist(cohort, "ben", Blinding(ai=True, readers=True))
    row = blinded.rows["c"]
    assert (row.ai, row.score, row.uncertainty, row.uncertainty_reason, row.others) == (None, None, None, "", {})
    assert [warning.code for warning in row.warnings] == ["kvp"]
    assert blinded.rows["a"].others == {}
    assert orders_for(blinded.blinding) == (BY_ID, RANDOM)
    # An order that tells of the AI is not given, even when asked for.
    assert ids(blinded.shown(BY_UNCERTAINTY)) == ["a", "b", "c", "d"]


def test_the_order_by_uncertainty_says_why(cohort):
    placed = Worklist(cohort, "anna").shown(BY_UNCERTAINTY)
    assert ids(placed) == ["c", "b", "a", "d"]
    assert placed[0].why == "101-400 or >400: 2 uncertain lesions, 22 % of the score"
    assert placed[1].why == "405 is near the limit at 400"
    assert placed[2].why == placed[3].why == ""


def test_the_order_by_disagreement_is_the_readers_own_and_before_that_the_others(cohort):
    read(cohort, "anna", "c", 0)
    read(cohort, "anna", "a", 0)
    placed = Worklist(cohort, "anna").shown(BY_DISAGREEMENT)
    assert ids(placed) == ["c", "a", "b", "d"]
    assert [one.why for one in placed[:3]] == ["you 0 (0), AI 250 (101-400)", "you and the AI agree", "not read yet"]
    assert Worklist(cohort, "ben").shown(BY_DISAGREEMENT)[0].why.startswith("anna 0 (0)")
    blinded = Worklist(cohort, "ben", Blinding(readers=True)).shown(BY_DISAGREEMENT)
    assert {one.why for one in blinded} == {"not read yet"}


def test_the_random_order_is_the_same_for_all_and_stays_when_cases_are_added(tmp_path):
    small = Worklist(make_cohort(tmp_path / "small", 20), "anna")
    large = Worklist(make_cohort(tmp_path / "large", 40), "ben")
    first = ids(small.shown(RANDOM))
    assert first != sorted(first)
    assert [one for one in ids(large.shown(RANDOM)) if one in first] == first
    assert ids(small.shown(RANDOM, seed=2)) != first


def test_filters_take_statuses_and_words(cohort):
    read(cohort, "anna", "b", 4, mark=DONE)
    worklist = Worklist(cohort, "anna")
    assert ids(worklist.shown(statuses=TO_READ)) == ["a", "c", "d"]
    assert ids(worklist.shown(text="uncertain")) == ["c"]
    assert ids(worklist.shown(text=">400 KVP")) == ["d"]
    assert ids(worklist.shown(text="nothing has this")) == []
    assert ids(worklist.shown(statuses=TO_READ, text="uncertain", keep="b")) == ["b", "c"]


@pytest.mark.parametrize(
    ("by", "descending", "expected"),
    [("agatston", True, "dcba"), ("agatston", False, "abcd"), ("uncertainty", True, "cabd"), ("id", True, "dcba")],
)
def test_rows_are_sorted_by_a_column(cohort, by, descending, expected):
    network = dict(zip("abcd", (0.0, 10.0, 20.0, 30.0)))
    folder = scored_cohort(
        cohort.parent / "sorted", {name: (score, NETWORK[name][1], "") for name, score in network.items()}
    )
    assert "".join(ids(sort_rows(Worklist(folder, "anna").shown(), by, descending=descending))) == expected


def test_rows_without_a_value_come_last_either_way(cohort):
    with CohortState(cohort) as state:
        state.add_cases([FoundCase("key-e", "/nowhere", id="e")])
    for descending in (True, False):
        assert ids(sort_rows(Worklist(cohort, "anna").shown(), "agatston", descending=descending))[-1] == "e"


def test_next_and_previous_stop_at_the_ends_and_next_to_read_goes_around(cohort):
    read(cohort, "anna", "c", 4, mark=DONE)
    placed = Worklist(cohort, "anna").shown()
    assert [neighbor(placed, "a", 1), neighbor(placed, "a", -1), neighbor(placed, "d", 1)] == ["b", None, None]
    assert [neighbor(placed, None, 1), neighbor(placed, "gone", -1), neighbor([], None, 1)] == ["a", "a", None]
    assert [next_to_read(placed, name) for name in ("a", "b", "d", None)] == ["b", "d", "a", "a"]
    for name in "abd":
        read(cohort, "anna", name, 4, mark=DONE)
    assert next_to_read(Worklist(cohort, "anna").shown(), "a") is None


def test_a_row_follows_its_reading(cohort):
    worklist = Worklist(cohort, "anna")
    read(cohort, "anna", "a", 4)
    assert worklist.refresh("a").score.agatston == 12.0
    assert worklist.rows["a"].status == IN_PROGRESS


def test_a_damaged_reading_is_shown_as_begun_and_does_not_stop_the_list(cohort):
    read(cohort, "anna", "a", 4)
    (reading_folder(cohort, "anna", "a") / "reading.json").write_text("{")
    row = Worklist(cohort, "anna").rows["a"]
    assert (row.status, row.score) == (IN_PROGRESS, None) and "damaged" in row.reason


def test_a_folder_that_is_no_readers_is_passed_over(cohort):
    (cohort / "readers" / ".hidden" / "a").mkdir(parents=True)
    read(cohort, "ben", "a", 4)
    assert list(Worklist(cohort, "anna").rows["a"].others) == ["ben"]


@pytest.mark.parametrize("name", [AI, "../x", ""])
def test_a_name_that_is_no_readers_is_rejected(cohort, name):
    assert rejection(lambda: Worklist(cohort, name)).code == "cohort-id"


def test_a_folder_of_cts_is_a_worklist_without_ai(tmp_path):
    write_image(tmp_path / "one.nrrd", patient_hu())
    write_image(tmp_path / "two.nrrd", patient_hu())
    folder = cohort_of(tmp_path)
    assert folder == tmp_path / READINGS_FOLDER
    worklist = Worklist(folder, "anna")
    assert sorted(worklist.rows) == ["case-000001", "case-000002"]
    assert worklist.rows["case-000001"].score is None
    case = read_case(folder, "case-000001", "anna")
    assert case.volume.shape == patient_hu().shape and case.network is None and case.labels is None
    write_image(tmp_path / "three.nrrd", patient_hu())
    assert len(Worklist(cohort_of(tmp_path), "anna").rows) == 3
    assert cohort_of(folder) == folder
    assert all(order in ORDERS for order in orders_for(Blinding()))


def test_a_folder_without_a_ct_is_left_as_it_was(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert rejection(lambda: cohort_of(tmp_path)).code == "cohort-empty"
    assert rejection(lambda: cohort_of(tmp_path / "nowhere")).code == "no-file"

    def cancel(fraction, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        cohort_of(tmp_path, cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.fixture
def opened(tmp_path):
    """A cohort with one case whose CT is there and whose network's labels are given."""
    ct = write_image(tmp_path / "ct.nrrd", patient_hu())
    mask = write_image(tmp_path / "given.nrrd", marked(patient_hu()))
    make_cohort(tmp_path / "cohort", [])
    with CohortState(tmp_path / "cohort") as state:
        state.add_cases([FoundCase("key", str(ct), id="one", mask=str(mask))])
        (job,) = state.queued()
        record = score_into_folder(job, settings_of(tmp_path / "cohort"))
        state.finish([(job.number, Outcome("done", record))])
    return tmp_path / "cohort"


def test_a_case_opens_at_the_ais_lesions_and_later_where_the_reader_left_off(opened):
    case = read_case(opened, "one", "anna")
    assert np.array_equal(case.labels, marked(patient_hu()))
    assert score_labels(case.volume, case.labels).total.agatston == AGATSTON
    labels = marked(patient_hu(), label=4)
    score = score_labels(case.volume, labels)
    write_reading(reading_folder(opened, "anna", "one"), reading_of(score, labels, score.risk_category))
    again = read_case(opened, "one", "anna")
    assert np.array_equal(again.labels, labels) and np.array_equal(again.network.labels, marked(patient_hu()))
    assert np.array_equal(read_case(opened, "one", "ben").labels, marked(patient_hu()))


def test_a_blinded_reader_opens_a_case_without_the_ai(opened):
    scores = opened / "cases" / "one" / "scores.json"
    content = json.loads(scores.read_text())
    content["warnings"] = [{"code": code, "message": "x"} for code in ("kvp", "uncertain-lesions")]
    scores.write_text(json.dumps(content))
    case = read_case(opened, "one", "anna", Blinding(ai=True))
    assert case.network is None and case.labels is None
    assert "uncertain-lesions" not in [warning.code for warning in case.warnings]
    assert "uncertain-lesions" in [warning.code for warning in read_case(opened, "one", "anna").warnings]


def test_a_reading_of_another_ct_is_rejected_and_one_of_no_ct_is_not_in_the_way(opened):
    read(opened, "anna", "one", 4)
    assert rejection(lambda: read_case(opened, "one", "anna")).code == "reading"
    folder = reading_folder(opened, "anna", "one")
    write_reading(folder, reading_of_nothing(ReadingStatus(NOT_GRADABLE, "no access")))
    assert read_case(opened, "one", "anna").own is None
    assert rejection(lambda: read_case(opened, "none", "anna")).code == "cohort-id"


def test_a_scored_case_keeps_what_its_network_was_uncertain_of(opened, monkeypatch):
    uncertain = Uncertainty(np.array([1]), np.array([2, 3]), np.array([1, 1], np.uint8), 1, 1)

    def network(volume, **options):
        return replace(score_case(volume, **options), uncertainty=uncertain)

    monkeypatch.setattr("coronary_calcium.pipeline.score_case", network)
    with CohortState(opened) as state:
        score_into_folder(state.job("one"), settings_of(opened))
    assert read_case(opened, "one", "anna").network.uncertainty.left_out.tolist() == [2, 3]


def test_what_the_network_was_uncertain_of_is_kept_and_checked(tmp_path):
    kept = Uncertainty(np.array([3, 5]), np.array([7]), np.array([2], np.uint8), 4, 9)
    write_uncertainty(tmp_path, kept)
    found = read_uncertainty(tmp_path, 10)
    assert (found.counted.tolist(), found.left_out.tolist(), found.left_out_labels.tolist()) == ([3, 5], [7], [2])
    assert (found.lesions, found.slices_run) == (4, 9)
    assert read_uncertainty(tmp_path, 7) is None
    (tmp_path / "uncertainty.npz").write_bytes(b"PK")
    assert read_uncertainty(tmp_path, 10) is None
