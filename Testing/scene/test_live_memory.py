"""Live scores leave nothing behind: no observer, no object, no memory over many edits."""

import gc
import os
import sys
import tracemalloc
import weakref
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="needs slicer-core: pip install slicer-core==5.12.4.0")

from CoronaryCalciumScoringLib.live_scores import (  # noqa: E402
    SCENE_EVENTS,
    SEGMENTATION_EVENTS,
    VOLUME_EVENTS,
    LiveScores,
)
from live_cases import REGION, RULES, Editor, add_calcium_case  # noqa: E402

PROCESS = Path("/proc/self/statm")


def observers(live):
    """How many observers there are: every one holds the object's method, and with it one reference to the object."""
    gc.collect()
    return sys.getrefcount(live)


@pytest.mark.parametrize("end", ["close", "unwatch", "remove the CT", "watch nothing"])
def test_all_observers_are_removed(scene, end):
    nodes, others = add_calcium_case(scene.mrml), add_calcium_case(scene.mrml)
    live = LiveScores(rules=RULES)
    before = observers(live)
    number = len(SEGMENTATION_EVENTS) + len(VOLUME_EVENTS) + len(SCENE_EVENTS)
    for pair in (others, nodes):
        live.watch(*pair)
        assert observers(live) - before == number
    if end == "remove the CT":
        scene.mrml.RemoveNode(nodes[1])
        live.update()
    else:
        {"close": live.close, "unwatch": live.unwatch, "watch nothing": lambda: live.watch(None, None)}[end]()
    assert observers(live) == before


def test_closed_live_scores_and_removed_nodes_are_freed(scene):
    nodes = add_calcium_case(scene.mrml)
    live = LiveScores(lambda: None, RULES)
    live.watch(*nodes)
    image = weakref.ref(nodes[1].GetImageData())
    scene.mrml.Clear(True)
    live.update()
    del nodes
    gc.collect()
    assert image() is None
    gone = weakref.ref(live)
    live.close()
    del live
    gc.collect()
    assert gone() is None


class Edits:
    """Strokes, undo and redo in turn, each followed by an update that changes the scores."""

    def __init__(self, scene):
        nodes = add_calcium_case(scene.mrml)
        self.editor = Editor(scene.mrml, *nodes)
        self.live = LiveScores(rules=RULES)
        self.live.watch(*nodes)
        self.number = 0

    def make(self, number):
        for _ in range(number):
            before = self.live.score
            if self.number % 4 < 2:
                name = ("LAD", "RCA", "LM")[self.number % 3]
                self.editor.stroke(name, (slice(8, 10), *REGION[1:]), erase=self.number % 4 == 0)
            elif self.number % 4 == 2:
                self.editor.undo()
            else:
                self.editor.redo()
            self.live.update()
            assert self.live.score != before
            self.number += 1
        gc.collect()


def resident_bytes():
    return int(PROCESS.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not PROCESS.exists(), reason="resident memory is read from Linux' /proc")
def test_a_thousand_edits_take_no_more_memory(scene):
    edits = Edits(scene)
    edits.make(100)
    before = resident_bytes()
    edits.make(1000)
    # A thousand results that were kept would take 100 MB, a thousand label maps as well.
    assert resident_bytes() - before < 20e6
    edits.live.close()


def test_edits_leave_no_objects_behind(scene):
    edits = Edits(scene)
    edits.make(40)
    tracemalloc.start()
    edits.make(8)
    before = tracemalloc.get_traced_memory()[0]
    edits.make(80)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # A single result takes 100 kB.
    assert grown < 300e3
    edits.live.close()
