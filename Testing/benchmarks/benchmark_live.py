"""How long live scores take on a large CT: python Testing/benchmarks/benchmark_live.py [--edits N].

512 x 512 x 400 voxels with 200 lesions, within a heart and then, the worst case, all over the volume: a labelmap spans
all its lesions. In the same run it times, after each one-slice edit: the live update (from the edit's events to the new
table), the engine's scores of the whole label map, and the plain way, slice by slice with ndimage. All three must
agree. Times are medians of the clock; the fastest and the CPU time (median) are given too, because other
programs on the machine make the clock's times longer.
"""

import argparse
import math
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "CoronaryCalciumScoring"), str(ROOT / "Testing" / "helpers")]

import numpy as np  # noqa: E402 after the paths that these modules lie on
from coronary_calcium.arteries import ARTERIES, BY_LABEL  # noqa: E402
from coronary_calcium.io.axes import AxialOrder  # noqa: E402
from coronary_calcium.scoring import score_labels  # noqa: E402
from coronary_calcium.scoring.calcium_quantities import QuantityMeter  # noqa: E402
from coronary_calcium.scoring.volume_mass import calibration_of  # noqa: E402
from coronary_calcium.volume import CTVolume  # noqa: E402
from CoronaryCalciumScoringLib.live_scores import LabelReader, LiveScores  # noqa: E402
from CoronaryCalciumScoringLib.score_table import add_score_table, show_score  # noqa: E402
from CoronaryCalciumScoringLib.segmentation import add_segmentation, add_voxels, read_labels, remove_voxels  # noqa: E402
from CoronaryCalciumScoringLib.volume_node import add_volume_node  # noqa: E402
from scipy import ndimage  # noqa: E402
from slicer_scene import Scene  # noqa: E402

SHAPE = (400, 512, 512)
SPACING_MM = (0.6, 0.7, 0.7)
LESIONS = 200
# Where the lesions' centers lie (k, j, i): a heart is about 120 mm in each direction.
HEART = ((150, 350), (180, 350), (160, 330))
EVERYWHERE = ((12, 388), (60, 500), (12, 500))
# Half the size (k, j, i) of a lesion's box: ellipsoids of about 105 voxels, 21,000 in all.
LESION_RADIUS = np.array([2.0, 3.5, 3.5])
EIGHT = np.ones((3, 3))
IN_ORDER = AxialOrder((0, 1, 2), (False, False, False))


class Times:
    """Milliseconds of the clock and of the CPU by what was timed."""

    def __init__(self):
        self.all = {}

    def of(self, name, function, *arguments):
        start = now()
        result = function(*arguments)
        self.add(name, start, now())
        return result

    def add(self, name, start, end):
        self.all.setdefault(name, []).append([1e3 * (b - a) for a, b in zip(start, end)])

    def median(self, name):
        return statistics.median(clock for clock, _ in self.all[name])

    def fastest(self, name):
        return min(clock for clock, _ in self.all[name])

    def processor(self, name):
        return statistics.median(processor for _, processor in self.all[name])


def now():
    """Seconds of the clock, and of this process on the CPU."""
    return time.perf_counter(), time.process_time()


def case(region):
    """A body in air with calcium in a region of it, and its labels (k, j, i)."""
    rng = np.random.default_rng(11)
    hu, labels = np.full(SHAPE, 40, dtype=np.int16), np.zeros(SHAPE, dtype=np.uint8)
    hu[:, :40] = -1000
    reach = np.ceil(LESION_RADIUS).astype(int)
    offsets = np.indices(2 * reach + 1).reshape(3, -1).T - reach
    ball = offsets[(np.square(offsets / LESION_RADIUS)).sum(axis=1) <= 1]
    for number in range(LESIONS):
        center = [rng.integers(low, high) for low, high in region]
        voxels = tuple((center + ball).T)
        hu[voxels] = rng.integers(110, 600, len(ball))
        labels[voxels] = ARTERIES[number % len(ARTERIES)].label
    return CTVolume(hu, SPACING_MM, (0.0, 0.0, 0.0)), labels


