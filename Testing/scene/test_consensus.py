"""A consensus of two readers in the scene: outlines, differences, what is decided, and what is kept on disk."""

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from coronary_calcium.arteries import LAD, LCX, RCA  # noqa: E402
from coronary_calcium.cohort.consensus import (  # noqa: E402
    EDITED,
    TAKEN_FIRST,
    TAKEN_SECOND,
    UNDECIDED,
    read_consensus,
)
from coronary_calcium.cohort.reading_differences import ONLY_FIRST, OTHER_ARTERY  # noqa: E402
from coronary_calcium.cohort.readings import (  # noqa: E402
    AI,
    DONE,
    NOT_GRADABLE,
    OPEN,
    ReadingStatus,
    mark_reading,
    read_reading,
    reading_folder,
    reading_of,
    write_reading,
)
from coronary_calcium.scoring import score_labels  # noqa: E402
from CoronaryCalciumScoringLib.consensus import (  # noqa: E402
    OUTLINE_SEGMENT,
    Consensus,
    consensus_worklist_case,
    open_consensus,
)
from CoronaryCalciumScoringLib.review import Review  # noqa: E402
from CoronaryCalciumScoringLib.reviews import reviews_of  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import add_segmentation  # noqa: E402
from CoronaryCalciumScoringLib.synthetic_ct import SYNTHETIC_AGATSTON, synthetic_ct  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import array_of  # noqa: E402
from editor_history import editor_history  # noqa: E402
from rejections import rejection  # noqa: E402
from slicer_cases import add_volume_with_axes, ras_of  # noqa: E402
from worklist_cases import synthetic_worklist  # noqa: E402

CASE = "case-1"
IN_LAD, IN_RCA = (20, 48, 69), (15, 52, 57)


def keep(cohort, reader, moved):
    """Keep a reading of the synthetic CT, on which arteries are other ones or none (0)."""
    volume, labels = synthetic_ct()
    labels = labels.copy()
    for before, after in moved.items():
        labels[synthetic_ct()[1] == before] = after
    score = score_labels(volume, labels)
    write_reading(
        reading_folder(cohort, reader, CASE), reading_of(score, labels, score.risk_category, ReadingStatus(DONE))
    )
    return labels


@pytest.fixture
def cohort(tmp_path):
    """Anna has both plaques as they are; Ben lacks that of the RCA, and calls that of the LAD LCX."""
    folder = synthetic_worklist(tmp_path / "cohort", 1)
    keep(folder, "anna", {})
    keep(folder, "ben", {RCA.label: 0, LAD.label: LCX.label})
    return folder


class Open:
    """A consensus of anna and ben in the scene."""

    def __init__(self, scene, cohort, readers=("anna", "ben"), **options):
        self.case = read_consensus(cohort, CASE, readers, **options)
        self.opened = open_consensus(scene.mrml, cohort, self.case, consensus_worklist_case(cohort, self.case))
        volume, segments = self.opened.volumeNode, self.opened.segmentationNode
        self.editor = editor_history(segments, volume)
        self.review = Review(segments, volume, self.editor, tableNode=self.opened.tableNode)
        self.consensus = Consensus(self.opened, self.case, lambda: self.review)
        self.consensus.show_outlines()

    def take(self, kind, choice):
        return self.consensus.take(self.difference(kind), choice)

    def difference(self, kind):
        (found,) = [one for one in self.case.differences if one.kind == kind]
        return found

    def state(self, kind):
        return self.consensus.states()[[one.kind for one in self.case.differences].index(kind)]


@pytest.fixture
def open_it(scene, cohort):
    made = []

    def opened(**options):
        made.append(Open(scene, cohort, **options))
        return made[-1]

    yield opened
    for one in made:
        one.review.close()
        one.consensus.close()


def test_a_consensus_begins_with_the_first_readers_lesions_and_nothing_decided(open_it, cohort):
    one = open_it()
    assert {difference.kind for difference in one.case.differences} == {ONLY_FIRST, OTHER_ARTERY}
    assert one.consensus.states() == [UNDECIDED] * 2
    assert np.array_equal(one.review.labels(), synthetic_ct()[1])
    assert one.consensus.agatston()[::2] == (SYNTHETIC_AGATSTON,) * 2
    assert not reading_folder(cohort, "consensus", CASE).exists()
    assert rejection(one.consensus.finish).code == "consensus-undecided"


def test_both_readers_are_outlined_in_two_colors_and_neither_is_a_review(open_it, scene, cohort):
    one = open_it()
    outlines = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene.mrml)
        if node.GetSegmentation().GetSegment(OUTLINE_SEGMENT)
    ]
    assert [node.GetName() for node in outlines] == ["anna's outlines", "ben's outlines"]
    segments = [node.GetSegmentation().GetSegment(OUTLINE_SEGMENT) for node in outlines]
    assert segments[0].GetColor() != segments[1].GetColor()
    for node, segment, labels in zip(outlines, segments, (one.case.first, one.case.second), strict=True):
        drawn = array_of(segment.GetRepresentation("Binary labelmap"))
        assert np.count_nonzero(drawn) == labels.voxels.size
        assert not node.GetDisplayNode().GetVisibility2DFill() and not node.GetSaveWithScene()
    assert reviews_of(one.opened.volumeNode) == [one.opened.segmentationNode]
    assert not one.opened.segmentationNode.GetDisplayNode().GetVisibility2DOutline()
    one.consensus.set_visible(False)
    assert not any(node.GetDisplayNode().GetVisibility() for node in outlines)
    one.consensus.close()
    assert not any(node.GetScene() for node in outlines)
    assert one.opened.segmentationNode.GetDisplayNode().GetVisibility2DOutline()


