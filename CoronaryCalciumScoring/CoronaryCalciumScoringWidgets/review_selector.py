"""The list of the reviews of a CT in the panel."""

from collections.abc import Callable

from CoronaryCalciumScoringLib.reviews import reviews_of
from slicer.i18n import tr as _


class ReviewSelector:
    """Offers the reviews of the CT and a new one; calls ``chosen(segmentation or None)`` when the reader chooses."""

    def __init__(self, combo, chosen: Callable[[object], object]) -> None:
        self._combo = combo
        self._chosen = chosen
        self._reviews: list = [None]
        self._filling = False
        combo.connect("currentIndexChanged(int)", self._onIndex)

    def update(self, volumeNode, current) -> None:
        """Offer the reviews of this CT, or none, with this one (None: a new one) selected."""
        self._filling = True
        try:
            self._reviews = [None, *reviews_of(volumeNode)]
            # The CT's name stands above the list.
            known = f"{volumeNode.GetName()} " if volumeNode is not None else ""
            names = [_("New review"), *(review.GetName().removeprefix(known) for review in self._reviews[1:])]
            if names != [self._combo.itemText(index) for index in range(self._combo.count)]:
                self._combo.clear()
                self._combo.addItems(names)
            found = [index for index, review in enumerate(self._reviews) if review is current]
            self._combo.currentIndex = found[0] if found else 0
        finally:
            self._filling = False

    def _onIndex(self, index: int) -> None:
        if not self._filling and 0 <= index < len(self._reviews):
            self._chosen(self._reviews[index])