def plain_scores(volume, labels):
    """Agatston scores by artery in the plainest way, slice by slice."""
    area = volume.spacing[1] * volume.spacing[2]
    scores = dict.fromkeys((artery.name for artery in ARTERIES), 0)
    for k in np.flatnonzero(labels.any(axis=(1, 2))):
        for artery in ARTERIES:
            marked = (labels[k] == artery.label) & (volume.hu[k] >= 130)
            if not marked.any():
                continue
            parts, number = ndimage.label(marked, EIGHT)
            if number:
                maxima = ndimage.maximum(volume.hu[k], parts, range(1, number + 1))
                pixels = np.bincount(parts.ravel())[1:]
                weights = 1 + np.searchsorted((200, 300, 400), maxima, side="right")
                scores[artery.name] += int((pixels * weights)[pixels * area >= 1].sum())
    return {name: value * area * volume.spacing[0] / 3 for name, value in scores.items()}


class Hand:
    """Takes the voxels of a lesion in one slice from its artery, and gives them back with the next stroke."""

    def __init__(self, labels, *nodes):
        self.rng = np.random.default_rng(3)
        self.labels, self.nodes = labels, nodes
        self.places = np.argwhere(labels)
        self.taken = None

    def stroke(self):
        if self.taken is not None:
            add_voxels(*self.nodes, *self.taken)
            self.taken = None
            return
        k, j, i = self.places[self.rng.integers(len(self.places))]
        near = (slice(k, k + 1), slice(j - 4, j + 5), slice(i - 4, i + 5))
        label = self.labels[k, j, i]
        self.taken = BY_LABEL[int(label)], np.argwhere(self.labels[near] == label) + [k, j - 4, i - 4]
        remove_voxels(*self.nodes, self.taken[1])


def agatston(score):
    return {name: tally.agatston for name, tally in score.by_artery.items()}


def say(line):
    sys.stdout.write(line + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=30)
    parser.add_argument("--plain", type=int, default=3, help="edits after which the plain way is timed too")
    options = parser.parse_args()
    for name, region in (("within a heart", HEART), ("all over the volume", EVERYWHERE)):
        measure(name, region, options)


def measure(name, region, options):
    scene, times = Scene(), Times()
    volume, labels = case(region)
    volume_node = add_volume_node(scene.mrml, volume, "CT")
    nodes = add_segmentation(volume_node, labels, "Calcium"), volume_node
    table = add_score_table(volume_node, "Scores")
    hand = Hand(labels, *nodes)
    live, told, events = LiveScores(lambda: events.append(None)), [], []
    times.of("selecting the CT", live.watch, *nodes)
    live.onChanged.append(lambda score: (told.append(now()), show_score(table, score, live.warnings)))
    meter = QuantityMeter(volume, calibration_of(volume.acquisition))
    times.of("showing all quantities for the first time", meter.measure, live.score)
    size = " x ".join(map(str, SHAPE[::-1]))
    say(f"\n{size} voxels, {live.score.total.lesions} lesions of {live.score.labeled_voxels} voxels {name}")

    for edit in range(options.edits):
        hand.stroke()
        assert events
        events.clear()
        start = now()
        live.update()
        shown = now()
        times.add("live: recomputing", start, told[-1])
        times.add("live: the table", told[-1], shown)
        times.add("live: both", start, shown)
        assert len(told) == edit + 1
        times.of("live: all quantities, when they are shown", meter.measure, live.score)
        reader = LabelReader()
        times.of("of recomputing: finding the labeled voxels", reader.read, *nodes, IN_ORDER)
        read = times.of("full: segments to label map", read_labels, *nodes)
        full = times.of("full: score_labels", score_labels, volume, read.labels)
        assert live.score == full
        if edit < options.plain:
            plain = times.of("plain: ndimage slice by slice", plain_scores, volume, read.labels)
            assert all(math.isclose(plain[artery], value) for artery, value in agatston(full).items())

    say(f"{'':46}{'median ms':>10}{'fastest ms':>12}{'CPU ms':>14}")
    for step in times.all:
        say(f"{step:46}{times.median(step):10.1f}{times.fastest(step):12.1f}{times.processor(step):14.1f}")
    for slower in ("full: score_labels", "plain: ndimage slice by slice"):
        if slower in times.all:
            ratio = times.processor(slower) / times.processor("live: recomputing")
            say(f"{slower} takes {ratio:.0f} times the CPU time of the live scores (medians)")
    live.close()
    scene.mrml.Clear(True)


if __name__ == "__main__":
    main()
