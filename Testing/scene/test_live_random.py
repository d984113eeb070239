"""Thousands of random edits through the segment editor's logic: after each, the live scores are the engine's."""

import collections

import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from CoronaryCalciumScoringLib.live_scores import LiveScores  # noqa: E402 after the check that there is a Slicer
from live_cases import RULES, RandomHand, add_calcium_case, assert_equal_to_full  # noqa: E402

EDITS = 600


@pytest.mark.parametrize("seed", range(4))
def test_after_every_random_edit_the_scores_are_the_engines_to_the_last_digit(scene, seed):
    nodes = add_calcium_case(scene.mrml, seed)
    scheduled = []
    live = LiveScores(lambda: scheduled.append(True), RULES)
    live.watch(*nodes)
    hand = RandomHand(scene.mrml, *nodes, seed)
    scores, done = set(), collections.Counter()
    for _ in range(EDITS):
        done[hand.edit()] += 1
        # Only what an event has announced is computed, as in the application.
        if scheduled:
            scheduled.clear()
            live.update()
        assert_equal_to_full(live, *nodes)
        if live.score:
            scores.add(live.score.total.agatston)
    assert set(done) == {edit.__name__ for edit in hand.edits}
    assert len(scores) > EDITS / 4
    live.close()
