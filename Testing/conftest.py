"""Fixtures that several test files share; what they need is imported when a test asks for it, or the test skips."""

import pytest


@pytest.fixture
def scene():
    """An empty scene with Slicer's data model and logics."""
    from slicer_scene import Scene

    made = Scene()
    yield made
    made.mrml.Clear(True)


@pytest.fixture
def application(scene, monkeypatch):
    """The stand-in of Slicer's application with the module's panel open, around an empty scene."""
    from slicer_application import open_panel

    with open_panel(monkeypatch) as made:
        yield made


@pytest.fixture
def panel(application, scene):
    """The panel with a CT selected that waits for Run; the engine finds the CT's two plaques."""
    from CoronaryCalciumScoringLib.made_up_ct import add_made_up_ct
    from slicer_cases import made_up_labels_engine

    application.volume, application.labels = add_made_up_ct(scene.mrml)
    application.ui = application.widget.ui
    application.widget.logic.engine = made_up_labels_engine
    application.widget.enter()
    return application


@pytest.fixture
def reviewing(panel):
    """The panel after a run."""
    panel.press_run()
    return panel
