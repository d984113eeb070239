"""A worklist's case in the scene: opened where the reader left off, kept after each edit, gone when it is left."""

import threading

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LCX  # noqa: E402
from coronary_calcium.cohort.readings import (  # noqa: E402
    DONE,
    NOT_GRADABLE,
    OPEN,
    SECOND_LOOK,
    read_reading,
    read_status,
    reading_folder,
)
from coronary_calcium.cohort.worklist import IN_PROGRESS, NOT_BLINDED, UNREAD, Blinding, Worklist  # noqa: E402
from coronary_calcium.cohort.worklist_case import read_case  # noqa: E402
from coronary_calcium.errors import InputError  # noqa: E402
from coronary_calcium.scoring.rules import CANON  # noqa: E402
from CoronaryCalciumScoringLib.background_run import BackgroundRun, Failed, Finished  # noqa: E402
from CoronaryCalciumScoringLib.read_ahead import ReadAhead  # noqa: E402
from CoronaryCalciumScoringLib.review import Review  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import read_labels  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, synthetic_ct  # noqa: E402
from CoronaryCalciumScoringLib.worklist import OpenCase, mark_unopened  # noqa: E402
from editor_history import editor_history  # noqa: E402
from rejections import rejection  # noqa: E402
from slicer_cases import ras_of  # noqa: E402
from worklist_cases import synthetic_worklist  # noqa: E402

IN_LAD, IN_RCA = (20, 48, 69), (15, 52, 57)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return synthetic_worklist(tmp_path_factory.mktemp("worklist") / "cohort", 2)


@pytest.fixture
def folder(cohort, tmp_path):
    """The cohort without any reader's reading."""
    import shutil

    shutil.rmtree(cohort / "readers", ignore_errors=True)
    return cohort


class Opened:
    """A case in the scene under review."""

    def __init__(self, scene, folder, reader="anna", blinding=NOT_BLINDED, case_id="case-1"):
        self.worklist = Worklist(folder, reader, blinding)
        self.case = OpenCase(scene.mrml, self.worklist, read_case(folder, case_id, reader, blinding))
        volume, segments = self.case.volumeNode, self.case.segmentationNode
        self.editor = editor_history(segments, volume)
        self.review = Review(segments, volume, self.editor, tableNode=self.case.tableNode)

    def remove(self, index):
        self.review.remove(ras_of(self.case.volumeNode, index))

    def row(self):
        return self.worklist.rows[self.case.id]


@pytest.fixture
def open_case(scene, folder):
    made = []

    def open_it(**options):
        made.append(Opened(scene, folder, **options))
        return made[-1]

    yield open_it
    for one in made:
        one.review.close()


def test_a_case_opens_at_the_ais_lesions_with_its_prediction_and_warnings(open_case):
    one = open_case()
    assert one.review.score.total.agatston == SYNTHETIC_AGATSTON
    assert one.review.ai_score.total.agatston == SYNTHETIC_AGATSTON
    assert [lesion.probability for lesion in one.review.lesion_rows()] == pytest.approx([0.875, 0.875])
    assert "kvp" in [warning.code for warning in one.review.warnings]
    assert one.review.prediction.uncertainty.counted.size > 0
    assert one.case.volumeNode.GetName() == "case-1"


def test_a_blinded_reader_begins_without_lesions_and_without_a_prediction(open_case):
    one = open_case(blinding=Blinding(ai=True))
    assert one.review.score.total.agatston == 0 and one.review.prediction is None
    assert one.case.save(one.review, DONE)
    assert not read_status(reading_folder(one.worklist.folder, "anna", "case-1"))[0].saw_ai


def test_an_edit_is_kept_and_the_case_opens_where_the_reader_left_off(open_case, folder):
    one = open_case()
    one.remove(IN_RCA)
    assert one.case.save(one.review)
    assert one.row().status == IN_PROGRESS and one.row().score.agatston == 225.0
    one.case.close()
    again = open_case()
    assert again.review.score.total.agatston == 225.0 and again.review.ai_score.total.agatston == SYNTHETIC_AGATSTON
    status = read_status(reading_folder(folder, "anna", "case-1"))[0]
    assert (status.mark, status.clicks, status.saw_ai) == (OPEN, 1, True)
    assert Opened.row(open_case(reader="ben")).status == UNREAD


def test_what_is_kept_are_the_voxels_and_scores_of_the_scene(open_case, folder):
    one = open_case()
    one.review.assign(ras_of(one.case.volumeNode, IN_RCA), LCX)
    one.case.save(one.review, DONE)
    reading = read_reading(reading_folder(folder, "anna", "case-1"))
    assert np.array_equal(reading.label_map(), read_labels(one.case.segmentationNode, one.case.volumeNode).labels)
    assert reading.agatston["LCX"] == one.review.score.by_artery["LCX"].agatston > 0
    assert len(reading.lesions) == 2