def test_taking_a_readers_version_changes_the_segments_the_score_and_what_is_kept(open_it, cohort):
    one = open_it()
    one.take(OTHER_ARTERY, TAKEN_SECOND)
    assert (one.state(OTHER_ARTERY), one.state(ONLY_FIRST)) == (TAKEN_SECOND, UNDECIDED)
    kept = read_reading(reading_folder(cohort, "consensus", CASE))
    anna = read_reading(reading_folder(cohort, "anna", CASE)).agatston
    assert kept.status.mark == OPEN and kept.agatston["LCX"] == anna["LAD"] > 0 == kept.agatston["LAD"]
    one.take(ONLY_FIRST, TAKEN_FIRST)
    assert (one.state(ONLY_FIRST), one.consensus.undecided()) == (TAKEN_FIRST, 0)
    one.consensus.finish()
    kept = read_reading(reading_folder(cohort, "consensus", CASE))
    assert (kept.status.mark, kept.status.saw_readers, kept.status.saw_ai) == (DONE, ("anna", "ben"), False)
    assert kept.agatston["total"] == SYNTHETIC_AGATSTON and kept.status.clicks == 1
    one.take(ONLY_FIRST, TAKEN_SECOND)
    assert one.review.score.total.agatston == read_reading(reading_folder(cohort, "ben", CASE)).agatston["total"]


def test_a_step_back_takes_a_decision_back_and_an_edit_decides_too(open_it):
    one = open_it()
    one.take(ONLY_FIRST, TAKEN_SECOND)
    assert one.review.undo() and one.state(ONLY_FIRST) == UNDECIDED
    assert one.review.redo() and one.state(ONLY_FIRST) == TAKEN_SECOND
    one.review.undo()
    one.review.assign(ras_of(one.opened.volumeNode, IN_RCA), LCX)
    assert one.state(ONLY_FIRST) == EDITED


def test_a_consensus_that_was_done_is_open_again_after_a_step_back(open_it, cohort):
    one = open_it()
    one.take(ONLY_FIRST, TAKEN_SECOND)
    one.take(OTHER_ARTERY, TAKEN_SECOND)
    one.consensus.finish()
    one.review.onChanged.append(lambda score: one.consensus.edited())
    one.review.undo()
    assert read_reading(reading_folder(cohort, "consensus", CASE)).status.mark == OPEN


def test_a_consensus_goes_on_where_it_was_left(open_it, cohort):
    first = open_it()
    first.take(ONLY_FIRST, TAKEN_FIRST)
    first.take(OTHER_ARTERY, TAKEN_SECOND)
    first.opened.close()
    again = open_it()
    assert (again.state(ONLY_FIRST), again.state(OTHER_ARTERY)) == (TAKEN_FIRST, TAKEN_SECOND)
    assert again.case.changed == ()
    keep(cohort, "ben", {LAD.label: LCX.label})
    assert read_consensus(cohort, CASE, ("anna", "ben")).changed == ("ben",)


def test_a_difference_is_framed_in_the_slice_views(open_it, scene):
    node = scene.mrml.AddNewNodeByClass("vtkMRMLSliceNode")
    node.SetOrientationToAxial()
    one = open_it()
    one.consensus.jump(one.difference(ONLY_FIRST))
    assert node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(ras_of(one.opened.volumeNode, IN_RCA)[2])


def test_the_network_can_be_one_of_the_two(open_it):
    one = open_it(readers=("ben", AI))
    assert {difference.kind for difference in one.case.differences} == {"only-second", OTHER_ARTERY}
    one.consensus.save()
    assert read_reading(one.case.folder).status.saw_ai


def test_names_and_cases_that_allow_no_consensus_are_rejected(cohort, scene):
    def code(readers=("anna", "ben"), name="consensus", case_id=CASE):
        return rejection(lambda: read_consensus(cohort, case_id, readers, name)).code

    assert code(readers=("anna", "anna")) == "consensus-readers"
    assert code(readers=("anna", "carol")) == "consensus-case"
    assert {code(name="anna"), code(name=AI), code(readers=("ben", AI), name="anna")} == {"consensus-name"}
    assert code(name="../anna") == "cohort-id"
    one = Open(scene, cohort)
    one.consensus.save()
    one.review.close()
    assert code(readers=("ben", AI)) == "consensus-name"  # it is one of anna and ben
    mark_reading(reading_folder(cohort, "ben", CASE), ReadingStatus(NOT_GRADABLE, "motion"))
    assert code() == "consensus-case"


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_labels_are_set_in_one_step_on_permuted_axes(scene, axes):
    volume, labels = add_volume_with_axes(scene.mrml, axes, (True, False, True))
    segments = add_segmentation(volume, labels, "Reader")
    review = Review(segments, volume, editor_history(segments, volume))
    before = review.labels()
    voxels = np.flatnonzero(before)
    wanted = np.where(before.reshape(-1)[voxels] == LAD.label, RCA.label, 0).astype(np.uint8)
    review.set_labels(voxels, wanted)
    assert np.array_equal(review.labels(), np.where(before == LAD.label, RCA.label, 0))
    review.undo()
    assert np.array_equal(review.labels(), before)
    review.close()
