"""Fixtures that several test files share; what they need is imported when a test asks for it, or the test skips."""

import os
from pathlib import Path

import pytest

# Workers of pytest-xdist have a core each: more threads would only wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def small_network():
    """Every network that is built is a tiny one; afterwards, torch computes on as many threads as before."""
    import torch
    from training_blobs import shrink_network

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        shrink_network(patch.setattr)
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def scene():
    """An empty scene with Slicer's data model and logics."""
    from slicer_scene import Scene

    made = Scene()
    yield made
    made.mrml.Clear(True)


@pytest.fixture
def watched(scene):
    """A small case under live scores."""
    from live_cases import Watched

    made = Watched(scene)
    yield made
    made.live.close()


@pytest.fixture
def application(scene, monkeypatch):
    """The stand-in of Slicer's application with the module's panel open, around an empty scene."""
    from slicer_application import open_panel
    from slicer_scene import slicer

    monkeypatch.setattr(slicer.util, "saveScene", lambda path: bool(scene.save_bundle(Path(path))))
    monkeypatch.setattr(slicer.util, "loadScene", lambda path: scene.load_bundle(Path(path)))
    with open_panel(monkeypatch) as made:
        yield made


@pytest.fixture
def panel(application, scene):
    """The panel with a CT selected that waits for Run; the engine finds the CT's two plaques."""
    from CoronaryCalciumScoringLib.synthetic_ct import add_synthetic_ct
    from slicer_cases import synthetic_labels_engine

    application.volume, application.labels = add_synthetic_ct(scene.mrml)
    application.ui = application.widget.ui
    application.widget.logic.engine = synthetic_labels_engine
    application.widget.enter()
    return application


@pytest.fixture
def reviewing(panel):
    """The panel after a run."""
    panel.press_run()
    return panel
