"""Clicks in the slice views: positions in the patient, and whether Shift was held."""

from collections.abc import Callable

import slicer
import vtk

# How far, in pixels, the mouse may move between press and release of a click; further is a drag.
CLICK_PIXELS = 3
# Before the view's own reactions (0), which end the event that they use: a press with Shift begins to drag the slice.
# After the Segment Editor's effects (1), which end the event when they are active.
PRIORITY = 0.5


class SliceClicks:
    """Calls ``clicked(ras, shift)`` for every click with the left button in a slice view, while it is switched on."""

    def __init__(self, clicked: Callable[[tuple[float, float, float], bool], object]) -> None:
        self._clicked = clicked
        self._observations: list[tuple] = []
        self._pressed: tuple[int, int] | None = None
        self._layoutManager = None

    @property
    def on(self) -> bool:
        """Whether clicks are listened to."""
        return bool(self._observations)

    def switch(self, on: bool) -> None:
        """Listen to the views of the layout as it is now, or to none."""
        for interactor, tag in self._observations:
            interactor.RemoveObserver(tag)
        self._observations.clear()
        self._pressed = None
        layoutManager = slicer.app.layoutManager()
        if not on or layoutManager is None:
            return
        if self._layoutManager is not layoutManager:
            self._layoutManager = layoutManager
            layoutManager.connect("layoutChanged(int)", self._on_layout)
        for name in layoutManager.sliceViewNames():
            widget = layoutManager.sliceWidget(name)
            self._observe(widget.sliceView())

    def _on_layout(self, _layout: int) -> None:
        """Another layout may have other views."""
        if self.on:
            self.switch(True)

    def _observe(self, view) -> None:
        interactor = view.interactor()

        def press(caller, event) -> None:
            self._pressed = interactor.GetEventPosition()

        def release(caller, event) -> None:
            pressed, self._pressed = self._pressed, None
            place = interactor.GetEventPosition()
            if pressed is None or max(abs(a - b) for a, b in zip(pressed, place)) > CLICK_PIXELS:
                return
            if interactor.GetControlKey() or interactor.GetAltKey() or _placing():
                return
            # By the view, which knows the slice of each part of a light box.
            ras = view.convertXYZToRAS(view.convertDeviceToXYZ(place))
            self._clicked(tuple(ras), bool(interactor.GetShiftKey()))

        for event, call in (
            (vtk.vtkCommand.LeftButtonPressEvent, press),
            (vtk.vtkCommand.LeftButtonReleaseEvent, release),
        ):
            self._observations.append((interactor, interactor.AddObserver(event, call, PRIORITY)))


def _placing() -> bool:
    """Whether a click places a point or a curve, as after a press on the tool bar."""
    interaction = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    return interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place
