"""Integrated mass and the other quantities of a review, measured again only where an edit has changed something."""

from coronary_calcium.scoring.calcium_quantities import CaseQuantities, QuantityMeter
from coronary_calcium.scoring.options import ScoringOptions

from .review import Review
from .volume_node import SceneCT


class LiveQuantities:
    """The quantities of one review; they are measured when they are asked for, and lesions that are known are kept."""

    def __init__(self, review: Review) -> None:
        self._review = review
        self._meter: QuantityMeter | None = None
        self._measured_on: tuple[SceneCT, ScoringOptions] | None = None

    def measure(self) -> CaseQuantities | None:
        """The quantities of the review's scores as they are; None while there are none.

        Raises InputError when the CT cannot be scored any more, or the marks of rod and water give no calibration.
        """
        if self._review.score is None:
            return None
        ct, options = self._review.ct, self._review.options
        if self._meter is None or self._measured_on is None or self._measured_on[0] is not ct:
            self._meter = None
        if self._meter is None or self._measured_on[1] != options:
            from coronary_calcium.pipeline import calibrated

            calibration = calibrated(ct.volume, options)
            if self._meter is None or self._meter.calibration != calibration:
                prediction = self._review.prediction
                self._meter = QuantityMeter(ct.volume, calibration, prediction.artery_map if prediction else None)
            self._measured_on = ct, options
        return self._meter.measure(self._review.score)