def test_looking_at_a_case_keeps_nothing(open_case, folder):
    one = open_case()
    assert not one.case.save(one.review)
    assert not (folder / "readers").exists() and one.row().status == UNREAD
    one.case.save(one.review, DONE)
    assert not one.case.save(one.review)


def test_marks_keep_their_reason_time_and_clicks_over_several_visits(open_case, folder, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("CoronaryCalciumScoringLib.worklist.time.monotonic", lambda: clock[0])
    one = open_case()
    assert rejection(lambda: one.case.save(one.review, NOT_GRADABLE)).code == "reading-mark"
    clock[0] += 20
    one.remove(IN_RCA)
    one.case.save(one.review, SECOND_LOOK)
    one.case.close()
    again = open_case()
    clock[0] += 5
    again.remove(IN_LAD)
    again.case.save(again.review)
    status = read_status(reading_folder(folder, "anna", "case-1"))[0]
    assert (status.mark, status.seconds, status.clicks) == (SECOND_LOOK, 25.0, 2)
    again.case.save(again.review, NOT_GRADABLE, " motion ")
    assert again.row().reason == "motion" and again.row().score is None


def test_what_others_have_read_is_noted_unless_it_was_hidden(open_case, folder):
    one = open_case(reader="ben")
    one.case.save(one.review, DONE)
    one.case.close()
    for blinding, seen in ((Blinding(), ("ben",)), (Blinding(readers=True), ())):
        anna = open_case(reader="carla" if seen else "anna", blinding=blinding)
        anna.case.save(anna.review, DONE)
        assert anna.case.status.saw_readers == seen
        anna.case.close()


def test_scores_are_kept_by_the_literatures_rules_whatever_the_panel_counts_by(open_case, folder):
    one = open_case()
    one.remove(IN_RCA)
    one.review.use(CANON.name, one.review.options)
    one.case.save(one.review)
    assert read_reading(reading_folder(folder, "anna", "case-1")).agatston["total"] == 225.0


def test_a_case_that_is_left_leaves_the_scene_as_it_was(scene, open_case):
    one = open_case()
    one.review.show_candidates(True)
    before = [name for name in scene.content()]
    one.review.close()
    one.case.close()
    left = scene.content()
    assert len(left) < len(before)
    assert not scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    assert not scene.mrml.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    assert not scene.mrml.GetNumberOfNodesByClass("vtkMRMLTableNode")
    assert not scene.mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationDisplayNode")
    one.case.close()  # once is enough, twice does no harm


def test_a_case_without_a_review_can_be_called_not_gradable_only(open_case, folder):
    one = open_case()
    assert rejection(lambda: one.case.save(None, DONE)).code == "no-scores"
    one.case.save(None, NOT_GRADABLE, "heart cut off")
    assert one.row().status == NOT_GRADABLE
    worklist = Worklist(folder, "ben")
    assert mark_unopened(worklist, "case-2", "no access").reason == "no access"
    assert worklist.rows["case-2"].status == NOT_GRADABLE


def finish(run):
    assert run.wait(10)
    return run.poll().outcome


def test_the_next_case_is_read_beside_the_window_and_given_once(folder):
    read = []

    def read_it(case_id, progress):
        read.append((case_id, threading.current_thread() is threading.main_thread()))
        return read_case(folder, case_id, "anna", progress=progress)

    ahead = ReadAhead(read_it)
    ahead.want("case-2")
    ahead.want("case-2")
    while ahead.reading:
        ahead.poll()
    assert ahead.take("case-2").id == "case-2"
    assert read == [("case-2", False)]
    run = ahead.take("case-2")  # once it was given it is read again: the reader may have edited it
    assert isinstance(run, BackgroundRun) and isinstance(finish(run), Finished)


def test_a_case_that_is_still_being_read_and_one_that_failed_are_given_as_runs():
    let_go = threading.Event()

    def slow(case_id, progress):
        if case_id == "bad":
            raise InputError("no-file", "It is gone.")
        assert let_go.wait(10)
        return case_id

    ahead = ReadAhead(slow)
    ahead.want("good")
    run = ahead.take("good")
    let_go.set()
    assert finish(run).result == "good"
    ahead.want("bad")
    while ahead.reading:
        ahead.poll()
    assert isinstance(finish(ahead.take("bad")), Failed)


def test_a_case_that_is_no_longer_wanted_is_let_go(folder):
    ahead = ReadAhead(lambda case_id, progress: read_case(folder, case_id, "anna", progress=progress))
    ahead.want("case-1")
    ahead.want(None)
    assert not ahead.reading
    assert isinstance(ahead.take("case-1"), BackgroundRun)
    assert synthetic_ct()[0].shape == (40, 128, 128)
