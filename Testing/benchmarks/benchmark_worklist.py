"""Time a worklist in Slicer's data model, without the application: python Testing/benchmarks/benchmark_worklist.py

Opening a case that was read ahead (nodes and review), keeping an edit, and a list of 2,000 cases, on CTs of 130 and of
400 slices of 512 x 512 with 200 lesions. The computer's load is printed: other programs make every
figure longer but the processor time.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "CoronaryCalciumScoring"), str(ROOT / "Testing" / "helpers")]

import numpy as np  # noqa: E402 after the paths that these modules lie on
from cohort_work import make_cohort  # noqa: E402
from coronary_calcium.arteries import NAMED_ARTERIES  # noqa: E402
from coronary_calcium.cohort.worklist import BY_UNCERTAINTY, Worklist  # noqa: E402
from coronary_calcium.cohort.worklist_case import NetworkReading, WorklistCase  # noqa: E402
from coronary_calcium.volume import CTVolume  # noqa: E402
from CoronaryCalciumScoringLib.review import Review  # noqa: E402
from CoronaryCalciumScoringLib.worklist import OpenCase  # noqa: E402
from editor_history import editor_history  # noqa: E402
from slicer_scene import Scene  # noqa: E402
from worklist_cases import large_worklist  # noqa: E402

SIZES = (((130, 512, 512), (3.0, 0.7, 0.7)), ((400, 512, 512), (0.8, 0.7, 0.7)))
LESIONS, LESION, SAVES = 200, (3, 6, 6), 8


def case_of(shape, spacing):
    """A body with a lung and lesions here and there, which the network has found."""
    rng = np.random.default_rng(0)
    hu, labels = np.full(shape, 40, np.int16), np.zeros(shape, np.uint8)
    hu[:, :60], hu[:, :, 100:200] = -1000, -850
    for number in range(LESIONS):
        corner = rng.integers((5, 200, 230), (shape[0] - 5, 300, 300))
        box = tuple(slice(low, low + size) for low, size in zip(corner, LESION, strict=True))
        hu[box], labels[box] = 350, NAMED_ARTERIES[number % 4].label
    volume = CTVolume(hu, spacing, (0.0, 0.0, 0.0))
    return WorklistCase("c00000", volume, None, NetworkReading(labels, (), {}, None), ())


def measure(folder, shape, spacing):
    """Open a case, keep edits of it, and close it; prints the seconds."""
    case = case_of(shape, spacing)
    worklist, scene = Worklist(make_cohort(folder, 1), "anna"), Scene()
    start, used = time.perf_counter(), time.process_time()
    opened = OpenCase(scene.mrml, worklist, case)
    history = editor_history(opened.segmentationNode, opened.volumeNode)
    review = Review(opened.segmentationNode, opened.volumeNode, history, tableNode=opened.tableNode)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    saves = []
    for _ in range(SAVES):
        begin = time.perf_counter()
        opened.save(review, "open")
        saves.append(1000 * (time.perf_counter() - begin))
    voxels = review.live.labels.voxels.size
    print(f"{shape}: opened in {seconds:.2f} s ({used:.2f} s of processor time)")
    print(f"  an edit of {voxels} voxels kept in {np.median(saves):.0f} ms (median)")
    review.close()
    opened.close()


def main():
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for number, (shape, spacing) in enumerate(SIZES):
            measure(Path(folder) / str(number), shape, spacing)
        large = large_worklist(Path(folder) / "large", 2000)
        start = time.perf_counter()
        worklist = Worklist(large, "anna")
        read = time.perf_counter()
        worklist.shown(BY_UNCERTAINTY, text=">400")
        shown = time.perf_counter() - read
        print(f"2,000 cases: read in {read - start:.2f} s, ordered and filtered in {1000 * shown:.0f} ms")


if __name__ == "__main__":
    main()
